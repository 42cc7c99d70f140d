import type { Attributes, ObservableResult } from '@opentelemetry/api';
import { describe, expect, test, vi } from 'vitest';
import { captureLogs, metricsOf, pointsOf } from '../../test/support/collected.ts';
import { AggregationType } from '../data/aggregation-option.ts';
import { AggregationTemporality, DataPointType, type Histogram } from '../data/metric-data.ts';
import { createAllowListAttributesProcessor } from './attribute-filter.ts';
import { MeterProvider } from './meter-provider.ts';
import { ManualMetricReader } from './readers/manual-metric-reader.ts';
import type { ViewOptions } from './view.ts';

const { CUMULATIVE, DELTA } = AggregationTemporality;

function setUp(temporality = CUMULATIVE, limit = 2000, views: ViewOptions[] = []) {
  const reader = new ManualMetricReader({
    aggregationTemporalitySelector: () => temporality,
    cardinalitySelector: () => limit,
  });
  return { reader, meter: new MeterProvider({ readers: [reader], views }).getMeter('test') };
}

describe('observable instruments', () => {
  const logs = captureLogs();

  test('[2.01] each kind has its default aggregation', async () => {
    const { reader, meter } = setUp();
    meter.createObservableCounter('counter').addCallback((result) => result.observe(1));
    meter.createObservableUpDownCounter('updown').addCallback((result) => result.observe(-1));
    meter.createObservableGauge('gauge').addCallback((result) => result.observe(2));
    const metrics = await metricsOf(reader);
    expect(
      metrics.map((metric) => [
        metric.descriptor.name,
        metric.dataPointType,
        'isMonotonic' in metric && metric.isMonotonic,
        metric.dataPoints[0]!.value,
      ]),
    ).toEqual([
      ['counter', DataPointType.SUM, true, 1],
      ['updown', DataPointType.SUM, false, -1],
      ['gauge', DataPointType.GAUGE, false, 2],
    ]);
  });

  test('[2.07][2.08] a callback runs once a collection, however often it was added, until it is removed', async () => {
    const { reader, meter } = setUp();
    const gauge = meter.createObservableGauge('g');
    const callback = vi.fn((result) => result.observe(1));
    gauge.addCallback(callback);
    gauge.addCallback(callback);
    expect(await pointsOf(reader)).toEqual([[{}, 1]]);
    expect(callback).toHaveBeenCalledTimes(1);
    gauge.removeCallback(callback);
    gauge.removeCallback(() => {});
    expect(await pointsOf(reader)).toEqual([]);
    expect(callback).toHaveBeenCalledTimes(1);
  });

  test('[2.09] a round of one reader does not reach another', async () => {
    const readers = [new ManualMetricReader(), new ManualMetricReader()];
    const meter = new MeterProvider({ readers }).getMeter('m');
    let runs = 0;
    meter.createObservableCounter('c').addCallback((result) => result.observe(++runs, { run: runs }));
    expect(await pointsOf(readers[0]!)).toEqual([[{ run: 1 }, 1]]);
    expect(await pointsOf(readers[0]!)).toEqual([[{ run: 2 }, 2]]);
    expect(await pointsOf(readers[1]!)).toEqual([[{ run: 3 }, 3]]);
  });

  test('[2.11] a callback that never settles costs its own instrument only', async () => {
    const { reader, meter } = setUp();
    let late: ((value: number) => void) | undefined;
    meter.createObservableGauge('stuck').addCallback((result) => {
      result.observe(1);
      late = (value) => result.observe(value);
      return new Promise(() => {});
    });
    meter.createObservableGauge('fine').addCallback(async (result) => result.observe(2));
    const { resourceMetrics, errors } = await reader.collect({ timeoutMillis: 20 });
    expect(resourceMetrics.scopeMetrics[0]!.metrics.map((metric) => metric.descriptor.name)).toEqual([
      'fine',
    ]);
    expect(errors).toEqual([
      expect.objectContaining({ code: 'TIMEOUT', message: expect.stringContaining('stuck') }),
    ]);
    late!(5);
    expect(logs).toEqual([expect.stringContaining('stuck: an observation is ignored')]);
  });

  test('[2.12] rounds do not overlap', async () => {
    const { reader, meter } = setUp();
    let running = 0;
    let most = 0;
    meter.createObservableGauge('g').addCallback(async (result) => {
      most = Math.max(most, ++running);
      await new Promise(setImmediate);
      result.observe(1);
      running--;
    });
    await Promise.all([reader.collect(), reader.collect(), reader.collect()]);
    expect(most).toBe(1);
  });

  test('[2.13] a callback that throws or rejects costs its own instrument only', async () => {
    const { reader, meter } = setUp();
    meter.createObservableGauge('throws').addCallback(() => {
      throw new Error('a');
    });
    meter.createObservableGauge('rejects').addCallback(() => Promise.reject(new Error('b')));
    meter.createObservableGauge('fine').addCallback((result) => result.observe(2));
    const { resourceMetrics, errors } = await reader.collect();
    expect(resourceMetrics.scopeMetrics[0]!.metrics.map((metric) => metric.descriptor.name)).toEqual([
      'fine',
    ]);
    expect(errors).toEqual([new Error('a'), new Error('b')]);
  });

  test('[2.15] the last of two observations of a series counts', async () => {
    const { reader, meter } = setUp();
    meter.createObservableCounter('c').addCallback((result) => {
      result.observe(1, { pid: 4 });
      result.observe(2, { pid: 4 });
    });
    expect(await pointsOf(reader)).toEqual([[{ pid: 4 }, 2]]);
  });

  test.each([CUMULATIVE, DELTA])(
    '[2.16][4.24] a series no longer observed is gone (temporality %s)',
    async (it) => {
      const { reader, meter } = setUp(it);
      let pids = [1, 2];
      meter.createObservableCounter('c').addCallback((result) => {
        for (const pid of pids) result.observe(10, { pid });
      });
      expect(await pointsOf(reader)).toHaveLength(2);
      pids = [2];
      expect((await pointsOf(reader)).map(([attributes]) => attributes)).toEqual([{ pid: 2 }]);
      pids = [1, 2];
      expect(await pointsOf(reader)).toHaveLength(2);
    },
  );

  test('[2.17] a delta is the difference to the last collection; a value that fell is a new start', async () => {
    const { reader, meter } = setUp(DELTA);
    let value = 0;
    meter.createObservableCounter('c').addCallback((result) => result.observe(value));
    meter.createObservableUpDownCounter('u').addCallback((result) => result.observe(value));
    const seen = [];
    for (value of [10, 15, 3]) {
      seen.push((await metricsOf(reader)).map((metric) => metric.dataPoints[0]!.value));
    }
    expect(seen).toEqual([
      [10, 10],
      [5, 5],
      [3, -12],
    ]);
  });

  test('a round that failed does not lose the deltas of the next', async () => {
    const { reader, meter } = setUp(DELTA);
    let value: number | undefined;
    meter.createObservableCounter('c').addCallback((result) => {
      if (value === undefined) throw new Error('not now');
      result.observe(value);
    });
    value = 10;
    expect(await pointsOf(reader)).toEqual([[{}, 10]]);
    value = undefined;
    expect(await pointsOf(reader)).toEqual([]);
    value = 15;
    expect(await pointsOf(reader)).toEqual([[{}, 5]]);
  });

  test('[2.18][2.19] a batch callback observes the instruments it declared, of its own meter', async () => {
    const { reader, meter } = setUp();
    const [a, b] = [meter.createObservableGauge('a'), meter.createObservableGauge('b')];
    const foreign = setUp().meter.createObservableGauge('x');
    const callback = vi.fn((result) => {
      result.observe(a, 1);
      result.observe(b, 2);
    });
    meter.addBatchObservableCallback(callback, [a, foreign]);
    expect((await metricsOf(reader)).map((metric) => metric.descriptor.name)).toEqual(['a']);
    expect(logs).toEqual([
      expect.stringContaining('observables of another meter'),
      expect.stringContaining('not declared'),
    ]);
    meter.removeBatchObservableCallback(callback, [a]);
    expect(await metricsOf(reader)).toEqual([]);
    meter.addBatchObservableCallback(callback, [foreign]);
    expect(logs.at(-1)).toContain('needs a function and at least one observable of the same meter');
  });

  test('[4.26][4.28] a cumulative series starts before its first point and keeps its start', async () => {
    const { reader, meter } = setUp();
    meter.createObservableCounter('c').addCallback((result) => result.observe(1));
    const [first] = await metricsOf(reader);
    const [second] = await metricsOf(reader);
    const nanos = ([seconds, rest]: [number, number]) => BigInt(seconds) * 1_000_000_000n + BigInt(rest);
    const { startTime, endTime } = first!.dataPoints[0]!;
    expect(nanos(startTime)).toBeLessThan(nanos(endTime));
    expect(second!.dataPoints[0]!.startTime).toEqual(startTime);
  });

  test('[4.37] over the limit the first observed series win and the rest add up', async () => {
    const { reader, meter } = setUp(CUMULATIVE, 2);
    meter.createObservableCounter('c').addCallback((result) => {
      for (const i of [1, 2, 3, 4, 5]) result.observe(i, { i });
    });
    for (let round = 0; round < 2; round++) {
      expect(await pointsOf(reader)).toEqual([
        [{ i: 1 }, 1],
        [{ i: 2 }, 2],
        [{ 'otel.metric.overflow': true }, 12],
      ]);
    }
  });

  test('what a failed round observed does not keep a series alive', async () => {
    const { reader, meter } = setUp();
    let observed: number[] | 'fail' = [1, 2];
    meter.createObservableCounter('c').addCallback((result) => {
      for (const i of observed === 'fail' ? [1, 2] : observed) result.observe(i, { i });
      if (observed === 'fail') throw new Error('not now');
    });
    expect(await pointsOf(reader)).toHaveLength(2);
    observed = 'fail';
    expect(await pointsOf(reader)).toEqual([]);
    observed = [2];
    expect(await pointsOf(reader)).toEqual([[{ i: 2 }, 2]]);
  });

  describe('[2.15] the last observation of an attribute set counts', () => {
    const observeTwice = (result: ObservableResult) => {
      for (const value of [100, 1]) for (const i of [1, 2, 3, 4]) result.observe(value * i, { i, kind: 'a' });
    };
    const histogram = { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM } as const;
    const allow = [createAllowListAttributesProcessor(['kind'])];
    const processor = [{ process: ({ kind }: Attributes) => ({ kind }) }];

    test.each([
      ['where an allow list makes one series of several', { attributesProcessors: allow }, 10],
      ['where a processor makes one series of several', { attributesProcessors: processor }, 10],
      ['in the overflow series', { aggregationCardinalityLimit: 1 }, 10],
      ['in a histogram', { aggregation: histogram }, 10],
      ['in a histogram of several', { aggregation: histogram, attributesProcessors: allow }, 10],
    ])('%s, and the sets add up', async (_, view, total) => {
      for (const temporality of [CUMULATIVE, DELTA]) {
        const { reader, meter } = setUp(temporality, 2000, [view]);
        meter.createObservableCounter('c').addCallback(observeTwice);
        const values = (await pointsOf(reader)).map(([, value]) => value as number | Histogram);
        const sums = values.map((value) => (typeof value === 'number' ? value : value.sum!));
        expect(sums.reduce((all, sum) => all + sum, 0)).toBe(total);
      }
    });

    test('of a gauge, whatever the attribute sets', async () => {
      const { reader, meter } = setUp(CUMULATIVE, 2000, [{ attributesProcessors: allow }]);
      meter.createObservableGauge('g').addCallback((result) => {
        for (const i of [1, 2, 1]) result.observe(i, { i, kind: 'a' });
      });
      for (let round = 0; round < 2; round++) expect(await pointsOf(reader)).toEqual([[{ kind: 'a' }, 1]]);
    });

    test('of a gauge over its limit', async () => {
      const { reader, meter } = setUp(CUMULATIVE, 1);
      meter.createObservableGauge('g').addCallback((result) => {
        for (const i of [1, 2, 3, 2]) result.observe(i, { i });
      });
      for (let round = 0; round < 2; round++) {
        expect(await pointsOf(reader)).toEqual([
          [{ i: 1 }, 1],
          [{ 'otel.metric.overflow': true }, 2],
        ]);
      }
    });
  });

  test('a delta goes on where it was when a series moves out of the overflow series', async () => {
    const { reader, meter } = setUp(DELTA, 1);
    let observed: Record<string, number> = {};
    meter.createObservableCounter('c').addCallback((result) => {
      for (const [key, value] of Object.entries(observed)) result.observe(value, { key });
    });
    const overflow = { 'otel.metric.overflow': true };
    const expectPoints = async (now: Record<string, number>, points: unknown) => {
      observed = now;
      expect(await pointsOf(reader)).toEqual(points);
    };
    await expectPoints({ a: 10, b: 20, c: 30 }, [
      [{ key: 'a' }, 10],
      [overflow, 50],
    ]);
    await expectPoints({ a: 11, b: 22, c: 33 }, [
      [{ key: 'a' }, 1],
      [overflow, 5],
    ]);
    // What was overflow has a row that stays where it is, and a newcomer follows it.
    await expectPoints({ b: 26, c: 38 }, [
      [overflow, 5],
      [{ key: 'b' }, 4],
    ]);
    await expectPoints({ b: 27, c: 40, a: 12 }, [
      [overflow, 14],
      [{ key: 'b' }, 1],
    ]);
  });

  test('a delta of several takes the restart of one for what it is', async () => {
    const { reader, meter } = setUp(DELTA, 2000, [
      { attributesProcessors: [createAllowListAttributesProcessor([])] },
    ]);
    let observed: number[] = [];
    const observe = (result: ObservableResult) => {
      observed.forEach((value, i) => void result.observe(value, { i }));
    };
    meter.createObservableCounter('c').addCallback(observe);
    meter.createObservableUpDownCounter('u').addCallback(observe);
    const deltas = [];
    for (observed of [[100, 50], [101, 2], [102], [103, 60]]) {
      deltas.push((await metricsOf(reader)).map(({ dataPoints }) => dataPoints[0]!.value));
    }
    expect(deltas).toEqual([
      [150, 150],
      // The counter that fell began anew; what goes up and down did just that.
      [1 + 2, 1 - 48],
      // One is no longer observed: a counter's past stays, the other's share is gone.
      [1, 1 - 2],
      [1 + 60, 1 + 60],
    ]);
  });

  test('attributes that need conversion belong to the same series in each round', async () => {
    const { reader, meter } = setUp(DELTA);
    let value = 0;
    meter.createObservableCounter('c').addCallback((result) => {
      result.observe(value, { a: 1n as never, b: null as never });
    });
    const seen = [];
    for (value of [10, 15, 17]) seen.push((await pointsOf(reader))[0]);
    expect(seen).toEqual([10, 5, 2].map((delta) => [{ a: 1 }, delta]));
  });

  test('what a processor makes of the same attributes may change from round to round', async () => {
    let kind = 'a';
    const { reader, meter } = setUp(DELTA, 2000, [{ attributesProcessors: [{ process: () => ({ kind }) }] }]);
    let value = 0;
    meter.createObservableCounter('c').addCallback((result) => result.observe(value, { i: 1 }));
    const seen = [];
    for ([kind, value] of [
      ['a', 10],
      ['b', 15],
      ['b', 17],
      ['a', 20],
    ] as const)
      seen.push(await pointsOf(reader));
    expect(seen).toEqual([
      [[{ kind: 'a' }, 10]],
      [[{ kind: 'b' }, 5]],
      [[{ kind: 'b' }, 2]],
      [[{ kind: 'a' }, 3]],
    ]);
  });

  test('finite values may add up to infinity, and a delta is a number all the same', async () => {
    for (const [temporality, expected] of [
      [CUMULATIVE, [Infinity, Infinity]],
      [DELTA, [Infinity, 0]],
    ] as const) {
      const { reader, meter } = setUp(temporality, 2000, [
        { attributesProcessors: [createAllowListAttributesProcessor([])] },
      ]);
      meter.createObservableCounter('c').addCallback((result) => {
        for (const i of [1, 2]) result.observe(1e308, { i });
      });
      expect([await pointsOf(reader), await pointsOf(reader)]).toEqual(expected.map((it) => [[{}, it]]));
    }
  });
});
