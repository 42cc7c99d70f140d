import { type Attributes, type Context, createContextKey, ROOT_CONTEXT, ValueType } from '@opentelemetry/api';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { captureLogs, metricsOf, pointsOf } from '../../test/support/collected.ts';
import { resetReports } from '../data/diagnostics.ts';
import {
  AggregationTemporality,
  DataPointType,
  type Histogram,
  type InstrumentType,
} from '../data/metric-data.ts';
import { createDenyListAttributesProcessor } from './attribute-filter.ts';
import { MeterProvider } from './meter-provider.ts';
import { ManualMetricReader } from './readers/manual-metric-reader.ts';

const { CUMULATIVE, DELTA } = AggregationTemporality;

function setUp(temporality = CUMULATIVE, limit = 2000) {
  const reader = new ManualMetricReader({
    aggregationTemporalitySelector: () => temporality,
    cardinalitySelector: () => limit,
  });
  const provider = new MeterProvider({ readers: [reader] });
  return { reader, provider, meter: provider.getMeter('test') };
}

describe('synchronous instruments', () => {
  const logs = captureLogs();

  test('[2.01] each kind has its default aggregation', async () => {
    const { reader, meter } = setUp();
    meter.createCounter('counter').add(2);
    meter.createUpDownCounter('updown').add(-2);
    meter.createHistogram('histogram').record(7);
    meter.createGauge('gauge').record(3);
    const metrics = await metricsOf(reader);
    expect(metrics.map((metric) => [metric.descriptor.name, metric.dataPointType])).toEqual([
      ['counter', DataPointType.SUM],
      ['updown', DataPointType.SUM],
      ['histogram', DataPointType.HISTOGRAM],
      ['gauge', DataPointType.GAUGE],
    ]);
    expect(metrics.map((metric) => 'isMonotonic' in metric && metric.isMonotonic)).toEqual([
      true,
      false,
      false,
      false,
    ]);
    expect(metrics.map((metric) => metric.dataPoints[0]!.value)).toMatchObject([
      2,
      -2,
      { count: 1, sum: 7 },
      3,
    ]);
  });

  test('[4.06][4.07] histograms use the default boundaries, inclusive above', async () => {
    const { reader, meter } = setUp();
    const histogram = meter.createHistogram('h');
    for (const value of [0, 5, 5.0000001, 10_001]) histogram.record(value);
    const [[, point]] = (await pointsOf(reader)) as [[unknown, Histogram]];
    expect(point.buckets.boundaries).toEqual([
      0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000,
    ]);
    expect(point.buckets.counts).toEqual([1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    expect(point).toMatchObject({ count: 4, min: 0, max: 10_001 });
  });

  test('[1.23] advised boundaries are used, an empty list gives one bucket', async () => {
    const { reader, meter } = setUp();
    meter.createHistogram('a', { advice: { explicitBucketBoundaries: [1, 2] } }).record(1.5);
    meter.createHistogram('b', { advice: { explicitBucketBoundaries: [] } }).record(1.5);
    const buckets = (await metricsOf(reader)).map(
      (metric) => (metric.dataPoints[0]!.value as Histogram).buckets,
    );
    expect(buckets).toEqual([
      { boundaries: [1, 2], counts: [0, 1, 0] },
      { boundaries: [], counts: [1] },
    ]);
  });

  test.each([[[3, 1, 2]], [['x']], [[Number.NaN]], [[1, 1]], ['no list']])(
    '[1.24] the advice %j is reported and ignored',
    async (boundaries) => {
      const { reader, meter } = setUp();
      meter.createHistogram('h', { advice: { explicitBucketBoundaries: boundaries as number[] } }).record(1);
      const [[, point]] = (await pointsOf(reader)) as [[unknown, Histogram]];
      expect(point.buckets.boundaries).toHaveLength(15);
      expect(logs).toEqual([expect.stringContaining('strictly increasing')]);
    },
  );

  test('[2.02] a counter and a histogram refuse negative values with one message, and keep what they had', async () => {
    const { reader, meter } = setUp();
    const counter = meter.createCounter('c');
    const histogram = meter.createHistogram('h');
    for (let i = 0; i < 10; i++) {
      counter.add(-1);
      histogram.record(-1);
    }
    counter.add(0);
    const [metric, ...others] = await metricsOf(reader);
    expect(metric!.dataPoints.map((point) => point.value)).toEqual([0]);
    expect(others).toEqual([]);
    expect(logs).toEqual([
      'meterline: c: the measurement number -1 is ignored; it must not be negative',
      'meterline: h: the measurement number -1 is ignored; it must not be negative',
    ]);
  });

  test('[2.17] an observable counter refuses negative values, of which no growth can be told', async () => {
    const { reader, meter } = setUp();
    meter.createObservableCounter('o').addCallback((result) => {
      result.observe(-5, { a: 1 });
      result.observe(0, { a: 2 });
    });
    expect(await pointsOf(reader)).toEqual([[{ a: 2 }, 0]]);
    expect(logs).toEqual(['meterline: o: the measurement number -5 is ignored; it must not be negative']);
  });

  test.each([
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    undefined,
    null,
    '3',
    {},
    2n ** 60n,
  ])('[2.03][2.04] the value %s never spoils a sum, and is reported', async (value) => {
    const { reader, meter } = setUp();
    const instruments = [meter.createCounter('c'), meter.createUpDownCounter('u')];
    for (const instrument of instruments) {
      instrument.add(1);
      instrument.add(value as number);
      instrument.bind().add(value as number);
      instrument.add(2);
    }
    const histogram = meter.createHistogram('h');
    histogram.record(1);
    histogram.record(value as number);
    histogram.record(2);
    const values = (await metricsOf(reader)).map((metric) => metric.dataPoints[0]!.value);
    expect(values).toMatchObject([3, 3, { sum: 3, count: 2, min: 1, max: 2 }]);
    expect(logs).toHaveLength(3);
  });

  test('finite values whose sum is beyond the largest number add up to infinity, which is never NaN', async () => {
    const { reader, meter } = setUp();
    const [counter, updown] = [meter.createCounter('c'), meter.createUpDownCounter('u')];
    const histogram = meter.createHistogram('h');
    for (let i = 0; i < 2; i++) {
      counter.add(1e308);
      counter.bind().add(1e308);
      updown.add(-1e308);
      histogram.record(1e308);
    }
    updown.add(1e308);
    const values = (await metricsOf(reader)).map((metric) => metric.dataPoints[0]!.value);
    expect(values).toMatchObject([Infinity, -Infinity, { sum: Infinity, count: 2, max: 1e308 }]);
    expect(logs).toEqual([]);
  });

  test('a gauge may show NaN and infinities', async () => {
    const { reader, meter } = setUp();
    const gauge = meter.createGauge('g');
    for (const value of [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN]) {
      gauge.record(value);
      expect(await pointsOf(reader)).toEqual([[{}, value]]);
    }
    expect(logs).toEqual([]);
  });

  test('[2.04] integer instruments cut fractions, bigints are numbers', async () => {
    const { reader, meter } = setUp();
    const counter = meter.createCounter('c', { valueType: ValueType.INT });
    counter.add(1.7);
    counter.add(2n as unknown as number);
    expect(await pointsOf(reader)).toEqual([[{}, 3]]);
    expect(logs).toEqual([expect.stringContaining('1.7 is cut to 1')]);
  });

  test('[2.02] an integer instrument refuses negative values where its kind does, bound or not', async () => {
    const { reader, meter } = setUp();
    const counter = meter.createCounter('c', { valueType: ValueType.INT });
    const updown = meter.createUpDownCounter('u', { valueType: ValueType.INT });
    for (const it of [counter, updown]) for (const value of [5, -1]) it.add(value);
    for (const it of [counter.bind(), updown.bind()]) for (const value of [5, -1]) it.add(value);
    const values = (await metricsOf(reader)).map(({ dataPoints }) => dataPoints[0]!.value);
    expect(values).toEqual([10, 8]);
    expect(logs).toEqual(['meterline: c: the measurement number -1 is ignored; it must not be negative']);
  });

  test('strange attributes lose no measurement and throw nothing', async () => {
    const { reader, meter } = setUp();
    const counter = meter.createCounter('c');
    const cyclic: Record<string, unknown> = {};
    cyclic.self = cyclic;
    const given: unknown[] = [
      { a: { b: 1 } },
      { a: cyclic },
      { a: () => {} },
      { a: Symbol('s') },
      { a: undefined },
      { a: null },
      { a: 1n },
      { '': 1 },
      JSON.parse('{"__proto__":{"b":1}}'),
      Object.assign(Object.create(null), { a: 1 }),
      Object.freeze({ a: 1 }),
      new Proxy({ a: 1 }, {}),
      null,
      undefined,
      'text',
      7,
    ];
    for (const attributes of given) counter.add(1, attributes as Attributes);
    expect(await pointsOf(reader)).toEqual([
      [{ a: '{"b":1}' }, 1],
      [{}, 10],
      [{ a: 1 }, 4],
      [JSON.parse('{"__proto__":"{\\"b\\":1}"}'), 1],
    ]);
  });

  test('a getter that throws costs its own measurement and is reported', async () => {
    const { reader, meter } = setUp();
    const counter = meter.createCounter('c');
    const throwing = Object.defineProperty({}, 'a', {
      enumerable: true,
      get() {
        throw new Error('boom');
      },
    });
    counter.add(1, throwing);
    counter.bind(throwing).add(1);
    counter.add(1, { a: 1 });
    expect(await pointsOf(reader)).toEqual([
      [{}, 1],
      [{ a: 1 }, 1],
    ]);
    expect(logs).toEqual([
      expect.stringContaining('c: a measurement was lost because its attributes could not be read'),
    ]);
  });

  test('[4.22] cumulative series are exported each time, with the same start', async () => {
    const { reader, meter } = setUp();
    meter.createCounter('c').add(1, { a: 1 });
    const [first, second] = [await metricsOf(reader), await metricsOf(reader)];
    expect(second[0]!.dataPoints[0]).toMatchObject({
      value: 1,
      startTime: first[0]!.dataPoints[0]!.startTime,
    });
  });

  test('[4.23][4.25] delta exports only what was recorded in the window, and windows chain', async () => {
    const { reader, meter } = setUp(DELTA);
    const counter = meter.createCounter('c');
    counter.add(1, { a: 1 });
    const [first] = await metricsOf(reader);
    counter.add(2, { a: 2 });
    const [second] = await metricsOf(reader);
    expect(await metricsOf(reader)).toEqual([]);
    counter.add(4, { a: 1 });
    const [third] = await metricsOf(reader);
    expect(second!.dataPoints.map(({ attributes, value }) => [attributes, value])).toEqual([[{ a: 2 }, 2]]);
    expect(second!.dataPoints[0]!.startTime).toEqual(first!.dataPoints[0]!.endTime);
    expect(third!.dataPoints.map(({ attributes, value }) => [attributes, value])).toEqual([[{ a: 1 }, 4]]);
  });

  test('[4.33][4.34] under cumulative temporality the first series keep their points for good', async () => {
    const { reader, meter } = setUp(CUMULATIVE, 2);
    const counter = meter.createCounter('c');
    for (const a of ['A', 'B']) counter.add(1, { a });
    expect(await pointsOf(reader)).toHaveLength(2);
    counter.add(1, { a: 'C' });
    await pointsOf(reader);
    for (const a of ['C', 'D', 'A']) counter.add(1, { a });
    expect(await pointsOf(reader)).toEqual([
      [{ a: 'A' }, 2],
      [{ a: 'B' }, 1],
      [{ 'otel.metric.overflow': true }, 3],
    ]);
  });

  test('[4.39] one warning names the attribute that exploded', () => {
    const { meter } = setUp(CUMULATIVE, 100);
    const counter = meter.createCounter('c');
    for (let i = 0; i < 500; i++) {
      counter.add(1, { method: 'GET', user: `u${i}` });
      // A minute later it would be a repetition all the same.
      resetReports();
    }
    expect(logs).toEqual([
      'meterline: c has reached its limit of 100 series; attribute "user" alone has 100 distinct values, such as ' +
        '"u0", "u1", "u2". Further attribute sets are counted together under otel.metric.overflow=true; ' +
        'drop the attribute or raise the cardinality limit',
    ]);
  });

  test('[4.35] under delta, series of earlier windows make room for new ones', async () => {
    const { reader, meter } = setUp(DELTA, 2);
    const counter = meter.createCounter('c');
    for (const window of [0, 1, 2]) {
      for (const i of [0, 1]) counter.add(1, { a: `${window}-${i}` });
      expect(await pointsOf(reader)).toEqual([
        [{ a: `${window}-0` }, 1],
        [{ a: `${window}-1` }, 1],
      ]);
    }
    expect(logs).toEqual([]);
  });

  test('a bound instrument and calls with the same attributes feed one series, also after delta windows without data', async () => {
    const { reader, meter } = setUp(DELTA);
    const counter = meter.createCounter('c');
    const bound = counter.bind({ a: 1, b: 2 });
    for (let window = 0; window < 3; window++) {
      bound.add(1);
      counter.add(1, { b: 2, a: 1 });
      counter.add(1, { other: window });
      expect(
        new Map(await pointsOf(reader).then((points) => points.map(([a, v]) => [JSON.stringify(a), v]))),
      ).toEqual(
        new Map([
          ['{"a":1,"b":2}', 2],
          [`{"other":${window}}`, 1],
        ]),
      );
      await pointsOf(reader);
      await pointsOf(reader);
    }
  });

  test('a bound counter or histogram is there from the start, a bound gauge from its first value', async () => {
    const { reader, meter } = setUp();
    meter.createCounter('c').bind({ a: 1 });
    meter.createHistogram('h').bind({ a: 1 });
    const gauge = meter.createGauge('g').bind({ a: 1 });
    const namesOf = async () => (await metricsOf(reader)).map(({ descriptor }) => descriptor.name);
    expect(await namesOf()).toEqual(['c', 'h']);
    gauge.record(7);
    expect(await namesOf()).toEqual(['c', 'h', 'g']);
  });

  test('a bound instrument gives processors the context of each call, as the plain one does', async () => {
    const user = createContextKey('user');
    const reader = new ManualMetricReader();
    const process = ({ a }: Attributes, given?: Context) => ({ a, user: String(given?.getValue(user)) });
    const views = [
      { instrumentName: 'c', name: 'by_user', attributesProcessors: [{ process }] },
      {
        instrumentName: 'c',
        name: 'plain',
        attributesProcessors: [createDenyListAttributesProcessor(['b'])],
      },
    ];
    const meter = new MeterProvider({ readers: [reader], views }).getMeter('test');
    const counter = meter.createCounter('c');
    const bound = counter.bind({ a: 1, b: 2 });
    for (const name of ['x', 'y', 'x']) {
      const context = ROOT_CONTEXT.setValue(user, name);
      bound.add(1, context);
      counter.add(10, { a: 1, b: 2 }, context);
    }
    const [byUser, plain] = await metricsOf(reader);
    expect(byUser!.dataPoints.map(({ attributes, value }) => [attributes, value])).toEqual([
      [{ a: 1, user: 'x' }, 22],
      [{ a: 1, user: 'y' }, 11],
    ]);
    expect(plain!.dataPoints.map(({ attributes, value }) => [attributes, value])).toEqual([[{ a: 1 }, 33]]);
  });

  test('several Views that leave out attributes take each call apart in its own key order', async () => {
    const reader = new ManualMetricReader();
    const views = ['a', 'b', 'missing'].map((key) => ({
      instrumentName: 'c',
      name: `without_${key}`,
      attributesProcessors: [createDenyListAttributesProcessor([key])],
    }));
    const counter = new MeterProvider({ readers: [reader], views }).getMeter('test').createCounter('c');
    for (let round = 0; round < 3; round++) {
      counter.add(1, { a: 1, b: 2, c: 3 });
      counter.add(10, { c: 3, b: 2, a: 1 });
      counter.add(100, { b: 2, c: 3 });
      counter.add(1000, { c: 2, a: 1, b: 3 });
    }
    const seen = (await metricsOf(reader)).map(({ dataPoints }) =>
      dataPoints.map(({ attributes, value }) => [attributes, value]),
    );
    expect(seen).toEqual([
      [
        [{ b: 2, c: 3 }, 333],
        [{ b: 3, c: 2 }, 3000],
      ],
      [
        [{ a: 1, c: 3 }, 33],
        [{ c: 3 }, 300],
        [{ a: 1, c: 2 }, 3000],
      ],
      [
        [{ a: 1, b: 2, c: 3 }, 33],
        [{ b: 2, c: 3 }, 300],
        [{ a: 1, b: 3, c: 2 }, 3000],
      ],
    ]);
  });

  test('[4.36][1.08] what all points add up to is what was recorded, for every reader', async () => {
    const operation = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({ a: fc.nat(6), b: fc.nat(3), swap: fc.boolean(), bound: fc.boolean() }),
      },
      { weight: 1, arbitrary: fc.constantFrom('collect 0' as const, 'collect 1' as const) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(operation, { maxLength: 120 }),
        fc.integer({ min: 1, max: 9 }),
        async (steps, limit) => {
          const temporality = (it: AggregationTemporality) => (_: InstrumentType) => it;
          const readers = [CUMULATIVE, DELTA].map(
            (it) =>
              new ManualMetricReader({
                aggregationTemporalitySelector: temporality(it),
                cardinalitySelector: () => limit,
              }),
          );
          const meter = new MeterProvider({ readers }).getMeter('m');
          const counter = meter.createCounter('c');
          const histogram = meter.createHistogram('h');
          const bound = new Map<string, { add(value: number): void }>();
          const deltaTotals = { sum: 0, count: 0 };
          const collectDelta = async () => {
            for (const metric of await metricsOf(readers[1]!)) {
              for (const { value } of metric.dataPoints) {
                if (typeof value === 'number') deltaTotals.sum += value;
                else deltaTotals.count += value.count;
              }
            }
          };
          let recorded = 0;
          let records = 0;
          for (const step of steps) {
            if (step === 'collect 0') await metricsOf(readers[0]!);
            else if (step === 'collect 1') await collectDelta();
            else {
              const { a, b } = step;
              const attributes = step.swap ? { b, a } : { a, b };
              recorded += a + 1;
              records++;
              histogram.record(a, attributes);
              if (step.bound) {
                const key = `${a},${b}`;
                if (!bound.has(key)) bound.set(key, counter.bind(attributes));
                bound.get(key)!.add(a + 1);
              } else counter.add(a + 1, attributes);
            }
          }
          await collectDelta();
          expect(deltaTotals).toEqual({ sum: recorded, count: records });
          const [sum, distribution] = await metricsOf(readers[0]!);
          const total = sum?.dataPoints.reduce((all, { value }) => all + (value as number), 0) ?? 0;
          expect(total).toBe(recorded);
          const count =
            distribution?.dataPoints.reduce((all, { value }) => all + (value as Histogram).count, 0) ?? 0;
          expect(count).toBe(records);
          // The overflow series comes on top of the limit.
          expect(sum?.dataPoints.length ?? 0).toBeLessThanOrEqual(limit + 1);
        },
      ),
      { numRuns: 150 },
    );
  });
});
