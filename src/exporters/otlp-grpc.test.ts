import { createServer as createHttp2Server, type IncomingHttpHeaders } from 'node:http2';
import * as grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { captureLogs } from '../../test/support/collected.ts';
import { decodeRequest, ExportMetricsServiceResponse } from '../../test/support/otlp.ts';
import type { ExportError } from '../data/errors.ts';
import { type ExportResult, ExportResultCode, exporterName } from '../data/exporter.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { AggregationTemporality, InstrumentType } from '../data/metric-data.ts';
import { batchOf, counter } from '../encoding/fixtures/metrics.ts';
import { type StubAnswer, serveStub } from '../net/fixtures/grpc-stub.ts';
import { type OtlpGrpcOptions, otlpGrpc } from './otlp-grpc.ts';
import { validOtlpGrpcOptions } from './otlp-grpc-options.ts';
import { otlpGrpcTransport } from './otlp-grpc-transport.ts';

const SOON = { initialIntervalMillis: 1, maxIntervalMillis: 1 };
const BATCH = batchOf([[{ name: 'shop' }, [counter('orders', [[{ paid: true }, 3]])]]]);

/** So many points of one counter, with attributes of some length. */
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

function exporterOf(options: OtlpGrpcOptions) {
  const exporter = otlpGrpc({ retry: SOON, ...options });
  onTestFinished(() => exporter.shutdown());
  return {
    exporter,
    export: (batch: MetricBatch = BATCH) =>
      new Promise<ExportResult & { error?: ExportError }>((resolve) =>
        exporter.export(batch, (result) => resolve(result as ExportResult & { error?: ExportError })),
      ),
  };
}

/** Ids of the points in requests, in order. */
const idsOf = (bodies: readonly Buffer[]) =>
  bodies.flatMap((body) =>
    decodeRequest(body).resourceMetrics[0]!.scopeMetrics[0]!.metrics[0]!.sum!.dataPoints.map(
      ({ asDouble }) => asDouble,
    ),
  );

/** A google.rpc.Status with a RetryInfo of so many milliseconds. */
function retryInfo(millis: number): grpc.Metadata {
  const message = (write: (to: protobuf.Writer) => void) => {
    const writer = protobuf.Writer.create();
    write(writer);
    return writer.finish();
  };
  const delay = message(
    (to) =>
      void to
        .uint32(8)
        .int64(Math.floor(millis / 1000))
        .uint32(16)
        .int32((millis % 1000) * 1e6),
  );
  const info = message((to) => void to.uint32(10).bytes(delay));
  const any = message(
    (to) => void to.uint32(10).string('type.googleapis.com/google.rpc.RetryInfo').uint32(18).bytes(info),
  );
  const metadata = new grpc.Metadata();
  metadata.set('grpc-status-details-bin', Buffer.from(message((to) => void to.uint32(26).bytes(any))));
  return metadata;
}

const partial = (rejectedDataPoints: number, errorMessage: string) =>
  ExportMetricsServiceResponse.encode({ partialSuccess: { rejectedDataPoints, errorMessage } }).finish();

const logs = captureLogs();

/** Tells what a call looks like on the wire, and takes it. */
async function serveRaw() {
  const seen: { headers: IncomingHttpHeaders; body: Buffer }[] = [];
  const server = createHttp2Server();
  server.on('stream', (stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => {});
    stream.on('end', () => {
      seen.push({ headers, body: Buffer.concat(chunks) });
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.alloc(5));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { seen, port: (server.address() as { port: number }).port };
}

describe('requests', () => {
  test('[7.26] go to the method, with deadline, metadata and the points', async () => {
    const stub = await serveStub();
    const before = Date.now();
    const result = await exporterOf({
      url: `http://127.0.0.1:${stub.port}`,
      timeoutMillis: 3_000,
      headers: { 'X-Team': 'shop' },
    }).export();
    expect(result).toEqual({ code: ExportResultCode.SUCCESS });
    const [call] = stub.calls;
    expect(call!.metadata).toMatchObject({ 'x-team': 'shop' });
    expect(call!.deadline - before).toBeGreaterThan(2_000);
    expect(call!.deadline - before).toBeLessThan(4_000);
    expect(decodeRequest(call!.body).resourceMetrics[0]!.scopeMetrics[0]!.metrics[0]).toMatchObject({
      name: 'orders',
      sum: { dataPoints: [{ asDouble: 3 }] },
    });
  });

  test.each([
    ['none', undefined, 0],
    ['gzip', 'gzip', 1],
  ] as const)('[7.26] [7.32] compression %s, and who sends', async (compression, encoding, flag) => {
    const { seen, port } = await serveRaw();
    const result = await exporterOf({
      url: `http://127.0.0.1:${port}`,
      compression,
      userAgent: 'orders/1.2',
      headers: {
        'user-agent': 'evil',
        te: 'evil',
        'content-type': 'evil',
        connection: 'close',
        'grpc-timeout': '1n',
      },
    }).export();
    expect(result.error).toBeUndefined();
    const [{ headers, body }] = seen as [(typeof seen)[0]];
    expect(headers['grpc-encoding']).toBe(encoding);
    expect(body[0]).toBe(flag);
    expect(headers['user-agent']).toMatch(
      /^orders\/1\.2 Meterline-OTLP-Exporter-JavaScript\/\d+\.\d+\.\d+ grpc-node-js\//,
    );
    expect(headers).toMatchObject({ te: 'trailers', 'content-type': 'application/grpc' });
    expect(headers['grpc-timeout']).not.toBe('1n');
  });

  test('[7.33] none for an empty batch', async () => {
    const stub = await serveStub();
    expect(await exporterOf({ url: `http://127.0.0.1:${stub.port}` }).export(batchOf([]))).toEqual({
      code: 0,
    });
    expect(stub.calls).toHaveLength(0);
  });

  test('stay below the limit, in order', async () => {
    const stub = await serveStub();
    const result = await exporterOf({ url: `http://127.0.0.1:${stub.port}`, maxRequestBytes: 2_000 }).export(
      points(100),
    );
    expect(result.error).toBeUndefined();
    expect(stub.calls.length).toBeGreaterThan(5);
    for (const { body } of stub.calls) expect(body.length).toBeLessThanOrEqual(2_000);
    expect(idsOf(stub.calls.map(({ body }) => body))).toEqual(Array.from({ length: 100 }, (_, id) => id));
  });

  test('[7.30] that a server finds too large go in halves, whatever words it has for it', async () => {
    const stub = await serveStub({ options: { 'grpc.max_receive_message_length': 3_000 } });
    const result = await exporterOf({ url: `http://127.0.0.1:${stub.port}` }).export(points(100));
    expect(result.error).toBeUndefined();
    expect(idsOf(stub.calls.map(({ body }) => body))).toEqual(Array.from({ length: 100 }, (_, id) => id));
    expect(logs).toEqual([expect.stringContaining('too large')]);
  });

  test.each([
    [8, 'grpc: received message larger than max (5000000 vs. 4194304)'],
    [8, 'grpc: received message after decompression larger than max 4194304'],
    [8, 'gRPC message exceeds maximum size 4194304: 5000000'],
    [8, 'Received message exceeds the maximum configured message size.'],
    [11, 'Error, decoded message length too large: found 5000000 bytes, the limit is: 4194304 bytes'],
  ])('[7.30] %i %s: a single point is refused for good', async (code, details) => {
    const stub = await serveStub({ answer: () => ({ code, details }) });
    const { error } = await exporterOf({ url: `http://127.0.0.1:${stub.port}` }).export();
    expect(error).toMatchObject({ code: 'TOO_LARGE', retryable: false });
    expect(stub.calls).toHaveLength(1);
  });
});

describe('answers', () => {
  const TABLE: [grpc.status, string, boolean][] = [
    [grpc.status.CANCELLED, 'UNAVAILABLE', true],
    [grpc.status.UNKNOWN, 'REJECTED', false],
    [grpc.status.INVALID_ARGUMENT, 'REJECTED', false],
    [grpc.status.DEADLINE_EXCEEDED, 'TIMEOUT', true],
    [grpc.status.NOT_FOUND, 'REJECTED', false],
    [grpc.status.ALREADY_EXISTS, 'REJECTED', false],
    [grpc.status.PERMISSION_DENIED, 'UNAUTHENTICATED', false],
    [grpc.status.RESOURCE_EXHAUSTED, 'REJECTED', false],
    [grpc.status.FAILED_PRECONDITION, 'REJECTED', false],
    [grpc.status.ABORTED, 'UNAVAILABLE', true],
    [grpc.status.OUT_OF_RANGE, 'UNAVAILABLE', true],
    [grpc.status.UNIMPLEMENTED, 'PROTOCOL', false],
    [grpc.status.INTERNAL, 'REJECTED', false],
    [grpc.status.UNAVAILABLE, 'UNAVAILABLE', true],
    [grpc.status.DATA_LOSS, 'UNAVAILABLE', true],
    [grpc.status.UNAUTHENTICATED, 'UNAUTHENTICATED', false],
    [99 as grpc.status, 'PROTOCOL', false],
  ];

  test.each(TABLE)('[7.27] [7.29] status %i is %s, retryable %s', async (status, code, retryable) => {
    const stub = await serveStub({ answer: () => ({ code: status, details: 'because' }) });
    const { error } = await exporterOf({
      url: `http://127.0.0.1:${stub.port}`,
      retry: { ...SOON, maxRetries: 1 },
    }).export();
    expect(error).toMatchObject({ code, retryable, message: expect.stringContaining('because') });
    expect(stub.calls).toHaveLength(retryable ? 2 : 1);
  });

  test('[7.27] [12.37] a passing failure is made good by a retry', async () => {
    const stub = await serveStub({
      answer: (_, index) => (index === 0 ? { code: grpc.status.UNAVAILABLE } : new Uint8Array(0)),
    });
    expect(await exporterOf({ url: `http://127.0.0.1:${stub.port}` }).export()).toEqual({ code: 0 });
    expect(stub.calls).toHaveLength(2);
  });

  test.each([grpc.status.UNAVAILABLE, grpc.status.RESOURCE_EXHAUSTED])(
    '[7.28] [12.37] status %i with RetryInfo is tried again after that time, not before',
    async (code) => {
      const times: number[] = [];
      const stub = await serveStub({
        answer: (_, index) => {
          times.push(performance.now());
          return index === 0 ? { code, metadata: retryInfo(150) } : new Uint8Array(0);
        },
      });
      expect(await exporterOf({ url: `http://127.0.0.1:${stub.port}` }).export()).toEqual({ code: 0 });
      expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(149);
    },
  );

  test('[7.28] [7.29] a pause beyond the time left ends the export at once', async () => {
    const answer = () => ({ code: grpc.status.UNAVAILABLE, metadata: retryInfo(60_000) });
    const stub = await serveStub({ answer });
    const { error } = await exporterOf({ url: `http://127.0.0.1:${stub.port}` }).export();
    expect(error).toMatchObject({ code: 'THROTTLED', retryable: true, retryAfterMs: 60_000 });
    expect(stub.calls).toHaveLength(1);
  });

  test('[7.30] one that is too large is no reason to send again, here or elsewhere', async () => {
    const stub = await serveStub({ answer: () => new Uint8Array(5 * 1024 * 1024) });
    const next = await serveStub();
    const endpoints = [stub, next].map(({ port }) => ({ url: `http://127.0.0.1:${port}` }));
    const { error } = await exporterOf({ endpoints }).export(points(2));
    expect(error).toMatchObject({ code: 'PROTOCOL', retryable: false });
    expect([stub, next].map(({ calls }) => calls.length)).toEqual([1, 0]);
  });

  test.each([
    [1, 'bad', 1],
    [0, 'hint', undefined],
    [0, '', undefined],
  ])(
    '[7.31] partial success (%i, %j) is a success, told and not tried again',
    async (rejected, message, told) => {
      const stub = await serveStub({ answer: () => partial(rejected, message) });
      const result = await exporterOf({ url: `http://127.0.0.1:${stub.port}` }).export();
      expect(result.code).toBe(ExportResultCode.SUCCESS);
      expect(result.error?.rejectedDataPoints).toBe(told);
      expect(stub.calls).toHaveLength(1);
      expect(logs).toHaveLength(message === '' ? 0 : 1);
    },
  );

  test('[7.15] one that cannot be read is a success', async () => {
    const stub = await serveStub({ answer: () => new Uint8Array([255, 255, 255]) });
    expect(await exporterOf({ url: `http://127.0.0.1:${stub.port}` }).export()).toEqual({ code: 0 });
  });

  test.each([
    ['OK without a message is a success', '0', undefined],
    ['the same words as a failure are one', '12', 'PROTOCOL'],
  ])('[7.15] %s', async (_, status, code) => {
    const server = createHttp2Server();
    server.on('stream', (stream) => {
      stream.resume();
      stream.respond(
        {
          ':status': 200,
          'content-type': 'application/grpc',
          'grpc-status': status,
          'grpc-message': 'No message received',
        },
        { endStream: true },
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as { port: number };
    const { error } = await exporterOf({ url: `http://127.0.0.1:${port}` }).export();
    expect(error?.code).toBe(code);
  });

  test('[7.20] that do not come end with the export’s time', async () => {
    const stub = await serveStub({ answer: () => new Promise<StubAnswer>(() => {}) });
    const start = performance.now();
    const { error } = await exporterOf({ url: `http://127.0.0.1:${stub.port}`, timeoutMillis: 100 }).export();
    expect(error).toMatchObject({ code: 'TIMEOUT', retryable: true });
    expect(performance.now() - start).toBeLessThan(1_000);
  });

  test('a server that speaks no gRPC is named as such', async () => {
    const server = createHttp2Server((_, response) => response.writeHead(418).end('<html>'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as { port: number };
    const { error } = await exporterOf({ url: `http://127.0.0.1:${port}` }).export();
    expect(error).toMatchObject({
      code: 'PROTOCOL',
      retryable: false,
      message: expect.stringContaining('418'),
    });
  });

  test('a stream that ends without a status is tried again', async () => {
    let streams = 0;
    const server = createHttp2Server();
    server.on('stream', (stream) => {
      streams++;
      stream.on('error', () => {});
      stream.close(2);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as { port: number };
    const { error } = await exporterOf({
      url: `http://127.0.0.1:${port}`,
      retry: { ...SOON, maxRetries: 1 },
    }).export();
    expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(streams).toBe(2);
  });
});

describe('credentials', () => {
  test('[7.10] a token that was refused is asked for once more, within the same export', async () => {
    const stub = await serveStub({
      answer: ({ metadata }) =>
        metadata.authorization === 'Bearer 2' ? new Uint8Array(0) : { code: grpc.status.UNAUTHENTICATED },
    });
    let token = 0;
    const one = exporterOf({
      url: `http://127.0.0.1:${stub.port}`,
      bearerToken: async () => String(++token),
    });
    expect(await one.export()).toEqual({ code: 0 });
    expect(stub.calls).toHaveLength(2);
    expect((await one.export()).error).toMatchObject({ code: 'UNAUTHENTICATED', retryable: false });
    expect(stub.calls).toHaveLength(4);
  });

  test('binary metadata is given in Base64', async () => {
    const stub = await serveStub();
    await exporterOf({ url: `http://127.0.0.1:${stub.port}`, headers: { 'trace-bin': 'AQI=' } }).export();
    expect(stub.calls[0]!.metadata['trace-bin']).toEqual(Buffer.from([1, 2]));
  });

  test('channel credentials of another copy of the library fail with words', async () => {
    const { error } = await exporterOf({ url: 'http://127.0.0.1:1', credentials: {} as never }).export();
    expect(error).toMatchObject({
      code: 'INTERNAL',
      retryable: false,
      message: expect.stringContaining('credentials'),
    });
  });
});

test('[7.10] metadata that never comes costs the timeout, and nothing that was delivered is owed', async () => {
  const stub = await serveStub();
  let asked = 0;
  const { error } = await exporterOf({
    url: `http://localhost:${stub.port}`,
    maxRequestBytes: 5_000,
    timeoutMillis: 300,
    headers: () => (++asked < 2 ? {} : new Promise<never>(() => {})),
  }).export(points(200));
  expect(error).toMatchObject({ code: 'TIMEOUT', retryable: true });
  expect(error!.undelivered!.pointCount).toBe(200 - idsOf(stub.calls.map(({ body }) => body)).length);
});

describe('selectors', () => {
  test('[7.13] temporality by name, aggregation by function', () => {
    const aggregation = () => ({ type: 2 }) as const;
    const { exporter } = exporterOf({ temporality: 'delta', aggregation });
    expect(exporter.selectAggregationTemporality!(InstrumentType.COUNTER)).toBe(AggregationTemporality.DELTA);
    expect(exporter.selectAggregation).toBe(aggregation);
    expect(exporterOf({}).exporter.selectAggregationTemporality!(InstrumentType.COUNTER)).toBe(
      AggregationTemporality.CUMULATIVE,
    );
  });
});

describe('shutdown', () => {
  test('[7.34] waits for the export under way; later ones fail without a call', async () => {
    let answer: (value: StubAnswer) => void = () => {};
    const stub = await serveStub({ answer: () => new Promise((resolve) => (answer = resolve)) });
    const { exporter, export: run } = exporterOf({ url: `http://127.0.0.1:${stub.port}` });
    const exporting = run();
    await vi.waitFor(() => expect(stub.calls).toHaveLength(1));
    const ending = exporter.shutdown();
    answer(new Uint8Array(0));
    expect(await exporting).toEqual({ code: 0 });
    await ending;
    expect((await run()).error).toMatchObject({ code: 'SHUTDOWN' });
    expect(stub.calls).toHaveLength(1);
  });
});

test('interceptors, channel options and the age of connections are for gRPC', async () => {
  const stub = await serveStub();
  const asked: string[] = [];
  const { export: run } = exporterOf({
    url: `http://127.0.0.1:${stub.port}`,
    channelOptions: { 'grpc.default_authority': 'shop.example' },
    interceptors: [
      (options, next) => {
        asked.push(options.method_definition.path);
        return new grpc.InterceptingCall(next(options));
      },
    ],
    maxConnectionAgeMillis: 0.001,
  });
  expect([await run(), await run()]).toEqual([{ code: 0 }, { code: 0 }]);
  expect(asked).toHaveLength(2);
  expect(stub.calls.map(({ authority }) => authority)).toEqual(['shop.example', 'shop.example']);
  expect(new Set(stub.calls.map(({ peer }) => peer)).size).toBe(2);
});

test('a call that was given up on fails with the reason for that', async () => {
  const stub = await serveStub({ answer: () => new Promise<StubAnswer>(() => {}) });
  const valid = validOtlpGrpcOptions({ url: `http://127.0.0.1:${stub.port}` });
  const transport = otlpGrpcTransport('otlpGrpc', valid.endpoints[0]!, valid);
  onTestFinished(() => transport.shutdown());
  const abort = new AbortController();
  const sending = transport.send(new Uint8Array(0), {
    points: 1,
    timeoutMillis: 5_000,
    signal: abort.signal,
  });
  await vi.waitFor(() => expect(stub.calls).toHaveLength(1));
  const reason = new Error('no longer wanted');
  abort.abort(reason);
  await expect(sending).rejects.toBe(reason);
});

describe('failover', () => {
  test('the next endpoint takes over, with credentials of its own', async () => {
    const down = await serveStub({ answer: () => ({ code: grpc.status.UNAVAILABLE }) });
    const up = await serveStub();
    const { error } = await exporterOf({
      endpoints: [
        { url: `http://127.0.0.1:${down.port}`, bearerToken: 'first' },
        { url: `127.0.0.1:${up.port}`, insecure: true, bearerToken: 'second' },
      ],
    }).export();
    expect(error).toBeUndefined();
    expect(down.calls[0]!.metadata.authorization).toBe('Bearer first');
    expect(up.calls[0]!.metadata.authorization).toBe('Bearer second');
  });
});

test('[7.08] the default is plain text to a Collector on this host', () => {
  expect(exporterName(otlpGrpc())).toBe('otlpGrpc(localhost:4317)');
  expect(validOtlpGrpcOptions({}).endpoints).toMatchObject([{ target: { isSecure: false } }]);
});

describe('options that cannot work', () => {
  const BAD: [string, unknown, string][] = [
    ['an unknown one', { urls: 'x' }, 'urls'],
    ['no object', 7, 'options'],
    ['url', { url: 'ftp://user:secret@c' }, 'url'],
    ['url with a password', { url: 'http://user:secret@c:1' }, 'url'],
    ['insecure', { insecure: 'yes' }, 'insecure'],
    ['compression', { compression: 'zstd' }, 'compression'],
    ['compression', { compression: 'br' }, 'gzip'],
    ['tls', { url: 'https://c', tls: { ca: 'no such file' } }, 'tls'],
    ['a key alone', { url: 'https://c', tls: { key: '-----BEGIN secret' } }, 'tls.cert'],
    ['credentials and tls', { credentials: {}, tls: {} }, 'credentials'],
    ['headers', { headers: { 'a b': 'secret' } }, 'a b'],
    ['a header for HTTP alone', { headers: { 'a!': 'secret' } }, 'a!'],
    ['a header that is not ASCII', { headers: { a: 'secrét' } }, 'headers'],
    ['proxy', { proxy: 'user:secret@proxy' }, 'proxy'],
    ['proxy over TLS', { proxy: 'https://user:secret@proxy' }, 'proxy'],
    ['endpoints', { endpoints: [] }, 'endpoints'],
    ['an endpoint', { endpoints: [{ url: 'http://a' }, { url: 'a b' }] }, 'endpoints[1].url'],
    ['an endpoint’s setting', { endpoints: [{ urls: 'a' }] }, 'endpoints[0].urls'],
    ['url beside endpoints', { url: 'a', endpoints: [{}] }, 'url beside endpoints'],
    ['headers beside endpoints', { headers: { a: 'secret' }, endpoints: [{}] }, 'headers beside endpoints'],
    ['maxConnectionAgeMillis', { maxConnectionAgeMillis: 0 }, 'maxConnectionAgeMillis'],
    ['serviceConfig', { serviceConfig: '{' }, 'serviceConfig'],
    ['serviceConfig', { serviceConfig: 7 }, 'serviceConfig'],
    ['channelOptions', { channelOptions: 7 }, 'channelOptions'],
    ['interceptors', { interceptors: [{}] }, 'interceptors'],
    ['timeoutMillis', { timeoutMillis: -1 }, 'timeoutMillis'],
    ['retry', { retry: { initialInterval: 5 } }, 'retry.initialInterval'],
  ];

  test.each(BAD)('%s', (_, options, named) => {
    const make = () => otlpGrpc(options as OtlpGrpcOptions);
    expect(make).toThrow(named);
    expect(make).toThrow(expect.objectContaining({ name: 'ConfigError' }));
    expect(make).not.toThrow(/secr/);
  });

  test('a service config that gRPC refuses fails the export with words', async () => {
    const serviceConfig = { loadBalancingConfig: 'round_robin' };
    const { error } = await exporterOf({ url: 'http://127.0.0.1:1', serviceConfig }).export();
    expect(error).toMatchObject({ code: 'INTERNAL', retryable: false });
  });
});
