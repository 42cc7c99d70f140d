import { ValueType } from '@opentelemetry/api';
import { describe, expect, test } from 'vitest';
import { AttributeSet } from '../data/attribute-set.ts';
import {
  exponentialHistogramColumns,
  gaugeColumns,
  histogramColumns,
  MetricBatch,
  type MetricColumns,
  sumColumns,
  summaryColumns,
} from '../data/metric-batch.ts';
import { AggregationTemporality } from '../data/metric-data.ts';
import { inSlices } from '../data/time-slice.ts';
import { zeroPoints } from '../data/zero-points.ts';
import { EndedSeries } from './ended-series.ts';
import { counterBatch } from './fixtures/exporting.ts';

describe('EndedSeries', () => {
  test('keeps nothing of a batch that is tried again', async () => {
    const series = new EndedSeries(true, () => '');
    const batch = counterBatch(1, 3);
    for (let attempt = 0; attempt < 3; attempt++) expect(await inSlices(series.see(batch))).toBeUndefined();
    expect(series.present()?.pointCount).toBe(3);
  });

  test.each([5n, -5n])(
    'metrics of a producer whose time is %d ms off, in a batch of their own',
    async (off) => {
      const series = new EndedSeries(true, () => '');
      const ended: unknown[] = [];
      for (const [second, length] of [3, 3, 2, 2].entries()) {
        for (const [name, millis] of [
          ['own', 0n],
          ['foreign', off],
        ] as const) {
          const { resource, scopeMetrics } = counterBatch(1, name === 'own' ? 3 : length);
          const [{ metrics }] = scopeMetrics as [(typeof scopeMetrics)[0]];
          metrics[0]!.endTimes.fill((BigInt(second) * 1000n + 10n + millis) * 1_000_000n);
          const batch = new MetricBatch(resource, [{ scope: { name }, metrics }]);
          const found = await inSlices(series.see(batch));
          for (const { scope, metrics } of found?.batch.scopeMetrics ?? [])
            for (const { attributes } of metrics)
              for (const set of attributes) ended.push([second, scope.name, set.attributes.series]);
        }
      }
      // Told with the collection after the one without it.
      expect(ended).toEqual([[3, 'foreign', 2]]);
    },
  );

  const kinds = oneOfEach();

  test.each(Object.keys(kinds))('reads nothing of a batch later but its series: %s', async (kind) => {
    const series = new EndedSeries(true, () => '');
    const batchAt = (nanos: bigint, length: number) => {
      const metric = zeroPoints(kinds[kind]!)(
        Array.from({ length }, (_, i) => AttributeSet.from({ series: i })),
      );
      metric.endTimes.fill(nanos);
      return {
        batch: new MetricBatch(counterBatch(1, 1).resource, [{ scope: { name: 's' }, metrics: [metric] }]),
        metric,
      };
    };
    for (const [nanos, length] of [
      [1n, 3],
      [2n, 2],
    ] as const) {
      const { batch, metric } = batchAt(nanos, length);
      expect(await inSlices(series.see(batch))).toBeUndefined();
      // As the next collection would.
      for (const column of Object.values(metric))
        if (ArrayBuffer.isView(column)) new Uint8Array(column.buffer).fill(0xff);
    }
    const ended = await inSlices(series.see(batchAt(3n, 2).batch));
    expect(ended?.nanos).toBe(2n);
    for (const [marked, length] of [
      [ended!.batch, 1],
      [series.present()!, 2],
    ] as const) {
      expect(marked.pointCount).toBe(length);
      const [metric] = marked.scopeMetrics[0]!.metrics;
      expect(metric!.dataPointType).toBe(kinds[kind]!.dataPointType);
      expect(metric!.dataPoints.map(({ startTime }) => startTime)).toEqual(Array(length).fill([0, 0]));
    }
  });
});

/** A metric of each kind. */
function oneOfEach(): Record<string, MetricColumns> {
  const points = {
    descriptor: { name: 'm', description: '', unit: '', valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    length: 0,
    attributes: [],
    startTimes: new BigUint64Array(0),
    endTimes: new BigUint64Array(0),
  };
  const none = new Float64Array(0);
  const distribution = { ...points, counts: none, sums: none, mins: none, maxs: none };
  const buckets = { offsets: new Int32Array(0), starts: new Uint32Array(1), counts: none };
  return {
    sum: sumColumns({ ...points, values: none }, true),
    gauge: gaugeColumns({ ...points, values: none }),
    histogram: histogramColumns({ ...distribution, boundaries: [1, 2], bucketCounts: none }),
    exponential: exponentialHistogramColumns({
      ...distribution,
      scales: new Int32Array(0),
      zeroCounts: none,
      positive: buckets,
      negative: buckets,
    }),
    summary: summaryColumns({ ...distribution, quantiles: [0.5], quantileValues: none }),
  };
}
