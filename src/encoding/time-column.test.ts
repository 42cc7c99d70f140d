import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { LineBuffer } from './line-buffer.ts';
import { TimeColumn, wholeMillis } from './time-column.ts';

function written(times: bigint[]): string[] {
  const column = new TimeColumn(BigUint64Array.from(times));
  return times.map((_, i) => {
    const out = new LineBuffer(false);
    column.write(out, i);
    return Buffer.from(out.take()).toString();
  });
}

describe('TimeColumn', () => {
  it('writes any 64-bit time to the last digit', () => {
    const second = 10n ** 9n;
    const nearSecond = fc
      .tuple(fc.bigInt({ min: 1n, max: 18_446_744_073n }), fc.integer({ min: -3, max: 3 }))
      .map(([seconds, nanos]) => seconds * second + BigInt(nanos));
    const time = fc.oneof(
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      nearSecond,
      fc.constantFrom(0n, 1n, second - 1n, second, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n),
    );
    fc.assert(
      fc.property(fc.array(time), (times) => {
        expect(written(times)).toEqual(times.map(String));
      }),
      { numRuns: 500 },
    );
  });

  it('tells a change in either half', () => {
    const column = new TimeColumn(BigUint64Array.of(5n, 5n, 2n ** 32n + 5n, 2n ** 32n, 2n ** 32n));
    expect([0, 1, 2, 3, 4].map((i) => column.changesAt(i))).toEqual([true, false, true, true, false]);
  });
});

test('wholeMillis rounds any 64-bit time down', () => {
  const million = 10n ** 6n;
  const nearMilli = fc
    .tuple(fc.bigInt({ min: 1n, max: 18_446_744_073_709n }), fc.integer({ min: -2, max: 2 }))
    .map(([millis, nanos]) => millis * million + BigInt(nanos));
  const time = fc.oneof(
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    nearMilli,
    fc.constantFrom(0n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 64n - 1n),
  );
  fc.assert(
    fc.property(fc.array(time), (times) => {
      const millisOf = wholeMillis(BigUint64Array.from(times));
      expect(times.map((_, i) => millisOf(i))).toEqual(times.map((nanos) => Number(nanos / million)));
    }),
    { numRuns: 500 },
  );
});
