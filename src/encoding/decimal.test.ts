import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MAX_DECIMAL_LENGTH, writeDecimal, writeDigits, writeInteger } from './decimal.ts';

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

const decimals = fc.oneof(
  fc.double({ noNaN: true, min: 0, minExcluded: true }),
  fc.double({ noNaN: true, min: 0, minExcluded: true, max: 2e6 }),
  fc.double({ noNaN: true, min: 2 ** -12, max: 4 }),
  fc.integer({ min: 1, max: 1e15 }).map((units) => units / 1e9),
  fc.integer({ min: 1, max: 1e10 }).map((units) => units / 1e4),
  // Sums of measured durations, which are nearly decimals.
  fc
    .array(fc.integer({ min: 1, max: 1e7 }), { minLength: 2, maxLength: 20 })
    .map((units) => units.reduce((sum, unit) => sum + unit / 1e6, 0)),
  // The neighbours of powers of two and of short decimals.
  fc
    .tuple(fc.integer({ min: -12, max: 20 }), fc.integer({ min: -3, max: 3 }))
    .map(([exponent, steps]) => 2 ** exponent * (1 + steps * Number.EPSILON)),
);

test('a decimal is the shortest that reads back, or is left to others', () => {
  fc.assert(
    fc.property(decimals, (value) => {
      const text = target.toString('latin1', 3, writeDecimal(target, 3, value));
      // What `String` prints with an exponent is a decimal as well.
      const printed = value < 1e-6 ? value.toFixed(9).replace(/\.?0+$/, '') : String(value);
      expect(['', printed]).toContain(text);
      expect(text.length).toBeLessThanOrEqual(MAX_DECIMAL_LENGTH);
    }),
    { numRuns: 3_000 },
  );
});

test('hardly any measured value is left to others', () => {
  let left = 0;
  const count = 20_000;
  for (let i = 1; i <= count; i++) {
    const value = (i * Math.PI) / 7;
    const text = target.toString('latin1', 0, writeDecimal(target, 0, value));
    if (text === '') left++;
    else expect(text).toBe(String(value));
  }
  expect(left).toBeLessThan(count / 100);
});

test.each([0, Number.NaN, Number.POSITIVE_INFINITY, 1e6, 2 ** -12 + 2 ** -60])(
  '%d is left to others',
  (value) => {
    expect(writeDecimal(target, 7, value)).toBe(7);
  },
);

test.each([0.005, 0.1, 1.5, 2e-9, 999_999.999999999, 123])('%d has few enough decimals', (value) => {
  expect(writeDecimal(target, 0, value)).toBeGreaterThan(0);
});
