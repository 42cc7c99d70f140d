// A real Prometheus scrapes the endpoint, and its answers are what was recorded.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { PrometheusMetricReader } from '../../src/exporters/prometheus.ts';
import { MeterProvider, resourceFromAttributes } from '../../src/index.ts';
import { type Prometheus, startPrometheus } from './support/prometheus.ts';
import { runCommand } from './support/run-command.ts';

const HOSTILE = [
  'quote " backslash \\ both \\" end',
  'line\nbreak, escaped \\n and CR\r\n',
  '} 1\n# TYPE evil counter\nevil_total 1\n',
  'a="b",c="d"',
  'größe 💥 \u0000 \u2028 \u0001 \t tab',
  ' spaces around ',
  '{}=~!,;',
];

const reader = new PrometheusMetricReader();
const provider = new MeterProvider({
  readers: [reader],
  resource: resourceFromAttributes({ 'service.name': 'orders', 'deployment.environment.name': 'test' }),
});
let metricsUrl: string;
let target: string;
let prometheus: Prometheus;

beforeAll(async () => {
  const meter = provider.getMeter('orders', '1.2.3');

  const requests = meter.createCounter('http_server_requests_total', { unit: '1', description: 'Requests.' });
  requests.add(40, { 'http.route': '/orders/:id', 'http.status_code': 200, status: 'success' });
  requests.add(2, { 'http.route': '/orders/:id', 'http.status_code': 500, status: 'error' });

  const active = meter.createUpDownCounter('http_server_active_requests', {
    unit: '1',
    description: 'Open.',
  });
  active.add(5);
  active.add(-7);

  const duration = meter.createHistogram('http_server_request_duration_seconds', {
    unit: 's',
    description: 'Durations.',
    advice: { explicitBucketBoundaries: [0.005, 0.01, 0.1, 1, 10] },
  });
  for (const value of [0.005, 0.006, 0.5, 2, 20]) duration.record(value, { status: 'success' });

  meter.createHistogram('http_server_request_size_bytes', { unit: 'By', description: 'Sizes.' }).record(1e6);
  meter.createGauge('room.temperature', { unit: 'Cel', description: 'Warmth.' }).record(21.5);

  meter
    .createObservableCounter('process.cpu.time', { unit: 's', description: 'CPU.' })
    .addCallback((result) => result.observe(12.25));
  meter
    .createObservableUpDownCounter('queue.length', { unit: '{job}', description: 'Jobs.' })
    .addCallback((result) => result.observe(17, { queue: 'mail' }));
  meter.createObservableGauge('tiny', { description: 'Extremes.' }).addCallback((result) => {
    result.observe(5e-324, { extreme: 'least' });
    result.observe(Number.MAX_VALUE, { extreme: 'most' });
    result.observe(-0.1, { extreme: 'negative' });
  });

  meter.createObservableGauge('broken', { description: 'Fails.' }).addCallback(() => {
    throw new Error('a callback that fails');
  });

  const hostile = meter.createGauge('hostile', { description: HOSTILE.join(' ') });
  HOSTILE.forEach((value, i) => void hostile.record(i, { value, [`kéy.${i}/%`]: 'x' }));
  // Other scopes with the same family, in front of the same family.
  provider
    .getMeter('orders-two')
    .createCounter('http_server_requests_total', { unit: '1', description: 'Requests.' })
    .add(8);

  const address = await reader.listen({ host: '127.0.0.1', port: 0 });
  metricsUrl = address.url;
  target = `127.0.0.1:${address.port}`;
});

afterAll(() => provider.shutdown());

interface Series {
  metric: Record<string, string>;
  value: [time: number, value: string];
}

async function series(promql: string): Promise<Series[]> {
  const url = new URL('/api/v1/query', prometheus.url);
  url.searchParams.set('query', promql);
  const body = (await (await fetch(url)).json()) as { status: string; data: { result: Series[] } };
  expect(body.status).toBe('success');
  return body.data.result;
}

async function query(promql: string): Promise<number[]> {
  return (await series(promql)).map(({ value }) => Number(value[1]));
}

// From version 3 on, bounds that are whole numbers end with `.0`.
describe.each([2, 3] as const)('Prometheus %i', (version) => {
  beforeAll(async () => {
    prometheus = await startPrometheus({ version, targets: [target] });
    await vi.waitFor(async () => expect(await query('up')).toEqual([1]), { timeout: 20_000 });
  });

  afterAll(() => prometheus.stop());

  test('the target is up and the scrape had no error', async () => {
    const response = await fetch(new URL('/api/v1/targets', prometheus.url));
    const { data } = (await response.json()) as {
      data: { activeTargets: { health: string; lastError: string }[] };
    };
    expect(data.activeTargets).toMatchObject([{ health: 'up', lastError: '' }]);
  });

  test.each<[string, number[]]>([
    ['sum(http_server_requests_total{otel_scope_name="orders"})', [42]],
    ['http_server_requests_total{http_route="/orders/:id",http_status_code="500",status="error"}', [2]],
    ['sum(http_server_requests_total)', [50]],
    ['http_server_active_requests', [-2]],
    ['http_server_request_duration_seconds_count{status="success"}', [5]],
    ['http_server_request_duration_seconds_sum', [0.005 + 0.006 + 0.5 + 2 + 20]],
    ['http_server_request_duration_seconds_bucket{le="0.005"}', [1]],
    ['http_server_request_duration_seconds_bucket{le="0.01"}', [2]],
    ['http_server_request_duration_seconds_bucket{le=~"1|1.0"}', [3]],
    ['http_server_request_duration_seconds_bucket{le=~"10|10.0"}', [4]],
    ['http_server_request_duration_seconds_bucket{le="+Inf"}', [5]],
    ['histogram_quantile(0.4, http_server_request_duration_seconds_bucket)', [0.01]],
    ['http_server_request_size_bytes_sum', [1e6]],
    ['room_temperature_celsius', [21.5]],
    ['process_cpu_time_seconds_total', [12.25]],
    ['queue_length{queue="mail"}', [17]],
    ['tiny{extreme="least"}', [5e-324]],
    ['tiny{extreme="most"}', [Number.MAX_VALUE]],
    ['tiny{extreme="negative"}', [-0.1]],
    ['count(target_info{service_name="orders",deployment_environment_name="test"})', [1]],
    ['count({__name__=~".+",job="app",otel_scope_version="1.2.3",service_name!=""})', []],
  ])('PromQL %s is what was recorded', async (promql, expected) => {
    expect(await query(promql)).toEqual(expected);
  });

  test('hostile label values and names arrive unharmed', async () => {
    const found = await series('hostile');
    const byValue = new Map(found.map(({ metric, value }) => [metric.value, { metric, value: value[1] }]));
    expect([...byValue.keys()].sort()).toEqual([...HOSTILE].sort());
    HOSTILE.forEach((value, i) => {
      expect(byValue.get(value)).toMatchObject({ value: `${i}`, metric: { [`k_y_${i}_`]: 'x' } });
    });
    expect(await series('evil_total')).toEqual([]);
  });

  test('types and help texts are those of the instruments', async () => {
    const response = await fetch(new URL('/api/v1/metadata', prometheus.url));
    const { data } = (await response.json()) as { data: Record<string, { type: string; help: string }[]> };
    expect(data).toMatchObject({
      http_server_requests_total: [{ type: 'counter', help: 'Requests.' }],
      http_server_active_requests: [{ type: 'gauge', help: 'Open.' }],
      http_server_request_duration_seconds: [{ type: 'histogram', help: 'Durations.' }],
      room_temperature_celsius: [{ type: 'gauge', help: 'Warmth.' }],
      process_cpu_time_seconds_total: [{ type: 'counter', help: 'CPU.' }],
      queue_length: [{ type: 'gauge', help: 'Jobs.' }],
      hostile: [{ type: 'gauge', help: HOSTILE.join(' ').trim() }],
      target_info: [{ type: 'gauge' }],
    });
  });

  test('promtool has nothing to object to', async () => {
    const body = new Uint8Array(await (await fetch(metricsUrl)).arrayBuffer());
    expect(await runCommand(prometheus.promtool, ['check', 'metrics'], body)).toEqual({
      exitCode: 0,
      output: '',
    });
  });

  test('later scrapes see later values', async () => {
    const counter = provider.getMeter('orders').createCounter(`late.${version}`, { description: 'Later.' });
    counter.add(1);
    await expect.poll(() => query(`late_${version}_total`), { timeout: 10_000 }).toEqual([1]);
    counter.add(2);
    await expect.poll(() => query(`late_${version}_total`), { timeout: 10_000 }).toEqual([3]);
  });
});
