import { type Attributes, ValueType } from '@opentelemetry/api';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pointsOf } from '../../test/support/collected.ts';
import { createAllowListAttributesProcessor } from '../sdk/attribute-filter.ts';
import { MeterProvider } from '../sdk/meter-provider.ts';
import { ManualMetricReader } from '../sdk/readers/manual-metric-reader.ts';
import type { ViewOptions } from '../sdk/view.ts';
import { AggregationType } from './aggregation-option.ts';
import { AttributeSet } from './attribute-set.ts';
import { exemplarsOf, toExemplarColumns } from './exemplar-columns.ts';
import { mergeDeltas } from './merge-deltas.ts';
import {
  exponentialHistogramColumns,
  gaugeColumns,
  histogramColumns,
  MetricBatch,
  type MetricColumns,
  sumColumns,
  summaryColumns,
} from './metric-batch.ts';
import { AggregationTemporality, type ExponentialHistogram, type Histogram } from './metric-data.ts';
import { resourceFromAttributes } from './resource.ts';
import { toBatch } from './to-batch.ts';

function setUp(temporality: AggregationTemporality, views: ViewOptions[] = []) {
  const reader = new ManualMetricReader({ aggregationTemporalitySelector: () => temporality });
  const meter = new MeterProvider({ readers: [reader], views }).getMeter('m');
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

  test('summaries are cumulative, whatever they say: the later one counts, and those that are gone are gone', () => {
    const at = (attributes: Attributes[], counts: number[], quantiles = [0.5]) =>
      summaryColumns({
        descriptor: { name: 's', unit: '', description: '', valueType: ValueType.DOUBLE },
        aggregationTemporality: AggregationTemporality.DELTA,
        length: attributes.length,
        attributes: attributes.map((own) => AttributeSet.from(own)),
        startTimes: new BigUint64Array(attributes.length),
        endTimes: new BigUint64Array(attributes.length),
        counts: Float64Array.from(counts),
        sums: Float64Array.from(counts, (count) => 10 * count),
        quantiles,
        quantileValues: Float64Array.from(counts.flatMap((count) => quantiles.map(() => -count))),
      });
    const batch = (...metrics: MetricColumns[]) =>
      new MetricBatch(resourceFromAttributes({}), [{ scope: { name: 'm' }, metrics }]);
    const [older, newer] = [at([{ a: 1 }, { a: 2 }], [1, 2]), at([{ a: 2 }], [3])];
    const { metrics } = mergeDeltas(batch(older), batch(newer, at([], [], [0.9]))).scopeMetrics[0]!;
    expect(metrics[0]).toBe(newer);
    expect(metrics).toHaveLength(2);
  });

  test('whatever is split over windows adds up to what one window would have, for every kind', async () => {
    const exponential: ViewOptions = {
      instrumentName: 'exponential*',
      aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM, options: { maxSize: 160 } },
    };
    // Powers of two add up without rounding, in whatever order.
    const magnitude = fc.integer({ min: -20, max: 20 }).map((exponent) => 2 ** exponent);
    const value = fc.oneof(magnitude, magnitude, fc.constant(0), fc.integer({ min: 1, max: 1000 }));
    const step = fc.oneof(
      { weight: 10, arbitrary: fc.record({ value, sign: fc.constantFrom(1, -1), key: fc.nat(3) }) },
      { weight: 1, arbitrary: fc.constant('collect' as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 120, size: 'max' }), async (steps) => {
        const { DELTA } = AggregationTemporality;
        const [windows, one] = [setUp(DELTA, [exponential]), setUp(DELTA, [exponential])];
        let merged = await windows.collect();
        for (const it of [...steps, 'collect' as const]) {
          if (it === 'collect') {
            merged = mergeDeltas(merged, await windows.collect());
            continue;
          }
          // Adding 0 makes 0 of -0, since the smaller of the two depends on who compares.
          for (const { meter } of [windows, one]) {
            meter.createUpDownCounter('c').add(it.value * it.sign + 0, { key: it.key });
            meter.createHistogram('h').record(it.value, { key: it.key });
            meter.createHistogram('exponential').record(it.value, { key: it.key });
            meter.createUpDownCounter('exponential-signed').add(it.value * it.sign + 0, { key: it.key });
          }
        }
        const [actual, expected] = [pointsByName(merged), pointsByName(await one.collect())];
        for (const name of ['c', 'h', 'exponential', 'exponential-signed']) {
          const byKey = (points: unknown[] = []) => new Set(points);
          expect(byKey(actual[name])).toEqual(byKey(expected[name]));
        }
      }),
      { numRuns: 100 },
    );
  });

  test('exponential histograms of a long outage stay one metric of 160 buckets a sign', async () => {
    const views = [{ aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } } as const];
    const { meter, collect } = setUp(AggregationTemporality.DELTA, views);
    const changes = meter.createUpDownCounter('e');
    let batch = await collect();
    for (let window = 0; window < 60; window++) {
      for (let i = 0; i < 10; i++) changes.add((window % 2 === 0 ? 1 : -1) * 1.5 ** (window + i), {});
      batch = mergeDeltas(batch, await collect());
    }
    const { metrics } = batch.scopeMetrics[0]!;
    expect(metrics).toHaveLength(1);
    const { count, positive, negative } = metrics[0]!.dataPoints[0]!.value as ExponentialHistogram;
    expect(count).toBe(600);
    for (const { bucketCounts } of [positive, negative]) {
      expect(bucketCounts.reduce((sum, it) => sum + it, 0)).toBe(300);
      expect(bucketCounts.length).toBeLessThanOrEqual(160);
      expect(bucketCounts.length).toBeGreaterThan(80);
    }
  });

  describe('of other producers', () => {
    const descriptor = (more: object = {}) => ({
      name: 'x',
      description: '',
      unit: '',
      valueType: ValueType.DOUBLE,
      ...more,
    });
    const points = (sets: AttributeSet[], own = descriptor()) => ({
      descriptor: own,
      aggregationTemporality: AggregationTemporality.DELTA,
      length: sets.length,
      attributes: sets,
      startTimes: new BigUint64Array(sets.length).fill(10n),
      endTimes: new BigUint64Array(sets.length).fill(20n),
    });
    const batchOf = (...metrics: MetricBatch['scopeMetrics'][number]['metrics']) =>
      new MetricBatch(resourceFromAttributes({}), [{ scope: { name: 's' }, metrics }]);
    const sum = (sets: AttributeSet[], values: number[], own = descriptor()) =>
      sumColumns({ ...points(sets, own), values: Float64Array.from(values) }, true);
    const mergedMetrics = (older: MetricBatch, newer: MetricBatch) =>
      mergeDeltas(older, newer).scopeMetrics[0]!.metrics;

    test('attributes are told apart by type and content', () => {
      const hostile = [
        [Number.NaN],
        [null],
        [undefined],
        ['null'],
        [1],
        ['1'],
        [true],
        ['true'],
        [Number.POSITIVE_INFINITY],
        ['a', 'b'],
        ['a,b'],
        1,
        '1',
        'number:1',
        Number.NaN,
        'NaN',
        '\ud800',
        '\ud801',
      ];
      const sets = () => hostile.map((value) => AttributeSet.from({ key: value as never }));
      const values = hostile.map((_, i) => 2 ** i);
      const [metric] = mergedMetrics(batchOf(sum(sets(), values)), batchOf(sum(sets().reverse(), values)));
      expect(metric!.length).toBe(hostile.length);
      const expected = values.map((value, i) => value + values.at(-1 - i)!);
      expect(metric!.dataPoints.map(({ value }) => value)).toEqual(expected);
    });

    test('streams of one identity are matched by their descriptor, then by description, then in order', () => {
      const set = AttributeSet.from({});
      const [a, b] = [descriptor(), descriptor()];
      const byDescriptor = mergedMetrics(
        batchOf(sum([set], [1], b)),
        batchOf(sum([set], [10], a), sum([set], [20], b)),
      );
      expect(byDescriptor.map(({ dataPoints }) => dataPoints[0]!.value)).toEqual([10, 21]);
      const described = (description: string, value: number) =>
        sum([set], [value], descriptor({ description }));
      const byDescription = mergedMetrics(
        batchOf(described('one', 1), described('two', 2), described('three', 3)),
        batchOf(described('three', 30), described('four', 40), described('one', 10)),
      );
      expect(byDescription.map(({ dataPoints }) => dataPoints[0]!.value)).toEqual([33, 42, 11]);
      const inOrder = mergedMetrics(
        batchOf(sum([set], [1]), sum([set], [2])),
        batchOf(sum([set], [10]), sum([set], [20])),
      );
      expect(inOrder.map(({ dataPoints }) => dataPoints[0]!.value)).toEqual([11, 22]);
    });

    test.each([
      ['name', { name: 'y' }],
      ['unit', { unit: 's' }],
      ['value type', { valueType: ValueType.INT }],
    ])('streams that differ in %s are kept apart', (_, more) => {
      const set = AttributeSet.from({});
      const metrics = mergedMetrics(batchOf(sum([set], [1])), batchOf(sum([set], [2], descriptor(more))));
      expect(metrics.map(({ dataPoints }) => dataPoints[0]!.value)).toEqual([2, 1]);
    });

    test('so are those that differ in kind, monotonicity or boundaries', () => {
      const set = AttributeSet.from({});
      const values = Float64Array.of(1);
      const histogram = (boundaries: number[]) =>
        histogramColumns({
          ...points([set]),
          ...{ counts: values, sums: values, mins: values, maxs: values, boundaries },
          bucketCounts: new Float64Array(boundaries.length + 1),
        });
      const kinds = () => [
        sumColumns({ ...points([set]), values }, true),
        sumColumns({ ...points([set]), values }, false),
        gaugeColumns({ ...points([set]), values }),
        histogram([1]),
        histogram([2]),
        histogram([1, 2]),
      ];
      for (const [i, older] of kinds().entries()) {
        const others = kinds().filter((_, k) => k !== i);
        expect(mergedMetrics(batchOf(older), batchOf(...others))).toHaveLength(6);
      }
    });

    test('a window without measurements says nothing about the extremes of the other; unknown ones stay unknown', () => {
      const set = AttributeSet.from({});
      const histogram = (count: number, extreme: number) =>
        histogramColumns({
          ...points([set]),
          counts: Float64Array.of(count),
          sums: Float64Array.of(count),
          mins: Float64Array.of(extreme),
          maxs: Float64Array.of(extreme),
          boundaries: [],
          bucketCounts: Float64Array.of(count),
        });
      const none = histogram(0, Number.NaN);
      const some = histogram(2, 7);
      const unknown = histogram(2, Number.NaN);
      const extremes = (older: typeof none, newer: typeof none) => {
        const [metric] = mergedMetrics(batchOf(older), batchOf(newer));
        const { min, max } = metric!.dataPoints[0]!.value as Histogram;
        return [min, max];
      };
      expect(extremes(none, some)).toEqual([7, 7]);
      expect(extremes(some, none)).toEqual([7, 7]);
      expect(extremes(none, none)).toEqual([undefined, undefined]);
      expect(extremes(unknown, some)).toEqual([undefined, undefined]);
      expect(extremes(some, unknown)).toEqual([undefined, undefined]);
    });

    test('exemplars go with their points, the newer ones first, 20 at most', () => {
      const [a, b, c] = ['a', 'b', 'c'].map((key) => AttributeSet.from({ key }));
      const exemplars = (value: number, count: number) =>
        Array.from({ length: count }, () => ({
          value,
          timestamp: [1, 0] as [number, number],
          filteredAttributes: { value },
        }));
      const older = {
        ...points([b!, c!, a!]),
        exemplars: toExemplarColumns([exemplars(1, 15), exemplars(2, 1), undefined])!,
      };
      const newer = {
        ...points([a!, b!]),
        exemplars: toExemplarColumns([exemplars(3, 25), exemplars(4, 15)])!,
      };
      const [metric] = mergedMetrics(
        batchOf(sumColumns({ ...older, values: new Float64Array(3) }, true)),
        batchOf(sumColumns({ ...newer, values: new Float64Array(2) }, true)),
      );
      const of = (point: number) => exemplarsOf(metric!.exemplars, point)!;
      expect(of(0)).toEqual(exemplars(3, 25));
      expect(of(1)).toEqual([...exemplars(4, 15), ...exemplars(1, 5)]);
      expect(of(2)).toEqual(exemplars(2, 1));
    });

    test('exponential histograms of any scale and with empty buckets at the ends keep all counts', () => {
      const set = AttributeSet.from({});
      const exponential = (scale: number, offset: number, counts: number[]) =>
        exponentialHistogramColumns({
          ...points([set]),
          counts: Float64Array.of(1),
          sums: Float64Array.of(1),
          mins: Float64Array.of(1),
          maxs: Float64Array.of(1),
          scales: Int32Array.of(scale),
          zeroCounts: Float64Array.of(0),
          positive: {
            offsets: Int32Array.of(offset),
            starts: Uint32Array.of(0, counts.length),
            counts: Float64Array.from(counts),
          },
          negative: { offsets: Int32Array.of(0), starts: Uint32Array.of(0, 0), counts: new Float64Array(0) },
        });
      const mergedValue = (older: number[], newer: [number, number, number[]]) => {
        const [metric] = mergedMetrics(batchOf(exponential(3, 8, older)), batchOf(exponential(...newer)));
        return metric!.dataPoints[0]!.value as ExponentialHistogram;
      };
      expect(mergedValue([1, 2], [2, 5, [4]])).toMatchObject({
        scale: 2,
        positive: { offset: 4, bucketCounts: [3, 4] },
      });
      const padded = [...new Array(1000).fill(0), 5, ...new Array(1000).fill(0)];
      expect(mergedValue([1], [3, -991, padded])).toMatchObject({
        scale: 3,
        positive: { offset: 8, bucketCounts: [1, 5] },
      });
      expect(mergedValue([1], [-32, 0, [1]])).toMatchObject({
        scale: -32,
        positive: { offset: 0, bucketCounts: [2] },
      });
    });
  });

  test('two Views that make streams of one identity are not mixed up when one had no data', async () => {
    const views = ['a', 'b'].map((key) => ({
      name: 'same',
      instrumentName: key,
      attributesProcessors: [createAllowListAttributesProcessor([key])],
    }));
    const { meter, collect } = setUp(AggregationTemporality.DELTA, views);
    const [a, b] = [meter.createCounter('a'), meter.createCounter('b')];
    b.add(1, { b: 1 });
    const older = await collect();
    a.add(10, { a: 1 });
    b.add(20, { b: 1 });
    const { metrics } = mergeDeltas(older, await collect()).scopeMetrics[0]!;
    expect(metrics.map(({ dataPoints }) => dataPoints.map(({ value }) => value))).toEqual([[10], [21]]);
  });
});
