import fc from 'fast-check';
import { expect, test } from 'vitest';
import { writeDecimal, writeDigits, writeInteger } from './decimal.ts';

const target = Buffer.alloc(40);

test('whole numbers are written as they are printed', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), fc.nat(8), (value, at) => {
      expect(target.toString('latin1', at, writeInteger(target, at, value))).toBe(String(value));
    }),
  );
});

test('digits fill their room with zeros in front', () => {
  writeDigits(target, 0, 9, 1_234);
  expect(target.toString('latin1', 0, 9)).toBe('000001234');
});

test('a decimal is the shortest that reads back, or is left to others', () => {
  const values = fc.oneof(
    fc.double({ noNaN: true, min: 0, minExcluded: true }),
    fc.double({ noNaN: true, min: 0, minExcluded: true, max: 2e6 }),
    fc.integer({ min: 1, max: 1e15 }).map((units) => units / 1e9),
    fc.integer({ min: 1, max: 1e10 }).map((units) => units / 1e4),
  );
  fc.assert(
    fc.property(values, (value) => {
      const text = target.toString('latin1', 3, writeDecimal(target, 3, value));
      // What is printed with an exponent has decimals as well.
      expect(['', value.toFixed(9).replace(/\.?0+$/, '')]).toContain(text);
      if (text !== '') expect(Number(text)).toBe(value);
    }),
    { numRuns: 2_000 },
  );
});

test.each([0.005, 0.1, 1.5, 2e-9, 999_999.999999999, 123])('%d has few enough decimals', (value) => {
  expect(writeDecimal(target, 0, value)).toBeGreaterThan(0);
});
