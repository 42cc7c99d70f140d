// How series end: by removal, by idleness, and by not being written; and that nothing of them stays.
import { type Attributes, ValueType } from '@opentelemetry/api';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { captureLogs, metricsOf, pointsOf } from '../../test/support/collected.ts';
import { NEW_MEMORY } from '../data/column-memory.ts';
import { fromHrTime } from '../data/hr-time.ts';
import { AggregationTemporality, type Exemplar } from '../data/metric-data.ts';
import { ExplicitBucketHistogramAggregator } from './aggregation/explicit-bucket-histogram.ts';
import { ExponentialHistogramAggregator } from './aggregation/exponential-histogram.ts';
import { ObservedSumAggregator } from './aggregation/observed-sum.ts';
import { SumAggregator } from './aggregation/sum.ts';
import { AsyncStream } from './async-stream.ts';
import { createAllowListAttributesProcessor } from './attribute-filter.ts';
import { AttributeInterner } from './attribute-interner.ts';
import { now, steadyTime } from './clock.ts';
import type { ExemplarReservoir } from './exemplars/exemplar-reservoir.ts';
import { MeterProvider, type MeterProviderOptions } from './meter-provider.ts';
import { ManualMetricReader } from './readers/manual-metric-reader.ts';
import { SeriesTable } from './series-table.ts';
import { type Collection, SyncStream } from './stream.ts';

const { CUMULATIVE, DELTA } = AggregationTemporality;

function setUp(temporality = CUMULATIVE, options: MeterProviderOptions = {}) {
  const reader = new ManualMetricReader({ aggregationTemporalitySelector: () => temporality });
  return { reader, meter: new MeterProvider({ ...options, readers: [reader] }).getMeter('test') };
}

function collectionNow(): Collection {
  const end = now();
  return { end, steadyEnd: steadyTime(end), memory: NEW_MEMORY };
}

function finished<T>(steps: Generator<void, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** A reservoir of a user's: it keeps the last. */
function lastOne(): ExemplarReservoir {
  let kept: Exemplar[] = [];
  return {
    offer: (value, timestamp) => void (kept = [{ value, timestamp, filteredAttributes: {} }]),
    collect: () => kept.splice(0),
  };
}

describe('remove', () => {
  const logs = captureLogs();

  test('ends the one series, whatever the order of the keys, and leaves the others', async () => {
    const { reader, meter } = setUp();
    const counter = meter.createCounter('c');
    for (const b of [1, 2, 3]) counter.add(b, { a: 'x', b });
    counter.remove({ b: 2, a: 'x' });
    expect(
      new Map(await pointsOf(reader).then((points) => points.map(([it, v]) => [JSON.stringify(it), v]))),
    ).toEqual(
      new Map([
        ['{"a":"x","b":1}', 1],
        ['{"a":"x","b":3}', 3],
      ]),
    );
  });

  test('lets the series start anew, at zero and at a later time, also through a handle bound before', async () => {
    const { reader, meter } = setUp();
    const counter = meter.createCounter('c');
    const bound = counter.bind({ a: 1 });
    bound.add(5);
    const [before] = (await metricsOf(reader))[0]!.dataPoints;
    counter.remove({ a: 1 });
    expect(await pointsOf(reader)).toEqual([]);
    bound.add(1);
    counter.add(1, { a: 1 });
    const [after] = (await metricsOf(reader))[0]!.dataPoints;
    expect(after!.value).toBe(2);
    expect(fromHrTime(after!.startTime)).toBeGreaterThan(fromHrTime(before!.endTime));
  });

  test('lets a handle go on with what it was bound with, whatever has become of that object', async () => {
    const { reader, meter } = setUp();
    const counter = meter.createCounter('c');
    const attributes = { a: 1, list: ['x'] };
    const bound = counter.bind(attributes);
    attributes.a = 2;
    attributes.list.push('y');
    counter.remove({ a: 1, list: ['x'] });
    bound.add(1);
    expect(await pointsOf(reader)).toEqual([[{ a: 1, list: ['x'] }, 1]]);
  });

  test('leaves the others as old as they are', async () => {
    const { reader, meter } = setUp();
    const counter = meter.createCounter('c');
    for (const a of [1, 2, 3]) counter.add(1, { a });
    const startsOf = async () =>
      new Map((await metricsOf(reader))[0]!.dataPoints.map((it) => [it.attributes.a, it.startTime]));
    const before = await startsOf();
    before.delete(1);
    counter.remove({ a: 1 });
    expect(await startsOf()).toEqual(before);
  });

  test('goes through the attribute filter of a View, and is for all readers and all kinds', async () => {
    const readers = [new ManualMetricReader(), new ManualMetricReader()];
    const views = [{ attributesProcessors: [createAllowListAttributesProcessor(['a'])] }];
    const meter = new MeterProvider({ readers, views }).getMeter('test');
    const [counter, updown] = [meter.createCounter('c'), meter.createUpDownCounter('u')];
    const [histogram, gauge] = [meter.createHistogram('h'), meter.createGauge('g')];
    for (const a of [1, 2]) {
      for (const it of [counter, updown]) it.add(1, { a, b: a });
      for (const it of [histogram, gauge]) it.record(1, { a, b: a });
    }
    // The series of `a: 2` also holds what others recorded with another `b`, and is theirs as well.
    for (const it of [counter, updown, histogram, gauge]) {
      it.remove({ a: 1 });
      it.remove({ a: 2, b: 2 });
    }
    for (const reader of readers) {
      const left = (await metricsOf(reader)).flatMap(({ dataPoints }) =>
        dataPoints.map((it) => it.attributes),
      );
      expect(left).toEqual(new Array(4).fill({ a: 2 }));
    }
  });

  test("leaves a series that a View's processor makes of several", async () => {
    const process = ({ id, method, tags }: Attributes): Attributes =>
      id === undefined
        ? { method, tags, side: 'server' }
        : { id: '/item/:id', method: String(method).toLowerCase(), tags };
    const { reader, meter } = setUp(CUMULATIVE, { views: [{ attributesProcessors: [{ process }] }] });
    const counter = meter.createCounter('c');
    for (const id of [1, 2]) counter.add(id, { id, method: 'get', tags: ['x'] });
    for (const method of ['GET', Number.NaN]) counter.add(1, { method, tags: ['x'] });
    counter.remove({ id: 1, method: 'get', tags: ['x'] });
    counter.remove({ id: '/item/:id', method: 'GET', tags: ['x'] });
    // Here nothing was changed or left out.
    counter.remove({ method: Number.NaN, tags: ['x'] });
    expect(await pointsOf(reader)).toEqual([
      [{ id: '/item/:id', method: 'get', tags: ['x'] }, 3],
      [{ method: 'GET', tags: ['x'], side: 'server' }, 1],
    ]);
  });

  test('of what is not there does nothing', async () => {
    const { reader, meter } = setUp();
    const counter = meter.createCounter('c');
    counter.add(1, { a: 1 });
    for (const wrong of [{ a: 2 }, { b: 1 }, {}, undefined, null, 'text', 7]) counter.remove(wrong as never);
    counter.remove({
      get a(): number {
        throw new Error('no value');
      },
    });
    expect(await pointsOf(reader)).toEqual([[{ a: 1 }, 1]]);
    expect(logs).toHaveLength(2);
  });

  test.each([
    ['of the SDK', undefined],
    ["of the user's", lastOne],
  ])('leaves the others their exemplars, in reservoirs %s', async (_, exemplarReservoir) => {
    const { reader, meter } = setUp(CUMULATIVE, {
      exemplarFilter: 'always_on',
      views: [{ exemplarReservoir }],
    });
    const counter = meter.createCounter('c');
    for (const a of [1, 2, 3, 4]) counter.add(a, { a });
    counter.remove({ a: 1 });
    counter.remove({ a: 3 });
    counter.add(5, { a: 5 });
    const [metric] = await metricsOf(reader);
    const exemplars = metric!.dataPoints.map(({ attributes, exemplars: of }) => [
      attributes.a,
      of?.map(({ value }) => value),
    ]);
    expect(exemplars.sort()).toEqual([2, 4, 5].map((a) => [a, [a]]));
  });

  test('under delta, what the window holds of a counter is still delivered; a gauge is gone', async () => {
    const { reader, meter } = setUp(DELTA);
    const [counter, gauge] = [meter.createCounter('c'), meter.createGauge('g')];
    counter.add(5, { a: 1 });
    gauge.record(5, { a: 1 });
    for (const it of [counter, gauge]) it.remove({ a: 1 });
    expect((await metricsOf(reader)).map(({ descriptor }) => descriptor.name)).toEqual(['c']);
    expect(await metricsOf(reader)).toEqual([]);
  });
});

describe('idle series', () => {
  captureLogs();
  beforeEach(() => void vi.useFakeTimers({ now: Date.UTC(2030, 0, 1) }));
  afterEach(() => void vi.useRealTimers());

  const seen = async (reader: ManualMetricReader) =>
    Object.fromEntries(
      (await metricsOf(reader)).map(({ descriptor, dataPoints }) => [
        descriptor.name,
        dataPoints.map(({ attributes }) => attributes.key),
      ]),
    );

  test('gaugeIdleTimeoutMillis ends gauges that are not recorded to, and nothing else', async () => {
    const { reader, meter } = setUp(CUMULATIVE, { gaugeIdleTimeoutMillis: 60_000 });
    const [gauge, counter] = [meter.createGauge('g'), meter.createCounter('c')];
    for (const key of ['a', 'b']) gauge.record(1, { key });
    counter.add(1, { key: 'a' });
    await seen(reader);
    for (let i = 0; i < 5; i++) {
      vi.advanceTimersByTime(20_000);
      gauge.record(1, { key: 'b' });
      expect(await seen(reader)).toEqual({ g: i < 2 ? ['a', 'b'] : ['b'], c: ['a'] });
    }
    gauge.record(1, { key: 'a' });
    expect(await seen(reader)).toEqual({ g: ['b', 'a'], c: ['a'] });
  });

  test('idleTimeoutMillis of a View ends series of any kind, which then start at zero', async () => {
    const { reader, meter } = setUp(CUMULATIVE, {
      views: [{ instrumentName: 'short', idleTimeoutMillis: 10_000 }],
    });
    const [short, long] = [meter.createCounter('short'), meter.createCounter('long')];
    const bound = short.bind({ key: 'a' });
    bound.add(5);
    long.add(5, { key: 'a' });
    await seen(reader);
    vi.advanceTimersByTime(10_000);
    expect(await seen(reader)).toEqual({ long: ['a'] });
    bound.add(1);
    expect((await metricsOf(reader))[0]!.dataPoints[0]!.value).toBe(1);
  });

  test('a series that was removed and opened again is as old as it is now', async () => {
    const { reader, meter } = setUp(CUMULATIVE, {
      views: [{ instrumentName: 'short', idleTimeoutMillis: 10_000 }],
    });
    const short = meter.createCounter('short');
    for (const it of [short, meter.createCounter('long')]) it.add(1, { key: 'a' });
    await seen(reader);
    short.remove({ key: 'a' });
    vi.advanceTimersByTime(20_000);
    short.bind({ key: 'a' });
    expect(await seen(reader)).toEqual({ short: ['a'], long: ['a'] });
  });

  test('a wall clock that is set ends nothing and keeps nothing', async () => {
    const { reader, meter } = setUp(CUMULATIVE, { gaugeIdleTimeoutMillis: 60_000 });
    meter.createGauge('g').record(1, { key: 'a' });
    await seen(reader);
    vi.setSystemTime(Date.now() + 3_600_000);
    expect(await seen(reader)).toEqual({ g: ['a'] });
    vi.setSystemTime(Date.now() - 7_200_000);
    vi.advanceTimersByTime(60_000);
    expect(await seen(reader)).toEqual({});
  });
});

describe('[4.23] a million series that are written once', () => {
  captureLogs();

  const LIMIT = 500;
  const BOUNDARIES = [1, 2, 3];
  const options = { recordSum: true, recordMinMax: true };

  test.each([
    ['sums', () => new SumAggregator(true), 1_000_000],
    ['histograms', () => new ExplicitBucketHistogramAggregator(BOUNDARIES, options), 100_000],
    [
      'exponential histograms',
      () => new ExponentialHistogramAggregator({ maxSize: 160, maxScale: 20, ...options }),
      20_000,
    ],
  ] as const)(
    'leave nothing behind: %s',
    (_, create, total) => {
      const interner = new AttributeInterner();
      const aggregator = create();
      const capacities: number[] = [];
      const resize = aggregator.resize.bind(aggregator);
      aggregator.resize = (capacity: number) => {
        capacities.push(capacity);
        resize(capacity);
      };
      const table = new SeriesTable(aggregator, interner, {
        limit: LIMIT,
        evictUntouched: true,
        onOverflow: () => expect.fail('no window has more than the limit'),
      });
      const stream = new SyncStream({
        descriptor: { name: 'c', description: '', unit: '', valueType: ValueType.DOUBLE },
        isDescribedByView: false,
        temporality: DELTA,
        table,
        interner,
        filter: undefined,
        idleTimeoutMillis: undefined,
      });
      let delivered = 0;
      for (let i = 0; i < total; ) {
        for (let inWindow = 0; inWindow < LIMIT; inWindow++, i++) {
          const attributes =
            i % 50 === 0 ? { user: `u${i}`, tags: [`t${i}`] } : { user: `u${i}`, kind: i % 7 };
          stream.record(1, attributes, interner.find(attributes), undefined);
        }
        delivered += finished(stream.collect(collectionNow()))?.length ?? 0;
      }
      expect(delivered).toBe(total);
      // Ids are numbers of sets, handed out again: the highest tells how many there ever were at a time.
      const probe = interner.intern(interner.canonical({ user: 'probe' }));
      expect(probe.id).toBeLessThanOrEqual(LIMIT * 2);
      expect(interner.schemaCount).toBeLessThanOrEqual(3);
      expect(table.touched.length).toBeLessThanOrEqual(LIMIT * 4);
      expect(Math.max(...capacities)).toBeLessThanOrEqual(LIMIT * 4);
      expect(table.size).toBeLessThanOrEqual(LIMIT);
      finished(stream.collect(collectionNow()));
      expect(table.size).toBe(0);
      const last = { user: `u${total - 1}`, kind: (total - 1) % 7 };
      expect(interner.lookup(interner.canonical(last))).toBe(undefined);
    },
    60_000,
  );
});

describe('a delta stream at its limit', () => {
  captureLogs();

  function fullTable(limit: number) {
    const interner = new AttributeInterner();
    let overflows = 0;
    const table = new SeriesTable(new SumAggregator(true), interner, {
      limit,
      evictUntouched: true,
      onOverflow: () => void overflows++,
    });
    const record = (key: string) => {
      const row = table.open({ key });
      table.touched[row] = 1;
    };
    for (let i = 0; i < limit; i++) record(`old ${i}`);
    return { table, record, overflows: () => overflows };
  }

  test('[4.35] ends as many series of earlier windows as new ones need room, and none of this window', () => {
    const { table, record, overflows } = fullTable(4);
    table.resetRows(table.allRows(NEW_MEMORY));
    record('old 1');
    record('old 3');
    for (const [key, left] of [
      ['new 1', 'old 0,old 1,old 2,old 3'],
      ['new 2', 'old 1,old 3'],
    ] as const) {
      record(key);
      expect(table.size).toBe(4);
      const keys = table.sets.map(({ values }) => values[0]);
      expect(keys).toEqual(expect.arrayContaining(['old 1', 'old 3', key]));
      expect(keys.filter((it) => left.includes(String(it))).length).toBe(key === 'new 1' ? 3 : 2);
    }
    expect(overflows()).toBe(0);
    record('new 3');
    record('old 1');
    expect([overflows(), table.size]).toEqual([1, 5]);
    table.resetRows(table.allRows(NEW_MEMORY));
    for (const key of ['a', 'b', 'c', 'd']) record(key);
    expect(overflows()).toBe(1);
    // The overflow series of the window before is no room for an ordinary one.
    record('e');
    expect([overflows(), table.size]).toEqual([2, 5]);
  });

  test('looks for room once a window, however many measurements find none', () => {
    const { table, record, overflows } = fullTable(1000);
    let reads = 0;
    table.touched = new Proxy(table.touched, {
      get: (target, key) => {
        reads++;
        return Reflect.get(target, key);
      },
    });
    for (let i = 0; i < 500; i++) record(`new ${i}`);
    expect(overflows()).toBe(500);
    // A look at each row, and a few for each measurement.
    expect(reads).toBeLessThan(1000 + 500 * 3);
  });
});

describe('observables with new attribute sets in each round', () => {
  captureLogs();

  const SERIES = 20;

  test.each([
    ['within the limit', 100, undefined, false],
    ['over the limit', 5, undefined, false],
    ['that a filter makes few of', 100, { keeps: (key: string) => key === 'kind' }, false],
    ['that a processor makes few of', 100, { process: ({ kind }: Attributes) => ({ kind }) }, false],
    ['whose callback always fails', 5, undefined, true],
  ] as const)('leave nothing behind: %s', (_, limit, filter, isFailing) => {
    for (const temporality of [CUMULATIVE, DELTA]) {
      const interner = new AttributeInterner();
      const aggregator = new ObservedSumAggregator(true, temporality === DELTA);
      const table = new SeriesTable(aggregator, interner, {
        limit,
        evictUntouched: false,
        onOverflow: () => {},
      });
      const stream = new AsyncStream({
        descriptor: { name: 'c', description: '', unit: '', valueType: ValueType.DOUBLE },
        isDescribedByView: false,
        temporality,
        table,
        interner,
        filter,
        idleTimeoutMillis: undefined,
      });
      for (let round = 0; round < 100; round++) {
        for (let i = 0; i < SERIES; i++) stream.observe(1, { user: `u${round}-${i}`, kind: i % 3 });
        if (isFailing) stream.fail();
        finished(stream.collect(collectionNow()));
      }
      finished(stream.collect(collectionNow()));
      finished(stream.collect(collectionNow()));
      expect(table.size).toBe(0);
      // Ids are numbers of sets, handed out again: with none in use, all that there ever were at a time are free.
      const most = 2 * SERIES + limit + 4;
      const probes = Array.from({ length: most }, (_unused, i) => interner.canonical({ probe: i }));
      expect(Math.max(...probes.map((probe) => interner.intern(probe).id))).toBeLessThan(most);
      expect(interner.schemaCount).toBeLessThanOrEqual(4);
    }
  });
});
