import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { metrics as api } from '@opentelemetry/api';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { captureLogs } from '../../test/support/collected.ts';
import { startMetrics } from '../config/start-metrics.ts';
import { AggregationType } from '../data/aggregation-option.ts';
import { report } from '../data/diagnostics.ts';
import { fakeClock } from './fake-clock.ts';
import { resetMetrics } from './reset-metrics.ts';
import { testMetrics } from './test-metrics.ts';

beforeEach(resetMetrics);
afterEach(resetMetrics);

describe('testMetrics', () => {
  test('collects plain data', async () => {
    using clock = fakeClock('2026-03-01T12:00:00Z');
    const { meterProvider, collect } = testMetrics();
    meterProvider
      .getMeter('shop')
      .createHistogram('wait', {
        unit: 's',
        description: 'Waiting',
        advice: { explicitBucketBoundaries: [1, 5] },
      })
      .record(2, { queue: 'a' });
    clock.advance(1_500);
    expect(await collect()).toEqual([
      {
        name: 'wait',
        kind: 'histogram',
        unit: 's',
        description: 'Waiting',
        scope: 'shop',
        temporality: 'cumulative',
        points: [
          {
            attributes: { queue: 'a' },
            value: { count: 1, sum: 2, min: 2, max: 2, buckets: { 5: 1 } },
            startTime: new Date('2026-03-01T12:00:00Z'),
            endTime: new Date('2026-03-01T12:00:01.500Z'),
          },
        ],
      },
    ]);
  });

  test('shows exponential histograms by bucket index, exemplars, and what was not recorded as absent', async () => {
    const { meterProvider, collect } = testMetrics({
      exemplarFilter: 'always_on',
      views: [
        {
          instrumentName: 'x',
          aggregation: {
            type: AggregationType.EXPONENTIAL_HISTOGRAM,
            options: { recordMinMax: false, maxScale: 0 },
          },
        },
      ],
    });
    const histogram = meterProvider.getMeter('m').createHistogram('x');
    for (const value of [0, 1, 3, 4]) histogram.record(value);
    const [metric] = await collect();
    expect(metric!.kind).toBe('exponential histogram');
    expect(metric!.points[0]!.value).toEqual({
      count: 4,
      sum: 8,
      buckets: { '-1': 1, 1: 2 },
      exponential: { scale: 0, zeroCount: 1, negativeBuckets: {} },
    });
    expect(metric!.points[0]!.exemplars!.length).toBeGreaterThan(0);
  });

  test('collects what came since the last collection when asked for delta, but up-down counters in full', async () => {
    const { meterProvider, collect } = testMetrics({ temporality: 'delta' });
    const meter = meterProvider.getMeter('m');
    const [counter, upDown] = [meter.createCounter('c'), meter.createUpDownCounter('u')];
    const values = async () => (await collect()).map(({ name, points }) => [name, points[0]!.value]);
    counter.add(2);
    upDown.add(2);
    expect(await values()).toEqual([
      ['c', 2],
      ['u', 2],
    ]);
    counter.add(1);
    upDown.add(1);
    expect(await values()).toEqual([
      ['c', 1],
      ['u', 3],
    ]);
  });

  test('refuses options that cannot work', () => {
    expect(() => testMetrics({ temporality: 'deltas' as never })).toThrow(
      "temporality of testMetrics is 'deltas'; use cumulative or delta",
    );
    expect(() => testMetrics({ temporalty: 'delta' } as never)).toThrow("'temporalty' is no option");
  });

  test('has a test fail whose callback fails', async () => {
    const { meterProvider, collect } = testMetrics();
    meterProvider
      .getMeter('m')
      .createObservableGauge('g')
      .addCallback(() => {
        throw new Error('no such queue');
      });
    await expect(collect()).rejects.toThrow('no such queue');
  });

  test('registers the provider when asked, until its end', async () => {
    {
      await using own = testMetrics({ global: true });
      api.getMeter('library').createCounter('c').add(1);
      expect(await own.collect()).toMatchObject([{ name: 'c', points: [{ value: 1 }] }]);
      expect(() => testMetrics({ global: true })).toThrow('resetMetrics()');
    }
    await using other = testMetrics({ global: true });
    expect(api.getMeterProvider()).toBe(other.meterProvider);
  });
});

describe('fakeClock', () => {
  test('ends idle series, and can be set back', async () => {
    using clock = fakeClock(0);
    const { meterProvider, collect } = testMetrics({ gaugeIdleTimeoutMillis: 60_000 });
    meterProvider.getMeter('m').createGauge('g').record(1);
    expect(await collect()).toHaveLength(1);
    clock.advance(59_999);
    expect((await collect())[0]!.points[0]!.endTime).toEqual(clock.now);
    clock.advance(1);
    expect(await collect()).toEqual([]);
    clock.set('1970-01-01T00:00:01Z');
    meterProvider.getMeter('m').createCounter('c').add(1);
    expect((await collect())[0]!.points[0]!.startTime).toEqual(new Date(1_000));
  });

  test('gives the real time back at its end', async () => {
    fakeClock(0)[Symbol.dispose]();
    const { meterProvider, collect } = testMetrics();
    meterProvider.getMeter('m').createCounter('c').add(1);
    expect(Date.now() - (await collect())[0]!.points[0]!.endTime.getTime()).toBeLessThan(60_000);
  });

  test('refuses what is not a time', () => {
    expect(() => fakeClock('noon')).toThrow('noon is not a time');
    using clock = fakeClock();
    expect(() => clock.advance(Number.NaN)).toThrow('NaN is not a time');
  });
});

describe('resetMetrics', () => {
  const logs = captureLogs();

  test('ends what startMetrics runs, with a last export, so that the next test can start anew', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'meterline-reset-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    for (const name of ['first', 'second']) {
      const file = join(folder, name);
      const handle = startMetrics({ serviceName: name, jsonFilePath: file });
      api.getMeter('m').createCounter('c').add(1);
      await resetMetrics();
      expect(readFileSync(file, 'utf8')).toContain(`"service_name":"${name}"`);
      expect(api.getMeterProvider()).not.toBe(handle.meterProvider);
    }
    expect(existsSync(join(folder, 'second'))).toBe(true);
    expect(logs).toEqual([]);
  });

  test('unregisters a provider of any maker and lets warnings be given again', async () => {
    const { meterProvider } = testMetrics({ global: true });
    report('warn', 'cause', 'once');
    report('warn', 'cause', 'not again');
    await resetMetrics();
    report('warn', 'cause', 'anew');
    expect(logs).toEqual(['meterline: once', 'meterline: anew']);
    expect(api.getMeterProvider()).not.toBe(meterProvider);
  });

  test('restores the clock, and may be called when there is nothing to do', async () => {
    fakeClock(0);
    await resetMetrics();
    await resetMetrics();
    const { meterProvider, collect } = testMetrics();
    meterProvider.getMeter('m').createCounter('c').add(1);
    expect((await collect())[0]!.points[0]!.endTime.getTime()).toBeGreaterThan(1e12);
  });
});
