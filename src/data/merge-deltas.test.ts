import { ValueType } from '@opentelemetry/api';
import { describe, expect, test } from 'vitest';
import { pointsOf } from '../../test/support/collected.ts';
import { MeterProvider } from '../sdk/meter-provider.ts';
import { ManualMetricReader } from '../sdk/readers/manual-metric-reader.ts';
import { mergeDeltas } from './merge-deltas.ts';
import type { MetricBatch } from './metric-batch.ts';
import { AggregationTemporality, type Histogram } from './metric-data.ts';
import { toBatch } from './to-batch.ts';

function setUp(temporality: AggregationTemporality) {
  const reader = new ManualMetricReader({ aggregationTemporalitySelector: () => temporality });
  const meter = new MeterProvider({ readers: [reader] }).getMeter('m');
  const collect = async () => toBatch((await reader.collect()).resourceMetrics);
  return { reader, meter, collect };
}

const pointsByName = (batch: MetricBatch) =>
  Object.fromEntries(
    batch.scopeMetrics.flatMap(({ metrics }) =>
      metrics.map((metric) => [
        metric.descriptor.name,
        metric.dataPoints.map(({ attributes, value }) => [{ ...attributes }, value]),
      ]),
    ),
  );

describe('mergeDeltas', () => {
  test('a merged batch is what one longer window would have been', async () => {
    const { DELTA } = AggregationTemporality;
    const [twoWindows, oneWindow] = [setUp(DELTA), setUp(DELTA)];
    const both = [twoWindows.meter, oneWindow.meter].map((meter) => ({
      counter: meter.createCounter('c'),
      histogram: meter.createHistogram('h', { advice: { explicitBucketBoundaries: [1, 10] } }),
      gauge: meter.createGauge('g'),
      first: () => meter.createCounter('only-first').add(7),
      second: () => meter.createCounter('only-second').add(8),
    }));
    for (const { counter, histogram, gauge, first } of both) {
      counter.add(1, { a: 1 });
      counter.add(2, { a: 'old' });
      for (const value of [0.5, 5]) histogram.record(value, { a: 1 });
      gauge.record(1);
      first();
    }
    const older = await twoWindows.collect();
    for (const { counter, histogram, gauge, second } of both) {
      counter.add(10, { a: 1 });
      counter.add(20, { a: 'new' });
      for (const value of [0.1, 50]) histogram.record(value, { a: 1 });
      gauge.record(2);
      second();
    }
    const newer = await twoWindows.collect();
    const merged = mergeDeltas(older, newer);
    const expected = pointsByName(await oneWindow.collect());
    const actual = pointsByName(merged);
    for (const points of [...Object.values(expected), ...Object.values(actual)]) {
      points.sort((a, b) => JSON.stringify(a[0]).localeCompare(JSON.stringify(b[0])));
    }
    expect(actual).toEqual(expected);
    const window = ({ scopeMetrics }: MetricBatch) => scopeMetrics[0]!.metrics[0]!.dataPoints[0]!;
    expect(window(merged).startTime).toEqual(window(older).startTime);
    expect(window(merged).endTime).toEqual(window(newer).endTime);
  });

  test('a series that was freed and came back is still one series', async () => {
    const { meter, collect } = setUp(AggregationTemporality.DELTA);
    const counter = meter.createCounter('c');
    counter.add(1, { a: Number.NaN, b: '1' });
    const older = await collect();
    await collect();
    counter.add(2, { a: Number.NaN, b: '1' });
    counter.add(4, { a: Number.NaN, b: 1 });
    expect(pointsByName(mergeDeltas(older, await collect())).c).toEqual([
      [{ a: Number.NaN, b: '1' }, 3],
      [{ a: Number.NaN, b: 1 }, 4],
    ]);
  });

  test('streams of one name but of other kinds are kept apart', async () => {
    const { meter, collect } = setUp(AggregationTemporality.DELTA);
    const record = (factor: number) => {
      meter.createCounter('x').add(factor);
      meter.createUpDownCounter('x').add(-10 * factor);
      meter.createCounter('x', { valueType: ValueType.INT }).add(100 * factor);
    };
    record(1);
    const older = await collect();
    record(2);
    const { metrics } = mergeDeltas(older, await collect()).scopeMetrics[0]!;
    expect(metrics.map((metric) => metric.dataPoints[0]!.value)).toEqual([3, -30, 300]);
  });

  test('a backend that fails for long costs detail, not counts or memory', async () => {
    const { meter, collect } = setUp(AggregationTemporality.DELTA);
    const counter = meter.createCounter('c');
    const histogram = meter.createHistogram('h');
    let batch = await collect();
    for (let i = 0; i < 30_000; i++) {
      counter.add(1, { i });
      histogram.record(1, { i });
      if (i % 1_500 === 0) batch = mergeDeltas(batch, await collect());
    }
    batch = mergeDeltas(batch, await collect());
    const [sums, histograms] = batch.scopeMetrics[0]!.metrics;
    expect(sums!.length).toBeLessThan(15_000);
    const total = (points: { value: unknown }[], of: (value: never) => number) =>
      points.reduce((sum, { value }) => sum + of(value as never), 0);
    expect(total(sums!.dataPoints, (value: number) => value)).toBe(30_000);
    expect(total(histograms!.dataPoints, (value: Histogram) => value.count)).toBe(30_000);
    expect(total(histograms!.dataPoints, (value: Histogram) => value.buckets.counts[1]!)).toBe(30_000);
  });

  test('cumulative points are superseded by the newer batch', async () => {
    const { meter, collect, reader } = setUp(AggregationTemporality.CUMULATIVE);
    meter.createCounter('c').add(1);
    const older = await collect();
    meter.createCounter('c').add(1);
    expect(pointsByName(mergeDeltas(older, await collect())).c).toEqual(await pointsOf(reader));
  });
});
