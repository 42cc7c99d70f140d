// Public instrumentation packages record into our provider, over real requests on loopback.
import { deepEqual, equal, ok } from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { type Attributes, metrics } from '@opentelemetry/api';
import { HostMetrics } from '@opentelemetry/host-metrics';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { RuntimeNodeInstrumentation } from '@opentelemetry/instrumentation-runtime-node';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import { ManualMetricReader, MeterProvider, type MetricData } from 'meterline';

const REQUESTS = 5;

// The stable names of the semantic conventions; the package still starts with those of 2023.
process.env.OTEL_SEMCONV_STABILITY_OPT_IN = 'http';
const reader = new ManualMetricReader();
const provider = new MeterProvider({ readers: [reader] });
const instrumentations = [
  new HttpInstrumentation(),
  new UndiciInstrumentation(),
  new RuntimeNodeInstrumentation({ monitoringPrecision: 10 }),
];

before(() => {
  ok(metrics.setGlobalMeterProvider(provider));
  for (const instrumentation of instrumentations) instrumentation.setMeterProvider(provider);
  new HostMetrics({ meterProvider: provider }).start();
});

after(async () => {
  for (const instrumentation of instrumentations) instrumentation.disable();
  await provider.shutdown();
  metrics.disable();
});

async function metricsOf(scope: string): Promise<Map<string, MetricData>> {
  const { resourceMetrics, errors } = await reader.collect();
  deepEqual(errors, []);
  const found = resourceMetrics.scopeMetrics.filter(({ scope: { name } }) => name === scope);
  equal(found.length, 1, `scopes named ${scope}`);
  return new Map(found[0]!.metrics.map((metric) => [metric.descriptor.name, metric]));
}

/** Count and attributes of each series of a histogram. */
function seriesOf(metric: MetricData | undefined): [number, Attributes][] {
  return (metric?.dataPoints ?? []).map(({ value, attributes }) => {
    ok(typeof value === 'object');
    ok(value.sum !== undefined && value.sum > 0, 'requests take time');
    return [value.count, attributes];
  });
}

/** Serves 200 for GET and 404 for anything else, by the patched module. */
async function withServer(work: (origin: string, http: typeof import('node:http')) => Promise<void>) {
  // The package patches what is required after it was enabled.
  const http: typeof import('node:http') = createRequire(import.meta.url)('node:http');
  const server = http.createServer((request, response) => {
    response.statusCode = request.method === 'GET' ? 200 : 404;
    response.end('hello');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, http);
  } finally {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }
}

test('instrumentation-http measures server and client', async () => {
  await withServer(async (origin, http) => {
    for (let i = 0; i < REQUESTS; i++) {
      const method = i === 0 ? 'POST' : 'GET';
      const [response] = await once(http.request(origin, { method }).end(), 'response');
      response.resume();
      await once(response, 'close');
    }
  });
  const byName = await metricsOf('@opentelemetry/instrumentation-http');
  for (const name of ['http.server.request.duration', 'http.client.request.duration']) {
    const metric = byName.get(name);
    equal(metric?.descriptor.unit, 's');
    const counts = seriesOf(metric).map(([count, attributes]) => [
      count,
      attributes['http.request.method'],
      attributes['http.response.status_code'],
    ]);
    deepEqual(
      counts.sort(([a], [b]) => Number(a) - Number(b)),
      [
        [1, 'POST', 404],
        [REQUESTS - 1, 'GET', 200],
      ],
      name,
    );
  }
});

test('instrumentation-undici measures fetch', async () => {
  await withServer(async (origin) => {
    for (let i = 0; i < REQUESTS; i++) await (await fetch(origin)).text();
  });
  const byName = await metricsOf('@opentelemetry/instrumentation-undici');
  const duration = byName.get('http.client.request.duration');
  equal(duration?.descriptor.unit, 's');
  const [[count, attributes], ...others] = seriesOf(duration) as [[number, Attributes]];
  deepEqual(others, []);
  equal(count, REQUESTS);
  equal(attributes['http.request.method'], 'GET');
  equal(attributes['http.response.status_code'], 200);
  equal(attributes['server.address'], '127.0.0.1');
});

test('instrumentation-runtime-node measures the event loop and the heap', { timeout: 10_000 }, async () => {
  // The package says nothing of the event loop until it has taken a few samples of it.
  let byName: Map<string, MetricData>;
  do {
    await new Promise((resolve) => setTimeout(resolve, 10));
    byName = await metricsOf('@opentelemetry/instrumentation-runtime-node');
  } while (!byName.has('nodejs.eventloop.delay.max'));
  const units = Object.fromEntries(
    [...byName.values()].map(({ descriptor }) => [descriptor.name, descriptor.unit]),
  );
  for (const [name, unit] of Object.entries({
    'nodejs.eventloop.delay.max': 's',
    'nodejs.eventloop.delay.p99': 's',
    'nodejs.eventloop.utilization': '1',
    'nodejs.eventloop.time': 's',
    'v8js.memory.heap.used': 'By',
  }))
    equal(units[name], unit, name);
  const heap = byName.get('v8js.memory.heap.used')!.dataPoints;
  const spaces = heap.map(({ attributes }) => attributes['v8js.heap.space.name']);
  ok(spaces.includes('new_space') && spaces.includes('old_space'));
  equal(new Set(spaces).size, heap.length);
  for (const { value } of heap) ok(typeof value === 'number' && value >= 0);
});

test('host-metrics measures processor, memory and network', async () => {
  const byName = await metricsOf('@opentelemetry/host-metrics');
  const memory = byName.get('system.memory.usage');
  ok(memory);
  const states = memory.dataPoints.map(({ attributes }) => String(Object.values(attributes)[0]));
  deepEqual(states.sort(), ['free', 'used']);
  for (const name of ['system.cpu.time', 'process.cpu.time']) {
    const time = byName.get(name);
    equal(time?.descriptor.unit, 's');
    ok(time.dataPoints.length > 1);
    for (const { value } of time.dataPoints) ok(typeof value === 'number' && value >= 0);
  }
  ok((byName.get('process.memory.usage')?.dataPoints[0]?.value as number) > 1e6);
});
