import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MeterProvider } from '../sdk/meter-provider.ts';
import { ManualMetricReader } from '../sdk/readers/manual-metric-reader.ts';
import { AggregationType } from './aggregation-option.ts';
import type { MetricBatch } from './metric-batch.ts';
import { sliceBatch } from './slice-batch.ts';
import { toBatch } from './to-batch.ts';

/** A batch with every kind of point, exemplars on the sums. */
async function everyKind(seriesOf: { readonly [kind: string]: number }): Promise<MetricBatch> {
  const reader = new ManualMetricReader();
  const exponential = { type: AggregationType.EXPONENTIAL_HISTOGRAM } as const;
  const provider = new MeterProvider({
    readers: [reader],
    views: [{ instrumentName: 'exponential', aggregation: exponential }],
    exemplarFilter: 'always_on',
  });
  for (const scope of ['one', 'two']) {
    const meter = provider.getMeter(scope);
    const kinds = {
      sum: meter.createCounter('sum', { unit: 's' }),
      gauge: meter.createGauge('gauge'),
      histogram: meter.createHistogram('histogram', { advice: { explicitBucketBoundaries: [1, 2] } }),
      exponential: meter.createHistogram('exponential'),
    };
    for (const [kind, instrument] of Object.entries(kinds)) {
      for (let series = 0; series < seriesOf[kind]!; series++) {
        if ('add' in instrument) instrument.add(series, { series });
        else for (let i = 0; i <= series; i++) instrument.record(i * 1.5, { series });
      }
    }
  }
  return toBatch((await reader.collect()).resourceMetrics);
}

/** Every point with all that is said about it, its metric and its scope. */
const pointsOf = (batch: MetricBatch) =>
  batch.scopeMetrics.flatMap(({ scope, metrics }) =>
    metrics.flatMap(({ dataPoints, descriptor, aggregationTemporality, dataPointType, ...rest }) =>
      dataPoints.map((point) => ({
        scope,
        descriptor,
        aggregationTemporality,
        dataPointType,
        isMonotonic: 'isMonotonic' in rest && rest.isMonotonic,
        point,
      })),
    ),
  );

describe('sliceBatch', () => {
  test('all of a batch is the batch itself', async () => {
    const batch = await everyKind({ sum: 2, gauge: 0, histogram: 0, exponential: 0 });
    expect(sliceBatch(batch, 0, 4)).toBe(batch);
    expect(sliceBatch(batch, 0, Number.POSITIVE_INFINITY)).toBe(batch);
  });

  test('[5.16] pieces are full but for the last, in order, with nothing lost, doubled or changed', async () => {
    const count = fc.nat(5);
    await fc.assert(
      fc.asyncProperty(
        fc.record({ sum: count, gauge: count, histogram: count, exponential: count }),
        fc.integer({ min: 1, max: 20 }),
        async (seriesOf, size) => {
          const batch = await everyKind(seriesOf);
          const pieces = [];
          for (let from = 0; from < batch.pointCount; from += size) {
            pieces.push(sliceBatch(batch, from, from + size));
          }
          expect(pieces.flatMap(pointsOf)).toEqual(pointsOf(batch));
          expect(pieces.slice(0, -1).every((piece) => piece.pointCount === size)).toBe(true);
          for (const { resource, scopeMetrics } of pieces) {
            expect(resource).toBe(batch.resource);
            for (const { metrics } of scopeMetrics) {
              expect(metrics.length).toBeGreaterThan(0);
              for (const metric of metrics) expect(metric.length).toBe(metric.dataPoints.length);
            }
            expect(new Set(scopeMetrics.map(({ scope }) => scope)).size).toBe(scopeMetrics.length);
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
