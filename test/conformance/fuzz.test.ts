// Arguments of every kind into every method of the API: nothing is thrown, nothing else is disturbed, and the same mistake made
// again and again is one message.
import type { Attributes } from '@opentelemetry/api';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { resetReports } from '../../src/data/diagnostics.ts';
import { AggregationTemporality } from '../../src/data/metric-data.ts';
import { createAllowListAttributesProcessor } from '../../src/sdk/attribute-filter.ts';
import { MeterProvider } from '../../src/sdk/meter-provider.ts';
import { ManualMetricReader } from '../../src/sdk/readers/manual-metric-reader.ts';
import { captureLogs, metricsOf, pointsOf } from '../support/collected.ts';
import { hostile, LONG } from '../support/hostile-values.ts';

const names = Object.keys(hostile);
const make = (name: string) => hostile[name]!() as never;

function setUp() {
  const readers = [AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA].map(
    (it) => new ManualMetricReader({ aggregationTemporalitySelector: () => it }),
  );
  const views = [
    { instrumentName: 'filtered*', attributesProcessors: [createAllowListAttributesProcessor(['a'])] },
  ];
  const provider = new MeterProvider({ readers, views, exemplarFilter: 'always_on' });
  const meter = provider.getMeter('fuzz');
  return { provider, readers, meter };
}

type SetUp = ReturnType<typeof setUp>;

/** Every method with one argument that is hostile; the others are sound. */
const calls: Record<string, (it: SetUp, bad: never) => void> = {
  'getMeter(name)': ({ provider }, bad) => provider.getMeter(bad).createCounter('c').add(1),
  'getMeter(, version)': ({ provider }, bad) => provider.getMeter('m', bad).createCounter('c').add(1),
  'getMeter(, , options)': ({ provider }, bad) => provider.getMeter('m', '1', bad).createCounter('c').add(1),
  'getMeter(, , { schemaUrl })': ({ provider }, bad) => provider.getMeter('m', '1', { schemaUrl: bad }),
  'getMeter(, , { attributes })': ({ provider }, bad) => provider.getMeter('m', '1', { attributes: bad }),
  'createCounter(name)': ({ meter }, bad) => meter.createCounter(bad).add(1),
  'createCounter(, options)': ({ meter }, bad) => meter.createCounter('c', bad).add(1),
  'createCounter(, { unit })': ({ meter }, bad) => meter.createCounter('c', { unit: bad }).add(1),
  'createCounter(, { description })': ({ meter }, bad) =>
    meter.createCounter('c', { description: bad }).add(1),
  'createCounter(, { valueType })': ({ meter }, bad) => meter.createCounter('c', { valueType: bad }).add(1),
  'createHistogram(, { advice })': ({ meter }, bad) => meter.createHistogram('h', { advice: bad }).record(1),
  'createHistogram(, { advice: { explicitBucketBoundaries } })': ({ meter }, bad) =>
    meter.createHistogram('h', { advice: { explicitBucketBoundaries: bad } }).record(1),
  'createUpDownCounter(name)': ({ meter }, bad) => meter.createUpDownCounter(bad).add(1),
  'createGauge(name)': ({ meter }, bad) => meter.createGauge(bad).record(1),
  'createObservableGauge(name)': ({ meter }, bad) => void meter.createObservableGauge(bad),
  'createObservableCounter(, options)': ({ meter }, bad) => void meter.createObservableCounter('o', bad),
  'counter.add(value)': ({ meter }, bad) => meter.createCounter('c').add(bad),
  'updown.add(value)': ({ meter }, bad) => meter.createUpDownCounter('u').add(bad),
  'histogram.record(value)': ({ meter }, bad) => meter.createHistogram('h').record(bad),
  'gauge.record(value)': ({ meter }, bad) => meter.createGauge('g').record(bad),
  'counter.add(, attributes)': ({ meter }, bad) => meter.createCounter('c').add(1, bad),
  'counter.add(, attributes) with a View': ({ meter }, bad) => meter.createCounter('filtered').add(1, bad),
  'counter.add(, { a })': ({ meter }, bad) => meter.createCounter('c').add(1, { a: bad }),
  'counter.add(, { a }) with a View': ({ meter }, bad) =>
    meter.createCounter('filtered').add(1, { a: bad, b: bad }),
  'histogram.record(, { a, b })': ({ meter }, bad) => meter.createHistogram('h').record(1, { a: 1, b: bad }),
  'counter.add(, , context)': ({ meter }, bad) => meter.createCounter('c').add(1, {}, bad),
  'counter.bind(attributes)': ({ meter }, bad) => meter.createCounter('c').bind(bad).add(1),
  'histogram.bind({ a })': ({ meter }, bad) => meter.createHistogram('h').bind({ a: bad }).record(1),
  'gauge.bind({ a }) with a View': ({ meter }, bad) =>
    meter.createGauge('filtered').bind({ a: bad }).record(1),
  'bound.add(value)': ({ meter }, bad) => meter.createCounter('c').bind().add(bad),
  'bound.record(value)': ({ meter }, bad) => meter.createHistogram('h').bind().record(bad),
  'bound.add(, context)': ({ meter }, bad) => meter.createCounter('c').bind().add(1, bad),
  'counter.remove(attributes)': ({ meter }, bad) => meter.createCounter('c').remove(bad),
  'counter.remove({ a }) with a View': ({ meter }, bad) => meter.createCounter('filtered').remove({ a: bad }),
  'counter.enabled()': ({ meter }, bad) =>
    void (meter.createCounter('c').enabled as (bad: never) => boolean)(bad),
  'observable.addCallback(callback)': ({ meter }, bad) => meter.createObservableGauge('o').addCallback(bad),
  'observable.removeCallback(callback)': ({ meter }, bad) =>
    meter.createObservableGauge('o').removeCallback(bad),
  'addBatchObservableCallback(callback)': ({ meter }, bad) =>
    meter.addBatchObservableCallback(bad, [meter.createObservableGauge('o')]),
  'addBatchObservableCallback(, observables)': ({ meter }, bad) =>
    meter.addBatchObservableCallback(() => {}, bad),
  'addBatchObservableCallback(, [observable])': ({ meter }, bad) =>
    meter.addBatchObservableCallback(() => {}, [bad]),
  'removeBatchObservableCallback(callback)': ({ meter }, bad) =>
    meter.removeBatchObservableCallback(bad, [meter.createObservableGauge('o')]),
  'removeBatchObservableCallback(, observables)': ({ meter }, bad) =>
    meter.removeBatchObservableCallback(() => {}, bad),
  'result.observe(value)': ({ meter }, bad) =>
    meter.createObservableGauge('o').addCallback((result) => result.observe(bad)),
  'result.observe(, attributes)': ({ meter }, bad) =>
    meter.createObservableCounter('o').addCallback((result) => result.observe(1, bad)),
  'result.observe(, { a })': ({ meter }, bad) =>
    meter.createObservableCounter('filtered').addCallback((result) => result.observe(1, { a: bad })),
  'batch.observe(observable)': ({ meter }, bad) =>
    meter.addBatchObservableCallback((result) => result.observe(bad, 1), [meter.createObservableGauge('o')]),
};

/** Asked for by promises, which may reject but not stay unhandled. */
const asked: Record<string, (it: SetUp, bad: never) => Promise<unknown>> = {
  'forceFlush(options)': ({ provider }, bad) => provider.forceFlush(bad),
  'shutdown(options)': ({ provider }, bad) => provider.shutdown(bad),
  'reader.collect(options)': ({ readers }, bad) => readers[0]!.collect(bad),
  'reader.forceFlush(options)': ({ readers }, bad) => readers[0]!.forceFlush(bad),
};

const witness = { who: 'witness', list: ['a', 'b'] };

describe('[1.09] hostile arguments', () => {
  const logs = captureLogs();
  let unhandled = 0;
  const onUnhandled = () => void unhandled++;
  beforeAll(() => void process.on('unhandledRejection', onUnhandled));
  afterAll(() => void process.off('unhandledRejection', onUnhandled));

  describe.each(Object.entries(calls))('%s', (_, call) => {
    test.each(names)('%s', async (name) => {
      const it = setUp();
      const counter = it.meter.createCounter('witness');
      const bound = counter.bind(witness);
      let messages = 0;
      for (let round = 0; round < 3; round++) {
        messages ||= logs.length;
        counter.add(1, witness);
        for (let i = 0; i < 3; i++) call(it, make(name));
        bound.add(1);
        await Promise.all(it.readers.map((reader) => reader.collect()));
      }
      const [points] = (await metricsOf(it.readers[0]!))
        .filter(({ descriptor }) => descriptor.name === 'witness')
        .map(({ dataPoints }) => dataPoints);
      expect(points!.map(({ attributes, value }) => [attributes, value])).toEqual([[witness, 6]]);
      // One message for each thing that is wrong, which can be four attributes, and none for making the mistake again.
      expect(logs.length).toBeLessThanOrEqual(4);
      expect(logs).toHaveLength(messages);
      for (const message of logs) expect(message.length).toBeLessThan(1000);
    });
  });

  test.each(Object.keys(asked))('%s ends, and may say that it failed', async (method) => {
    for (const name of names) {
      const result = await asked[method]!(setUp(), make(name)).then(
        () => 'done',
        () => 'failed',
      );
      expect(['done', 'failed']).toContain(result);
    }
  });

  test('any of them, in any order, in one provider', async () => {
    const step = fc.tuple(fc.constantFrom(...Object.keys(calls)), fc.constantFrom(...names));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        resetReports();
        logs.length = 0;
        const it = setUp();
        const counter = it.meter.createCounter('witness');
        for (const [method, name] of steps) {
          counter.add(1, witness);
          calls[method]!(it, make(name));
        }
        counter.add(1, witness);
        let delta = 0;
        for (let round = 0; round < 2; round++) {
          const [cumulative, deltas] = await Promise.all(it.readers.map(metricsOf));
          const total = (metrics: typeof cumulative) =>
            metrics!
              .filter(({ descriptor }) => descriptor.name === 'witness')
              .flatMap(({ dataPoints }) => dataPoints.map(({ value }) => value as number))
              .reduce((sum, value) => sum + value, 0);
          delta += total(deltas);
          expect(total(cumulative)).toBe(steps.length + 1);
          for (const { dataPoints } of cumulative!) {
            const sets = dataPoints.map(({ attributes }) => attributes);
            expect(new Set(sets).size).toBe(sets.length);
          }
        }
        expect(delta).toBe(steps.length + 1);
        expect(new Set(logs).size).toBe(logs.length);
      }),
      { numRuns: 100 },
    );
  });

  test('no rejection stayed unhandled', async () => {
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toBe(0);
  });
});

test.each(['text', 7, true, Symbol('s'), () => {}])(
  '[1.09] attributes that are no object, such as %s, are none',
  async (bad) => {
    const { readers, meter } = setUp();
    meter.createCounter('c').add(1, bad as never);
    meter
      .createCounter('b')
      .bind(bad as never)
      .add(1);
    meter.createObservableCounter('o').addCallback((result) => result.observe(1, bad as never));
    const points = (await metricsOf(readers[0]!)).map(({ dataPoints }) => dataPoints);
    expect(points.map((of) => of.map(({ attributes, value }) => [attributes, value]))).toEqual(
      new Array(3).fill([[{}, 1]]),
    );
  },
);

describe('[1.34] attributes that look alike', () => {
  const logs = captureLogs();

  const texts = [
    '\ud800',
    '\udc00',
    '\ufffd',
    '\\ud800',
    '\ud83d\ude00',
    '',
    '1',
    'true',
    'null',
    '[]',
    'a|',
    '|a',
    '"',
  ];
  const values: Attributes[string][] = [
    ...texts,
    `${LONG}a`,
    `${LONG}b`,
    1,
    0,
    true,
    false,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    [],
    [''],
    ['', ''],
    ['1'],
    [1],
    [true],
    ['a,b'],
    ['a', 'b'],
    ['["a"]'],
    ['\ud800'],
    ['\udc00'],
    [null, 'a'],
    [undefined, 'a'] as never,
  ];
  const keys = [
    'a',
    'A',
    '__proto__',
    'constructor',
    'toString',
    '\ud800',
    '\udc00',
    '1',
    'a.b',
    `${LONG}k`,
    `${LONG}l`,
  ];

  test('are a series each, through calls, handles and observations', async () => {
    const { readers, meter } = setUp();
    const counter = meter.createCounter('c');
    const sets = [
      ...values.map((value) => ({ value })),
      ...keys.map((key) => Object.defineProperty({}, key, { value: 'x', enumerable: true }) as Attributes),
      ...keys.map(
        (key) => Object.defineProperty({ z: 'x' }, key, { value: 1, enumerable: true }) as Attributes,
      ),
    ];
    const observed = meter.createObservableCounter('o');
    observed.addCallback((result) => sets.forEach((set, i) => void result.observe(i + 1, set)));
    sets.forEach((set, i) => {
      counter.add(i, set);
      counter.add(1, Object.freeze({ ...set }));
      counter.add(1, new Proxy(set, {}));
      counter.add(1, Object.defineProperties(Object.create(null), Object.getOwnPropertyDescriptors(set)));
      counter.bind(set).add(1);
    });
    for (const reader of readers) {
      const [counted, seen] = await metricsOf(reader);
      expect(counted!.dataPoints.map(({ value }) => value)).toEqual(sets.map((_, i) => i + 4));
      expect(seen!.dataPoints.map(({ value }) => value)).toEqual(sets.map((_, i) => i + 1));
    }
    expect(logs).toEqual([]);
  });

  test('a getter that records does not mix its attributes with those of the call it is in', async () => {
    const { readers, meter } = setUp();
    const counter = meter.createCounter('c');
    const warm = { a: 1, b: 2 };
    for (const b of [2, 3, 5]) for (const a of [1, 2]) counter.add(0, { a, b });
    const nosy = {
      a: 1,
      get b() {
        counter.add(10, { a: 2, b: 3 });
        return 5;
      },
    };
    counter.add(1, nosy);
    counter.add(0, warm);
    const points = new Map((await pointsOf(readers[0]!)).map(([set, value]) => [JSON.stringify(set), value]));
    expect(points.get('{"a":1,"b":5}')).toBe(1);
    expect(points.get('{"a":2,"b":5}')).toBe(0);
    expect((points.get('{"a":2,"b":3}') as number) % 10).toBe(0);
  });

  test('a getter that never says the same twice makes one series a call, and none twice', async () => {
    const { readers, meter } = setUp();
    const counter = meter.createCounter('c');
    let reads = 0;
    const fickle = {
      get a() {
        return reads++ % 3;
      },
    };
    for (let i = 0; i < 50; i++) counter.add(1, fickle);
    const points = await pointsOf(readers[0]!);
    expect(new Set(points.map(([set]) => JSON.stringify(set))).size).toBe(points.length);
    expect(points.reduce((sum, [, value]) => sum + (value as number), 0)).toBe(50);
  });
});
