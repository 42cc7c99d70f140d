// Aggregations. Proven elsewhere: [4.06] and [4.07] in src/sdk/instruments.test.ts; [4.10] to [4.18] for exponential
// histograms in src/sdk/aggregation/exponential-{index,histogram}.test.ts; the Prometheus side of [4.04] under [8.16].
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AggregationOption,
  type AggregationSelector,
  AggregationType,
} from '../../src/data/aggregation-option.ts';
import {
  AggregationTemporality,
  DataPointType,
  type ExponentialHistogram,
  type Histogram,
} from '../../src/data/metric-data.ts';
import type { Meter } from '../../src/sdk/meter.ts';
import { MeterProvider } from '../../src/sdk/meter-provider.ts';
import { ManualMetricReader } from '../../src/sdk/readers/manual-metric-reader.ts';
import { captureLogs, metricsOf, pointsOf } from '../support/collected.ts';

const { CUMULATIVE, DELTA } = AggregationTemporality;
const EXPLICIT = AggregationType.EXPLICIT_BUCKET_HISTOGRAM;
const EXPONENTIAL = AggregationType.EXPONENTIAL_HISTOGRAM;

function setUp(
  aggregation?: AggregationOption,
  temporality = CUMULATIVE,
  aggregationSelector?: AggregationSelector,
) {
  const reader = new ManualMetricReader({
    aggregationTemporalitySelector: () => temporality,
    aggregationSelector,
  });
  const provider = new MeterProvider({ readers: [reader], views: aggregation ? [{ aggregation }] : [] });
  return { reader, meter: provider.getMeter('test') };
}

/** One measurement on one instrument of each kind that can go down. */
const goingDown: [string, (meter: Meter) => void][] = [
  ['up-down counter', (meter) => meter.createUpDownCounter('x').add(-3)],
  ['gauge', (meter) => meter.createGauge('x').record(-3)],
  [
    'observable up-down counter',
    (m) => m.createObservableUpDownCounter('x').addCallback((r) => r.observe(-3)),
  ],
  ['observable gauge', (meter) => meter.createObservableGauge('x').addCallback((r) => r.observe(-3))],
];

describe('aggregations', () => {
  const logs = captureLogs();

  test.each([
    [AggregationType.DROP, undefined],
    [AggregationType.DEFAULT, DataPointType.HISTOGRAM],
    [AggregationType.SUM, DataPointType.SUM],
    [EXPLICIT, DataPointType.HISTOGRAM],
    [EXPONENTIAL, DataPointType.EXPONENTIAL_HISTOGRAM],
  ] as const)(
    '[4.01] aggregation %i of a histogram, asked for by a View or by a reader',
    async (type, kind) => {
      const byView = setUp({ type });
      byView.meter.createHistogram('h').record(1);
      const reader = new ManualMetricReader({ aggregationSelector: () => ({ type }) });
      new MeterProvider({ readers: [reader] }).getMeter('test').createHistogram('h').record(1);
      for (const metrics of [await metricsOf(byView.reader), await metricsOf(reader)]) {
        expect(metrics.map((metric) => metric.dataPointType)).toEqual(kind === undefined ? [] : [kind]);
      }
      expect(logs).toEqual([]);
    },
  );

  test('[4.01] last value, asked for by a View or by a reader', async () => {
    const option = { type: AggregationType.LAST_VALUE } as const;
    const byView = setUp(option);
    byView.meter.createGauge('g').record(1);
    const reader = new ManualMetricReader({ aggregationSelector: () => option });
    new MeterProvider({ readers: [reader] }).getMeter('test').createGauge('g').record(1);
    for (const metrics of [await metricsOf(byView.reader), await metricsOf(reader)]) {
      expect(metrics.map((metric) => metric.dataPointType)).toEqual([DataPointType.GAUGE]);
    }
  });

  test('[4.02] sums of counters and histograms only grow, those of up-down counters do not', async () => {
    const { reader, meter } = setUp({ type: AggregationType.SUM });
    meter.createCounter('counter').add(1);
    meter.createHistogram('histogram').record(1);
    meter.createObservableCounter('observed').addCallback((result) => result.observe(1));
    meter.createUpDownCounter('updown').add(1);
    meter.createObservableUpDownCounter('observed updown').addCallback((result) => result.observe(1));
    const monotonic = (await metricsOf(reader)).map((metric) => [
      metric.descriptor.name,
      'isMonotonic' in metric && metric.isMonotonic,
    ]);
    expect(Object.fromEntries(monotonic)).toEqual({
      counter: true,
      histogram: true,
      observed: true,
      updown: false,
      'observed updown': false,
    });
  });

  test('[4.03] a gauge shows its last value, at the time of the collection', async () => {
    const { reader, meter } = setUp();
    const gauge = meter.createGauge('g');
    for (const value of [1, 2, 3]) gauge.record(value);
    const before = Date.now();
    const [metric] = await metricsOf(reader);
    const [point] = metric!.dataPoints;
    expect(point!.value).toBe(3);
    expect(point!.endTime[0]).toBeGreaterThanOrEqual(Math.floor(before / 1000));
  });

  describe.each([EXPLICIT, EXPONENTIAL] as const)('histograms of aggregation %i', (type) => {
    test.each(goingDown)('[4.04] that of a %s has a count and no sum', async (_, record) => {
      const { reader, meter } = setUp({ type });
      record(meter);
      const [[, point]] = (await pointsOf(reader)) as [[unknown, Histogram]];
      expect(point).toMatchObject({ count: 1, sum: undefined, min: -3, max: -3 });
    });

    test('[4.04] that of a counter has a sum', async () => {
      const { reader, meter } = setUp({ type });
      meter.createCounter('c').add(3);
      expect(await pointsOf(reader)).toMatchObject([[{}, { count: 1, sum: 3 }]]);
    });

    test('[4.05] smallest and largest value are there unless they are turned off', async () => {
      const options = (recordMinMax?: boolean): AggregationOption =>
        type === EXPLICIT
          ? { type, options: { boundaries: [1, 2], recordMinMax } }
          : { type, options: { recordMinMax } };
      const on = setUp(options());
      on.meter.createHistogram('h').record(7);
      expect(await pointsOf(on.reader)).toMatchObject([[{}, { min: 7, max: 7 }]]);
      const off = setUp(options(false));
      off.meter.createHistogram('h').record(7);
      expect(await pointsOf(off.reader)).toMatchObject([[{}, { min: undefined, max: undefined, sum: 7 }]]);
    });

    test('[4.08] a series that nothing was recorded to has a sum of 0 and neither smallest nor largest value', async () => {
      const { reader, meter } = setUp({ type });
      meter.createHistogram('h').bind({ a: 1 });
      expect(await pointsOf(reader)).toMatchObject([
        [{ a: 1 }, { count: 0, sum: 0, min: undefined, max: undefined }],
      ]);
    });

    test('[2.03] a gauge seen as a histogram leaves out what no bucket can hold', async () => {
      const { reader, meter } = setUp({ type });
      const gauge = meter.createGauge('g');
      const bound = gauge.bind();
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2]) {
        gauge.record(value);
        bound.record(value);
      }
      expect(await pointsOf(reader)).toMatchObject([[{}, { count: 2, min: 2, max: 2 }]]);
      expect(logs).toHaveLength(1);
    });

    test.each([CUMULATIVE, DELTA])(
      '[4.19] smallest and largest observation are those of the window of the point (temporality %i)',
      async (temporality) => {
        const { reader, meter } = setUp({ type }, temporality);
        let value = 100;
        meter.createObservableGauge('g').addCallback((result) => result.observe(value));
        await pointsOf(reader);
        value = 5;
        const [[, point]] = (await pointsOf(reader)) as [[unknown, Histogram | ExponentialHistogram]];
        expect([point.count, point.min, point.max]).toEqual(temporality === DELTA ? [1, 5, 5] : [2, 5, 100]);
      },
    );
  });

  test('[4.08] there is one count more than bounds, they add up to the count, and each value is in its bucket', async () => {
    const bounds = fc
      .uniqueArray(fc.double({ noNaN: true, noDefaultInfinity: true }), { maxLength: 12 })
      .map((all) => all.map((bound) => bound + 0).sort((a, b) => a - b))
      .map((all) => all.filter((bound, i) => i === 0 || bound > all[i - 1]!));
    const values = fc.array(fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(bounds, values, async (boundaries, recorded) => {
        const { reader, meter } = setUp({ type: EXPLICIT, options: { boundaries } });
        const histogram = meter.createHistogram('h');
        for (const value of [...recorded, ...boundaries.filter((bound) => bound >= 0)])
          histogram.record(value);
        const all = [...recorded, ...boundaries.filter((bound) => bound >= 0)];
        if (all.length === 0) return;
        const [[, point]] = (await pointsOf(reader)) as [[unknown, Histogram]];
        const expected = new Array(boundaries.length + 1).fill(0);
        for (const value of all) {
          const bucket = boundaries.findIndex((bound) => value <= bound);
          expected[bucket < 0 ? boundaries.length : bucket]++;
        }
        expect(point.buckets).toEqual({ boundaries, counts: expected });
        expect(point.count).toBe(all.length);
      }),
    );
  });

  test('[4.08] infinite outer bounds are left out', async () => {
    const boundaries = [Number.NEGATIVE_INFINITY, 1, 2, Number.POSITIVE_INFINITY];
    const { reader, meter } = setUp({ type: EXPLICIT, options: { boundaries } });
    meter.createHistogram('h').record(1.5);
    const [[, point]] = (await pointsOf(reader)) as [[unknown, Histogram]];
    expect(point.buckets).toEqual({ boundaries: [1, 2], counts: [0, 1, 0] });
    expect(logs).toEqual([]);
  });

  test.each([[[2, 1]], [[1, 1]], [[Number.NaN]], [['1']], ['no list']])(
    '[4.08] the bounds %j are refused in a View; from a reader they are reported and ignored',
    async (boundaries) => {
      const aggregation = { type: EXPLICIT, options: { boundaries: boundaries as number[] } } as const;
      expect(() => setUp(aggregation)).toThrow(/^views\[0\]: boundaries are .*strictly increasing/);
      const { reader, meter } = setUp(undefined, CUMULATIVE, () => aggregation);
      meter.createHistogram('h').record(1);
      const [[, point]] = (await pointsOf(reader)) as [[unknown, Histogram]];
      expect(point.buckets.boundaries).toHaveLength(15);
      expect(logs).toEqual([expect.stringContaining('strictly increasing')]);
    },
  );

  test('[4.09] an exponential histogram has 160 buckets a sign and scale 20 unless told otherwise', async () => {
    const { reader, meter } = setUp({ type: EXPONENTIAL });
    const histogram = meter.createHistogram('h');
    histogram.record(1, { few: true });
    for (let i = 1; i <= 160; i++) histogram.record(2 ** (i / 32), { many: true });
    const [few, many] = (await pointsOf(reader)).map(([, point]) => point as ExponentialHistogram);
    expect(few!.scale).toBe(20);
    expect(many!.positive.bucketCounts.length).toBeGreaterThan(80);
    expect(many!.positive.bucketCounts.length).toBeLessThanOrEqual(160);
  });

  test.each([
    { maxScale: 21 },
    { maxScale: -11 },
    { maxScale: 1.5 },
    { maxSize: 1 },
    { maxSize: Number.NaN },
  ])(
    '[4.09] the options %j are refused in a View; from a reader they are reported and ignored',
    async (options) => {
      const aggregation = { type: EXPONENTIAL, options } as const;
      expect(() => setUp(aggregation)).toThrow(/^views\[0\]: max(Scale|Size) is .*; use an integer/);
      const { reader, meter } = setUp(undefined, CUMULATIVE, () => aggregation);
      meter.createHistogram('h').record(1);
      expect((await metricsOf(reader))[0]!.dataPointType).toBe(DataPointType.HISTOGRAM);
      expect(logs).toEqual([expect.stringMatching(/maxScale|maxSize/)]);
    },
  );

  test('[4.16] the windows of a delta histogram add up to the cumulative one', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.double({ min: 1e-6, max: 1e6, noNaN: true }), fc.constant('collect' as const)), {
          maxLength: 60,
        }),
        async (steps) => {
          const readers = [CUMULATIVE, DELTA].map(
            (it) => new ManualMetricReader({ aggregationTemporalitySelector: () => it }),
          );
          const views = [{ aggregation: { type: EXPONENTIAL, options: { maxSize: 20 } } as const }];
          const histogram = new MeterProvider({ readers, views }).getMeter('m').createHistogram('h');
          const windows: ExponentialHistogram[] = [];
          const collect = async () => {
            const [point] = await pointsOf(readers[1]!);
            if (point) windows.push(point[1] as ExponentialHistogram);
          };
          for (const step of steps) {
            if (step === 'collect') await collect();
            else histogram.record(step);
          }
          await collect();
          const [whole] = (await pointsOf(readers[0]!)).map(([, point]) => point as ExponentialHistogram);
          const total = new Map<number, number>();
          const counts = ({ scale, positive }: ExponentialHistogram, into: Map<number, number>) => {
            positive.bucketCounts.forEach((count, i) => {
              const index = (positive.offset + i) >> (scale - whole!.scale);
              if (count > 0) into.set(index, (into.get(index) ?? 0) + count);
            });
            return into;
          };
          for (const window of windows) counts(window, total);
          if (whole) expect(total).toEqual(counts(whole, new Map()));
          else expect(windows).toEqual([]);
        },
      ),
    );
  });
});
