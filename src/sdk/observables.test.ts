import { describe, expect, test, vi } from 'vitest';
import { captureLogs, metricsOf, pointsOf } from '../../test/support/collected.ts';
import { AggregationTemporality, DataPointType } from '../data/metric-data.ts';
import { MeterProvider } from './meter-provider.ts';
import { ManualMetricReader } from './readers/manual-metric-reader.ts';

const { CUMULATIVE, DELTA } = AggregationTemporality;

function setUp(temporality = CUMULATIVE, limit = 2000) {
  const reader = new ManualMetricReader({
    aggregationTemporalitySelector: () => temporality,
    cardinalitySelector: () => limit,
  });
  return { reader, meter: new MeterProvider({ readers: [reader] }).getMeter('test') };
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
});
