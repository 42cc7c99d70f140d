import { randomBytes } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createServer } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { Agent } from 'undici';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createAuthority } from '../../test/support/certificates.ts';
import { captureLogs } from '../../test/support/collected.ts';
import { freePort } from '../../test/support/free-port.ts';
import { dataOf, decodeRequest, ExportMetricsServiceResponse } from '../../test/support/otlp.ts';
import type { ExportError } from '../data/errors.ts';
import { type ExportResult, ExportResultCode, exporterName } from '../data/exporter.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { AggregationTemporality, InstrumentType } from '../data/metric-data.ts';
import { owedPoints } from '../data/owed-points.ts';
import { VERSION } from '../data/version.ts';
import { fallback } from '../decorators/fallback.ts';
import { retry } from '../decorators/retry.ts';
import { batchOf, counter } from '../encoding/fixtures/metrics.ts';
import {
  type HttpAnswer,
  type HttpBehaviour,
  hangUp,
  noAnswer,
  serveHttp,
} from '../net/fixtures/http-stub.ts';
import { MeterProvider } from '../sdk/meter-provider.ts';
import { PeriodicExportingMetricReader } from '../sdk/readers/periodic-exporting-metric-reader.ts';
import { exported } from './fixtures/exporting.ts';
import { type OtlpHttpOptions, otlpHttp } from './otlp-http.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const TEXT_TYPE = { 'content-type': 'text/plain; charset=utf-8' };
const SOON = { initialIntervalMillis: 1, maxIntervalMillis: 1 };
const BATCH = batchOf([[{ name: 'shop' }, [counter('orders', [[{ paid: true }, 3]])]]]);

/** So many points of one counter, each with its number as value, and attributes of some length. */
const points = (count: number) =>
  batchOf([
    [
      { name: 'shop' },
      [
        counter(
          'orders',
          Array.from({ length: count }, (_, id) => [{ id, pad: 'x'.repeat(80) }, id]),
        ),
      ],
    ],
  ]);

type Result = ExportResult & { error?: ExportError };

function exporterOf(options: OtlpHttpOptions) {
  const exporter = otlpHttp({ retry: SOON, ...options });
  onTestFinished(() => exporter.shutdown());
  return {
    exporter,
    send: (batch: MetricBatch = BATCH, signal?: AbortSignal) =>
      new Promise<Result>((resolve) =>
        exporter.export(batch, (result) => resolve(result as Result), { signal }),
      ),
  };
}

/** Values of the points in requests, in order. */
const valuesOf = (requests: readonly { body: Buffer }[]) =>
  requests.flatMap(({ body }) =>
    decodeRequest(body).resourceMetrics.flatMap(({ scopeMetrics }) =>
      scopeMetrics.flatMap(({ metrics }) =>
        metrics.flatMap((metric) => dataOf(metric).dataPoints.map(({ asDouble }) => asDouble)),
      ),
    ),
  );

/** Settles with the next message of undici's on the channel. */
const published = (channel: string) =>
  new Promise<void>((resolve) => {
    const onMessage = () => {
      unsubscribe(channel, onMessage);
      resolve();
    };
    subscribe(channel, onMessage);
  });

const partial = (rejectedDataPoints: number, errorMessage: string): HttpAnswer => ({
  headers: { 'content-type': 'application/x-protobuf' },
  body: ExportMetricsServiceResponse.encode({
    partialSuccess: { rejectedDataPoints, errorMessage },
  }).finish(),
});

/** One answer after the other, the last one for ever. */
const inTurn =
  (...answers: HttpBehaviour[]) =>
  (_: unknown, index: number) =>
    answers[Math.min(index, answers.length - 1)]!;

const logs = captureLogs();

describe('a request', () => {
  test('[7.14] [7.32] is a POST of protobuf to the URL as it is, with our name', async () => {
    const stub = await serveHttp();
    const { send } = exporterOf({ url: `http://127.0.0.1:${stub.port}/v1/metrics?tenant=a` });
    expect(await send()).toEqual({ code: ExportResultCode.SUCCESS });
    const [request] = stub.requests;
    expect(request).toMatchObject({ method: 'POST', url: '/v1/metrics?tenant=a' });
    expect(request!.headers).toMatchObject({
      'content-type': 'application/x-protobuf',
      'user-agent': `Meterline-OTLP-Exporter-JavaScript/${VERSION}`,
      'content-length': String(request!.raw.length),
    });
    expect(request!.headers['content-encoding']).toBeUndefined();
    expect(decodeRequest(request!.body).resourceMetrics[0]!.scopeMetrics[0]!.metrics[0]!.name).toBe('orders');
  });

  test('[7.06] goes to / where the URL has no path', async () => {
    const stub = await serveHttp();
    await exporterOf({ url: `http://127.0.0.1:${stub.port}` }).send();
    expect(stub.requests[0]!.url).toBe('/');
  });

  test('[7.32] has the application in front of our name', async () => {
    const stub = await serveHttp();
    await exporterOf({ url: stub.url, userAgent: 'orders/1.2 (eu)' }).send();
    expect(stub.requests[0]!.headers['user-agent']).toMatch(/^orders\/1\.2 \(eu\) Meterline-OTLP/);
  });

  test('[7.14] is JSON where asked for', async () => {
    const stub = await serveHttp();
    await exporterOf({ url: stub.url, encoding: 'json' }).send();
    expect(stub.requests[0]!.headers['content-type']).toBe('application/json');
    expect(JSON.parse(String(stub.requests[0]!.body)).resourceMetrics[0].scopeMetrics[0].scope.name).toBe(
      'shop',
    );
  });

  test('[7.14] is compressed where asked for', async () => {
    const stub = await serveHttp();
    await exporterOf({ url: stub.url, compression: 'gzip' }).send(points(50));
    expect(stub.requests[0]!.headers['content-encoding']).toBe('gzip');
    expect(stub.requests[0]!.raw.length).toBeLessThan(stub.requests[0]!.body.length / 2);
    expect(valuesOf(stub.requests)).toHaveLength(50);
  });

  test('[7.14] uses the connection of the one before', async () => {
    const stub = await serveHttp();
    const { send } = exporterOf({ url: stub.url });
    await send();
    await send();
    expect(stub.requests[1]!.port).toBe(stub.requests[0]!.port);
  });

  test('[7.25] waits for the one before, also those of exports at the same time', async () => {
    let underWay = 0;
    let most = 0;
    const stub = await serveHttp({
      answer: () => (response) => {
        most = Math.max(most, ++underWay);
        setTimeout(() => {
          underWay--;
          response.end();
        }, 10);
      },
    });
    const { send } = exporterOf({ url: stub.url });
    await Promise.all([send(), send(), send()]);
    expect(most).toBe(1);
    expect(new Set(stub.requests.map(({ port }) => port)).size).toBe(1);
  });

  test('[7.33] is not made for a batch without points', async () => {
    const stub = await serveHttp();
    expect(await exporterOf({ url: stub.url }).send(batchOf([]))).toEqual({ code: ExportResultCode.SUCCESS });
    expect(stub.requests).toEqual([]);
  });

  test('[7.09] has the headers given, but for those of the protocol', async () => {
    const stub = await serveHttp();
    await exporterOf({ url: stub.url, headers: { 'X-Api-Key': 'k1', 'Content-Type': 'x' } }).send();
    expect(stub.requests[0]!.headers).toMatchObject({
      'x-api-key': 'k1',
      'content-type': 'application/x-protobuf',
    });
    expect(logs.join()).toMatch(/content-type is set by the protocol/);
    expect(logs.join()).not.toMatch(/k1/);
  });

  test('has user and password of the URL as authorization', async () => {
    const stub = await serveHttp();
    await exporterOf({ url: stub.url.replace('//', '//me:p%40ss@') }).send();
    expect(stub.requests[0]!.headers.authorization).toBe(`Basic ${btoa('me:p@ss')}`);
  });

  test('[7.10] asks the function of headers again after a 401', async () => {
    const stub = await serveHttp({
      answer: ({ headers }) => ({ status: headers.authorization === 'Bearer t2' ? 200 : 401 }),
    });
    let asked = 0;
    const { send } = exporterOf({ url: stub.url, bearerToken: async () => `t${++asked}` });
    expect((await send()).code).toBe(ExportResultCode.SUCCESS);
    expect(stub.requests).toHaveLength(2);
  });

  test('[7.10] that is refused twice fails as UNAUTHENTICATED, without the token in the message', async () => {
    const stub = await serveHttp({ answer: () => ({ status: 401 }) });
    const { send } = exporterOf({ url: stub.url, headers: () => ({ authorization: 'secret' }) });
    const { error } = await send();
    expect(error).toMatchObject({ code: 'UNAUTHENTICATED', retryable: false });
    expect(stub.requests).toHaveLength(2);
    expect(error!.message + logs.join()).not.toMatch(/secret/);
  });

  test('[7.47] goes through the dispatcher given, which stays open', async () => {
    const stub = await serveHttp();
    const dispatcher = new Agent();
    onTestFinished(() => dispatcher.close());
    const dispatch = vi.spyOn(dispatcher, 'dispatch');
    const { exporter, send } = exporterOf({ url: stub.url, dispatcher });
    await send();
    await exporter.shutdown();
    expect(dispatch).toHaveBeenCalledOnce();
    expect(dispatcher.closed).toBe(false);
  });
});

describe('an answer', () => {
  test.each([
    ['no body', {}],
    ['garbage', { body: 'what', headers: { 'content-type': 'application/x-protobuf' } }],
    ['HTML', { body: '<html>', headers: { 'content-type': 'text/html' } }],
    ['JSON', { body: '{"partialSuccess":{},"x":1}', headers: { 'content-type': 'application/json' } }],
    ['broken gzip', { body: 'no gzip', headers: { 'content-encoding': 'gzip' } }],
    ['202', { status: 202 }],
    ['204', { status: 204 }],
  ])('[7.15] [7.42] of 2xx is a success: %s', async (_, answer: HttpAnswer) => {
    const stub = await serveHttp({ answer: () => answer });
    expect(await exporterOf({ url: stub.url }).send()).toEqual({ code: ExportResultCode.SUCCESS });
    expect(stub.requests).toHaveLength(1);
  });

  test.each(['identity', 'gzip'])(
    '[7.15] of 200 is a success when the connection ends before its %s body',
    async (encoding) => {
      const stub = await serveHttp({
        answer: () => (response) => {
          response.writeHead(200, { 'content-length': 100, 'content-encoding': encoding });
          response.write(gzipSync('some').subarray(0, 15), () => response.socket?.destroy());
        },
      });
      const start = performance.now();
      expect((await exporterOf({ url: stub.url }).send()).code).toBe(ExportResultCode.SUCCESS);
      expect(performance.now() - start).toBeLessThan(2_000);
      expect(stub.requests).toHaveLength(1);
    },
  );

  test.each([429, 502, 503, 504])('[7.16] of %i is tried again', async (status) => {
    const stub = await serveHttp({ answer: inTurn({ status }, { status }, {}) });
    expect((await exporterOf({ url: stub.url }).send()).code).toBe(ExportResultCode.SUCCESS);
    expect(stub.requests).toHaveLength(3);
    expect(stub.requests[2]!.body).toEqual(stub.requests[0]!.body);
  });

  test.each([
    [400, 'REJECTED'],
    [401, 'UNAUTHENTICATED'],
    [403, 'UNAUTHENTICATED'],
    [404, 'PROTOCOL'],
    [405, 'PROTOCOL'],
    [408, 'REJECTED'],
    [413, 'TOO_LARGE'],
    [415, 'PROTOCOL'],
    [422, 'REJECTED'],
    [500, 'REJECTED'],
    [501, 'PROTOCOL'],
    [505, 'REJECTED'],
  ])('[7.16] of %i is final, as %s', async (status, code) => {
    const stub = await serveHttp({ answer: () => ({ status }) });
    const { error } = await exporterOf({ url: stub.url }).send();
    expect(error).toMatchObject({ code, retryable: false });
    expect(error!.message).toContain(`answered ${status}`);
    expect(stub.requests).toHaveLength(1);
  });

  test('[7.18] that asks for a pause gets it', async () => {
    const stub = await serveHttp({ answer: inTurn({ status: 503, headers: { 'retry-after': '1' } }, {}) });
    const start = performance.now();
    expect((await exporterOf({ url: stub.url }).send()).code).toBe(ExportResultCode.SUCCESS);
    expect(performance.now() - start).toBeGreaterThan(990);
  });

  test.each(['-1', 'abc', '0', 'Wed, 21 Oct 2015 07:28:00 GMT'])(
    '[7.18] with Retry-After: %s is tried again soon',
    async (value) => {
      const stub = await serveHttp({
        answer: inTurn({ status: 429, headers: { 'retry-after': value } }, {}),
      });
      expect((await exporterOf({ url: stub.url }).send()).code).toBe(ExportResultCode.SUCCESS);
    },
  );

  test('[7.18] that asks for more time than there is ends the export at once; nothing more is sent', async () => {
    const stub = await serveHttp({ answer: () => ({ status: 429, headers: { 'retry-after': '60' } }) });
    const { error } = await exporterOf({ url: stub.url, maxRequestBytes: 2_000 }).send(points(100));
    expect(error).toMatchObject({ code: 'THROTTLED', retryable: true, retryAfterMs: 60_000 });
    expect(error!.undelivered).toBeUndefined();
    expect(stub.requests).toHaveLength(1);
  });

  test('[7.21] [12.47] that redirects is final, and names the way without secrets', async () => {
    const location = 'http://user:pw@elsewhere/v2?key=1';
    const stub = await serveHttp({ answer: () => ({ status: 307, headers: { location } }) });
    const { error } = await exporterOf({ url: stub.url }).send();
    expect(error).toMatchObject({ code: 'PROTOCOL', retryable: false });
    expect(error!.message).toContain('redirects to http://elsewhere/v2 (status 307)');
    expect(stub.requests).toHaveLength(1);
  });

  test('[7.21] that redirects to itself does not loop', async () => {
    const stub = await serveHttp({ answer: () => ({ status: 302, headers: { location: '/v1/metrics' } }) });
    expect((await exporterOf({ url: stub.url }).send()).error!.code).toBe('PROTOCOL');
    expect(stub.requests).toHaveLength(1);
  });

  test.each(['identity', 'gzip'])(
    '[7.23] of a hundred megabytes of %s is not read to its end',
    async (encoding) => {
      const megabyte = randomBytes(2 ** 20);
      // Gzip may be a sequence of its kind.
      const chunk = encoding === 'gzip' ? gzipSync(megabyte) : megabyte;
      let written = 0;
      let isClosed = false;
      const stub = await serveHttp({
        answer: () => (response) => {
          response.once('close', () => (isClosed = true));
          response.writeHead(200, { 'content-encoding': encoding });
          const more = () => {
            while (written < 100 && !response.destroyed) {
              written++;
              if (!response.write(chunk)) return response.once('drain', more);
            }
            response.end();
          };
          more();
        },
      });
      const { error } = await exporterOf({ url: stub.url }).send();
      expect(error).toMatchObject({ code: 'PROTOCOL', retryable: false });
      expect(error!.message).toContain('larger than 4194304 bytes');
      await vi.waitUntil(() => isClosed);
      expect(written).toBeLessThan(50);
      expect(stub.requests).toHaveLength(1);
    },
  );

  test('[7.23] that grows beyond the limit when decompressed is refused', async () => {
    const bomb = gzipSync(Buffer.alloc(5 * 2 ** 20));
    const stub = await serveHttp({ answer: () => ({ body: bomb, headers: { 'content-encoding': 'gzip' } }) });
    expect((await exporterOf({ url: stub.url }).send()).error).toMatchObject({ code: 'PROTOCOL' });
  });

  test('[7.23] that is too large went with a request that was taken: nobody else gets it', async () => {
    const body = Buffer.alloc(5 * 2 ** 20);
    const refusing = await serveHttp({ answer: () => ({ status: 404, body }) });
    const primary = await serveHttp({ answer: () => ({ body }) });
    const next = await serveHttp();
    const endpoints = [refusing, primary, next].map(({ url }) => ({ url }));
    const { exporter } = exporterOf({ endpoints });
    const other = exporterOf({ url: next.url }).exporter;
    const error = await exported(fallback(exporter, other), BATCH);
    expect(error).toMatchObject({ code: 'PROTOCOL', retryable: false });
    expect([refusing, primary, next].map(({ requests }) => requests.length)).toEqual([1, 1, 0]);
  });

  test('[7.24] of failure says why; the code in it decides nothing', async () => {
    const body = JSON.stringify({ code: 14, message: 'metric name\nis empty' });
    const stub = await serveHttp({
      answer: () => ({ status: 400, body, headers: { 'content-type': 'application/json' } }),
    });
    const { error } = await exporterOf({ url: stub.url }).send();
    expect(error).toMatchObject({ code: 'REJECTED', retryable: false });
    expect(error!.message).toMatch(/answered 400: metric name is empty$/);
  });

  test.each([
    [partial(5, 'bad'), 5, /refused 5 of 10 points: bad/],
    [partial(0, 'hint'), undefined, /took all points and says: hint/],
    [partial(0, ''), undefined, undefined],
    [partial(1e6, 'more than there are'), 10, /refused 10 of 10/],
    [
      {
        headers: { 'content-type': 'application/json; charset=utf-8' },
        body: '{"partialSuccess":{"rejectedDataPoints":"5"}}',
      },
      5,
      /refused 5 of 10 points: it gives no reason/,
    ],
  ])('[7.31] of partial success %# is a success, told and not repeated', async (answer, rejected, log) => {
    const stub = await serveHttp({ answer: () => answer });
    const { code, error } = await exporterOf({ url: stub.url }).send(points(10));
    expect(code).toBe(ExportResultCode.SUCCESS);
    expect(error?.rejectedDataPoints).toBe(rejected);
    expect(stub.requests).toHaveLength(1);
    if (log) expect(logs.join()).toMatch(log);
    else expect(logs).toEqual([]);
  });
});

describe('without an answer', () => {
  test('[7.17] a closed port is tried again until it is open', async () => {
    const port = await freePort();
    const { send } = exporterOf({
      url: `http://127.0.0.1:${port}/v1/metrics`,
      retry: { ...SOON, multiplier: 1 },
    });
    const refused = published('undici:client:connectError');
    const result = send();
    await refused;
    const stub = await serveHttp({ listen: { port } });
    expect((await result).code).toBe(ExportResultCode.SUCCESS);
    expect(stub.requests).toHaveLength(1);
  });

  test('[7.17] a connection that ends is tried again', async () => {
    const stub = await serveHttp({ answer: inTurn(hangUp, {}) });
    expect((await exporterOf({ url: stub.url }).send()).code).toBe(ExportResultCode.SUCCESS);
    expect(stub.requests).toHaveLength(2);
  });

  test('[7.17] a name that cannot be looked up may pass', async () => {
    const { send } = exporterOf({ url: 'http://nowhere.invalid/v1/metrics', retry: false });
    expect((await send()).error).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  });

  test('[7.20] the timeout bounds all attempts together', async () => {
    const stub = await serveHttp({ answer: () => ({ status: 503 }) });
    const start = performance.now();
    const { send } = exporterOf({
      url: stub.url,
      timeoutMillis: 1_000,
      retry: { initialIntervalMillis: 10, maxIntervalMillis: 10 },
    });
    const { error } = await send();
    // The last attempt may be under way when the time is over.
    expect(error!.code).toMatch(/^(UNAVAILABLE|TIMEOUT)$/);
    expect(error!.retryable).toBe(true);
    expect(performance.now() - start).toBeLessThan(3_000);
    expect(stub.requests.length).toBeGreaterThan(2);
  });

  test('[7.20] [12.41] the timeout is one of the wall clock, also when bytes drip', async () => {
    const stub = await serveHttp({
      answer: () => (response) => {
        response.writeHead(400);
        const drip = setInterval(() => response.write('x'), 20);
        response.once('close', () => clearInterval(drip));
      },
    });
    const start = performance.now();
    expect((await exporterOf({ url: stub.url, timeoutMillis: 200 }).send()).code).toBe(
      ExportResultCode.FAILED,
    );
    expect(performance.now() - start).toBeLessThan(1_500);
  });

  test('[7.20] a server that swallows everything costs the timeout, no more', async () => {
    const stub = await serveHttp({ answer: () => noAnswer });
    const start = performance.now();
    const { error } = await exporterOf({ url: stub.url, timeoutMillis: 200 }).send();
    expect(error).toMatchObject({ code: 'TIMEOUT', retryable: true });
    expect(error!.message).toContain('did not end within 200 ms');
    expect(performance.now() - start).toBeLessThan(1_500);
  });

  test('[7.20] what was delivered before the time was over is not owed', async () => {
    const stub = await serveHttp({ answer: (_, index) => (index < 2 ? {} : noAnswer) });
    const { error } = await exporterOf({ url: stub.url, maxRequestBytes: 5_000, timeoutMillis: 200 }).send(
      points(200),
    );
    expect(error).toMatchObject({ code: 'TIMEOUT', retryable: true });
    const delivered = valuesOf(stub.requests.slice(0, 2));
    expect(error!.undelivered!.pointCount).toBe(200 - delivered.length);
  });

  test('[7.20] an abort ends the request on its way', async () => {
    let isClosed = false;
    const stub = await serveHttp({
      answer: () => (response) => void response.once('close', () => (isClosed = true)),
    });
    const controller = new AbortController();
    const result = exporterOf({ url: stub.url }).send(BATCH, controller.signal);
    await vi.waitUntil(() => stub.requests.length === 1);
    controller.abort();
    expect((await result).error).toMatchObject({ code: 'ABORTED', retryable: true });
    await vi.waitUntil(() => isClosed);
  });

  test('[7.20] what was delivered before an abort is not owed', async () => {
    const stub = await serveHttp({ answer: (_, index) => (index < 2 ? {} : noAnswer) });
    const controller = new AbortController();
    const { send } = exporterOf({ url: stub.url, maxRequestBytes: 5_000 });
    const result = send(points(200), controller.signal);
    await vi.waitUntil(() => stub.requests.length === 3);
    controller.abort();
    const { error } = await result;
    expect(error).toMatchObject({ code: 'ABORTED', retryable: true });
    expect(error!.undelivered!.pointCount).toBe(200 - valuesOf(stub.requests.slice(0, 2)).length);
  });

  test('[7.20] of a reader that gives up earlier, every delta arrives once', async () => {
    let isSlow = true;
    const stub = await serveHttp({ answer: (_, index) => (isSlow && index >= 2 ? noAnswer : {}) });
    const exporter = otlpHttp({ url: stub.url, maxRequestBytes: 5_000, temporality: 'delta' });
    // Decorators pass on what the exporter says of what it owes.
    const reader = new PeriodicExportingMetricReader({ exporter: retry(exporter), exportTimeoutMillis: 200 });
    const provider = new MeterProvider({ readers: [reader], selfMetrics: false });
    const orders = provider.getMeter('shop').createCounter('orders');
    for (let id = 0; id < 200; id++) orders.add(id, { id, pad: 'x'.repeat(80) });
    await expect(provider.forceFlush()).rejects.toMatchObject({ code: 'TIMEOUT' });
    isSlow = false;
    const [unanswered] = stub.requests.slice(2);
    await provider.shutdown();
    const values = valuesOf(stub.requests.filter((request) => request !== unanswered));
    expect(values.sort((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 200 }, (_, id) => id));
  });

  test('[7.10] headers that never come cost the timeout, and nothing that was delivered is owed', async () => {
    const stub = await serveHttp();
    let asked = 0;
    const { error } = await exporterOf({
      url: stub.url,
      maxRequestBytes: 5_000,
      timeoutMillis: 200,
      headers: () => (++asked < 2 ? {} : new Promise<never>(() => {})),
    }).send(points(200));
    expect(error).toMatchObject({ code: 'TIMEOUT', retryable: true });
    expect(error!.undelivered!.pointCount).toBe(200 - valuesOf(stub.requests).length);
  });

  test.each([
    [200, undefined],
    [400, 'REJECTED'],
  ])('[7.15] a status of %i counts, also when the body never ends', async (status, code) => {
    const stub = await serveHttp({
      answer: () => (response) => void response.writeHead(status).write('x'),
    });
    const { error } = await exporterOf({ url: stub.url, timeoutMillis: 200 }).send();
    expect(error?.code).toBe(code);
  });

  test('a server of another protocol is told apart', async () => {
    const server = createServer((socket) => void socket.end('SSH-2.0-OpenSSH\r\n')).listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await vi.waitUntil(() => server.listening);
    const { port } = server.address() as { port: number };
    const { error } = await exporterOf({ url: `http://127.0.0.1:${port}` }).send();
    expect(error).toMatchObject({ code: 'PROTOCOL', retryable: false });
  });
});

test('[7.08] the default is plain text to a Collector on this host', () => {
  expect(exporterName(otlpHttp())).toBe('otlpHttp(http://localhost:4318/v1/metrics)');
});

describe('a large batch', () => {
  test('[7.22] goes in requests below the limit, each point once, in order', async () => {
    const stub = await serveHttp();
    expect((await exporterOf({ url: stub.url, maxRequestBytes: 5_000 }).send(points(200))).code).toBe(0);
    expect(stub.requests.length).toBeGreaterThan(3);
    for (const { body } of stub.requests) expect(body.length).toBeLessThanOrEqual(5_000);
    expect(valuesOf(stub.requests)).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });

  test('[7.22] a point beyond the limit is not sent, and the others are', async () => {
    const stub = await serveHttp();
    const big = counter('c', [
      [{ a: 1 }, 1],
      [{ a: 'x'.repeat(2_000) }, 2],
      [{ a: 3 }, 3],
    ]);
    const { code, error } = await exporterOf({ url: stub.url, maxRequestBytes: 1_024 }).send(
      batchOf([[{ name: 's' }, [big]]]),
    );
    expect(code).toBe(ExportResultCode.FAILED);
    expect(error).toMatchObject({ code: 'TOO_LARGE', retryable: false, rejectedDataPoints: 1 });
    expect(valuesOf(stub.requests)).toEqual([1, 3]);
  });

  test('[7.22] [12.42] of one point beyond the limit sends nothing', async () => {
    const stub = await serveHttp();
    const { error } = await exporterOf({ url: stub.url, maxRequestBytes: 20 }).send();
    expect(error).toMatchObject({ code: 'TOO_LARGE', retryable: false });
    expect(stub.requests).toEqual([]);
  });

  const collectorsWords = JSON.stringify({ code: 3, message: 'http: request body too large' });
  test.each([
    ['413', { status: 413 }],
    ['400, as the Collector', { status: 400, headers: JSON_TYPE, body: collectorsWords }],
    ['400 in plain text', { status: 400, headers: TEXT_TYPE, body: 'http: request body too large\n' }],
  ])('a receiver that finds requests too large gets smaller ones: %s', async (_, tooLarge) => {
    const stub = await serveHttp({ answer: ({ body }) => (body.length > 3_000 ? tooLarge : {}) });
    expect((await exporterOf({ url: stub.url }).send(points(200))).code).toBe(ExportResultCode.SUCCESS);
    const taken = stub.requests.filter(({ body }) => body.length <= 3_000);
    expect(valuesOf(taken)).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(logs.join()).toMatch(/set maxRequestBytes below/);
  });
});

describe('failover', () => {
  test('goes to the fallback with its own credentials, stays there, and comes back to the primary', async () => {
    const port = await freePort();
    const fallback = await serveHttp();
    const { send } = exporterOf({
      endpoints: [
        { url: `http://127.0.0.1:${port}/v1/metrics`, headers: { 'x-key': 'primary' } },
        { url: fallback.url, bearerToken: 'fallback' },
      ],
      probeIntervalMillis: 100,
      maxRequestBytes: 5_000,
    });
    const batch = points(200);
    expect((await send(batch)).code).toBe(ExportResultCode.SUCCESS);
    expect(valuesOf(fallback.requests)).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(fallback.requests[0]!.headers).toMatchObject({ authorization: 'Bearer fallback' });
    expect(fallback.requests[0]!.headers['x-key']).toBeUndefined();

    const primary = await serveHttp({ listen: { port } });
    await vi.waitUntil(
      async () => {
        await send();
        return primary.requests.length > 0;
      },
      { interval: 20 },
    );
    const before = fallback.requests.length;
    await send(batch);
    expect(fallback.requests).toHaveLength(before);
    expect(primary.requests[0]!.headers).toMatchObject({ 'x-key': 'primary' });
    expect(primary.requests[0]!.headers.authorization).toBeUndefined();
  });

  test('gives each endpoint the connection options beside them', async () => {
    const authority = await createAuthority();
    const stub = await serveHttp({ tls: await authority.issueServer() });
    const { send } = exporterOf({ endpoints: [{ url: stub.url }], tls: { ca: authority.cert } });
    expect((await send()).code).toBe(ExportResultCode.SUCCESS);
  });

  test('whatever endpoints answer, each point is taken once', async () => {
    const fault = fc.constantFrom<HttpBehaviour>(
      {},
      {},
      { status: 429 },
      { status: 503 },
      { status: 401 },
      { status: 404 },
      { status: 302, headers: { location: '/' } },
      hangUp,
    );
    const isTaken = (behaviour: HttpBehaviour) => behaviour !== hangUp && !('status' in behaviour);
    const script: HttpBehaviour[] = [];
    const taken: { body: Buffer }[] = [];
    const answer = (request: { body: Buffer }) => {
      const behaviour = script.shift() ?? {};
      if (isTaken(behaviour)) taken.push(request);
      return behaviour;
    };
    const stubs = [await serveHttp({ answer }), await serveHttp({ answer })];
    const { send } = exporterOf({
      endpoints: stubs.map(({ url }) => ({ url })),
      probeIntervalMillis: 1,
      maxRequestBytes: 1_000,
      retry: { initialIntervalMillis: 1, maxIntervalMillis: 1, maxRetries: 3 },
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fault, { maxLength: 30 }),
        fc.integer({ min: 1, max: 40 }),
        async (faults, count) => {
          taken.length = 0;
          script.splice(0, Infinity, ...faults);
          const all = points(count);
          let lost = 0;
          for (let rest: MetricBatch | undefined = all; rest !== undefined; ) {
            const { error }: Result = await send(rest);
            const owed: MetricBatch | undefined = error && owedPoints(rest, error);
            const isAllLost = error && owed === undefined && error.rejectedDataPoints === undefined;
            lost += isAllLost ? rest.pointCount : (error?.rejectedDataPoints ?? 0);
            rest = owed;
          }
          const values = valuesOf(taken) as number[];
          expect(new Set(values).size).toBe(values.length);
          expect(values.length + lost).toBe(count);
          // Only 401, 404 and redirects from both endpoints are final.
          if (faults.every((one) => one === hangUp || isTaken(one))) expect(lost).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('the exporter', () => {
  test('[7.34] [12.40] fails after shutdown, without a request', async () => {
    const stub = await serveHttp();
    const { exporter, send } = exporterOf({ url: stub.url });
    await exporter.shutdown();
    expect((await send()).error!.code).toBe('SHUTDOWN');
    expect(stub.requests).toEqual([]);
  });

  test('[12.36] shutdown ends the wait between attempts, and says what is owed', async () => {
    const stub = await serveHttp({ answer: () => ({ status: 503, headers: { 'retry-after': '60' } }) });
    const { exporter, send } = exporterOf({
      url: stub.url,
      timeoutMillis: 0,
      retry: { maxElapsedTimeMillis: 0 },
    });
    const answered = published('undici:request:trailers');
    const result = send();
    await answered;
    await setImmediate();
    await exporter.shutdown();
    expect((await result).error).toMatchObject({ code: 'THROTTLED', retryable: true });
    expect(stub.requests).toHaveLength(1);
  });

  test('[7.34] waits in shutdown for what is on its way', async () => {
    const stub = await serveHttp({
      answer: () => (response) => void setTimeout(() => response.end(), 50),
    });
    const { exporter, send } = exporterOf({ url: stub.url });
    const result = send();
    await exporter.shutdown();
    expect((await result).code).toBe(ExportResultCode.SUCCESS);
  });

  test('[7.34] the shutdown of the provider waits for it no longer than it is told', async () => {
    const stub = await serveHttp({ answer: () => noAnswer });
    const { exporter } = exporterOf({ url: stub.url, retry: false });
    const reader = new PeriodicExportingMetricReader({ exporter });
    const provider = new MeterProvider({ readers: [reader], selfMetrics: false });
    provider.getMeter('shop').createCounter('orders').add(1);
    const flushed = provider.forceFlush().catch(() => {});
    await vi.waitUntil(() => stub.requests.length === 1);
    const start = performance.now();
    await expect(provider.shutdown({ timeoutMillis: 50 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(performance.now() - start).toBeLessThan(2_000);
    await stub.stop();
    await flushed;
  });

  test('leaves no connection open after shutdown', async () => {
    const stub = await serveHttp();
    const { exporter, send } = exporterOf({ url: stub.url });
    await send();
    await exporter.shutdown();
    await stub.stop();
  });

  test('asks for the temporality and the aggregation that it was given', () => {
    const aggregation = () => ({ type: 0 }) as const;
    const { exporter } = exporterOf({ temporality: 'delta', aggregation });
    expect(exporter.selectAggregationTemporality!(InstrumentType.COUNTER)).toBe(AggregationTemporality.DELTA);
    expect(exporter.selectAggregation).toBe(aggregation);
    const { exporter: plain } = exporterOf({});
    expect(plain.selectAggregationTemporality!(InstrumentType.COUNTER)).toBe(
      AggregationTemporality.CUMULATIVE,
    );
  });

  test.each([
    ['protobuf', 'otlp_http_metric_exporter'],
    ['json', 'otlp_http_json_metric_exporter'],
  ] as const)('[11.10] says its type for %s', (encoding, type) => {
    expect(exporterOf({ encoding }).exporter.componentType).toBe(type);
  });

  test.each([
    [5, /options is 5/],
    [{ url: 'localhost:4318' }, /url cannot work; it must be an http: or https: URL/],
    [{ url: 'ftp://a/b' }, /url cannot work/],
    [{ url: 'http://a:99999/' }, /url cannot work/],
    [{ url: '' }, /url cannot work/],
    [{ url: 5 }, /url cannot work/],
    [{ encoding: 'xml' }, /encoding is 'xml'; it must be 'protobuf' or 'json'/],
    [{ compression: 'brotli' }, /compression is 'brotli'; it must be 'none' or 'gzip' or 'zstd'/],
    [{ timeoutMillis: -1 }, /timeoutMillis is -1/],
    [{ timeoutMillis: '10s' }, /timeoutMillis is '10s'/],
    [{ maxRequestBytes: 0 }, /maxRequestBytes is 0/],
    [{ maxRequestBytes: 1e9 }, /maxRequestBytes is 1000000000/],
    [{ temporality: 'deltas' }, /temporality is 'deltas'/],
    [{ aggregation: 'sum' }, /aggregation is 'sum'/],
    [{ userAgent: 'a\nb' }, /userAgent is/],
    [{ retry: { initialIntervalMillis: -1 } }, /otlpHttp: retry\.initialIntervalMillis is -1/],
    [{ headers: { 'a b': 'c' } }, /"a b" cannot work/],
    [{ headers: { a: 'c\r\nd: e' } }, /headers: the value of a cannot work/],
    [{ headers: 5 }, /headers cannot work/],
    [{ bearerToken: 'a b' }, /bearerToken cannot work/],
    [{ proxy: 'proxy:3128' }, /proxy\.http cannot work/],
    [{ proxy: { htp: 'x' } }, /no setting proxy\.htp/],
    [{ socketPath: '' }, /socketPath is ''/],
    [{ keepAliveMillis: 0 }, /keepAliveMillis is 0/],
    [{ maxConnectionAgeMillis: NaN }, /maxConnectionAgeMillis is NaN/],
    [{ dispatcher: {} }, /dispatcher is \{\}/],
    [{ dispatcher: new Agent(), socketPath: '/x' }, /socketPath beside dispatcher/],
    [{ tls: { ca: 'no such file' } }, /tls cannot work: the file no such file cannot be read \(ENOENT\)/],
    [{ endpoints: [] }, /endpoints is \[\]/],
    [{ endpoints: [{ uri: 'x' }] }, /no setting endpoints\[0\]\.uri/],
    [{ endpoints: [{}], url: 'http://a' }, /url beside endpoints/],
    [{ endpoints: [{}], headers: { a: 'b' } }, /headers beside endpoints/],
    [{ probeIntervalMillis: 0 }, /probeIntervalMillis is 0/],
    [{ endpoint: 'http://a' }, /no setting endpoint; remove it/],
  ])('refuses %o', (options, message) => {
    const make = () => otlpHttp(options as OtlpHttpOptions);
    expect(make).toThrow(message);
    expect(make).toThrow(expect.objectContaining({ name: 'ConfigError' }));
  });
});
