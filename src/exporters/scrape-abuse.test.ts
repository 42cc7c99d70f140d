// What scrapers do to an endpoint, by mistake or on purpose, over real connections.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { Agent, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as zlib from 'node:zlib';
import { DiagLogLevel, diag } from '@opentelemetry/api';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { batchWith, scrape } from '../../test/support/scrapes.ts';
import { resetReports } from '../data/diagnostics.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import type { MetricProducer } from '../data/reader.ts';
import { batchOf, counter } from '../encoding/fixtures/metrics.ts';
import { encodePrometheusText } from '../encoding/prometheus-text.ts';
import { PrometheusMetricReader } from './prometheus.ts';

const compressors = vi.hoisted((): { destroyed: boolean }[] => []);

vi.mock('node:zlib', async (original) => {
  const real = await original<typeof zlib>();
  return {
    // Older versions of Node lack them, which the mock of a module has to say.
    zstdCompress: undefined,
    createZstdCompress: undefined,
    zstdDecompressSync: undefined,
    ...real,
    createGzip(options?: zlib.ZlibOptions) {
      const stream = real.createGzip(options);
      compressors.push(stream);
      return stream;
    },
  };
});

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

const logger = { verbose: vi.fn(), debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() };
const cleanups: (() => unknown)[] = [];
const warnings: Error[] = [];
const onWarning = (warning: Error) => warnings.push(warning);

beforeEach(() => {
  resetReports();
  vi.clearAllMocks();
  compressors.length = 0;
  diag.setLogger(logger, { logLevel: DiagLogLevel.ALL, suppressOverrideMessage: true });
  process.on('warning', onWarning);
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
  diag.disable();
  process.off('warning', onWarning);
  // Such as those of an emitter that collects listeners.
  expect(warnings.splice(0)).toEqual([]);
});

/** A reader that listens, and its server, which only shows itself in a request. */
async function listening(collect: MetricProducer['collect']) {
  const reader = new PrometheusMetricReader();
  reader.setMetricProducer({ collect });
  cleanups.push(() => reader.shutdown());
  const { port, url } = await reader.listen({ host: '127.0.0.1', port: 0 });
  let server: Server | undefined;
  let requests = 0;
  const onRequest = (message: unknown) => {
    const start = message as { server: Server };
    const address = start.server.address();
    if (typeof address !== 'object' || address?.port !== port) return;
    server = start.server;
    requests++;
  };
  subscribe('http.server.request.start', onRequest);
  cleanups.push(() => unsubscribe('http.server.request.start', onRequest));
  await fetch(url, { method: 'HEAD' });
  return { reader, port, url, server: server!, requests: () => requests };
}

const collecting = (batch: MetricBatch) => async () => ({ resourceMetrics: batch, errors: [] });

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  // Whoever is cut off may see it as an error.
  socket.on('error', () => {});
  cleanups.push(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

function openConnections(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
}

const request = (headers = '') => `GET /metrics HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;

test('who does not send a whole request is cut off, and others are served meanwhile', async () => {
  const { port, url, server } = await listening(collecting(batchWith(1, 1)));
  expect([server.headersTimeout, server.requestTimeout]).toEqual([10_000, 10_000]);
  // Node looks every five seconds; there is no need to wait for the other ten.
  server.headersTimeout = 1;
  server.requestTimeout = 1;
  const silent = await open(port);
  const ofHeaders = await open(port);
  ofHeaders.write('GET /metrics HTTP/1.1\r\nHost: x\r\nX-');
  const ofBody = await open(port);
  ofBody.write('GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx');
  const trickle = setInterval(() => {
    for (const socket of [ofHeaders, ofBody]) if (socket.writable) socket.write('x');
  }, 50);
  cleanups.push(() => clearInterval(trickle));
  const closed = Promise.all([silent, ofHeaders, ofBody].map((socket) => once(socket.resume(), 'close')));
  expect((await scrape(url)).status).toBe(200);
  await closed;
  await vi.waitFor(async () => expect(await openConnections(server)).toBeLessThanOrEqual(1));
});

describe('a thousand scrapes at once', () => {
  test.each(['identity', 'gzip'])(
    'share a collection, are answered in %s, and leave nothing',
    async (encoding) => {
      const batch = batchWith(300, 100);
      const whole = Buffer.concat([...encodePrometheusText(batch)]);
      let held: WeakRef<MetricBatch> | undefined;
      let begin!: () => void;
      const allAsked = new Promise<void>((resolve) => {
        begin = resolve;
      });
      let collections = 0;
      // No mock, which would keep what it returned.
      async function collect() {
        // That of the HEAD before is over.
        if (++collections > 1) await allAsked;
        const resourceMetrics = batchWith(300, 100);
        held = new WeakRef(resourceMetrics);
        return { resourceMetrics, errors: [] };
      }
      const { url, server, requests } = await listening(collect);
      const scrapes = Array.from({ length: 1_000 }, () => scrape(url, { 'accept-encoding': encoding }));
      await vi.waitFor(() => expect(requests()).toBe(1_001), { timeout: 15_000 });
      begin();
      let right = 0;
      for (const { status, body } of await Promise.all(scrapes)) {
        const text = encoding === 'gzip' ? zlib.gunzipSync(body) : body;
        if (status === 200 && text.equals(whole)) right++;
      }
      expect(right).toBe(1_000);
      expect(collections).toBe(2);
      expect(compressors.length).toBe(encoding === 'gzip' ? 1_000 : 0);
      expect(compressors.every(({ destroyed }) => destroyed)).toBe(true);
      await vi.waitFor(async () => {
        gc();
        // One is that of the HEAD.
        expect(await openConnections(server)).toBeLessThanOrEqual(1);
        // Not the batch itself, which that would keep.
        expect(held?.deref() === undefined).toBe(true);
      });
      expect(logger.error).not.toHaveBeenCalled();
    },
  );
});

test('two hundred scrapers that hang up somewhere leave nothing', async () => {
  const held: WeakRef<MetricBatch>[] = [];
  const { port, url, server } = await listening(async () => {
    const resourceMetrics = batchWith(1_000, 1_000);
    held.push(new WeakRef(resourceMetrics));
    return { resourceMetrics, errors: [] };
  });
  await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const socket = await open(port);
      const encoding = i % 2 === 0 ? 'gzip' : 'identity';
      socket.write(request(`Accept-Encoding: ${encoding}\r\n`));
      // From before the answer begins to shortly before it ends, in either encoding.
      const until = ((i * 7_919) % 200) * (encoding === 'gzip' ? 50 : 5_000);
      let received = 0;
      socket.on('data', (chunk) => {
        received += chunk.length;
        if (received >= until) socket.destroy();
      });
      if (until === 0) socket.destroy();
      await once(socket, 'close');
    }),
  );
  await vi.waitFor(async () => {
    gc();
    expect(await openConnections(server)).toBeLessThanOrEqual(1);
    expect(held.filter((batch) => batch.deref() !== undefined)).toHaveLength(0);
    expect(compressors.filter(({ destroyed }) => !destroyed)).toHaveLength(0);
  });
  expect(compressors.length).toBeGreaterThan(50);
  expect(logger.error).not.toHaveBeenCalled();
  expect((await scrape(url)).body.length).toBeGreaterThan(1_000_000);
});

test('a scraper that keeps its connection leaves nothing on it', async () => {
  const { url, server } = await listening(collecting(batchWith(1_000, 1_000)));
  const sockets = new Set<Socket>();
  server.on('request', ({ socket }) => sockets.add(socket));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  cleanups.push(() => agent.destroy());
  const listeners = () => {
    const [socket] = sockets;
    return socket!.eventNames().map((name) => [name, socket!.listenerCount(name)]);
  };
  await scrape(url, {}, agent);
  const before = listeners();
  for (let i = 0; i < 50; i++) await scrape(url, {}, agent);
  expect(sockets.size).toBe(1);
  expect(listeners()).toEqual(before);
});

test('requests in a line on one connection are answered one after the other', async () => {
  const batch = batchWith(500, 1_000);
  const { port } = await listening(collecting(batch));
  const socket = await open(port);
  socket.write(request() + request() + request('Connection: close\r\n'));
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  const answers = Buffer.concat(chunks).toString();
  expect(answers.match(/^HTTP\/1\.1 200 OK/gm)).toHaveLength(3);
  expect(answers.match(/^requests_total\{/gm)).toHaveLength(1_500);
});

test('a scrape that fails half-way has no end, in no encoding, and the log says why', async () => {
  const requests = counter(
    'requests',
    Array.from({ length: 2_000 }, (_, i) => [{ id: `${i}`, text: 'x'.repeat(1_000) }, i] as const),
  );
  Object.defineProperty(requests.attributes, 1_000, {
    get() {
      throw new Error('encoder');
    },
  });
  const { port } = await listening(collecting(batchOf([[{ name: 'test' }, [requests]]])));
  for (const encoding of ['identity', 'gzip']) {
    resetReports();
    const socket = await open(port);
    socket.write(request(`Accept-Encoding: ${encoding}\r\n`));
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    await once(socket, 'close');
    const answer = Buffer.concat(chunks).toString('latin1');
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK/);
    expect(answer.endsWith('\r\n0\r\n\r\n')).toBe(false);
    expect(logger.error).toHaveBeenLastCalledWith(expect.stringContaining('scrape'), new Error('encoder'));
  }
  expect(compressors.map(({ destroyed }) => destroyed)).toEqual([true]);
});
