// What only the newer formats carry arrives in a real Prometheus: native histograms, exemplars, and names with any character.
import { ROOT_CONTEXT, TraceFlags, trace } from '@opentelemetry/api';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { batchOf, gauge, summary } from '../../src/encoding/fixtures/metrics.ts';
import { PrometheusMetricReader } from '../../src/exporters/prometheus.ts';
import { AggregationType, MeterProvider } from '../../src/index.ts';
import { type Prometheus, startPrometheus } from './support/prometheus.ts';

const SPAN = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  traceFlags: TraceFlags.SAMPLED,
};
const SPAN_CONTEXT = trace.setSpanContext(ROOT_CONTEXT, SPAN);

const QUANTILES = [
  [0.5, 2],
  [1, 4.25],
] as const;
/** What no instrument makes. */
const produced = batchOf([
  [
    { name: '' },
    [
      summary('latency', [[{ quantile: 'mine' }, { count: 3, sum: 7.5, quantiles: QUANTILES }]], {
        unit: 's',
        description: 'Latency.',
      }),
      gauge('custom', [[{}, 5]], { metadata: { 'prometheus.type': 'unknown' } }),
    ],
  ],
]);

const reader = new PrometheusMetricReader({
  translationStrategy: 'NoUTF8EscapingWithSuffixes',
  metricProducers: [{ collect: async () => ({ resourceMetrics: produced, errors: [] }) }],
  authentication: { username: 'prometheus', password: 'secret' },
});
const provider = new MeterProvider({
  readers: [reader],
  views: [
    { instrumentName: 'native*', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } },
    {
      instrumentName: 'coarse',
      aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM, options: { maxScale: 2 } },
    },
  ],
});
let target: string;

/** From a tenth of a millisecond to ten thousand. */
const VALUES = Array.from({ length: 2_000 }, (_, i) => 10 ** (((i * 7_919) % 2_000) / 250 - 4));

beforeAll(async () => {
  const meter = provider.getMeter('formats');
  const native = meter.createHistogram('native', { description: 'Finest scale.' });
  const coarse = meter.createHistogram('coarse', { description: 'Scale 2.' });
  for (const value of VALUES) {
    native.record(value);
    coarse.record(value);
  }
  native.record(0);
  const single = meter.createHistogram('native.single', { description: 'One bucket of scale 20.' });
  single.record(3);
  const requests = meter.createCounter('http.requests', { description: 'With a trace.' });
  requests.add(5, { 'http.route': '/a' }, SPAN_CONTEXT);
  const classic = meter.createHistogram('classic', {
    description: 'Classic.',
    advice: { explicitBucketBoundaries: [1, 10] },
  });
  classic.record(4, {}, SPAN_CONTEXT);
  classic.record(40);
  target = `127.0.0.1:${(await reader.listen({ host: '127.0.0.1', port: 0 })).port}`;
});

afterAll(() => provider.shutdown());

/** Where the `share` of the values lies. */
function quantile(share: number): number {
  return [...VALUES, 0].sort((a, b) => a - b)[Math.ceil(share * (VALUES.length + 1)) - 1]!;
}

// Prometheus 3 asks for UTF-8 names in text, but not in protobuf.
describe.each([
  { version: 2, format: 'protobuf' },
  { version: 3, format: 'protobuf' },
  { version: 3, format: 'OpenMetrics' },
  { version: 3, format: 'text' },
] as const)('Prometheus $version that reads $format', ({ version, format }) => {
  let prometheus: Prometheus;
  const isUtf8 = format !== 'protobuf';
  const name = (utf8: string, classic: string) => (isUtf8 ? `{"${utf8}"}` : classic);

  async function api<T>(path: string, parameters: Record<string, string>): Promise<T> {
    const url = new URL(`/api/v1/${path}`, prometheus.url);
    for (const [key, value] of Object.entries(parameters)) url.searchParams.set(key, value);
    return ((await (await fetch(url)).json()) as { data: T }).data;
  }

  async function query(promql: string): Promise<number[]> {
    const { result } = await api<{ result: { value: [number, string] }[] }>('query', { query: promql });
    return result.map(({ value }) => Number(value[1]));
  }

  beforeAll(async () => {
    prometheus = await startPrometheus({
      version,
      targets: [target],
      scrape: {
        basic_auth: { username: 'prometheus', password: 'secret' },
        ...(isUtf8 && { scrape_protocols: [`${format === 'text' ? 'Prometheus' : format}Text1.0.0`] }),
        ...(version === 3 && !isUtf8 && { scrape_native_histograms: true }),
      },
    });
    await vi.waitFor(async () => expect(await query('up')).toEqual([1]), { timeout: 20_000 });
  });

  afterAll(() => prometheus.stop());

  // No other format carries them.
  const describeNative = format === 'protobuf' ? describe : () => {};
  describeNative('[8.18] a native histogram', () => {
    test('is what was recorded', async () => {
      expect(await query('histogram_count(native)')).toEqual([VALUES.length + 1]);
      const sum = VALUES.reduce((a, b) => a + b, 0);
      expect((await query('histogram_sum(native)'))[0]! / sum).toBeCloseTo(1, 12);
      expect(await query('histogram_count(coarse)')).toEqual([VALUES.length]);
      expect(await query('histogram_count(native_single)')).toEqual([1]);
    });

    test.each([0.1, 0.5, 0.9, 0.99])('has the quantile %d within its buckets', async (share) => {
      const expected = quantile(share);
      const [native] = await query(`histogram_quantile(${share}, native)`);
      // 160 buckets over eight decades are of scale 2: each ends at 2 ** 0.25 times where it begins.
      const width = 2 ** 0.25;
      expect(native! / expected).toBeGreaterThan(1 / width);
      expect(native! / expected).toBeLessThan(width);
      const [coarse] = await query(`histogram_quantile(${share}, coarse)`);
      expect(coarse! / expected).toBeGreaterThan(1 / width);
      expect(coarse! / expected).toBeLessThan(width);
    });

    test('has a value of scale 20 in a bucket of schema 8', async () => {
      const [found] = await query('histogram_quantile(0.5, native_single)');
      expect(found! / 3).toBeGreaterThan(2 ** (-1 / 256));
      expect(found! / 3).toBeLessThan(2 ** (1 / 256));
    });
  });

  test('counters and classic histograms come with them', async () => {
    expect(await query(name('http.requests_total', 'http_requests_total'))).toEqual([5]);
    expect(await query('classic_count')).toEqual([2]);
    expect(await query('classic_bucket{le=~"10|10.0"}')).toEqual([1]);
  });

  test('[8.15] summaries have their quantiles, and what has no known type has none', async () => {
    for (const [quantile, value] of QUANTILES) {
      const promql = `latency_seconds{quantile=~"${quantile}|${quantile}.0",exported_quantile="mine"}`;
      expect(await query(promql)).toEqual([value]);
    }
    expect(await query('latency_seconds_sum{exported_quantile="mine"}')).toEqual([7.5]);
    expect(await query('latency_seconds_count')).toEqual([3]);
    expect(await query('custom')).toEqual([5]);
    const types = await api<Record<string, { type: string }[]>>('metadata', {});
    expect(types.latency_seconds).toMatchObject([{ type: 'summary', help: 'Latency.' }]);
    expect(types.custom).toMatchObject([{ type: 'unknown' }]);
  });

  test('[8.13][8.14] a Prometheus that takes UTF-8 has names and labels as they are', async () => {
    const promql = isUtf8
      ? 'count({"http.requests_total","http.route"="/a"})'
      : 'count(http_requests_total{http_route="/a"})';
    expect(await query(promql)).toEqual([1]);
  });

  test('the scrape had no error', async () => {
    const { activeTargets } = await api<{ activeTargets: { health: string; lastError: string }[] }>(
      'targets',
      {},
    );
    expect(activeTargets).toMatchObject([{ health: 'up', lastError: '' }]);
  });
});
