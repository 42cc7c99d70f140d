// Temporality and start times, also when the wall clock is set. Proven elsewhere: [4.20] with the temporality preferences;
// [4.22], [4.23] and [4.25] for the plain cases in src/sdk/instruments.test.ts; [4.24], [4.26] and [4.28] for observables in
// src/sdk/observables.test.ts; [4.30] under [1.18].
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { AggregationType } from '../../src/data/aggregation-option.ts';
import { fromHrTime, toHrTime } from '../../src/data/hr-time.ts';
import { AggregationTemporality, InstrumentType, type MetricData } from '../../src/data/metric-data.ts';
import { MeterProvider } from '../../src/sdk/meter-provider.ts';
import { ManualMetricReader } from '../../src/sdk/readers/manual-metric-reader.ts';
import { fakeClock } from '../../src/testing/fake-clock.ts';
import { captureLogs, metricsOf } from '../support/collected.ts';

const { CUMULATIVE, DELTA } = AggregationTemporality;
const SECOND = 1_000_000_000n;

function setUp(temporality = CUMULATIVE) {
  const reader = new ManualMetricReader({ aggregationTemporalitySelector: () => temporality });
  return { reader, meter: new MeterProvider({ readers: [reader] }).getMeter('test') };
}

/** Start and end of each point of a metric, in nanoseconds. */
function times(metric: MetricData | undefined): [start: bigint, end: bigint][] {
  return metric!.dataPoints.map(({ startTime, endTime }) => [fromHrTime(startTime), fromHrTime(endTime)]);
}

async function firstTimes(reader: ManualMetricReader): Promise<[start: bigint, end: bigint]> {
  return times((await metricsOf(reader))[0])[0]!;
}

const nowNanos = () => BigInt(Date.now()) * 1_000_000n;

describe('temporality', () => {
  captureLogs();

  test('[4.21] it goes by the kind of the instrument, whatever the View makes of it', async () => {
    const reader = new ManualMetricReader({
      aggregationTemporalitySelector: (type) =>
        type === InstrumentType.HISTOGRAM || type === InstrumentType.OBSERVABLE_GAUGE ? DELTA : CUMULATIVE,
    });
    const views = [
      { instrumentName: 'histogram', aggregation: { type: AggregationType.SUM } as const },
      { instrumentName: 'gauge', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } as const },
      { instrumentName: 'updown', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } as const },
    ];
    const meter = new MeterProvider({ readers: [reader], views }).getMeter('test');
    meter.createHistogram('histogram').record(1);
    meter.createObservableGauge('gauge').addCallback((result) => result.observe(1));
    meter.createUpDownCounter('updown').add(1);
    const temporalities = (await metricsOf(reader)).map((it) => [
      it.descriptor.name,
      it.aggregationTemporality,
    ]);
    expect(temporalities).toEqual([
      ['histogram', DELTA],
      ['gauge', DELTA],
      ['updown', CUMULATIVE],
    ]);
  });

  test.each([CUMULATIVE, DELTA])(
    '[4.52] a series that ends is no longer exported, without a mark and without a point that has no value (temporality %s)',
    async (temporality) => {
      const clock = fakeClock();
      onTestFinished(() => clock.restore());
      const reader = new ManualMetricReader({ aggregationTemporalitySelector: () => temporality });
      const meter = new MeterProvider({ readers: [reader], gaugeIdleTimeoutMillis: 1_000 }).getMeter('test');
      const counter = meter.createCounter('removed');
      const idle = meter.createGauge('idle');
      let keys = ['a', 'b'];
      meter.createObservableGauge('observed').addCallback((result) => {
        for (const key of keys) result.observe(1, { key });
      });
      for (const key of keys) {
        counter.add(1, { key });
        idle.record(1, { key });
      }
      const seen = async () =>
        (await metricsOf(reader)).map(({ descriptor, dataPoints }) => [
          descriptor.name,
          dataPoints.map((point) => {
            expect(Object.keys(point).sort()).toEqual(['attributes', 'endTime', 'startTime', 'value']);
            expect(point.value).toBe(1);
            return point.attributes.key;
          }),
        ]);
      await seen();
      counter.remove({ key: 'b' });
      keys = ['a'];
      clock.advance(2_000);
      idle.record(1, { key: 'a' });
      if (temporality === DELTA) counter.add(1, { key: 'a' });
      expect(await seen()).toEqual([
        ['removed', ['a']],
        ['idle', ['a']],
        ['observed', ['a']],
      ]);
    },
  );

  test('[4.22] a gauge is exported each time, with its last value', async () => {
    const { reader, meter } = setUp();
    meter.createGauge('g').record(5);
    for (let i = 0; i < 3; i++) expect((await metricsOf(reader))[0]!.dataPoints[0]!.value).toBe(5);
  });

  test('[4.23] a delta gauge is exported only when it was recorded', async () => {
    const { reader, meter } = setUp(DELTA);
    const gauge = meter.createGauge('g');
    gauge.record(5);
    expect(await metricsOf(reader)).toHaveLength(1);
    expect(await metricsOf(reader)).toHaveLength(0);
    gauge.record(5);
    expect(await metricsOf(reader)).toHaveLength(1);
  });

  test('[4.29][12.30] nanoseconds are exact', () => {
    const nanos = 1_544_712_660_300_000_001n;
    expect(toHrTime(nanos)).toEqual([1_544_712_660, 300_000_001]);
    expect(fromHrTime(toHrTime(nanos))).toBe(nanos);
  });
});

describe('start times', () => {
  captureLogs();
  beforeEach(() => void vi.useFakeTimers({ now: Date.UTC(2030, 0, 1) }));
  afterEach(() => void vi.useRealTimers());

  test('[4.25] delta windows chain, for series new and old, from the making of the instrument on', async () => {
    const { reader, meter } = setUp(DELTA);
    const made = nowNanos();
    const counter = meter.createCounter('c');
    vi.advanceTimersByTime(1000);
    counter.add(1, { a: 1 });
    vi.advanceTimersByTime(1000);
    const [first] = await metricsOf(reader);
    const [[start, end]] = times(first) as [[bigint, bigint]];
    expect(start).toBeGreaterThanOrEqual(made);
    expect(start).toBeLessThan(made + SECOND);
    expect(end).toBe(nowNanos());
    vi.advanceTimersByTime(1000);
    counter.add(1, { a: 1 });
    counter.add(1, { a: 2 });
    vi.advanceTimersByTime(1000);
    const [second] = await metricsOf(reader);
    for (const [nextStart, nextEnd] of times(second)) {
      expect(nextStart).toBe(end);
      expect(nextEnd).toBe(nowNanos());
    }
    await metricsOf(reader);
    const empty = nowNanos();
    vi.advanceTimersByTime(1000);
    counter.add(1, { a: 3 });
    // A window without data is a window all the same.
    expect((await firstTimes(reader))[0] - empty).toBeLessThan(10n);
  });

  test('[4.26] a cumulative series starts with its first measurement, and never again', async () => {
    const { reader, meter } = setUp();
    const counter = meter.createCounter('c');
    vi.advanceTimersByTime(5000);
    const recorded = nowNanos();
    counter.add(1);
    const starts = [];
    for (let i = 0; i < 3; i++) {
      vi.advanceTimersByTime(1000);
      starts.push((await firstTimes(reader))[0]);
    }
    expect(starts).toEqual([recorded, recorded, recorded]);
  });

  test('[4.26] an observed series starts with the collection before the one it was first seen in', async () => {
    const { reader, meter } = setUp();
    const made = nowNanos();
    let keys = ['first'];
    meter.createObservableCounter('c').addCallback((result) => {
      for (const key of keys) result.observe(1, { key });
    });
    vi.advanceTimersByTime(1000);
    const [[start, end]] = times((await metricsOf(reader))[0]) as [[bigint, bigint]];
    expect(start - made).toBeLessThan(SECOND);
    keys = ['first', 'later'];
    vi.advanceTimersByTime(1000);
    expect(times((await metricsOf(reader))[0]).map(([since]) => since)).toEqual([start, end]);
  });

  test('[4.27][4.28] every kind of point starts before it ends, also within one tick of the clock', async () => {
    for (const temporality of [CUMULATIVE, DELTA]) {
      const { reader, meter } = setUp(temporality);
      meter.createCounter('c').add(1);
      meter.createHistogram('h').record(1);
      meter.createGauge('g').record(1);
      meter.createObservableCounter('oc').addCallback((result) => result.observe(1));
      meter.createObservableGauge('og').addCallback((result) => result.observe(1));
      for (let i = 0; i < 2; i++) {
        for (const metric of await metricsOf(reader)) {
          for (const [start, end] of times(metric)) expect(start).toBeLessThan(end);
        }
      }
    }
  });
});

describe('a wall clock that is set', () => {
  captureLogs();
  beforeEach(() => void vi.useFakeTimers({ now: Date.UTC(2030, 0, 1) }));
  afterEach(() => void vi.useRealTimers());

  /** Sets the wall clock; the time that passes meanwhile is `passing`. */
  function setClock(byMillis: number, passing = 0) {
    vi.advanceTimersByTime(passing);
    vi.setSystemTime(Date.now() + byMillis);
  }

  test.each([-3_600_000, -15_000, -5000, -500, 3_600_000])(
    'by %d ms: delta windows chain, and the one that ends before it began has the length of the time that passed',
    async (step) => {
      const { reader, meter } = setUp(DELTA);
      const counter = meter.createCounter('c');
      meter.createObservableCounter('o').addCallback((result) => result.observe(1));
      const collected = async () => {
        counter.add(1);
        vi.advanceTimersByTime(10_000);
        return (await metricsOf(reader)).flatMap(times);
      };
      const [[, before]] = (await collected()) as [[bigint, bigint]];
      setClock(step);
      const across = await collected();
      const [[, after]] = across as [[bigint, bigint]];
      for (const [start, end] of across) {
        expect(start).toBeLessThan(end);
        if (step > -10_000) expect(start).toBe(before);
        else expect(Number(end - start - 10n * SECOND)).toBeCloseTo(0, -2);
      }
      for (const [start, end] of await collected()) {
        expect(start).toBe(after);
        expect(end).toBe(nowNanos());
      }
    },
  );

  test('cumulative series keep the instant they started at, however often the clock is set back', async () => {
    const { reader, meter } = setUp();
    const counter = meter.createCounter('c');
    meter.createObservableCounter('o').addCallback((result) => result.observe(1));
    counter.add(1, { key: 'old' });
    vi.advanceTimersByTime(10_000);
    await metricsOf(reader);
    for (let round = 1; round <= 3; round++) {
      setClock(-3_600_000, 10_000);
      counter.add(1, { key: round });
      const [metric, observed] = await metricsOf(reader);
      const spans = times(metric).map(([start, end]) => end - start);
      // Within the nanoseconds that readings of one tick are apart.
      const seconds = spans.map((span) => Number((span + 500_000_000n) / SECOND));
      expect(seconds).toEqual([10 * (round + 1), ...[...Array(round).keys()].map((i) => 10 * i).reverse()]);
      for (const span of spans) expect(span).toBeGreaterThan(0n);
      const [[start, end]] = times(observed) as [[bigint, bigint]];
      expect(Number((end - start + 500_000_000n) / SECOND)).toBe(10 * (round + 1));
    }
  });

  test('a short step back is waited out: times go on by a nanosecond', async () => {
    const { reader, meter } = setUp();
    meter.createCounter('c').add(1);
    vi.advanceTimersByTime(10_000);
    const [start, end] = await firstTimes(reader);
    setClock(-500);
    const [sameStart, nextEnd] = await firstTimes(reader);
    expect([sameStart, nextEnd]).toEqual([start, end + 1n]);
  });
});
