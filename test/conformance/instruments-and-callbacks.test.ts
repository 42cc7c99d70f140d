// Group 2: instruments and observable callbacks. Proven elsewhere:
//   src/sdk/instruments.test.ts  2.01 2.02 2.03 2.04
//   src/sdk/observables.test.ts  2.01 2.07 2.08 2.09 2.11 2.12 2.13 2.15 2.16 2.17 2.18 2.19
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
  ValueType,
} from '@opentelemetry/api';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { AggregationType } from '../../src/data/aggregation-option.ts';
import {
  AggregationTemporality,
  type ExponentialHistogram,
  type Histogram,
} from '../../src/data/metric-data.ts';
import { MeterProvider, type MeterProviderOptions } from '../../src/sdk/meter-provider.ts';
import { ManualMetricReader } from '../../src/sdk/readers/manual-metric-reader.ts';
import { captureLogs, metricsOf, pointsOf } from '../support/collected.ts';

const { CUMULATIVE, DELTA } = AggregationTemporality;
const SPAN = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };
const SAMPLED = trace.setSpanContext(ROOT_CONTEXT, { ...SPAN, traceFlags: TraceFlags.SAMPLED });

function setUp(options: MeterProviderOptions = {}, temporality = CUMULATIVE) {
  const reader = new ManualMetricReader({ aggregationTemporalitySelector: () => temporality });
  const provider = new MeterProvider({ readers: [reader], ...options });
  return { reader, provider, meter: provider.getMeter('test') };
}

type Distribution = Histogram | ExponentialHistogram;

/** The numbers that one bad value would spoil. */
function numbersOf(value: number | Distribution): number[] {
  return typeof value === 'number' ? [value] : [value.sum ?? 0, value.min!, value.max!];
}

function bucketsOf(value: Distribution): number[] {
  if ('buckets' in value) return value.buckets.counts;
  return [...value.negative.bucketCounts, value.zeroCount, ...value.positive.bucketCounts];
}

/** One context for everybody. */
function always(active: Context): ContextManager {
  return {
    active: () => active,
    with: (_, run, that, ...args) => run.call(that as never, ...args),
    bind: (_, target) => target,
    enable: () => always(active),
    disable: () => always(active),
  };
}

describe('synchronous instruments', () => {
  const logs = captureLogs();
  afterEach(() => context.disable());

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    '[2.03][12.06] %s spoils no aggregation of any kind of instrument',
    async (value) => {
      for (const type of [AggregationType.DEFAULT, AggregationType.EXPONENTIAL_HISTOGRAM] as const) {
        const { reader, meter } = setUp({ views: [{ instrumentName: '*', aggregation: { type } }] });
        const [counter, upDown] = [meter.createCounter('c'), meter.createUpDownCounter('u')];
        const [histogram, gauge] = [meter.createHistogram('h'), meter.createGauge('g')];
        for (const it of [value, 2, value, 3]) {
          counter.add(it);
          upDown.add(it);
          histogram.record(it);
          gauge.record(it);
          counter.bind().add(it);
        }
        for (const create of [
          'createObservableCounter',
          'createObservableUpDownCounter',
          'createObservableGauge',
        ] as const) {
          meter[create](create).addCallback((result) => {
            result.observe(value, { only: 'bad' });
            result.observe(value);
            result.observe(5);
          });
        }
        for (const { dataPoints, descriptor } of await metricsOf(reader)) {
          for (const point of dataPoints) {
            if (point.attributes.only && descriptor.name === 'createObservableGauge') continue;
            expect(point.attributes).toEqual({});
            expect(numbersOf(point.value)).toSatisfy((all: number[]) => all.every(Number.isFinite));
            if (typeof point.value === 'object') {
              expect(bucketsOf(point.value).reduce((all, one) => all + one)).toBe(point.value.count);
            }
          }
        }
        expect(logs.length).toBeGreaterThan(4);
      }
    },
  );

  test('[2.03] a gauge that a View makes a histogram counts finite values only', async () => {
    const aggregation = { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM, options: { boundaries: [0] } };
    const { reader, meter } = setUp({ views: [{ instrumentName: '*', aggregation }] as never });
    const gauge = meter.createGauge('g');
    for (const value of [Number.NaN, 1, Number.POSITIVE_INFINITY]) gauge.record(value);
    const [[, value]] = (await pointsOf(reader)) as [[unknown, Histogram]];
    expect(value).toMatchObject({ count: 1, min: 1, max: 1, buckets: { counts: [0, 1] } });
    expect(logs).toHaveLength(1);
  });

  test('[2.04] whoever observes integers is held to them too', async () => {
    const { reader, meter } = setUp();
    const gauge = meter.createObservableGauge('g', { valueType: ValueType.INT });
    gauge.addCallback((result) => {
      result.observe(1.7, { given: 'fraction' });
      result.observe('3' as never, { given: 'text' });
      result.observe(3n as never, { given: 'bigint' });
    });
    expect(await pointsOf(reader)).toEqual([
      [{ given: 'fraction' }, 1],
      [{ given: 'bigint' }, 3],
    ]);
    expect((await metricsOf(reader))[0]!.descriptor.valueType).toBe(ValueType.INT);
  });

  test('[2.05][2.06] recording returns nothing, attributes are optional, the third argument is the context', async () => {
    const { reader, meter } = setUp();
    const counter = meter.createCounter('c');
    const histogram = meter.createHistogram('h');
    expect(counter.add(1)).toBeUndefined();
    expect(histogram.record(1)).toBeUndefined();
    counter.add(1, { a: 1 }, SAMPLED);
    histogram.record(1, { a: 1 }, SAMPLED);
    counter.bind({ bound: true }).add(1, SAMPLED);
    for (const { dataPoints } of await metricsOf(reader)) {
      expect(dataPoints[0]!.attributes).toEqual({});
      expect(dataPoints[0]!.exemplars).toBeUndefined();
      for (const { exemplars } of dataPoints.slice(1)) expect(exemplars).toMatchObject([SPAN]);
    }
  });

  test('[2.05][2.06] without one, the active context counts; observations belong to none', async () => {
    const { reader, meter } = setUp();
    context.setGlobalContextManager(always(SAMPLED));
    meter.createCounter('c').add(1);
    meter.createObservableGauge('g').addCallback((result) => result.observe(1));
    const [counter, gauge] = await metricsOf(reader);
    expect(counter!.dataPoints[0]!.exemplars).toMatchObject([SPAN]);
    expect(gauge!.dataPoints[0]!.exemplars).toBeUndefined();
  });
});

describe('observable callbacks', () => {
  const logs = captureLogs();
  afterEach(() => void vi.useRealTimers());

  test('[2.07] an instrument without callbacks is legal and silent', async () => {
    const { reader, meter } = setUp();
    meter.createObservableCounter('c').removeCallback(() => {});
    expect(await metricsOf(reader)).toEqual([]);
    expect(logs).toEqual([]);
  });

  test('[2.08] a callback added to two instruments runs for each', async () => {
    const { reader, meter } = setUp();
    const callback = vi.fn((result) => result.observe(1));
    meter.createObservableGauge('a').addCallback(callback);
    meter.createObservableGauge('b').addCallback(callback);
    expect(await metricsOf(reader)).toHaveLength(2);
    expect(callback).toHaveBeenCalledTimes(2);
  });

  test('[2.08] all callbacks have run before any data is read', async () => {
    const { reader, meter } = setUp();
    const counter = meter.createCounter('c');
    meter.createObservableGauge('g').addCallback(async (result) => {
      await new Promise(setImmediate);
      counter.add(1);
      result.observe(1);
    });
    expect((await metricsOf(reader)).map(({ descriptor }) => descriptor.name)).toEqual(['c', 'g']);
  });

  test('[2.09][12.10] each reader has its own rounds, and its own differences', async () => {
    const readers = [0, 1].map(
      () => new ManualMetricReader({ aggregationTemporalitySelector: () => DELTA }),
    ) as [ManualMetricReader, ManualMetricReader];
    const meter = new MeterProvider({ readers }).getMeter('m');
    let value = 0;
    meter.createObservableCounter('c').addCallback((result) => {
      result.observe((value += 10));
      result.observe(1, { round: value });
    });
    const seen = [];
    for (const reader of [0, 0, 1, 0, 1] as const) {
      const points = await pointsOf(readers[reader]);
      expect(points).toContainEqual([{ round: value }, 1]);
      expect(points).toHaveLength(2);
      seen.push(points.find(([attributes]) => Object.keys(attributes as object).length === 0)![1]);
    }
    expect(seen).toEqual([10, 10, 30, 20, 20]);
  });

  test('[2.10] all points of a round have one time', async () => {
    const { reader, meter } = setUp();
    const [a, b] = [meter.createObservableGauge('a'), meter.createObservableCounter('b')];
    meter.addBatchObservableCallback(
      async (result) => {
        result.observe(a, 1, { i: 1 });
        await new Promise(setImmediate);
        result.observe(a, 1, { i: 2 });
        result.observe(b, 1);
      },
      [a, b],
    );
    a.addCallback((result) => result.observe(3, { i: 3 }));
    const times = (await metricsOf(reader)).flatMap(({ dataPoints }) =>
      dataPoints.map(({ endTime }) => endTime.join('.')),
    );
    expect(times).toHaveLength(4);
    expect(new Set(times).size).toBe(1);
  });

  test('[2.11][12.12] without a timeout given, a callback has 30 seconds', async () => {
    vi.useFakeTimers();
    const { reader, meter } = setUp();
    meter.createObservableGauge('stuck').addCallback(() => new Promise(() => {}));
    meter.createCounter('c').add(1);
    const collected = vi.fn();
    const collecting = reader.collect().then(collected);
    await vi.advanceTimersByTimeAsync(29_999);
    expect(collected).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    await collecting;
    expect(collected).toHaveBeenCalledWith(
      expect.objectContaining({ errors: [expect.objectContaining({ code: 'TIMEOUT' })] }),
    );
  });

  test.each([AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA])(
    '[2.16][12.26] nothing is kept of a series that is no longer observed (temporality %s)',
    async (temporality) => {
      const reader = new ManualMetricReader({ aggregationTemporalitySelector: () => temporality });
      const meter = new MeterProvider({ readers: [reader] }).getMeter('m');
      let round = 0;
      meter.createObservableCounter('o').addCallback((result) => result.observe(1, { round }));
      const seen: WeakRef<object>[] = [];
      for (; round < 5; round++)
        seen.push(new WeakRef((await metricsOf(reader))[0]!.dataPoints[0]!.attributes));
      setFlagsFromString('--expose-gc');
      const collectGarbage = runInNewContext('gc');
      const ended = seen.slice(0, -1);
      for (let i = 0; i < 10 && ended.some((reference) => reference.deref()); i++) {
        await new Promise(setImmediate);
        collectGarbage();
      }
      expect(ended.map((reference) => reference.deref())).toEqual([
        undefined,
        undefined,
        undefined,
        undefined,
      ]);
    },
  );

  test('[2.11] a callback that ends after its time changes nothing, whether it succeeds or fails', async () => {
    vi.useFakeTimers();
    const { reader, meter } = setUp();
    for (const end of ['resolve', 'reject'] as const) {
      meter.createObservableGauge(end).addCallback(async (result) => {
        await new Promise((resolve) => setTimeout(resolve, 100));
        result.observe(1);
        if (end === 'reject') throw new Error('late');
      });
    }
    const first = reader.collect({ timeoutMillis: 50 });
    await vi.advanceTimersByTimeAsync(50);
    expect((await first).errors).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(50);
    const second = reader.collect({ timeoutMillis: 50 });
    await vi.advanceTimersByTimeAsync(50);
    expect((await second).resourceMetrics.scopeMetrics).toEqual([]);
  });

  test('[2.12][12.13] a round does not begin while callbacks of the one before run', async () => {
    const { reader, meter } = setUp();
    const order: string[] = [];
    meter.createObservableGauge('g').addCallback(async (result) => {
      order.push('begin');
      await new Promise(setImmediate);
      result.observe(order.push('end'));
    });
    await Promise.all([reader.collect(), reader.collect()]);
    expect(order).toEqual(['begin', 'end', 'begin', 'end']);
  });

  test('[2.13] a callback that fails after it observed has observed nothing', async () => {
    const { reader, meter } = setUp();
    let isBroken = false;
    meter.createObservableCounter('c').addCallback((result) => {
      result.observe(isBroken ? 99 : 5);
      if (isBroken) throw new Error('half way');
    });
    expect(await pointsOf(reader)).toEqual([[{}, 5]]);
    isBroken = true;
    expect(await pointsOf(reader)).toEqual([]);
    isBroken = false;
    expect(await pointsOf(reader)).toEqual([[{}, 5]]);
  });

  test('[2.14] an observation outside of a round is ignored and reported', async () => {
    const { reader, meter } = setUp();
    let leaked: ((value: number) => void) | undefined;
    const gauge = meter.createObservableGauge('g');
    gauge.addCallback((result) => {
      leaked ??= (value) => result.observe(value, { from: 'outside' });
      result.observe(1);
    });
    await reader.collect();
    leaked!(7);
    leaked!(8);
    expect(await pointsOf(reader)).toEqual([[{}, 1]]);
    expect(logs).toEqual([expect.stringContaining('g: an observation is ignored because its collection')]);
  });

  test.each([[[]], [[{ attributesProcessors: [{ process: (given: object) => ({ ...given }) }] }]]])(
    '[2.09] attributes that cannot be read cost their own observation, and do not fail the callback (Views %j)',
    async (views) => {
      const { reader, meter } = setUp({ views });
      const throwing = Object.defineProperty({}, 'a', {
        enumerable: true,
        get() {
          throw new Error('boom');
        },
      });
      meter.createObservableGauge('g').addCallback((result) => {
        result.observe(1, throwing);
        result.observe(2, 'text' as never);
        result.observe(3, { a: 1 });
      });
      const { resourceMetrics, errors } = await reader.collect();
      expect(errors).toEqual([]);
      const [metric] = resourceMetrics.scopeMetrics[0]!.metrics;
      expect(metric!.dataPoints.map(({ attributes, value }) => [attributes, value])).toEqual([
        [{}, 2],
        [{ a: 1 }, 3],
      ]);
      expect(logs.join()).toContain('attributes must be an object, not a string');
    },
  );

  test.each(['createObservableCounter', 'createObservableUpDownCounter', 'createObservableGauge'] as const)(
    '[2.16][12.09] %s: what a callback no longer reports is gone, whatever the temporality',
    async (create) => {
      for (const temporality of [CUMULATIVE, DELTA]) {
        const { reader, meter } = setUp({}, temporality);
        let pids = [1, 2];
        meter[create]('x').addCallback((result) => {
          for (const pid of pids) result.observe(pid, { pid });
        });
        const seen = [];
        for (pids of [[1, 2], [2], [], [1]]) {
          seen.push((await pointsOf(reader)).map(([attributes]) => (attributes as { pid: number }).pid));
        }
        expect(seen).toEqual([[1, 2], [2], [], [1]]);
      }
    },
  );

  test('[2.17] cumulative points repeat what was observed, also after a restart of the source', async () => {
    const { reader, meter } = setUp();
    let value = 0;
    meter.createObservableCounter('c').addCallback((result) => result.observe(value));
    const seen = [];
    for (value of [10, 15, 3]) seen.push((await pointsOf(reader))[0]![1]);
    expect(seen).toEqual([10, 15, 3]);
  });

  test('[2.18] an observable of another meter is reported when the callback is added; the others work', async () => {
    const { reader, provider, meter } = setUp();
    const [own, foreign] = [meter, provider.getMeter('other')].map((it) => it.createObservableGauge('g'));
    meter.addBatchObservableCallback(
      (result) => {
        result.observe(own!, 1);
        result.observe(foreign!, 2);
      },
      [own!, foreign!],
    );
    expect(logs).toEqual([expect.stringContaining('observables of another meter')]);
    expect(await pointsOf(reader)).toEqual([[{}, 1]]);
    expect(await metricsOf(reader)).toHaveLength(1);
  });

  test('[2.19] removing a batch callback takes the same function and the same observables, in any order', async () => {
    const { reader, meter } = setUp();
    const [a, b] = [meter.createObservableGauge('a'), meter.createObservableGauge('b')];
    const callback = vi.fn();
    meter.addBatchObservableCallback(callback, [a, b]);
    meter.addBatchObservableCallback(callback, [b, a]);
    const runs = async () => {
      callback.mockClear();
      await reader.collect();
      return callback.mock.calls.length;
    };
    expect(await runs()).toBe(1);
    meter.removeBatchObservableCallback(callback, [a]);
    meter.removeBatchObservableCallback(() => {}, [a, b]);
    expect(await runs()).toBe(1);
    meter.removeBatchObservableCallback(callback, [b, a]);
    expect(await runs()).toBe(0);
    meter.addBatchObservableCallback(callback, []);
    expect(await runs()).toBe(0);
    expect(logs).toEqual([expect.stringContaining('a batch callback is ignored')]);
  });

  test('[2.20] a callback none of whose instruments is kept does not run', async () => {
    const drop = { instrumentName: 'dropped*', aggregation: { type: AggregationType.DROP } } as const;
    const { reader, meter } = setUp({ views: [drop] });
    const [dropped, kept] = [meter.createObservableGauge('dropped'), meter.createObservableGauge('kept')];
    const [none, some] = [vi.fn(), vi.fn()];
    dropped.addCallback(none);
    meter.addBatchObservableCallback(none, [dropped]);
    meter.addBatchObservableCallback(some, [dropped, kept]);
    await reader.collect();
    expect(none).not.toHaveBeenCalled();
    expect(some).toHaveBeenCalledTimes(1);
  });

  test('[2.21] the documentation tells what callbacks must be', () => {
    const page = readFileSync(new URL('../../docs/instruments-and-views.md', import.meta.url), 'utf8');
    for (const rule of [/may run again before/, /short/, /once for each set of attributes/])
      expect(page).toMatch(rule);
  });
});
