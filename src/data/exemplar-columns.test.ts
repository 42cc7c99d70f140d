import { describe, expect, test } from 'vitest';
import {
  exemplarsOf,
  NO_FILTERED_ATTRIBUTES,
  sliceExemplars,
  toExemplarColumns,
} from './exemplar-columns.ts';
import type { Exemplar } from './metric-data.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';
const traced: Exemplar = {
  value: 1.5,
  timestamp: [1, 2],
  filteredAttributes: { user: 'ü', list: ['a'] },
  traceId,
  spanId,
};
const plain: Exemplar = { value: -0, timestamp: [3, 0], filteredAttributes: {} };

describe('exemplar columns', () => {
  test('exemplars survive the way into columns and back, each at its point', () => {
    const columns = toExemplarColumns([undefined, [traced, plain], [], [plain]])!;
    expect([0, 1, 2, 3].map((point) => exemplarsOf(columns, point))).toEqual([
      undefined,
      [traced, plain],
      undefined,
      [plain],
    ]);
    expect(columns.times).toEqual(BigUint64Array.of(1_000_000_002n, 3_000_000_000n, 3_000_000_000n));
  });

  test('without any there are no columns', () => {
    expect(toExemplarColumns([undefined, []])).toBeUndefined();
    expect(exemplarsOf(undefined, 0)).toBeUndefined();
    expect(sliceExemplars(toExemplarColumns([[plain], undefined, [plain]])!, 1, 2)).toBeUndefined();
  });

  test('ids are lower-case and valid, or absent', () => {
    const columns = toExemplarColumns([
      [
        { ...plain, traceId: traceId.toUpperCase(), spanId: spanId.toUpperCase() },
        { ...plain, traceId: 'abc', spanId },
        { ...plain, traceId, spanId: '0'.repeat(16) },
        { ...plain, traceId },
      ],
    ])!;
    expect(columns.traceIds).toEqual([traceId, undefined, undefined, undefined]);
    expect(columns.spanIds).toEqual([spanId, undefined, undefined, undefined]);
  });

  test('attributes are frozen copies, one object for all that have none', () => {
    const given = { a: 1 };
    const columns = toExemplarColumns([[{ ...plain, filteredAttributes: given }, plain], [plain]])!;
    given.a = 2;
    expect(columns.filteredAttributes).toEqual([{ a: 1 }, {}, {}]);
    expect(columns.filteredAttributes.every(Object.isFrozen)).toBe(true);
    expect(columns.filteredAttributes[1]).toBe(NO_FILTERED_ATTRIBUTES);
    expect(columns.filteredAttributes[2]).toBe(NO_FILTERED_ATTRIBUTES);
  });
});
