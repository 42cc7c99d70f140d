// Flush and shutdown through nestings of decorators: in order, once, and in bounded time.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createExporter, type PushMetricExporter } from '../src/data/exporter.ts';
import { fallback, filter, logging, multi, retry, timeout } from '../src/decorators/index.ts';
import { MeterProvider, PeriodicExportingMetricReader } from '../src/index.ts';
import { captureLogs } from './support/collected.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };
/** That of the provider, when its caller does not say. */
const LIMIT_MILLIS = 30_000;

type Base = (name: string) => PushMetricExporter;

/** Each with two exporters in it. */
const NESTINGS: Record<string, (base: Base) => PushMetricExporter> = {
  multi: (base) => multi([base('a'), base('b')]),
  fallback: (base) => fallback(base('a'), base('b')),
  'timeouts in a multi': (base) => multi([timeout(base('a'), 60_000), retry(base('b'))]),
  'a multi in retry': (base) => retry(multi([base('a'), logging(base('b'), { logger: silent })])),
  'a fallback of chains': (base) =>
    logging(
      filter(fallback(retry(timeout(base('a'), 40_000)), retry(base('b'))), { include: { name: '*' } }),
      { logger: silent },
    ),
  'multis in a multi': (base) => multi([multi([base('a')]), fallback(base('b'), multi([spare()]))]),
};

function spare(): PushMetricExporter {
  return createExporter({ name: 'spare', export: async () => {} });
}

function providerOf(exporter: PushMetricExporter) {
  const reader = new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: Infinity,
    selfMetrics: false,
  });
  const provider = new MeterProvider({ readers: [reader] });
  provider.getMeter('m').createCounter('c').add(1);
  return provider;
}

describe.each(Object.entries(NESTINGS))('%s', (_, nest) => {
  captureLogs();
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('each exporter is flushed after its export, and shut down once, after its last export', async () => {
    const calls: string[] = [];
    const base: Base = (name) =>
      createExporter({
        name,
        export: async () => void calls.push(`${name} exports`),
        forceFlush: async () => void calls.push(`${name} flushes`),
        shutdown: async () => void calls.push(`${name} ends`),
      });
    const provider = providerOf(nest(base));
    await provider.forceFlush();
    await Promise.all([provider.shutdown(), provider.shutdown()]);
    const of = (name: string) => calls.filter((call) => call.startsWith(name)).map((call) => call.slice(2));
    const asked = ['a', 'b'].filter((name) => of(name).includes('exports'));
    // The secondary of a fallback has nothing to export.
    expect(asked).toContain('a');
    for (const name of asked) {
      expect(of(name).slice(0, 2)).toEqual(['exports', 'flushes']);
      expect(of(name).lastIndexOf('exports')).toBeLessThan(of(name).indexOf('ends'));
    }
    for (const name of ['a', 'b']) expect(of(name).filter((call) => call === 'ends')).toEqual(['ends']);
  });

  test.each(['forceFlush', 'shutdown'] as const)(
    '%s ends when its time is up, whatever of it never ends, and leaves no timers',
    async (call) => {
      const never = () => new Promise<void>(() => {});
      const ends = vi.fn(never);
      // One of ours, and one that keeps no time itself.
      const base: Base = (name) =>
        name === 'a'
          ? createExporter({ name, export: never, forceFlush: never, shutdown: ends })
          : { export: () => {}, forceFlush: never, shutdown: ends };
      const provider = providerOf(nest(base));
      let isSettled = false;
      const settled = provider[call]({ timeoutMillis: LIMIT_MILLIS }).catch(() => {});
      settled.then(() => {
        isSettled = true;
      });
      await vi.advanceTimersByTimeAsync(LIMIT_MILLIS);
      expect(isSettled).toBe(true);
      if (call === 'forceFlush') await Promise.all([provider.shutdown().catch(() => {}), advanced()]);
      else await advanced();
      expect(ends).toHaveBeenCalledTimes(2);
      expect(vi.getTimerCount()).toBe(0);
    },
  );
});

/** Longer than anything inside may take. */
const advanced = () => vi.advanceTimersByTimeAsync(60 * 60_000);
