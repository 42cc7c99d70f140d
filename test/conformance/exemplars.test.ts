// Exemplars. Proven elsewhere: what an exemplar adds to an export under [8.20].
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  type Context,
  type ContextManager,
  context,
  ROOT_CONTEXT,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { AggregationType } from '../../src/data/aggregation-option.ts';
import { AttributeSet } from '../../src/data/attribute-set.ts';
import { fromHrTime } from '../../src/data/hr-time.ts';
import { AggregationTemporality, type DataPoint, type Exemplar } from '../../src/data/metric-data.ts';
import { ExplicitBucketHistogramAggregator } from '../../src/sdk/aggregation/explicit-bucket-histogram.ts';
import { createAllowListAttributesProcessor } from '../../src/sdk/attribute-filter.ts';
import type { ExemplarFilter } from '../../src/sdk/exemplars/exemplar-filter.ts';
import type { ExemplarReservoir } from '../../src/sdk/exemplars/exemplar-reservoir.ts';
import { SampledExemplars } from '../../src/sdk/exemplars/sampled-exemplars.ts';
import { MeterProvider } from '../../src/sdk/meter-provider.ts';
import { ManualMetricReader } from '../../src/sdk/readers/manual-metric-reader.ts';
import type { ViewOptions } from '../../src/sdk/view.ts';
import { captureLogs, metricsOf } from '../support/collected.ts';
import { firstOf } from '../support/first-of.ts';

const { CUMULATIVE, DELTA } = AggregationTemporality;
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const SPAN_ID = 'b7ad6b7169203331';

function inSpan(traceFlags: TraceFlags): Context {
  return trace.setSpanContext(ROOT_CONTEXT, { traceId: TRACE_ID, spanId: SPAN_ID, traceFlags });
}

const sampled = inSpan(TraceFlags.SAMPLED);
const unsampled = inSpan(TraceFlags.NONE);

interface Options {
  filter?: ExemplarFilter;
  temporality?: AggregationTemporality;
  view?: ViewOptions;
}

function setUp({ filter, temporality = CUMULATIVE, view }: Options = {}) {
  const reader = new ManualMetricReader({ aggregationTemporalitySelector: () => temporality });
  const provider = new MeterProvider({
    readers: [reader],
    views: view ? [view] : [],
    exemplarFilter: filter,
  });
  return { reader, meter: provider.getMeter('test') };
}

async function pointOf(reader: ManualMetricReader): Promise<DataPoint<unknown>> {
  return (await metricsOf(reader))[0]!.dataPoints[0]!;
}

const exemplarsOf = async (reader: ManualMetricReader) => (await pointOf(reader)).exemplars ?? [];
const valuesOf = (exemplars: readonly Exemplar[]) => exemplars.map(({ value }) => value);

/** The same random numbers each time. */
function seedRandom() {
  let state = 42;
  vi.spyOn(Math, 'random').mockImplementation(() => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    const mixed = Math.imul(state ^ (state >>> 13), 0x297a2d39);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  });
}

afterEach(() => void vi.restoreAllMocks());

describe('exemplar filters', () => {
  const logs = captureLogs();

  test.each([undefined, 'trace_based'] as const)(
    '[4.40][4.41][12.29] %s: measurements in a sampled span, and no others',
    async (filter) => {
      const { reader, meter } = setUp({ filter });
      const counter = meter.createCounter('c');
      const bound = counter.bind({ bound: true });
      for (const it of [unsampled, ROOT_CONTEXT, undefined]) {
        counter.add(1, {}, it);
        bound.add(1, it);
      }
      const before = (await metricsOf(reader))[0]!.dataPoints;
      expect(before.flatMap(({ exemplars }) => exemplars ?? [])).toEqual([]);
      counter.add(7, {}, sampled);
      bound.add(8, sampled);
      const after = (await metricsOf(reader))[0]!.dataPoints;
      expect(new Set(after.flatMap(({ exemplars }) => valuesOf(exemplars ?? [])))).toEqual(new Set([7, 8]));
    },
  );

  describe('without a context given', () => {
    const API = Symbol.for('opentelemetry.js.api.1');
    const globals = globalThis as { [API]?: unknown };
    const registry = globals[API];
    const stack: Context[] = [];
    const manager: ContextManager = {
      active: () => stack.at(-1) ?? ROOT_CONTEXT,
      with(inner, run, self, ...args) {
        stack.push(inner);
        try {
          return run.call(self as never, ...args);
        } finally {
          stack.pop();
        }
      },
      bind: (_, target) => target,
      enable: () => manager,
      disable: () => manager,
    };
    afterEach(() => {
      context.disable();
      globals[API] = registry;
    });

    test('[4.40] the span is that of the active context', async () => {
      const { reader, meter } = setUp();
      context.setGlobalContextManager(manager);
      const counter = meter.createCounter('c');
      const bound = counter.bind({ bound: true });
      const add = (value: number) => [counter.add(value), bound.add(value)];
      add(1);
      context.with(unsampled, () => add(2));
      context.with(sampled, () => add(3));
      add(4);
      const [metric] = await metricsOf(reader);
      const exemplars = metric!.dataPoints.map((point) => point.exemplars);
      const inSpan = { value: 3, traceId: TRACE_ID, spanId: SPAN_ID };
      expect(exemplars).toMatchObject([[inSpan], [inSpan]]);
      context.disable();
      add(5);
      expect(await exemplarsOf(reader)).toEqual([]);
    });

    test('[4.40] a manager that is the first thing registered, after the instruments were made, is found with the next series', async () => {
      delete globals[API];
      const { reader, meter } = setUp();
      const counter = meter.createCounter('c');
      const bound = counter.bind({ key: 'bound' });
      context.setGlobalContextManager(manager);
      counter.add(0, { key: 'begins' });
      context.with(sampled, () => bound.add(2));
      const [metric] = await metricsOf(reader);
      const values = metric!.dataPoints.flatMap(({ exemplars }) => valuesOf(exemplars ?? []));
      expect(values).toEqual([2]);
    });

    test('[4.40] so it is by the next collection when no series begins', async () => {
      delete globals[API];
      const { reader, meter } = setUp();
      const bound = meter.createCounter('c').bind({});
      context.setGlobalContextManager(manager);
      await reader.collect();
      context.with(sampled, () => bound.add(2));
      expect(valuesOf(await exemplarsOf(reader))).toEqual([2]);
    });

    test('[4.40] contexts may be those of another copy of the API', async () => {
      const { reader, meter } = setUp();
      const spanContext = trace.getSpanContext(sampled);
      const foreign: Context = {
        getValue: (key) =>
          key === Symbol.for('OpenTelemetry Context Key SPAN') ? { spanContext: () => spanContext } : 0,
        setValue: () => foreign,
        deleteValue: () => foreign,
      };
      context.setGlobalContextManager({ ...manager, active: () => foreign });
      meter.createCounter('c').bind({}).add(1);
      expect(await exemplarsOf(reader)).toMatchObject([{ traceId: TRACE_ID }]);
    });

    test('a manager that fails costs the exemplar and one message, not the measurement', async () => {
      for (const filter of ['trace_based', 'always_on'] as const) {
        const { reader, meter } = setUp({ filter });
        context.setGlobalContextManager({ ...manager, active: fail });
        const counter = meter.createCounter('c');
        counter.add(1);
        counter.bind().add(1);
        context.disable();
        expect((await pointOf(reader)).value).toBe(2);
      }
      expect(logs).toEqual([expect.stringContaining('context manager failed')]);
    });
  });

  test('[4.41] always_on: every measurement, with a span if there is one', async () => {
    const { reader, meter } = setUp({ filter: 'always_on', view: { exemplarReservoir: keepAll } });
    const counter = meter.createCounter('c');
    counter.add(1);
    counter.add(2, {}, unsampled);
    const [first, second] = await exemplarsOf(reader);
    expect(first).toMatchObject({ value: 1 });
    expect(first).not.toHaveProperty('traceId');
    expect(second).toMatchObject({ value: 2, traceId: TRACE_ID });
  });

  test('[4.41] always_off: no reservoir is ever made', async () => {
    const exemplarReservoir = vi.fn(keepAll);
    const { reader, meter } = setUp({ filter: 'always_off', view: { exemplarReservoir } });
    const counter = meter.createCounter('c');
    counter.add(1, {}, sampled);
    counter.bind().add(1, sampled);
    expect(await exemplarsOf(reader)).toEqual([]);
    expect(exemplarReservoir).not.toHaveBeenCalled();
  });

  test('[2.06] observations have none', async () => {
    const { reader, meter } = setUp({ filter: 'always_on' });
    meter.createObservableCounter('c').addCallback((result) => result.observe(1));
    expect(await pointOf(reader)).not.toHaveProperty('exemplars');
  });

  test.each(['junk', 7, {}, null])(
    '[2.05] %j in place of a context costs one message at most',
    async (junk) => {
      for (const filter of ['trace_based', 'always_on'] as const) {
        const { reader, meter } = setUp({ filter });
        const counter = meter.createCounter('c');
        counter.add(1, {}, junk as never);
        counter.bind().add(1, junk as never);
        expect((await pointOf(reader)).value).toBe(2);
      }
      expect(logs.length).toBeLessThanOrEqual(1);
    },
  );
});

function fail(): never {
  throw new Error('reservoir');
}

/** A reservoir of the user's own that keeps everything. */
function keepAll(): ExemplarReservoir {
  return firstOf(1000);
}

describe('exemplars', () => {
  const logs = captureLogs();

  test('[4.42] they carry value, time of the call, ids of the span, and what the View removed', async () => {
    const { reader, meter } = setUp({
      view: { attributesProcessors: [createAllowListAttributesProcessor(['x', 'y'])] },
    });
    const given = { x: 1, y: 'two', z: ['three'], nothing: undefined, big: 4n as never };
    const before = BigInt(Date.now()) * 1_000_000n;
    meter.createCounter('c').add(5, given, sampled);
    const { attributes, exemplars, startTime, endTime } = await pointOf(reader);
    const [exemplar] = exemplars!;
    expect(exemplar).toMatchObject({ value: 5, traceId: TRACE_ID, spanId: SPAN_ID });
    expect(exemplar!.filteredAttributes).toEqual({ z: ['three'], big: 4 });
    expect({ ...attributes, ...exemplar!.filteredAttributes }).toEqual({
      x: 1,
      y: 'two',
      z: ['three'],
      big: 4,
    });
    const time = fromHrTime(exemplar!.timestamp);
    expect(time).toBeGreaterThanOrEqual(before);
    expect(time).toBeGreaterThan(fromHrTime(startTime));
    expect(time).toBeLessThanOrEqual(fromHrTime(endTime));
  });

  test('[4.42] those of the overflow series carry all attributes', async () => {
    const { reader, meter } = setUp({ view: { aggregationCardinalityLimit: 1 } });
    const counter = meter.createCounter('c');
    counter.add(1, { key: 'a' });
    counter.add(1, { key: 'b' }, sampled);
    const [metric] = await metricsOf(reader);
    expect(metric!.dataPoints[1]!.exemplars).toMatchObject([{ filteredAttributes: { key: 'b' } }]);
  });

  test('[4.43] a reservoir of the user sees every measurement with all attributes, and there is one per series', async () => {
    const offered: unknown[] = [];
    const collected: unknown[] = [];
    const exemplarReservoir = vi.fn(
      (): ExemplarReservoir => ({
        offer: (value, _timestamp, attributes) => void offered.push([value, attributes]),
        collect: (attributes) => {
          collected.push(attributes);
          return [];
        },
      }),
    );
    const { reader, meter } = setUp({
      view: { exemplarReservoir, attributesProcessors: [createAllowListAttributesProcessor(['a'])] },
    });
    const counter = meter.createCounter('c');
    for (const value of [1, 2, 3]) counter.add(value, { a: value % 2, b: value }, sampled);
    await metricsOf(reader);
    expect(offered).toEqual([
      [1, { a: 1, b: 1 }],
      [2, { a: 0, b: 2 }],
      [3, { a: 1, b: 3 }],
    ]);
    expect(exemplarReservoir).toHaveBeenCalledTimes(2);
    expect(collected).toEqual([{ a: 1 }, { a: 0 }]);
  });

  test.each<[string, () => ExemplarReservoir]>([
    ['made', () => fail()],
    ['offered to', () => ({ offer: fail, collect: () => [] })],
    ['collected', () => ({ offer() {}, collect: fail })],
    ['asked for what it has not', () => undefined as never],
    ['asked, and gives no list', () => ({ offer() {}, collect: () => 7 as never })],
    [
      'asked, and gives no number',
      () => ({ offer() {}, collect: () => [{ value: 'x', timestamp: [1, 1] } as never] }),
    ],
    ['asked, and gives no time', () => ({ offer() {}, collect: () => [{ value: 1 } as never] })],
  ])('[4.43] a reservoir that fails when %s costs its exemplars only', async (_, exemplarReservoir) => {
    const { reader, meter } = setUp({ view: { exemplarReservoir } });
    const counter = meter.createCounter('c');
    counter.add(1, {}, sampled);
    counter.bind().add(1, sampled);
    expect((await pointOf(reader)).value).toBe(2);
    expect(logs).toEqual([expect.stringContaining('exemplar reservoir failed')]);
  });

  test('[4.44] under delta each is exported once', async () => {
    const { reader, meter } = setUp({ temporality: DELTA });
    const counter = meter.createCounter('c');
    counter.add(1, {}, sampled);
    expect(await exemplarsOf(reader)).toHaveLength(1);
    counter.add(1, {}, unsampled);
    const point = await pointOf(reader);
    expect(point.exemplars ?? []).toEqual([]);
    counter.add(3, {}, sampled);
    const { exemplars, startTime } = await pointOf(reader);
    expect(valuesOf(exemplars!)).toEqual([3]);
    expect(fromHrTime(exemplars![0]!.timestamp)).toBeGreaterThan(fromHrTime(startTime));
  });

  test.each([
    ['of the specification', undefined],
    ['of the user', { exemplarReservoir: keepAll }],
  ])('series that end take theirs along, and rows that move keep theirs: reservoirs %s', async (_, view) => {
    const { reader, meter } = setUp({ view });
    const counter = meter.createCounter('c');
    const collect = async () => {
      const [metric] = await metricsOf(reader);
      const byKey = metric!.dataPoints.map(({ attributes, exemplars }) => [
        attributes.key,
        valuesOf(exemplars ?? []),
      ]);
      return Object.fromEntries(byKey);
    };
    for (const [i, key] of ['a', 'b', 'c', 'd'].entries()) {
      counter.add(i, { key }, key === 'b' ? undefined : sampled);
    }
    // The last row takes the place of the first; then the last one ends itself.
    counter.remove({ key: 'a' });
    counter.remove({ key: 'c' });
    counter.add(1, { key: 'e' });
    expect(await collect()).toEqual({ b: [], d: [3], e: [] });
    counter.add(1, { key: 'f' });
    expect(await collect()).toEqual({ b: [], d: [], e: [], f: [] });
  });

  test('[4.44] they stay inside the window when the wall clock is set back', async () => {
    vi.useFakeTimers({ now: Date.UTC(2030, 0, 1) });
    try {
      const { reader, meter } = setUp();
      meter.createCounter('c').add(1, {}, sampled);
      vi.advanceTimersByTime(10);
      vi.setSystemTime(Date.now() - 3_600_000);
      const { startTime, endTime, exemplars } = await pointOf(reader);
      const time = fromHrTime(exemplars![0]!.timestamp);
      expect(time).toBeGreaterThan(fromHrTime(startTime));
      expect(time).toBeLessThanOrEqual(fromHrTime(endTime));
    } finally {
      vi.useRealTimers();
    }
  });

  test('[4.45] the reservoirs have the sizes of the specification', async () => {
    const kept = async (view: ViewOptions | undefined, record: 'add' | 'record') => {
      const { reader, meter } = setUp({ view });
      for (let i = 0; i < 2000; i++) {
        if (record === 'add') meter.createCounter('x').add(i, {}, sampled);
        else meter.createHistogram('x').record((i * 7) % 2000, {}, sampled);
      }
      return (await exemplarsOf(reader)).length;
    };
    expect(await kept(undefined, 'add')).toBe(1);
    expect(
      await kept(
        {
          aggregation: {
            type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM,
            options: { boundaries: [10, 20, 30] },
          },
        },
        'record',
      ),
    ).toBe(4);
    expect(
      await kept(
        { aggregation: { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM, options: { boundaries: [] } } },
        'record',
      ),
    ).toBe(1);
    const exponential = (maxSize: number) => ({
      aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM, options: { maxSize } } as const,
    });
    expect(await kept(exponential(160), 'record')).toBe(20);
    expect(await kept(exponential(5), 'record')).toBe(5);
  });

  test('[4.49][1.35] the attributes of the caller are not touched, and what the caller does to them later is not seen', async () => {
    const { reader, meter } = setUp({
      view: { attributesProcessors: [createAllowListAttributesProcessor([])] },
    });
    const frozen = Object.freeze({ list: Object.freeze(['a']) as string[] });
    meter.createCounter('c').add(1, frozen, sampled);
    const changing = { list: ['b'], other: 1 };
    meter.createCounter('d').add(1, changing, sampled);
    changing.list.push('c');
    changing.other = 2;
    const [, second] = await metricsOf(reader);
    expect(second!.dataPoints[0]!.exemplars![0]!.filteredAttributes).toEqual({ list: ['b'], other: 1 });
  });

  test('[4.50] they change no total', async () => {
    const totals = [];
    for (const filter of ['always_on', 'always_off'] as const) {
      const { reader, meter } = setUp({ filter });
      const histogram = meter.createHistogram('h');
      for (let i = 0; i < 100; i++) histogram.record(i, {}, sampled);
      totals.push((await pointOf(reader)).value);
    }
    expect(totals[0]).toEqual(totals[1]);
  });

  test('[4.51] the documentation warns that they carry what Views remove', () => {
    const text = readFileSync(new URL('../../docs/architecture.md', import.meta.url), 'utf8');
    expect(text).toMatch(/exemplar.*attributes that Views remove/i);
  });
});

describe('exemplar reservoirs', () => {
  const none = AttributeSet.from({});
  const two = { size: 1, bucketOf: (value: number) => (value <= 1 ? 0 : 1) };
  const offer = (exemplars: SampledExemplars, value: number, row = 0) =>
    exemplars.offer(row, none, value, {}, ROOT_CONTEXT);
  /** What the only row has. */
  const collect = (exemplars: SampledExemplars) => [...(columnsOf(exemplars, [0])?.values ?? [])];
  const columnsOf = (exemplars: SampledExemplars, rows: readonly number[]) => {
    const copier = exemplars.copier(rows.length);
    copier?.copy(Uint32Array.from(rows), []);
    return copier?.finish();
  };

  test('[4.46] the first are kept, then each is kept with the same chance; a collection starts anew', () => {
    seedRandom();
    const [size, offers, runs] = [4, 20, 20_000];
    const exemplars = new SampledExemplars({ size });
    const kept = new Array(offers).fill(0);
    for (let run = 0; run < runs; run++) {
      for (let value = 0; value < offers; value++) offer(exemplars, value);
      for (const value of collect(exemplars)) kept[value]++;
    }
    const expected = (runs * size) / offers;
    const chiSquare = kept.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 19 degrees of freedom: 43.8 is passed once in a thousand samples. The sample is the same each time.
    expect(chiSquare).toBeLessThan(43.8);
    for (let value = 0; value < size; value++) offer(exemplars, value);
    expect(collect(exemplars)).toEqual([0, 1, 2, 3]);
    expect(collect(exemplars)).toEqual([]);
  });

  test('[4.47] one per bucket, upper bounds inclusive, each of a bucket with the same chance', () => {
    seedRandom();
    const { sampling } = new ExplicitBucketHistogramAggregator([1, 2], {
      recordSum: true,
      recordMinMax: true,
    });
    const exemplars = new SampledExemplars(sampling);
    for (const value of [3, 1, 2]) offer(exemplars, value);
    expect(collect(exemplars)).toEqual([1, 2, 3]);
    const kept = new Array(10).fill(0);
    for (let run = 0; run < 10_000; run++) {
      for (let i = 0; i < 10; i++) offer(exemplars, 1 + (i + 1) / 10);
      for (const value of collect(exemplars)) kept[Math.round((value - 1) * 10) - 1]++;
    }
    const chiSquare = kept.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    // 9 degrees of freedom.
    expect(chiSquare).toBeLessThan(27.9);
  });

  test('[4.48] an offer that is not kept reads and copies nothing', () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.999);
    const reads = vi.fn(() => 'x');
    const attributes = Object.defineProperty({}, 'a', { enumerable: true, get: reads });
    for (const exemplars of [new SampledExemplars({ size: 1 }), new SampledExemplars(two)]) {
      for (let i = 0; i < 100; i++) exemplars.offer(0, none, 1, attributes, ROOT_CONTEXT);
    }
    expect(reads).toHaveBeenCalledTimes(2);
  });

  test('[4.43] rows are sampled apart, whichever end, move, and are collected', () => {
    const row = fc.nat(7);
    const step = fc.oneof(
      { weight: 8, arbitrary: fc.record({ row, value: fc.nat(2) }) },
      { weight: 2, arbitrary: fc.record({ ended: row }) },
      { weight: 1, arbitrary: fc.constant({ collect: true as const }) },
    );
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 100, size: 'max' }),
        fc.integer({ min: 1, max: 3 }),
        (steps, size) => {
          const exemplars = new SampledExemplars({ ...two, size });
          const sets = Array.from({ length: 8 }, () => none);
          /** By row and bucket: all values offered since the last collection. */
          let offered = sets.map(() => [[], []] as number[][]);
          let next = 0;
          const check = (rows: Uint32Array | undefined) => {
            const columns = columnsOf(exemplars, [...(rows ?? sets.keys())]);
            offered.forEach((buckets, i) => {
              const [from, to] = columns ? [columns.starts[i]!, columns.starts[i + 1]!] : [0, 0];
              const kept = [...(columns?.values.subarray(from, to) ?? [])];
              const byBucket = [kept.filter((value) => value <= 1), kept.filter((value) => value > 1)];
              expect(kept).toEqual(byBucket.flat());
              byBucket.forEach((values, bucket) => {
                expect(values.length).toBe(Math.min(size, buckets[bucket]!.length));
                expect(buckets[bucket]).toEqual(expect.arrayContaining(values));
              });
            });
            offered = sets.map(() => [[], []]);
          };
          for (const one of steps) {
            if ('collect' in one) check(undefined);
            else if ('ended' in one) {
              exemplars.clear(one.ended);
              if (one.ended < 7) exemplars.move(7, one.ended);
              offered[one.ended] = one.ended < 7 ? offered[7]! : [[], []];
              offered[7] = [[], []];
            } else {
              // Each its own, so that one that ends up in another row is seen.
              const value = one.value === 0 ? 1 - ++next / 1e6 : 1 + ++next / 1e6;
              offer(exemplars, value, one.row);
              offered[one.row]![value <= 1 ? 0 : 1]!.push(value);
            }
          }
          check(Uint32Array.from(sets.keys()));
        },
      ),
      { numRuns: 200 },
    );
  });

  test('a context is not kept alive until the collection, only the ids of its span', async () => {
    const { reader, meter } = setUp();
    const counter = meter.createCounter('c');
    const collected = await collectable((held) =>
      counter.add(1, {}, sampled.setValue(Symbol('request'), held)),
    );
    expect(collected).toBe(true);
    expect(await exemplarsOf(reader)).toMatchObject([{ traceId: TRACE_ID, spanId: SPAN_ID }]);
  });
});

/** Whether an object given to `use` is garbage after it. */
async function collectable(use: (held: object) => void): Promise<boolean> {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const reference = (() => {
    const held = {};
    use(held);
    return new WeakRef(held);
  })();
  for (let i = 0; i < 20 && reference.deref() !== undefined; i++) {
    // A reference that was looked at lives until the end of the turn.
    await new Promise((resolve) => void setImmediate(resolve));
    collectGarbage();
  }
  return reference.deref() === undefined;
}
