// A real Pushgateway, and a Prometheus that scrapes it: what was pushed is what can be asked for.
import { ROOT_CONTEXT, TraceFlags, trace } from '@opentelemetry/api';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  deleteGroup,
  type PushgatewayOptions,
  pushgateway,
  pushOnce,
} from '../../src/exporters/pushgateway.ts';
import {
  AggregationType,
  type ExportError,
  ManualMetricReader,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '../../src/index.ts';
import { type Prometheus, startPrometheus } from './support/prometheus.ts';
import { type Pushgateway, startPushgateway } from './support/pushgateway.ts';

let gateway: Pushgateway;

const QUICK = { initialIntervalMillis: 10, maxIntervalMillis: 50 };

/** A process of a job, which counts rows. */
function process(options: Partial<PushgatewayOptions> = {}) {
  const exporter = pushgateway({
    url: gateway.url,
    job: 'import',
    retry: QUICK,
    scopeLabels: false,
    ...options,
  });
  const reader = new PeriodicExportingMetricReader({
    exporter,
    selfMetrics: false,
    exportIntervalMillis: Infinity,
  });
  const provider = new MeterProvider({ readers: [reader] });
  onTestFinished(() => provider.shutdown().catch(() => {}));
  const rows = provider.getMeter('m').createCounter('rows');
  return { provider, rows, push: () => provider.forceFlush() };
}

/** The lines of a metric, sorted by the Pushgateway. */
async function pushed(name: string): Promise<string[]> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  return text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
}

async function wipe(): Promise<void> {
  await fetch(`${gateway.url}/api/v1/admin/wipe`, { method: 'PUT' });
  await vi.waitFor(async () => expect(await pushed('push_time_seconds')).toEqual([]));
}

async function errorOf(promise: Promise<unknown>): Promise<ExportError> {
  return promise.then(
    () => expect.fail('succeeded'),
    (error: unknown) => error as ExportError,
  );
}

describe.each(['old', 'new'] as const)('a Pushgateway that is %s', (age) => {
  beforeAll(async () => {
    gateway = await startPushgateway(age);
  });
  afterAll(() => gateway.stop());

  test('groups are kept apart, and PUT replaces all of one', async () => {
    await wipe();
    const one = process({ grouping: { instance: '1' } });
    const two = process({ grouping: { instance: '2' } });
    one.rows.add(5, { table: 'a' });
    two.rows.add(7, { table: 'a' });
    await Promise.all([one.push(), two.push()]);
    one.rows.add(1, { table: 'a' });
    await one.push();
    expect(await pushed('rows_total')).toEqual([
      'rows_total{instance="1",job="import",table="a"} 6',
      'rows_total{instance="2",job="import",table="a"} 7',
    ]);

    const restarted = process({ grouping: { instance: '1' } });
    restarted.rows.add(3, { table: 'b' });
    await restarted.push();
    expect(await pushed('rows_total')).toEqual([
      'rows_total{instance="1",job="import",table="b"} 3',
      'rows_total{instance="2",job="import",table="a"} 7',
    ]);
  });

  test('POST keeps the metrics of other names that are in the group', async () => {
    await wipe();
    const first = process({ method: 'POST' });
    first.rows.add(5);
    await first.push();
    const reader = new ManualMetricReader();
    new MeterProvider({ readers: [reader] }).getMeter('m').createGauge('size').record(9);
    const target = { url: gateway.url, job: 'import', scopeLabels: false };
    await pushOnce(reader, { ...target, method: 'POST' });
    expect([...(await pushed('rows_total')), ...(await pushed('size'))]).toEqual([
      'rows_total{instance="",job="import"} 5',
      'size{instance="",job="import"} 9',
    ]);
    await pushOnce(reader, { ...target, method: 'PUT' });
    expect(await pushed('rows_total')).toEqual([]);
  });

  test('a group is forgotten at shutdown when asked, and others are not', async () => {
    await wipe();
    const temporary = process({ grouping: { instance: 'a/b' }, deleteOnShutdown: true });
    const lasting = process({ grouping: { instance: 'c' } });
    temporary.rows.add(1);
    lasting.rows.add(2);
    await Promise.all([temporary.push(), lasting.push()]);
    expect(await pushed('rows_total')).toHaveLength(2);
    await temporary.provider.shutdown();
    await lasting.provider.shutdown();
    const left = ['rows_total{instance="c",job="import"} 2'];
    await vi.waitFor(async () => expect(await pushed('rows_total')).toEqual(left));

    await deleteGroup({ url: gateway.url, job: 'import', grouping: { instance: 'c' } });
    await vi.waitFor(async () => expect(await pushed('rows_total')).toEqual([]));
    await deleteGroup({ url: gateway.url, job: 'never there' });
  });

  test.each([
    '',
    '.',
    '..',
    '...',
    '/',
    'a/b//c',
    '%2F',
    '%252e',
    'a b+c',
    'a?b#c&d=e',
    '\\',
    ' ',
    '\n\t\u0000',
    'größe 💥',
    '@base64',
    'quote"',
    'x'.repeat(1_000),
  ])('a grouping value arrives as it is: %j', async (value) => {
    await wipe();
    const { rows, push } = process({ job: value === '' ? 'import' : value, grouping: { shard: value } });
    rows.add(4);
    await push();
    const { data } = (await (await fetch(`${gateway.url}/api/v1/metrics`)).json()) as {
      data: { labels: Record<string, string>; rows_total: { metrics: { value: string }[] } }[];
    };
    expect(data.map(({ labels }) => labels)).toEqual([
      { job: value === '' ? 'import' : value, shard: value },
    ]);
    expect(data[0]!.rows_total.metrics[0]!.value).toBe('4');
  });

  test('what the Pushgateway refuses is a failure with its reason, and harms no other push', async () => {
    await wipe();
    const counting = process();
    counting.rows.add(5);
    await counting.push();
    const reader = new ManualMetricReader();
    new MeterProvider({ readers: [reader] }).getMeter('m').createGauge('rows_total').record(1);
    const target = { url: gateway.url, job: 'other', retry: QUICK };
    const refused = await errorOf(pushOnce(reader, target));
    expect(refused).toMatchObject({ code: 'REJECTED', retryable: false });
    // Which of the two it looks at first is up to chance.
    expect(refused.message).toMatch(/was answered 400: .*rows_total.* is not a (COUNTER|GAUGE)/);
    expect(await errorOf(pushOnce(reader, { ...target, url: `${gateway.url}/nowhere` }))).toMatchObject({
      code: 'PROTOCOL',
      message: expect.stringContaining('404'),
    });
    counting.rows.add(1);
    await counting.push();
    expect(await pushed('rows_total')).toEqual(['rows_total{instance="",job="import"} 6']);
  });

  test('attributes that a group would overwrite keep their series apart', async () => {
    await wipe();
    const { rows, push } = process();
    rows.add(1, { job: 'a' });
    rows.add(2, { job: 'b' });
    await push();
    expect(await pushed('rows_total')).toEqual([
      'rows_total{exported_job="a",instance="",job="import"} 1',
      'rows_total{exported_job="b",instance="",job="import"} 2',
    ]);
  });

  test('a large push, compressed, all of it', async () => {
    await wipe();
    const reader = new ManualMetricReader({ cardinalitySelector: () => 100_000 });
    const counter = new MeterProvider({ readers: [reader] }).getMeter('m').createCounter('many');
    for (let i = 0; i < 20_000; i++) counter.add(i, { i });
    await pushOnce(reader, { url: gateway.url, job: 'large', compression: 'gzip' });
    expect(await pushed('many_total')).toHaveLength(20_000);
  });

  test('a Pushgateway that is paused, and one that is gone: pushes wait within their time, then fail', async () => {
    const own = await startPushgateway(age);
    onTestFinished(() => own.stop());
    const { rows, push } = process({ url: own.url, timeoutMillis: 500 });
    rows.add(1);
    await own.pause();
    expect(await errorOf(push())).toMatchObject({ code: 'TIMEOUT' });
    own.resume();
    await push();
    await own.kill();
    const hasty = process({ url: own.url, retry: false });
    hasty.rows.add(1);
    expect(await errorOf(hasty.push())).toMatchObject({ code: 'UNAVAILABLE' });
    const pushing = process({ url: own.url, timeoutMillis: 10_000 });
    pushing.rows.add(8);
    const waiting = pushing.push();
    await own.start();
    await waiting;
    expect(await (await fetch(`${own.url}/metrics`)).text()).toContain(
      'rows_total{instance="",job="import"} 8',
    );
  });

  test('Prometheus scrapes what was pushed', async () => {
    await wipe();
    const prometheus: Prometheus = await startPrometheus({
      targets: [new URL(gateway.url).host],
      scrape: { honor_labels: true },
    });
    onTestFinished(() => prometheus.stop());
    const { provider, push, rows } = process({ grouping: { shard: 'a/b' } });
    rows.add(42, { table: 'x' });
    const duration = provider.getMeter('m').createHistogram('step.duration', {
      unit: 's',
      advice: { explicitBucketBoundaries: [1, 2, 4] },
    });
    for (const value of [0.5, 1.5, 3, 9]) duration.record(value);
    await push();

    async function query(promql: string): Promise<unknown[]> {
      const url = `${prometheus.url}/api/v1/query?query=${encodeURIComponent(promql)}`;
      const { data } = (await (await fetch(url)).json()) as {
        data: { result: { value: [number, string] }[] };
      };
      return data.result.map(({ value }) => Number(value[1]));
    }
    await vi.waitFor(
      async () => expect(await query('rows_total{job="import",shard="a/b",table="x"}')).toEqual([42]),
      { timeout: 20_000 },
    );
    expect(await query('step_duration_seconds_count')).toEqual([4]);
    expect(await query('step_duration_seconds_sum')).toEqual([14]);
    expect(await query('step_duration_seconds_bucket{le=~"2|2.0"}')).toEqual([2]);
    expect(await query('histogram_quantile(0.5, step_duration_seconds_bucket)')).toEqual([2]);
  });
});

test.each([
  ['old', 2],
  ['new', 3],
] as const)(
  'native histograms and exemplars, by way of the %s Pushgateway and Prometheus %i',
  async (age, version) => {
    const own = await startPushgateway(age);
    onTestFinished(() => own.stop());
    const prometheus = await startPrometheus({
      version,
      targets: [new URL(own.url).host],
      scrape: { honor_labels: true, ...(version === 3 && { scrape_native_histograms: true }) },
    });
    onTestFinished(() => prometheus.stop());
    const reader = new ManualMetricReader();
    const meter = new MeterProvider({
      readers: [reader],
      views: [{ instrumentName: 'native', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
    }).getMeter('m');
    const native = meter.createHistogram('native');
    for (let i = 1; i <= 1_000; i++) native.record(i);
    const span = {
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      traceFlags: TraceFlags.SAMPLED,
    };
    meter.createCounter('hits').add(3, {}, trace.setSpanContext(ROOT_CONTEXT, span));
    const target = { url: own.url, job: 'import', grouping: { shard: 'größe/1' } };
    await pushOnce(reader, { ...target, format: 'protobuf', compression: 'gzip' });

    async function get<T>(path: string, parameters: Record<string, string>): Promise<T> {
      const url = `${prometheus.url}/api/v1/${path}?${new URLSearchParams(parameters)}`;
      return ((await (await fetch(url)).json()) as { data: T }).data;
    }
    async function query(promql: string): Promise<number[]> {
      const { result } = await get<{ result: { value: [number, string] }[] }>('query', { query: promql });
      return result.map(({ value }) => Number(value[1]));
    }
    await vi.waitFor(
      async () =>
        expect(await query('histogram_count(native{job="import",shard="größe/1"})')).toEqual([1_000]),
      { timeout: 20_000 },
    );
    expect(await query('histogram_sum(native)')).toEqual([500_500]);
    const [median] = await query('histogram_quantile(0.5, native)');
    expect(Math.abs(median! / 500 - 1)).toBeLessThan(0.05);
    expect(await query('hits_total')).toEqual([3]);
    const now = Date.now() / 1_000;
    const found = await get<{ exemplars: unknown[] }[]>('query_exemplars', {
      query: 'hits_total',
      start: String(now - 60),
      end: String(now + 60),
    });
    expect(found.flatMap(({ exemplars }) => exemplars)).toMatchObject([
      { labels: { trace_id: span.traceId, span_id: span.spanId }, value: '3' },
    ]);
  },
);
