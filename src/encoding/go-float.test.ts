import fc from 'fast-check';
import { expect, test } from 'vitest';
import { goFloat, MAX_FLOAT_LENGTH, writeFloat } from './go-float.ts';

function written(value: number): string {
  const target = Buffer.alloc(MAX_FLOAT_LENGTH + 1);
  return target.toString('latin1', 1, writeFloat(target, 1, value));
}

test.each([
  [0, '0'],
  [-0, '0'],
  [1, '1'],
  [-17, '-17'],
  [0.005, '0.005'],
  [0.0001, '0.0001'],
  [0.00001, '1e-05'],
  [999_999, '999999'],
  [1_000_000, '1e+06'],
  [1_234_567, '1.234567e+06'],
  [12_500_000, '1.25e+07'],
  [-1_234_567, '-1.234567e+06'],
  [1_234_567.5, '1.2345675e+06'],
  [Number.MAX_SAFE_INTEGER, '9.007199254740991e+15'],
  [1e21, '1e+21'],
  [5e-324, '5e-324'],
  [Number.MAX_VALUE, '1.7976931348623157e+308'],
  [-2.2250738585072014e-308, '-2.2250738585072014e-308'],
  [Number.NaN, 'NaN'],
  [Number.POSITIVE_INFINITY, '+Inf'],
  [Number.NEGATIVE_INFINITY, '-Inf'],
])('[8.19] %d is written as %s, the way Go does', (value, text) => {
  expect(goFloat(value)).toBe(text);
  expect(written(value)).toBe(text);
});

test('[8.19] every number reads back as itself, and the written form is the printed one', () => {
  const numbers = fc.oneof(
    fc.double(),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.maxSafeInteger().map((n) => n * 1000),
  );
  fc.assert(
    fc.property(numbers, (value) => {
      const text = written(value);
      expect(text).toBe(goFloat(value));
      expect(text.length).toBeLessThanOrEqual(MAX_FLOAT_LENGTH);
      if (Number.isFinite(value)) expect(Number(text)).toBe(value === 0 ? 0 : value);
    }),
    { numRuns: 2_000 },
  );
});
