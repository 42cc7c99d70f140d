import { describe, expect, test } from 'vitest';
import { pointsOf } from '../../test/support/collected.ts';
import { MeterProvider } from '../sdk/meter-provider.ts';
import { ManualMetricReader } from '../sdk/readers/manual-metric-reader.ts';
import { mergeDeltas } from './merge-deltas.ts';
import type { MetricBatch } from './metric-batch.ts';
import { AggregationTemporality } from './metric-data.ts';
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

  test('cumulative points are superseded by the newer batch', async () => {
    const { meter, collect, reader } = setUp(AggregationTemporality.CUMULATIVE);
    meter.createCounter('c').add(1);
    const older = await collect();
    meter.createCounter('c').add(1);
    expect(pointsByName(mergeDeltas(older, await collect())).c).toEqual(await pointsOf(reader));
  });
});
