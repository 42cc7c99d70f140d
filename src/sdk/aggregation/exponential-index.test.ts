import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bucketIndex } from './exponential-index.ts';

const SCALES = Array.from({ length: 31 }, (_, i) => i - 10);
const PRECISION = 200n;
const ONE = 1n << PRECISION;

/** Mantissa in [1, 2) as a fixed-point number, and exponent; exact. */
function parts(value: number): { mantissa: bigint; exponent: number } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const exponent = Number((bits >> 52n) & 0x7ffn) - 1023;
  return { mantissa: ((1n << 52n) | (bits & ((1n << 52n) - 1n))) << (PRECISION - 52n), exponent };
}

/**
 * The bucket by 200-bit arithmetic: squaring a mantissa doubles its logarithm, so each squaring tells one binary digit of it. No
 * floating-point logarithm takes part.
 */
function exactIndex(value: number, scale: number): number {
  const { mantissa, exponent } = parts(value);
  if (scale <= 0) return (mantissa === ONE ? exponent - 1 : exponent) >> -scale;
  if (mantissa === ONE) return exponent * 2 ** scale - 1;
  let digits = 0;
  for (let i = 0, rest = mantissa; i < scale; i++) {
    rest = (rest * rest) >> PRECISION;
    digits *= 2;
    if (rest >= 2n * ONE) {
      digits++;
      rest >>= 1n;
    }
  }
  return exponent * 2 ** scale + digits;
}

/** The next doubles below and above. */
function neighbours(value: number): number[] {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  return [bits - 1n, bits + 1n].map((next) => {
    view.setBigUint64(0, next);
    return view.getFloat64(0);
  });
}

const MIN_NORMAL = 2 ** -1022;

const normal = fc
  .tuple(fc.integer({ min: 1, max: 0x7fe }), fc.bigInt({ min: 0n, max: (1n << 52n) - 1n }))
  .map(([exponent, mantissa]) => {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, (BigInt(exponent) << 52n) | mantissa);
    return view.getFloat64(0);
  });

describe('bucketIndex', () => {
  test('[4.11] powers of two are the inclusive upper bounds of their buckets, at every scale', () => {
    for (const scale of SCALES) {
      for (let exponent = -1022; exponent <= 1023; exponent++) {
        const expected = scale <= 0 ? (exponent - 1) >> -scale : exponent * 2 ** scale - 1;
        if (bucketIndex(2 ** exponent, scale) !== expected) {
          expect.fail(`2^${exponent} at scale ${scale} is in ${bucketIndex(2 ** exponent, scale)}`);
        }
      }
    }
  });

  test('[4.11] the doubles next to a power of two are in the buckets that exact arithmetic puts them in', () => {
    for (const scale of SCALES) {
      for (const exponent of [-1021, -1000, -52, -2, -1, 0, 1, 2, 3, 10, 52, 53, 1000, 1023]) {
        for (const value of neighbours(2 ** exponent)) {
          expect([value, scale, bucketIndex(value, scale)]).toEqual([value, scale, exactIndex(value, scale)]);
        }
      }
    }
  });

  test('[4.10][4.11] every normal double is at most one bucket off, and none at scales of 0 and below', () => {
    fc.assert(
      fc.property(normal, fc.constantFrom(...SCALES), (value, scale) => {
        const off = Math.abs(bucketIndex(value, scale) - exactIndex(value, scale));
        expect(off).toBeLessThanOrEqual(scale <= 0 ? 0 : 1);
      }),
      { numRuns: 5000 },
    );
  });

  test('the doubles around every bound of scale 3 are at most one bucket off', () => {
    for (let i = -80; i <= 80; i++) {
      const bound = 2 ** (i / 8);
      for (const value of [bound, ...neighbours(bound)]) {
        expect(Math.abs(bucketIndex(value, 3) - exactIndex(value, 3))).toBeLessThanOrEqual(1);
      }
    }
  });

  test('[4.12] subnormal values count as the smallest normal one', () => {
    for (const scale of SCALES) {
      for (let exponent = -1074; exponent < -1022; exponent++) {
        expect(bucketIndex(2 ** exponent, scale)).toBe(bucketIndex(MIN_NORMAL, scale));
      }
      expect(bucketIndex(neighbours(MIN_NORMAL)[0]!, scale)).toBe(bucketIndex(MIN_NORMAL, scale));
    }
  });

  test('[4.17] the index of the largest double fits 30 bits at the finest scale', () => {
    expect(bucketIndex(Number.MAX_VALUE, 20)).toBe(2 ** 30 - 1);
    expect(bucketIndex(MIN_NORMAL, 20)).toBe(-1022 * 2 ** 20 - 1);
  });

  test('[4.10] the lower bounds of scale 3 are those of the specification', () => {
    const bounds = [1, 1.09051, 1.18921, 1.29684, Math.SQRT2, 1.54221, 1.68179, 1.83401];
    expect(bounds.map((bound) => bucketIndex(bound * 1.00001, 3))).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(bucketIndex(4, 20)).toBe(2_097_151);
  });
});
