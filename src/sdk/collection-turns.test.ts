// A collection of many series gives the event loop its turns, and what the host does in them is neither lost nor counted
// twice, nor shown under another series.
import { ROOT_CONTEXT, TraceFlags, trace } from '@opentelemetry/api';
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { AggregationType } from '../data/aggregation-option.ts';
import { fromHrTime } from '../data/hr-time.ts';
import { MetricBatch, type MetricColumns } from '../data/metric-batch.ts';
import { AggregationTemporality, DataPointType } from '../data/metric-data.ts';
import { setFakeMillis } from './clock.ts';
import { MeterProvider, type MeterProviderOptions } from './meter-provider.ts';
import { ManualMetricReader } from './readers/manual-metric-reader.ts';
import { ROWS_PER_STEP } from './series-table.ts';

const { CUMULATIVE, DELTA } = AggregationTemporality;

/** Of five steps. */
const SERIES = 4 * ROWS_PER_STEP + 7;

afterEach(() => void vi.restoreAllMocks());

function setUp(temporality: AggregationTemporality, limit = 3 * SERIES, options: MeterProviderOptions = {}) {
  const reader = new ManualMetricReader({
    aggregationTemporalitySelector: () => temporality,
    cardinalitySelector: () => limit,
  });
  const provider = new MeterProvider({ exemplarFilter: 'always_off', ...options, readers: [reader] });
  return { reader, meter: provider.getMeter('test') };
}

/** The time that has passed in tests. */
let millis = 0;

/** Collects as on a machine that is so slow that a slice is over after each step, and calls `between` in the turns. */
async function collected(reader: ManualMetricReader, between: (turn: number) => void = () => {}) {
  millis = Math.max(millis, performance.now());
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => (millis += 3));
  let isOver = false;
  let turns = 0;
  setImmediate(function turn() {
    if (isOver) return;
    between(turns++);
    setImmediate(turn);
  });
  const { resourceMetrics } = await reader.collect();
  isOver = true;
  clock.mockRestore();
  if (!MetricBatch.is(resourceMetrics)) throw new Error('our own provider makes batches');
  return { turns, metrics: resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics) };
}

const idOf = (metric: MetricColumns, i: number) => metric.attributes[i]!.attributes.id ?? 'overflow';

/** By the id of the series, and that no series is there twice. */
function valuesOf(metric: MetricColumns | undefined): Map<unknown, number> {
  if (metric === undefined) return new Map();
  const values = 'values' in metric ? metric.values : metric.counts;
  if (metric.dataPointType === DataPointType.EXPONENTIAL_HISTOGRAM) {
    const inBuckets = metric.dataPoints.map(({ value: { zeroCount, positive } }) =>
      positive.bucketCounts.reduce((sum, count) => sum + count, zeroCount),
    );
    expect(inBuckets).toEqual([...values]);
  }
  const byId = new Map(metric.attributes.map((_, i) => [idOf(metric, i), values[i]!]));
  expect(byId.size).toBe(metric.length);
  expect(values.length).toBe(metric.length);
  return byId;
}

describe('a collection of many series', () => {
  test('gives the event loop a turn for each step, within a metric and between two', async () => {
    const { reader, meter } = setUp(CUMULATIVE);
    const [counter, histogram] = [meter.createCounter('c'), meter.createHistogram('h')];
    for (let id = 0; id < SERIES; id++) {
      counter.add(1, { id });
      histogram.record(1, { id });
    }
    const { turns, metrics } = await collected(reader);
    expect(turns).toBeGreaterThanOrEqual(2 * 5);
    expect(metrics.map(({ length }) => length)).toEqual([SERIES, SERIES]);
  });

  test('[2.10] has one time, whichever turn a series was copied in', async () => {
    const { reader, meter } = setUp(CUMULATIVE);
    const counter = meter.createCounter('c');
    for (let id = 0; id < SERIES; id++) counter.add(1, { id });
    const { metrics } = await collected(reader, () => meter.createCounter('c').add(1, { id: 0 }));
    expect(new Set(metrics[0]!.endTimes).size).toBe(1);
  });

  test('does not have the instruments that were made meanwhile; the next one has', async () => {
    const { reader, meter } = setUp(DELTA);
    for (let id = 0; id < SERIES; id++) meter.createCounter('c').add(1, { id });
    const { metrics } = await collected(reader, (turn) => meter.createCounter(`later${turn}`).add(1));
    expect(metrics.map(({ descriptor }) => descriptor.name)).toEqual(['c']);
    const next = await collected(reader);
    expect(next.metrics.length).toBeGreaterThan(3);
    for (const { dataPoints } of next.metrics) {
      for (const { startTime, endTime } of dataPoints)
        expect(fromHrTime(startTime)).toBeLessThan(fromHrTime(endTime));
    }
  });

  const kinds = ['counter', 'histogram', 'exponential histogram'] as const;
  function instrument(kind: (typeof kinds)[number], temporality: AggregationTemporality, limit?: number) {
    const type = AggregationType.EXPONENTIAL_HISTOGRAM;
    const views =
      kind === 'exponential histogram' ? [{ instrumentName: 'x', aggregation: { type } } as const] : [];
    const { reader, meter } = setUp(temporality, limit, { views });
    if (kind === 'counter') {
      const counter = meter.createCounter('x');
      return {
        reader,
        count: (id: number) => counter.add(1, { id }),
        remove: (id: number) => counter.remove({ id }),
      };
    }
    const histogram = meter.createHistogram('x');
    return {
      reader,
      // In ever more buckets.
      count: (id: number) => histogram.record(Math.random() * 10_000, { id }),
      remove: (id: number) => histogram.remove({ id }),
    };
  }

  const known = fc.nat(SERIES - 1);
  const added = fc.integer({ min: SERIES, max: 2 * SERIES });
  const work = fc.array(fc.array(fc.oneof(known, added), { maxLength: 40, size: 'max' }), {
    minLength: 3,
    maxLength: 12,
  });

  test.each(kinds)('[5.19] of deltas has each measurement in one window: %s', async (kind) => {
    await fc.assert(
      fc.asyncProperty(work, fc.constantFrom(SERIES, SERIES + 20, 3 * SERIES), async (turns, limit) => {
        const { reader, count } = instrument(kind, DELTA, limit);
        let recorded = 0;
        const record = (id: number) => {
          recorded++;
          count(id);
        };
        let delivered = 0;
        const collect = async (between?: (turn: number) => void) => {
          const { metrics } = await collected(reader, between);
          for (const value of valuesOf(metrics[0]).values()) delivered += value;
        };
        for (let window = 0; window < 3; window++) {
          // Half of them is not written in the next window, so that their rows are given to others.
          for (let id = 0; id < SERIES; id += 1 + window) record(id);
          await collect((turn) => turns[turn]?.forEach(record));
        }
        await collect();
        expect(delivered).toBe(recorded);
      }),
      { numRuns: 12 },
    );
  });

  test.each(kinds)('[5.19] of totals has what each series had at some time of it: %s', async (kind) => {
    const step = fc.record({ id: fc.oneof(known, added), ends: fc.boolean() });
    const steps = fc.array(fc.array(step, { maxLength: 40, size: 'max' }), { minLength: 3, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(steps, async (turns) => {
        const { reader, count, remove } = instrument(kind, CUMULATIVE);
        const totals = new Map<number, number>();
        /** All that a series has been since the collection began; 0 when it was not there. */
        const had = new Map<unknown, Set<number>>();
        const note = (id: number, value: number) => {
          if (value === 0) totals.delete(id);
          else totals.set(id, value);
          had.get(id)?.add(value) ?? had.set(id, new Set([0, value]));
        };
        const record = (id: number) => {
          count(id);
          note(id, (totals.get(id) ?? 0) + 1);
        };
        // A series is known by its total.
        for (let id = 0; id < SERIES; id++) for (let i = 0; i <= id % 3; i++) record(id);
        for (let round = 0; round < 2; round++) {
          had.clear();
          for (const [id, value] of totals) had.set(id, new Set([value]));
          const { metrics } = await collected(reader, (turn) => {
            for (const { id, ends } of turns[turn] ?? []) {
              if (!ends) record(id);
              else {
                remove(id);
                note(id, 0);
              }
            }
          });
          const values = valuesOf(metrics[0]);
          for (const [id, value] of values) expect(had.get(id)).toContain(value);
          for (const [id, all] of had) if (!all.has(0)) expect(values.has(id)).toBe(true);
        }
        const { metrics } = await collected(reader);
        expect(valuesOf(metrics[0])).toEqual(totals);
      }),
      { numRuns: 12 },
    );
  });

  test('[4.35] of deltas makes room for new series as it goes', async () => {
    const { reader, count } = instrument('counter', DELTA, SERIES);
    for (let id = 0; id < SERIES; id++) count(id);
    let added = 0;
    await collected(reader, (turn) => {
      // Those of the first step have been copied by then.
      if (turn >= 8) for (let i = 0; i < 100; i++) count(SERIES + added++);
    });
    expect(added).toBeGreaterThan(0);
    const { metrics } = await collected(reader);
    expect([...valuesOf(metrics[0]).keys()].sort()).toEqual(
      Array.from({ length: added }, (_, i) => SERIES + i).sort(),
    );
  });

  test('[4.35] of deltas leaves room for as many series afterwards as before', async () => {
    const { reader, count } = instrument('counter', DELTA, SERIES);
    for (let id = 0; id < SERIES; id++) count(id);
    let id = SERIES;
    let copied = 0;
    await collected(reader, (turn) => {
      // More than the rows of the first step, so that all the others are looked at in vain.
      if (turn === 7) for (; copied < 3 * ROWS_PER_STEP; copied++) count(id++);
    });
    for (let i = 2 * ROWS_PER_STEP; i < SERIES; i++) count(id++);
    const { metrics } = await collected(reader);
    const values = valuesOf(metrics[0]);
    expect(values.get('overflow')).toBeLessThanOrEqual(2 * ROWS_PER_STEP);
    expect(values.get('overflow')).toBeGreaterThan(0);
  });

  test('[4.46] has each exemplar once, and later ones in the next window', async () => {
    const { reader, meter } = setUp(DELTA, undefined, { exemplarFilter: 'trace_based' });
    const counter = meter.createCounter('c');
    const context = trace.setSpanContext(ROOT_CONTEXT, {
      traceId: 'a'.repeat(32),
      spanId: 'b'.repeat(16),
      traceFlags: TraceFlags.SAMPLED,
    });
    let next = 1;
    const offered = new Set<number>();
    const offer = (id: number) => {
      offered.add(next);
      counter.add(next++, { id }, context);
    };
    // One exemplar, and then more than the columns had room for when the collection began.
    offer(0);
    for (let id = 1; id < SERIES; id++) counter.add(1, { id });
    const seen: number[] = [];
    const collect = async (between?: (turn: number) => void) => {
      for (const metric of (await collected(reader, between)).metrics) {
        for (const { exemplars = [] } of metric.dataPoints)
          for (const { value } of exemplars) seen.push(value);
      }
    };
    await collect((turn) => {
      for (let i = 0; i < 50; i++) offer(1 + (((50 * turn + i) * 31) % (2 * SERIES)));
    });
    const inFirst = seen.length;
    await collect();
    expect(inFirst).toBeGreaterThan(1);
    expect(seen.length).toBeGreaterThan(inFirst);
    expect(new Set(seen).size).toBe(seen.length);
    expect(new Set(seen)).toEqual(offered);
  });

  test('of series that end when idle does not end those that are written meanwhile', async () => {
    const { reader, meter } = setUp(CUMULATIVE, undefined, {
      views: [{ instrumentName: 'c', idleTimeoutMillis: 1 }],
    });
    const counter = meter.createCounter('c');
    for (let id = 0; id < SERIES; id++) counter.add(1, { id });
    await collected(reader, (turn) => {
      // After the look at the last rows, with which it begins.
      if (turn === 4) for (let id = 0; id < SERIES; id += 3) counter.add(1, { id });
    });
    const { metrics } = await collected(reader);
    const values = valuesOf(metrics[0]);
    for (let id = 3 * ROWS_PER_STEP; id < SERIES; id++) expect(values.has(id)).toBe(id % 3 === 0);
  });

  test('[2.10] has no point of a series that began after it', async () => {
    const { reader, meter } = setUp(CUMULATIVE);
    const counters = [meter.createCounter('c'), meter.createCounter('same attributes')] as const;
    for (const counter of counters) for (let id = 0; id < SERIES; id++) counter.add(2, { id });
    const { metrics } = await collected(reader, (turn) => {
      if (turn !== 1) return;
      for (let id = 0; id < SERIES; id += 7) {
        counters[0].remove({ id });
        counters[0].add(1, { id });
      }
      counters[1].add(1, { id: SERIES });
    });
    for (const { length, startTimes, endTimes } of metrics) {
      for (let i = 0; i < length; i++) expect(startTimes[i]).toBeLessThan(endTimes[i]!);
    }
    const next = await collected(reader);
    expect(next.metrics.map(({ length }) => length)).toEqual([SERIES, SERIES + 1]);
  });

  test.each(['counter', 'observable counter'])(
    '[4.28] ends where the next one begins when the clock is set meanwhile: %s',
    async (kind) => {
      const { reader, meter } = setUp(DELTA);
      const first = meter.createCounter('first');
      const add = () => {
        for (let id = 0; id < SERIES; id++) first.add(1, { id });
      };
      const second = kind === 'counter' ? meter.createCounter('second') : undefined;
      let observed = 0;
      if (second === undefined) {
        meter.createObservableCounter('second').addCallback((result) => result.observe(++observed));
      }
      add();
      second?.add(1);
      await collected(reader, (turn) => {
        if (turn !== 1) return;
        const wall = Date.now.bind(Date);
        vi.spyOn(Date, 'now').mockImplementation(() => wall() - 3_600_000);
        first.add(1, { id: SERIES });
      });
      add();
      second?.add(1);
      const { metrics } = await collected(reader);
      expect(metrics.length).toBe(2);
      for (const { startTimes, endTimes } of metrics) expect(startTimes[0]).toBeLessThan(endTimes[0]!);
    },
  );

  test('has nothing of what is recorded to series that ended before the provider did', async () => {
    const reader = new ManualMetricReader({ cardinalitySelector: () => SERIES });
    const provider = new MeterProvider({ readers: [reader] });
    const meter = provider.getMeter('test');
    const counter = meter.createCounter('c');
    for (let id = 0; id < SERIES; id++) counter.add(1, { id });
    const gauge = meter.createGauge('g');
    const never = gauge.bind({ id: 'never' });
    gauge.record(7, { id: 'once' });
    const { metrics } = await collected(reader, (turn) => {
      if (turn === 0) void provider.shutdown();
      else never.record(999);
    });
    expect(valuesOf(metrics[1])).toEqual(new Map([['once', 7]]));
  });

  test('of deltas counts what reservoirs record when they are collected from', async () => {
    let recorded = 0;
    const { reader, meter } = setUp(DELTA, undefined, {
      exemplarFilter: 'always_on',
      views: [
        {
          instrumentName: 'c',
          exemplarReservoir: () => ({
            offer() {},
            collect() {
              if (recorded < 10) add();
              return [];
            },
          }),
        },
      ],
    });
    const counter = meter.createCounter('c');
    function add() {
      recorded++;
      counter.add(1, { id: 0 });
    }
    add();
    let delivered = 0;
    for (let i = 0; i < 12; i++) {
      for (const value of valuesOf((await collected(reader)).metrics[0]).values()) delivered += value;
    }
    expect(delivered).toBe(recorded);
  });

  test.each([DELTA, CUMULATIVE])(
    'has its points though reservoirs end series when they are collected from (temporality %s)',
    async (temporality) => {
      let asked = 0;
      const { reader, meter } = setUp(temporality, undefined, {
        exemplarFilter: 'always_on',
        views: [
          {
            instrumentName: 'g',
            exemplarReservoir: () => ({
              offer() {},
              collect() {
                // One in the first step, and all others in the second.
                if (++asked === 1) gauge.remove({ id: SERIES - 1 });
                if (asked > ROWS_PER_STEP) for (let id = 1; id < SERIES; id++) gauge.remove({ id });
                return [];
              },
            }),
          },
        ],
      });
      const gauge = meter.createGauge('g');
      for (let id = 0; id < SERIES; id++) gauge.record(id, { id });
      const values = valuesOf((await collected(reader)).metrics[0]);
      expect(values.size).toBeGreaterThan(0);
      for (const [id, value] of values) expect(value).toBe(id);
    },
  );

  test('has the series that began by a clock that a test has set back since', async () => {
    const { reader, meter } = setUp(CUMULATIVE);
    const counter = meter.createCounter('c');
    for (let id = 0; id < SERIES; id++) counter.add(1, { id });
    let past = 1_000;
    setFakeMillis(() => past);
    try {
      const { metrics } = await collected(reader, () => {
        counter.add(1, { id: SERIES + past++ });
      });
      expect(metrics[0]!.length).toBe(SERIES);
    } finally {
      setFakeMillis(undefined);
    }
  });
});
