// A Prometheus that is told when a series began puts a zero there, so that the first increase counts.
import { setTimeout } from 'node:timers/promises';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { PrometheusMetricReader } from '../../src/exporters/prometheus.ts';
import { remoteWrite } from '../../src/exporters/remote-write.ts';
import { MeterProvider, PeriodicExportingMetricReader } from '../../src/index.ts';
import { type Prometheus, startPrometheus } from './support/prometheus.ts';

type Samples = [seconds: number, value: string][];

const stops: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function samplesOf(prometheus: Prometheus, selector: string): Promise<Samples> {
  const query = new URLSearchParams({ query: `${selector}[10m]`, time: String(Date.now() / 1_000 + 1) });
  const response = await fetch(`${prometheus.url}/api/v1/query?${query}`);
  const { data } = (await response.json()) as { data: { result: { values: Samples }[] } };
  return data.result[0]?.values ?? [];
}

/** Series begin some time before anyone reads them, and after `from`, in seconds. */
async function recorded(provider: MeterProvider): Promise<number> {
  const from = Date.now() / 1_000;
  const meter = provider.getMeter('m');
  meter.createCounter('begun').add(7);
  meter.createHistogram('took', { advice: { explicitBucketBoundaries: [1] } }).record(0.5);
  await setTimeout(50);
  return from;
}

function expectZeroAtStart(samples: Samples, from: number, value: string): void {
  const [[began, zero], [first, firstValue]] = samples as [Samples[0], Samples[0]];
  expect([zero, firstValue]).toEqual(['0', value]);
  expect(began).toBeGreaterThanOrEqual(Math.floor(from * 1_000) / 1_000);
  expect(first! - began!).toBeGreaterThan(0.04);
}

async function scraping(scrape: Record<string, unknown>, createdSeries: boolean) {
  const reader = new PrometheusMetricReader({ createdSeries });
  const provider = new MeterProvider({ readers: [reader] });
  stops.push(() => provider.shutdown());
  const { port } = await reader.listen({ host: '127.0.0.1', port: 0 });
  const from = await recorded(provider);
  const prometheus = await startPrometheus({ version: 3, targets: [`127.0.0.1:${port}`], scrape });
  stops.push(() => prometheus.stop());
  const present = (selector: string) =>
    vi.waitFor(
      async () => {
        const samples = await samplesOf(prometheus, selector);
        expect(samples.at(-1)?.[1]).toBeDefined();
        return samples;
      },
      { timeout: 20_000, interval: 100 },
    );
  return { prometheus, from, present };
}

describe('[8.17] Prometheus 3', () => {
  test.each([
    ['protobuf', { scrape_protocols: ['PrometheusProto'] }, false],
    ['OpenMetrics with createdSeries', { scrape_protocols: ['OpenMetricsText1.0.0'] }, true],
  ])('that scrapes %s has a zero where series began, and no series for that', async (_, scrape, created) => {
    const { prometheus, from, present } = await scraping(scrape, created);
    expectZeroAtStart(await present('begun_total'), from, '7');
    expectZeroAtStart(await present('took_count'), from, '1');
    expect(await samplesOf(prometheus, 'begun_created')).toEqual([]);
  });

  test('that is sent remote write 2.0 has a zero where series began', async () => {
    const prometheus = await startPrometheus({ version: 3 });
    stops.push(() => prometheus.stop());
    const exporter = remoteWrite({ url: prometheus.writeUrl, version: '2.0' });
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: Infinity });
    const provider = new MeterProvider({ readers: [reader] });
    stops.push(() => provider.shutdown());
    const from = await recorded(provider);
    await provider.forceFlush();
    expectZeroAtStart(await samplesOf(prometheus, 'begun_total'), from, '7');
    expectZeroAtStart(await samplesOf(prometheus, 'took_count'), from, '1');
  });
});
