// Real receivers of remote write: what can be asked for is what was recorded.
import { setTimeout } from 'node:timers/promises';
import { context, ROOT_CONTEXT, TraceFlags, trace } from '@opentelemetry/api';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type RemoteWriteOptions, remoteWrite } from '../../src/exporters/remote-write.ts';
import {
  AggregationType,
  type ExportError,
  MeterProvider,
  PeriodicExportingMetricReader,
  resourceFromAttributes,
} from '../../src/index.ts';
import { startPrometheus } from './support/prometheus.ts';
import type { ServerProcess } from './support/server-process.ts';
import { startVictoriaMetrics } from './support/victoria-metrics.ts';

interface Receiver extends ServerProcess {
  readonly url: string;
  readonly writeUrl: string;
  flush?(): Promise<void>;
}

interface Found {
  metric: Record<string, string>;
  value?: [number, string];
  values?: [number, string][];
}

const RECEIVERS: [string, RemoteWriteOptions['version'], () => Promise<Receiver>][] = [
  ['Prometheus 2', '1.0', () => startPrometheus({ version: 2 })],
  // Takes it for 1.0, and says that all is fine.
  ['Prometheus 2', '2.0', () => startPrometheus({ version: 2 })],
  ['Prometheus 3', '1.0', () => startPrometheus({ version: 3 })],
  ['Prometheus 3', '2.0', () => startPrometheus({ version: 3 })],
  ['old VictoriaMetrics', '1.0', () => startVictoriaMetrics('old')],
  ['old VictoriaMetrics', '2.0', () => startVictoriaMetrics('old')],
  ['new VictoriaMetrics', '1.0', () => startVictoriaMetrics('new')],
  ['new VictoriaMetrics', '2.0', () => startVictoriaMetrics('new')],
];

const QUICK = { initialIntervalMillis: 20, maxIntervalMillis: 200 };

function service(writeUrl: string, options: Partial<RemoteWriteOptions> = {}) {
  const exporter = remoteWrite({ url: writeUrl, retry: QUICK, ...options });
  const reader = new PeriodicExportingMetricReader({
    exporter,
    selfMetrics: false,
    exportIntervalMillis: Infinity,
  });
  const provider = new MeterProvider({
    readers: [reader],
    resource: resourceFromAttributes({
      'service.name': 'orders',
      'service.namespace': 'shop',
      'service.instance.id': 'i-1',
      'service.version': '1.2.3',
    }),
    views: [{ instrumentName: 'native', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
  });
  onTestFinished(() => provider.shutdown().catch(() => {}));
  return { provider, meter: provider.getMeter('m'), report: () => provider.forceFlush() };
}

async function started(start: () => Promise<Receiver>): Promise<Receiver> {
  const receiver = await start();
  onTestFinished(() => receiver.stop());
  return receiver;
}

async function query({ url, flush }: Receiver, promql: string): Promise<Found[]> {
  await flush?.();
  // Collections in the same millisecond are told apart by moving on a millisecond, and VictoriaMetrics rounds the present.
  const time = Date.now() / 1_000 + 2;
  const parameters = new URLSearchParams({ nocache: '1', query: promql, time: String(time) });
  const response = await fetch(`${url}/api/v1/query?${parameters}`);
  const { data } = (await response.json()) as { data: { result: Found[] } };
  return data.result;
}

async function valuesOf(receiver: Receiver, promql: string): Promise<number[]> {
  return (await query(receiver, promql)).map(({ value }) => Number(value![1]));
}

/**
 * All samples of the one series, but for the zero that Prometheus itself puts where a series started: version 2.0 tells it,
 * and it shows when that was a millisecond or more before the first sample.
 */
async function samplesOf(receiver: Receiver, selector: string): Promise<number[]> {
  const [found] = await query(receiver, `${selector}[10m]`);
  const values = (found?.values ?? []).map(([, value]) => Number(value));
  return values[0] === 0 ? values.slice(1) : values;
}

describe.each(RECEIVERS)('%s, version %s', (name, version, start) => {
  test('PromQL gives what was recorded', async () => {
    const receiver = await started(start);
    const { meter, report } = service(receiver.writeUrl, { version, externalLabels: { cluster: 'eu' } });
    const requests = meter.createCounter('http.requests', { description: 'Requests.' });
    requests.add(40, { route: '/a', code: 200 });
    requests.add(2, { route: 'hostile "\\\n💥', code: 500 });
    meter.createGauge('room.temperature', { unit: 'Cel' }).record(-21.5);
    const duration = meter.createHistogram('duration', {
      unit: 's',
      advice: { explicitBucketBoundaries: [1, 2, 4] },
    });
    for (const value of [0.5, 1, 1.5, 3, 9]) duration.record(value);
    const native = meter.createHistogram('native');
    for (let i = 1; i <= 1_000; i++) native.record(i);
    await report();

    const labels = 'job="shop/orders",instance="i-1",cluster="eu",otel_scope_name="m"';
    const ask = (promql: string) => valuesOf(receiver, promql);
    expect(await ask(`http_requests_total{${labels},route="/a",code="200"}`)).toEqual([40]);
    expect(await ask('sum(http_requests_total)')).toEqual([42]);
    const hostile = await query(receiver, 'http_requests_total{code="500"}');
    expect(hostile.map(({ metric }) => metric.route)).toEqual(['hostile "\\\n💥']);
    expect(await ask('room_temperature_celsius')).toEqual([-21.5]);
    expect(await ask('duration_seconds_bucket{le="1"}')).toEqual([2]);
    expect(await ask('duration_seconds_bucket{le="+Inf"}')).toEqual([5]);
    expect(await ask('duration_seconds_sum')).toEqual([15]);
    expect(await ask('duration_seconds_count')).toEqual([5]);
    expect(await ask('histogram_quantile(0.4, duration_seconds_bucket)')).toEqual([1]);
    expect(await ask('count(target_info{service_version="1.2.3",job="shop/orders",instance="i-1"})')).toEqual(
      [1],
    );

    // It takes no native histograms, and says nothing.
    if (name === 'old VictoriaMetrics') return;
    const isNew = name === 'new VictoriaMetrics';
    const [count, sum] = isNew
      ? ['native_count', 'native_sum']
      : ['histogram_count(native)', 'histogram_sum(native)'];
    expect(await ask(count)).toEqual([1_000]);
    expect(await ask(sum)).toEqual([500_500]);
    for (const quantile of [0.1, 0.5, 0.99]) {
      // VictoriaMetrics keeps them as buckets of its own, 18 to an order of magnitude.
      const buckets = isNew ? 'sum by (vmrange) (native_bucket)' : 'native';
      const [found] = await ask(`histogram_quantile(${quantile}, ${buckets})`);
      // What 160 buckets over three decades can tell.
      expect(Math.abs(found! / (quantile * 1_000) - 1)).toBeLessThan(isNew ? 0.1 : 0.05);
    }
  });

  test('each export adds one sample to each series; a series that ends is gone at once, and all are at shutdown', async () => {
    const receiver = await started(start);
    const { provider, meter, report } = service(receiver.writeUrl, { version });
    const counter = meter.createCounter('steps');
    const there = new Set(['a', 'b']);
    meter.createObservableGauge('seen').addCallback((result) => {
      for (const it of there) result.observe(1, { it });
    });
    for (let i = 0; i < 20; i++) {
      counter.add(1);
      await report();
    }
    expect(await samplesOf(receiver, 'steps_total')).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    there.delete('a');
    await report();
    await report();
    const seen = async () => (await query(receiver, 'seen')).map(({ metric }) => metric.it);
    expect(await seen()).toEqual(['b']);
    await provider.shutdown();
    expect(await seen()).toEqual([]);
    expect(await valuesOf(receiver, 'steps_total')).toEqual([]);
  });

  test('a receiver that is paused, then stopped and started again misses no sample and has none twice', async () => {
    const receiver = await started(start);
    const { meter, report } = service(receiver.writeUrl, { version, staleMarkers: false });
    const counter = meter.createCounter('steps');
    const sent: number[] = [];
    const step = () => {
      counter.add(1);
      sent.push(sent.length + 1);
      return report();
    };
    await step();
    await receiver.pause();
    const paused = step();
    await setTimeout(300);
    receiver.resume();
    await paused;
    await receiver.stop();
    const restarted = step();
    await setTimeout(200);
    await receiver.start();
    await restarted;
    await step();
    expect(await samplesOf(receiver, 'steps_total')).toEqual(sent);
  });
});

describe.each([2, 3] as const)('Prometheus %i', (version) => {
  test('exemplars can be asked for', async () => {
    const receiver = await started(() => startPrometheus({ version }));
    const { meter, report } = service(receiver.writeUrl, { version: version === 3 ? '2.0' : '1.0' });
    const span = {
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      traceFlags: TraceFlags.SAMPLED,
    };
    const active = trace.setSpanContext(ROOT_CONTEXT, span);
    context.setGlobalContextManager({
      active: () => active,
      with: (_, fn, self, ...args) => fn.call(self as ThisParameterType<typeof fn>, ...args),
      bind: (_, target) => target,
      enable: () => context as never,
      disable: () => context as never,
    });
    onTestFinished(() => context.disable());
    meter.createCounter('hits').add(3);
    meter.createHistogram('wait', { advice: { explicitBucketBoundaries: [1, 2] } }).record(1.5);
    await report();
    const now = Date.now() / 1_000;
    for (const [series, value] of [
      ['hits_total', '3'],
      ['wait_bucket{le="2"}', '1.5'],
    ]) {
      const url = `${receiver.url}/api/v1/query_exemplars?query=${encodeURIComponent(series!)}&start=${now - 60}&end=${now + 60}`;
      const { data } = (await (await fetch(url)).json()) as { data: { exemplars: unknown[] }[] };
      expect(data.flatMap(({ exemplars }) => exemplars)).toMatchObject([
        { labels: { trace_id: span.traceId, span_id: span.spanId }, value },
      ]);
    }
  });

  test('what is refused is a failure with the reason', async () => {
    const receiver = await started(() => startPrometheus({ version, outOfOrderWindow: '0s' }));
    const refused = service(receiver.writeUrl.replace('/write', '/nothing'));
    refused.meter.createCounter('c').add(1);
    const error = (await refused.report().catch((cause: unknown) => cause)) as ExportError;
    expect(error).toMatchObject({ code: expect.stringMatching(/PROTOCOL|REJECTED/), retryable: false });
  });
});
