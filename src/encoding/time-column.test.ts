import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { LineBuffer } from './line-buffer.ts';
import { TimeColumn, wholeMillis } from './time-column.ts';

/** Any time of 64 bits, and those around whole units more often. */
function timeNear(unit: bigint) {
  const most = 2n ** 64n - 1n;
  const whole = fc
    .tuple(fc.bigInt({ min: 1n, max: most / unit - 1n }), fc.integer({ min: -3, max: 3 }))
    .map(([units, nanos]) => units * unit + BigInt(nanos));
  const edges = fc.constantFrom(
    0n,
    1n,
    unit - 1n,
    unit,
    unit + 1n,
    2n ** 32n - 1n,
    2n ** 32n,
    2n ** 63n,
    most,
  );
  return fc.oneof(fc.bigInt({ min: 0n, max: most }), whole, edges);
}

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
    const time = timeNear(10n ** 9n);
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
  const time = timeNear(million);
  fc.assert(
    fc.property(fc.array(time), (times) => {
      const millisOf = wholeMillis(BigUint64Array.from(times));
      expect(times.map((_, i) => millisOf(i))).toEqual(times.map((nanos) => Number(nanos / million)));
    }),
    { numRuns: 500 },
  );
});
