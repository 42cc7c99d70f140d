// Decorators between a reader and exporters that fail: what was recorded is what arrives, once.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { PushMetricExporter } from '../../src/data/exporter.ts';
import { fallback, logging, multi, retry, timeout } from '../../src/decorators/index.ts';
import { MeterProvider } from '../../src/sdk/meter-provider.ts';
import { PeriodicExportingMetricReader } from '../../src/sdk/readers/periodic-exporting-metric-reader.ts';
import { captureLogs } from '../support/collected.ts';
import { simulated } from './exporter-kit.ts';
import { type Fault, type ScriptedExporter, scriptedExporter } from './scripted-exporter.ts';

const UNAVAILABLE: Fault = { kind: 'unavailable' };
const PARTIAL: Fault = { kind: 'partial', delivered: 2 };
const SLOW: Fault = { kind: 'slow', millis: 25_000, delivers: true };

/** Records 1 on each of five series a second, for a minute, and exports every ten. */
async function recordedThrough(exporter: PushMetricExporter): Promise<void> {
  const reader = new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: 10_000,
    selfMetrics: false,
  });
  const provider = new MeterProvider({ readers: [reader] });
  const counter = provider.getMeter('m').createCounter('c');
  for (let second = 0; second < 60; second++) {
    for (let i = 0; i < 5; i++) counter.add(1, { series: `s${i}` });
    await vi.advanceTimersByTimeAsync(1_000);
  }
  for (let attempt = 0; attempt < 20; attempt++) await simulated(provider.forceFlush().catch(() => {}));
  await simulated(provider.shutdown());
}

const all = (...totals: number[]) => totals.map((total, i) => [`s${i}`, total]);
const totals = ({ delivered }: ScriptedExporter) => [...delivered].toSorted();

describe('a delta pipeline through decorators', () => {
  captureLogs();
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test.each([true, false])('multi: each exporter counts every recording once (ours: %s)', async (isOurs) => {
    const good = scriptedExporter([], isOurs);
    const bad = scriptedExporter([UNAVAILABLE, PARTIAL, UNAVAILABLE, UNAVAILABLE], isOurs);
    const slow = scriptedExporter([SLOW, SLOW, PARTIAL], isOurs);
    await recordedThrough(
      logging(multi([good.exporter, bad.exporter, slow.exporter]), {
        logger: { debug() {}, info() {}, warn() {}, error() {} },
      }),
    );
    const expected = all(60, 60, 60, 60, 60);
    expect([good, bad, slow].map(totals)).toEqual([expected, expected, expected]);
  });

  test('retry: a part that was delivered is not delivered again, nor after the retries are used up', async () => {
    const flaky = scriptedExporter(
      [PARTIAL, UNAVAILABLE, PARTIAL, UNAVAILABLE, UNAVAILABLE, UNAVAILABLE],
      true,
    );
    await recordedThrough(
      retry(timeout(flaky.exporter, 5_000), { maxRetries: 1, initialIntervalMillis: 100 }),
    );
    expect(totals(flaky)).toEqual(all(60, 60, 60, 60, 60));
  });

  test('fallback: the two together count every recording once', async () => {
    const primary = scriptedExporter([PARTIAL, { kind: 'refused' }, UNAVAILABLE], true);
    const secondary = scriptedExporter([UNAVAILABLE, PARTIAL], false);
    await recordedThrough(fallback(primary.exporter, secondary.exporter, { stickyMillis: 15_000 }));
    const together = ['s0', 's1', 's2', 's3', 's4'].map((series) => [
      series,
      (primary.delivered.get(series) ?? 0) + (secondary.delivered.get(series) ?? 0),
    ]);
    expect(together).toEqual(all(60, 60, 60, 60, 60));
  });
});
