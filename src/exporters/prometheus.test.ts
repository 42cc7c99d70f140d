import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { EventEmitter, once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DiagLogLevel, diag } from '@opentelemetry/api';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { resetReports } from '../data/diagnostics.ts';
import { ConfigError } from '../data/errors.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { AggregationTemporality, InstrumentType } from '../data/metric-data.ts';
import type { MetricProducer } from '../data/reader.ts';
import { batchOf, counter, exponentialHistogram } from '../encoding/fixtures/metrics.ts';
import { parsePrometheusText } from '../encoding/fixtures/prometheus-parser.ts';
import {
  type ListenOptions,
  PrometheusMetricReader,
  type PrometheusMetricReaderOptions,
} from './prometheus.ts';

const logger = { verbose: vi.fn(), debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() };
const cleanups: (() => unknown)[] = [];

beforeEach(() => {
  resetReports();
  vi.clearAllMocks();
  diag.setLogger(logger, { logLevel: DiagLogLevel.ALL, suppressOverrideMessage: true });
  logger.debug.mockClear();
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
  diag.disable();
});

function smallBatch(): MetricBatch {
  return batchOf([[{ name: 'test' }, [counter('requests', [[{}, 3]])]]], { 'service.name': 'shop' });
}

/** About 10 MB of text, far more than the buffers of a connection hold. */
function largeBatch(): MetricBatch {
  const text = 'x'.repeat(1_000);
  const points = Array.from({ length: 10_000 }, (_, i) => [{ id: `${i}`, text }, i] as const);
  return batchOf([[{ name: 'test' }, [counter('requests', points)]]]);
}

function readerOf(
  collect: MetricProducer['collect'] = async () => ({ resourceMetrics: smallBatch(), errors: [] }),
  options?: PrometheusMetricReaderOptions,
) {
  const reader = new PrometheusMetricReader(options);
  reader.setMetricProducer({ collect });
  cleanups.push(() => reader.shutdown());
  return reader;
}

async function bytesOf(url: string): Promise<Uint8Array> {
  return new Uint8Array(await (await fetch(url)).arrayBuffer());
}

const anyPort = { host: '127.0.0.1', port: 0 };

/** A connection that has asked for the metrics and reads nothing of the answer until told to. */
async function stalledScraper(port: number) {
  const socket = connect(port, '127.0.0.1').pause();
  cleanups.push(() => socket.destroy());
  await once(socket, 'connect');
  socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
  return socket;
}

test('[8.01][8.31] a GET of /metrics is answered with text 0.0.4, and says so', async () => {
  const { url, port, host } = await readerOf().listen(anyPort);
  expect(url).toBe(`http://${host}:${port}/metrics`);
  const response = await fetch(`${url}?x=y`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(await response.text()).toBe(
    '# HELP target_info Attributes of the resource.\n' +
      '# TYPE target_info gauge\n' +
      'target_info{service_name="shop"} 1\n' +
      '# TYPE requests_total counter\n' +
      'requests_total{otel_scope_name="test"} 3\n',
  );
});

test('[8.02] without options the server is on loopback only', async () => {
  const { host } = await readerOf().listen({ port: 0 });
  expect(['127.0.0.1', '::1']).toContain(host);
});

test('[8.05] scope labels and target_info can be turned off', async () => {
  const { url } = await readerOf(undefined, { scopeLabels: false, targetInfo: false }).listen(anyPort);
  expect(await (await fetch(url)).text()).toBe('# TYPE requests_total counter\nrequests_total 3\n');
});

test('[8.03] all instruments are cumulative, with default aggregation and limit', () => {
  const reader = readerOf();
  for (const type of Object.values(InstrumentType)) {
    expect(reader.selectAggregationTemporality()).toBe(AggregationTemporality.CUMULATIVE);
    expect(reader.selectAggregation(type)).toEqual({ type: 0 });
    expect(reader.selectCardinalityLimit(type)).toBe(2000);
  }
});

test('[8.06] HEAD has the headers only, other methods are 405, other paths 404', async () => {
  const { url } = await readerOf().listen(anyPort);
  const head = await fetch(url, { method: 'HEAD' });
  expect([head.status, await head.text()]).toEqual([200, '']);
  expect(head.headers.get('content-type')).toContain('0.0.4');
  const post = await fetch(url, { method: 'POST', body: 'x' });
  expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  for (const path of ['/', '/metrics/', '/metricsx']) {
    expect((await fetch(new URL(path, url))).status, path).toBe(404);
  }
});

test('a request with the whole address is answered as one with the path alone', async () => {
  const { port } = await readerOf().listen(anyPort);
  const statusOf = async (path: string) => {
    const [response] = await once(httpRequest({ host: '127.0.0.1', port, path }).end(), 'response');
    response.resume();
    return response.statusCode;
  };
  expect(await statusOf('http://proxied.example/metrics?name[]=a')).toBe(200);
  expect(await statusOf('http://proxied.example/other')).toBe(404);
  expect(await statusOf('http://proxied.example')).toBe(404);
});

test('[8.06] a collection that fails is 500 and logged, and the next one can succeed', async () => {
  const collect = vi.fn<MetricProducer['collect']>(async () => ({
    resourceMetrics: smallBatch(),
    errors: [],
  }));
  const { url } = await readerOf(collect).listen(anyPort);
  collect.mockRejectedValueOnce(new Error('broken'));
  const response = await fetch(url);
  expect([response.status, await response.text()]).toEqual([500, expect.not.stringContaining('broken')]);
  expect(logger.error).toHaveBeenCalledWith(expect.stringContaining('scrape'), expect.any(Error));
  expect((await fetch(url)).status).toBe(200);
});

test('a reader without a provider answers 500', async () => {
  const reader = new PrometheusMetricReader();
  cleanups.push(() => reader.shutdown());
  expect((await fetch((await reader.listen(anyPort)).url)).status).toBe(500);
});

test('a failing callback costs its own metric only, and is logged', async () => {
  const error = new Error('callback');
  const { url } = await readerOf(async () => ({ resourceMetrics: smallBatch(), errors: [error] })).listen(
    anyPort,
  );
  expect(await (await fetch(url)).text()).toContain('requests_total');
  expect(logger.warn).toHaveBeenCalledWith(expect.stringContaining('missing'), error);
});

test('callbacks get less time than a scrape has', async () => {
  const collect = vi.fn<MetricProducer['collect']>(async () => ({
    resourceMetrics: smallBatch(),
    errors: [],
  }));
  await fetch((await readerOf(collect).listen(anyPort)).url);
  expect(collect).toHaveBeenCalledWith(expect.objectContaining({ timeoutMillis: 5_000 }));
});

test('[5.21] ten scrapes at once share one collection; a later one collects again', async () => {
  const started = new EventEmitter();
  const collect = vi.fn<MetricProducer['collect']>(async () => {
    await once(started, 'now');
    return { resourceMetrics: smallBatch(), errors: [] };
  });
  const reader = readerOf(collect);
  let waiting = 0;
  const server = createServer((request, response) => {
    reader.handler(request, response);
    if (++waiting >= 10) started.emit('now');
  }).listen(0, '127.0.0.1');
  cleanups.push(() => server.close());
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/anywhere`;
  const bodies = await Promise.all(Array.from({ length: 10 }, async () => (await fetch(url)).text()));
  expect(new Set(bodies).size).toBe(1);
  expect(collect).toHaveBeenCalledTimes(1);
  await fetch(url);
  expect(collect).toHaveBeenCalledTimes(2);
});

test('what cannot be exposed is logged once, not at each scrape', async () => {
  const resourceMetrics = batchOf([[{ name: 'test' }, [exponentialHistogram('latency')]]]);
  const { url } = await readerOf(async () => ({ resourceMetrics, errors: [] })).listen(anyPort);
  for (let i = 0; i < 3; i++) {
    resetReports();
    expect(await (await fetch(url)).text()).toBe('');
  }
  expect(logger.warn).toHaveBeenCalledTimes(1);
  expect(logger.warn).toHaveBeenCalledWith(expect.stringContaining('latency'));
});

test('the reader works in the official SDK, and waits for its resource', async () => {
  const reader = new PrometheusMetricReader();
  const detection = new EventEmitter();
  const resource = {
    asyncAttributesPending: true,
    attributes: {} as Record<string, string>,
    waitForAsyncAttributes: async () => void (await once(detection, 'end')),
    merge: () => resource,
    getRawAttributes: () => [],
  };
  const provider = new MeterProvider({ readers: [reader], resource });
  cleanups.push(() => provider.shutdown());
  const meter = provider.getMeter('official', '2');
  meter.createCounter('requests', { unit: '1', description: 'R.' }).add(2, { code: 200 });
  meter.createHistogram('duration', { unit: 's', advice: { explicitBucketBoundaries: [1] } }).record(0.5);
  const { url } = await reader.listen(anyPort);
  const body = bytesOf(url);
  await vi.waitFor(() => expect(detection.listenerCount('end')).toBe(1));
  resource.attributes['host.name'] = 'late';
  resource.asyncAttributesPending = false;
  detection.emit('end');
  const families = parsePrometheusText(await body);
  expect(families.map(({ name, type, samples }) => [name, type, samples.at(-1)!.value])).toEqual([
    ['target_info', 'gauge', 1],
    ['requests_total', 'counter', 2],
    ['duration_seconds', 'histogram', 1],
  ]);
  expect(families[0]!.samples[0]!.labels).toEqual({ host_name: 'late' });
});

test('a taken port rejects listen with the host, the port and what to do, and the reader can try another', async () => {
  const { port } = await readerOf().listen(anyPort);
  const reader = readerOf();
  const error = await reader.listen({ host: '127.0.0.1', port }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ConfigError);
  expect((error as Error).message).toMatch(new RegExp(`host 127.0.0.1, port ${port}: .*choose another`));
  await reader.listen(anyPort);
  await expect(reader.listen(anyPort)).rejects.toThrow(/listens already/);
});

test.each([
  [{ port: -1 }, /port is -1; .*0 to 65535/],
  [{ port: 65_536 }, /port is 65536/],
  [{ port: Number.NaN }, /port is NaN/],
  [{ port: '0' }, /port is ["']0["']; .*0 to 65535/],
  [{ port: 0, path: 'metrics' }, /path is ["']metrics["']; .*starts with "\/"/],
  [{ port: 0, path: '/metrics?of=all' }, /path is .*without a query/],
  [{ port: 0, path: 5 }, /path is 5/],
  // Node would listen on every interface.
  [{ port: 0, host: '' }, /host is ["']{2}; .*a host name or an address/],
  [{ port: 0, host: null }, /host is null/],
  [{ port: 0, adress: '127.0.0.1' }, /there is no setting adress/],
  [{ port: 0, tls: null }, /tls is null; .*an object/],
  [null, /options is null; .*an object/],
  [{ port: 0, host: '192.0.2.1' }, /host 192\.0\.2\.1, port 0: .*not an address of this machine/],
])('listen(%j) rejects with what is wrong', async (options, message) => {
  await expect(readerOf().listen(options as ListenOptions)).rejects.toThrow(message);
});

test('neither the server nor a scraper that stays connected keeps the process alive', async () => {
  const held = () => process.getActiveResourcesInfo().filter((name) => /TCP/.test(name)).length;
  // Connections of earlier tests are kept open for some seconds by what made them.
  await vi.waitFor(() => expect(held()).toBe(0), { timeout: 10_000 });
  const { port } = await readerOf().listen(anyPort);
  const socket = await stalledScraper(port);
  await once(socket.resume(), 'data');
  socket.unref();
  expect(held()).toBe(0);
});

test('the server carries the mark by which HTTP instrumentation leaves scrapes out', async () => {
  const marks: unknown[] = [];
  const onStart = (message: unknown) => {
    const { server } = message as { server: Record<symbol, unknown> };
    marks.push(server[Symbol.for('meterline.uninstrumented')]);
  };
  subscribe('http.server.request.start', onStart);
  cleanups.push(() => unsubscribe('http.server.request.start', onStart));
  await fetch((await readerOf().listen(anyPort)).url);
  expect(marks).toEqual([true]);
});

test('shutdown ends idle and stalled connections within its bound, once, and frees the port', async () => {
  const reader = readerOf(async () => ({ resourceMetrics: largeBatch(), errors: [] }));
  const { port, url } = await reader.listen(anyPort);
  const stalled = await stalledScraper(port);
  await once(stalled, 'readable');
  const idle = connect(port, '127.0.0.1');
  await once(idle, 'connect');
  const begun = performance.now();
  const first = reader.shutdown();
  expect(reader.shutdown()).toBe(first);
  await first;
  expect(performance.now() - begun).toBeLessThan(2_000);
  await expect(fetch(url)).rejects.toThrow();
  await expect(reader.collect()).rejects.toMatchObject({ code: 'SHUTDOWN' });
  await expect(reader.listen({ port })).rejects.toMatchObject({ code: 'SHUTDOWN' });
  await readerOf().listen({ host: '127.0.0.1', port });
  idle.destroy();
});

test('shutdown while the server is starting closes it', async () => {
  const reader = readerOf();
  const listening = reader.listen(anyPort);
  await reader.shutdown();
  await expect(fetch((await listening).url)).rejects.toThrow();
});

test('a scraper that goes away in the middle leaves nothing behind', async () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  let batch: WeakRef<MetricBatch> | undefined;
  const reader = readerOf(async () => {
    const resourceMetrics = largeBatch();
    batch = new WeakRef(resourceMetrics);
    return { resourceMetrics, errors: [] };
  });
  const { port, url } = await reader.listen(anyPort);
  const socket = await stalledScraper(port);
  await once(socket, 'readable');
  socket.destroy();
  await vi.waitFor(() => {
    gc();
    // Not `expect(batch?.deref())`, which would keep it.
    expect(batch?.deref() === undefined).toBe(true);
  });
  expect(logger.error).not.toHaveBeenCalled();
  expect((await fetch(url, { method: 'HEAD' })).status).toBe(200);
});

test('a large scrape is complete', async () => {
  const batch = largeBatch();
  const { url } = await readerOf(async () => ({ resourceMetrics: batch, errors: [] })).listen(anyPort);
  const [family] = parsePrometheusText(await bytesOf(url));
  expect(family!.samples.map(({ value }) => value)).toEqual(Array.from({ length: 10_000 }, (_, i) => i));
});

test('the path can be chosen', async () => {
  const { url } = await readerOf().listen({ ...anyPort, path: '/internal/prom' });
  expect(new URL(url).pathname).toBe('/internal/prom');
  expect((await fetch(url)).status).toBe(200);
});
