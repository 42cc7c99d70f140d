import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { everyKind } from '../encoding/fixtures/every-kind.ts';
import { AttributeSet } from './attribute-set.ts';
import { exponentialHistogramColumns } from './metric-batch.ts';
import { AggregationTemporality } from './metric-data.ts';
import { selectPoints } from './select-points.ts';

/** Three points with buckets of different widths. */
function exponential() {
  const template = everyKind().scopeMetrics[0]!.metrics[2]!;
  return exponentialHistogramColumns({
    descriptor: template.descriptor,
    aggregationTemporality: AggregationTemporality.DELTA,
    length: 3,
    attributes: [0, 1, 2].map((i) => AttributeSet.from({ i })),
    startTimes: BigUint64Array.of(1n, 2n, 3n),
    endTimes: BigUint64Array.of(4n, 5n, 6n),
    counts: Float64Array.of(1, 2, 3),
    sums: Float64Array.of(4, 5, 6),
    mins: Float64Array.of(7, 8, 9),
    maxs: Float64Array.of(10, 11, 12),
    scales: Int32Array.of(-1, 0, 1),
    zeroCounts: Float64Array.of(0, 1, 2),
    positive: {
      offsets: Int32Array.of(-2, 0, 5),
      starts: Uint32Array.of(0, 2, 2, 5),
      counts: Float64Array.of(1, 2, 3, 4, 5),
    },
    negative: {
      offsets: Int32Array.of(1, 2, 3),
      starts: Uint32Array.of(0, 0, 1, 1),
      counts: Float64Array.of(9),
    },
  });
}

const metrics = [...everyKind().scopeMetrics.flatMap(({ metrics }) => metrics), exponential()];

describe('selectPoints', () => {
  test('gives the points that the metric has at those rows, whatever its kind', () => {
    const selection = fc
      .constantFrom(...metrics)
      .chain((metric) =>
        fc.tuple(fc.constant(metric), fc.subarray(Array.from({ length: metric.length }, (_, i) => i))),
      );
    fc.assert(
      fc.property(selection, ([metric, rows]) => {
        const selected = selectPoints(metric, Uint32Array.from(rows));
        expect(selected.length).toBe(rows.length);
        expect(selected.descriptor).toBe(metric.descriptor);
        expect(selected.aggregationTemporality).toBe(metric.aggregationTemporality);
        expect('isMonotonic' in selected && selected.isMonotonic).toBe(
          'isMonotonic' in metric && metric.isMonotonic,
        );
        expect(selected.dataPoints).toEqual(rows.map((row) => metric.dataPoints[row]));
      }),
    );
  });

  test('has no exemplars when none of the points has', () => {
    const [withExemplars] = metrics;
    expect(selectPoints(withExemplars!, Uint32Array.of(0)).exemplars).toBeUndefined();
    expect(selectPoints(withExemplars!, Uint32Array.of(1)).exemplars?.values).toHaveLength(2);
  });

  test('costs nothing when all are selected', () => {
    const [metric] = metrics;
    expect(selectPoints(metric!, Uint32Array.of(0, 1))).toBe(metric);
  });
});
