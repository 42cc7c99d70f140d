import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { captureLogs, metricsOf } from '../../test/support/collected.ts';
import { fromHrTime } from '../data/hr-time.ts';
import { AggregationTemporality } from '../data/metric-data.ts';
import { now, steadyTime, toWallTimes } from './clock.ts';
import { MeterProvider } from './meter-provider.ts';
import { ManualMetricReader } from './readers/manual-metric-reader.ts';

const HOUR = 3_600_000;

const settingsOfClock = fc.array(
  fc.record({
    byHours: fc.constantFrom(-2, -1, 0, 0, 1, 2),
    passing: fc.integer({ min: 1, max: 100_000 }),
  }),
  { minLength: 1, maxLength: 40 },
);

describe('a wall clock that is set ahead and back', () => {
  captureLogs();
  beforeEach(() => void vi.useFakeTimers({ now: Date.UTC(2030, 0, 1) }));
  afterEach(() => void vi.useRealTimers());

  function setClock(byMillis: number, passing: number) {
    vi.setSystemTime(Date.now() + byMillis);
    now();
    vi.advanceTimersByTime(passing);
  }

  function wallTime(steady: bigint): bigint {
    const times = BigUint64Array.of(steady);
    toWallTimes(times);
    return times[0]!;
  }

  /** But for the nanoseconds that readings of one tick are apart. */
  function expectSame(time: bigint, exact: bigint) {
    expect(Math.abs(Number(time - exact))).toBeLessThan(1000);
  }

  test('leaves each time the instant that it was, unless the clock is ahead of it, when it stays as it was', () => {
    fc.assert(
      fc.property(settingsOfClock, (settings) => {
        const kept: { steady: bigint; read: bigint; ahead: number }[] = [];
        let ahead = 0;
        now();
        for (const { byHours, passing } of settings) {
          setClock(byHours * HOUR, passing);
          ahead += byHours;
          const read = now();
          kept.push({ steady: steadyTime(read), read, ahead });
          for (const it of kept) {
            const exact = it.read + BigInt(Math.min(0, ahead - it.ahead) * HOUR) * 1_000_000n;
            expectSame(wallTime(it.steady), exact);
            expect(wallTime(it.steady)).toBeLessThanOrEqual(read);
          }
        }
      }),
    );
  });

  test('keeps the order of times, however often it is set', () => {
    now();
    const first = steadyTime(now());
    for (let i = 0; i < 500; i++) setClock(i % 2 === 0 ? HOUR : -HOUR, 1);
    const later = steadyTime(now());
    expect(later).toBeGreaterThan(first);
    expect(wallTime(first)).toBeLessThan(wallTime(later));
    expect(wallTime(later)).toBeLessThanOrEqual(now());
  });

  test.each([AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA])(
    '[4.28] moves no start when it is set ahead an hour and back again, and back an hour and ahead again (temporality %s)',
    async (temporality) => {
      const reader = new ManualMetricReader({ aggregationTemporalitySelector: () => temporality });
      const meter = new MeterProvider({ readers: [reader] }).getMeter('test');
      const counter = meter.createCounter('c');
      const span = async () => {
        counter.add(1);
        vi.advanceTimersByTime(1000);
        const [point] = (await metricsOf(reader))[0]!.dataPoints;
        return [fromHrTime(point!.startTime), fromHrTime(point!.endTime)] as const;
      };
      let [start, end] = await span();
      for (const by of [HOUR, -HOUR, -HOUR, HOUR, HOUR, -HOUR]) {
        setClock(by, 0);
        await span();
        setClock(-by, 0);
        const [sameStart, nextEnd] = await span();
        expect(nextEnd - end).toBeGreaterThan(0n);
        expect(nextEnd - end).toBeLessThan(BigInt(10 * 1_000_000_000));
        if (temporality === AggregationTemporality.CUMULATIVE) expectSame(sameStart, start);
        [start, end] = [sameStart, nextEnd];
      }
    },
  );
});
