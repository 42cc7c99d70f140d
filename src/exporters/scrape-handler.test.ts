import { once } from 'node:events';
import { createServer, request as httpRequest, type RequestListener } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import * as zlib from 'node:zlib';
import { getRequestListener } from '@hono/node-server';
import compression from 'compression';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import Koa from 'koa';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { MetricBatch } from '../data/metric-batch.ts';
import type { MetricProducer } from '../data/reader.ts';
import { batchOf, counter } from '../encoding/fixtures/metrics.ts';
import { encodePrometheusText } from '../encoding/prometheus-text.ts';
import { PrometheusMetricReader, type PrometheusMetricReaderOptions } from './prometheus.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

/** About 10 MB of text, far more than the buffers of a connection hold. */
function largeBatch(): MetricBatch {
  return batchOf([[{ name: 'test' }, [largeCounter()]]]);
}

function largeCounter() {
  const text = 'x'.repeat(1_000);
  return counter(
    'requests',
    Array.from({ length: 10_000 }, (_, i) => [{ id: `${i}`, text }, i] as const),
  );
}

/** The text of the large batch, in memory that is used once. */
const WHOLE = Buffer.concat([...encodePrometheusText(largeBatch())]).toString();

/** Fails when half of it has been encoded. */
function brokenBatch(): MetricBatch {
  const requests = largeCounter();
  Object.defineProperty(requests.attributes, 5_000, {
    get() {
      throw new Error('encoder');
    },
  });
  return batchOf([[{ name: 'test' }, [requests]]]);
}

function readerOf(batch = largeBatch(), options?: PrometheusMetricReaderOptions) {
  const reader = new PrometheusMetricReader(options);
  const collect = vi.fn<MetricProducer['collect']>(async () => ({ resourceMetrics: batch, errors: [] }));
  reader.setMetricProducer({ collect });
  cleanups.push(() => reader.shutdown());
  return { reader, collect };
}

async function listening(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  cleanups.push(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`;
}

const SERVERS: Record<string, (reader: PrometheusMetricReader) => Promise<string>> = {
  'node:http': ({ handler }) => listening(handler),
  Express: ({ handler }) => listening(express().use('/metrics', handler)),
  async Fastify({ handler }) {
    const app = fastify();
    app.route({ method: ['GET', 'HEAD', 'POST'], url: '/metrics', exposeHeadRoute: false, handler });
    cleanups.push(() => app.close());
    return `${await app.listen({ host: '127.0.0.1', port: 0 })}/metrics`;
  },
  'Express behind its compression': ({ handler }) =>
    listening(express().use(compression()).use('/metrics', handler)),
  'Express below a prefix, after another middleware': ({ handler }) =>
    listening(
      express()
        .use((_request, response, next) => {
          response.locals.before = true;
          queueMicrotask(next);
        })
        .use('/metrics', express.Router().use('/', handler)),
    ),
  'Express behind a middleware that keeps what is written until the end': ({ handler }) =>
    listening(
      express()
        .use((_request, response, next) => {
          const kept: Uint8Array[] = [];
          const { end } = response;
          // What such a middleware returns is what it forgets first.
          Object.assign(response, { write: (chunk: Uint8Array) => void kept.push(chunk) });
          response.end = (text = '') =>
            end.call(response, kept.length > 0 ? Buffer.concat(kept) : text, 'utf8');
          next();
        })
        .use('/metrics', handler),
    ),
  "Hono's Node server": ({ handler }) =>
    listening(getRequestListener(new Hono().all('/metrics', handler).fetch)),
  Koa({ handler }) {
    const app = new Koa().use((context) => handler(context));
    // It would print that a scraper hung up.
    app.silent = true;
    return listening(app.callback());
  },
};

describe.each(Object.entries(SERVERS))('in %s', (_, serve) => {
  test('the whole answer arrives, with its headers', async () => {
    const response = await fetch(await serve(readerOf().reader));
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(response.headers.get('vary')).toBe('Accept, Accept-Encoding');
    expect((await response.text()) === WHOLE).toBe(true);
  });

  test.each(['identity', 'gzip', 'br'])('a slow reader that takes %s gets it as it is', async (encoding) => {
    const headers = { 'accept-encoding': encoding };
    const [response] = await once(httpRequest(await serve(readerOf().reader), { headers }).end(), 'response');
    const chunks: Buffer[] = [];
    for await (const chunk of response) {
      chunks.push(chunk);
      await setImmediate();
    }
    const body = Buffer.concat(chunks);
    // Express's compression has Brotli.
    const sent = response.headers['content-encoding'];
    if (encoding === 'gzip') expect(sent).toBe('gzip');
    const undo = sent === 'gzip' ? zlib.gunzipSync : zlib.brotliDecompressSync;
    expect((sent ? undo(body) : body).toString() === WHOLE).toBe(true);
  });

  test('an answer that fails half-way does not look whole', async () => {
    // Hono prints it.
    const print = vi.spyOn(console, 'error').mockImplementation(() => {});
    cleanups.push(() => print.mockRestore());
    const url = await serve(readerOf(brokenBatch()).reader);
    for (const encoding of ['identity', 'gzip', 'br']) {
      const response = fetch(url, { headers: { 'accept-encoding': encoding } });
      await expect(response.then((answer) => answer.arrayBuffer())).rejects.toThrow();
    }
    expect((await fetch(url, { method: 'HEAD' })).status).toBe(200);
  });

  test('[8.06] HEAD has no body and another method is 405', async () => {
    const url = await serve(readerOf().reader);
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    const post = await fetch(url, { method: 'POST' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  test('[8.06] a failed collection is 500', async () => {
    const { reader, collect } = readerOf();
    collect.mockRejectedValueOnce(new Error('broken'));
    expect((await fetch(await serve(reader))).status).toBe(500);
  });

  test('a scraper that hangs up leaves nothing behind', async () => {
    const { reader } = readerOf();
    const url = new URL(await serve(reader));
    const socket = connect(Number(url.port), '127.0.0.1').pause();
    socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'readable');
    socket.destroy();
    expect((await (await fetch(url)).text()).match(/^requests_total\{/gm)).toHaveLength(10_000);
  });
});

describe('in the manner of fetch', () => {
  const ask = (init?: RequestInit) => new Request('http://localhost/metrics', init);

  test('a Request is answered with a Response', async () => {
    const { handler } = readerOf().reader;
    const response = await handler(ask());
    expect(response.headers.get('content-type')).toContain('0.0.4');
    expect((await response.text()).match(/^requests_total\{/gm)).toHaveLength(10_000);
  });

  test.each<[string, unknown]>([
    ['Bun, which adds its server', { port: 3_000, upgrade() {}, stop() {} }],
    ['Deno, which adds where it comes from', { remoteAddr: { hostname: '127.0.0.1' } }],
    ['Next.js, which adds the parameters of the route', { params: Promise.resolve({}) }],
  ])('so it is in %s', async (_, second) => {
    const handler = readerOf().reader.handler as (...given: unknown[]) => Promise<Response>;
    expect((await (await handler(ask(), second)).text()) === WHOLE).toBe(true);
  });

  test('chunks that are kept do not change', async () => {
    const response = await readerOf().reader.handler(ask());
    const chunks: Uint8Array[] = [];
    for await (const chunk of response.body!) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString() === WHOLE).toBe(true);
  });

  test('so is the context of Hono', async () => {
    const app = new Hono();
    app.get('/metrics', readerOf().reader.handler);
    const response = await app.request('/metrics');
    expect((await response.text()).match(/^requests_total\{/gm)).toHaveLength(10_000);
  });

  test('HEAD, 405 and 500 are as elsewhere', async () => {
    const { reader, collect } = readerOf();
    const head = await reader.handler(ask({ method: 'HEAD' }));
    expect([head.status, head.body]).toEqual([200, null]);
    expect((await reader.handler(ask({ method: 'DELETE' }))).status).toBe(405);
    collect.mockRejectedValueOnce(new Error('broken'));
    expect((await reader.handler(ask())).status).toBe(500);
  });

  test('no more is encoded than is read, and an end of the reading ends the encoding', async () => {
    const { reader } = readerOf();
    const body = (await reader.handler(ask())).body!.getReader();
    expect((await body.read()).value!.length).toBeLessThan(100_000);
    await body.cancel();
    expect(await body.read()).toEqual({ done: true, value: undefined });
  });

  test('a body that ends before anyone reads it holds no collection', async () => {
    const { reader, collect } = readerOf();
    for (let i = 0; i < 15; i++) await (await reader.handler(ask())).body!.cancel();
    expect(collect).toHaveBeenCalledTimes(15);
  });

  test('a body that is read too slowly ends when many later scrapes wait', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      const { reader } = readerOf();
      const bodies = [];
      for (let i = 0; i < 11; i++) {
        bodies.push((await reader.handler(ask())).body!.getReader());
        vi.advanceTimersByTime(1_000);
      }
      await expect(bodies[0]!.read()).rejects.toThrow(/too slowly/);
      expect((await bodies[1]!.read()).done).toBe(false);
      for (const body of bodies.slice(1)) await body.cancel();
    } finally {
      vi.useRealTimers();
    }
  });

  test('an abort of the request ends the body', async () => {
    const controller = new AbortController();
    const { reader } = readerOf();
    const body = (await reader.handler(ask({ signal: controller.signal }))).body!.getReader();
    await body.read();
    controller.abort();
    await expect(
      (async () => {
        while (!(await body.read()).done);
      })(),
    ).rejects.toThrow();
  });

  test('a body that nobody reads is given up', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const body = (await readerOf().reader.handler(ask())).body!.getReader();
      await body.read();
      vi.advanceTimersByTime(29_000);
      await body.read();
      vi.advanceTimersByTime(31_000);
      await expect(body.read()).rejects.toThrow(/too slowly/);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('over HTTP/2', () => {
  async function serve(reader: PrometheusMetricReader) {
    const server = createHttp2Server((request, response) => {
      reader.handler(request as never, response as never);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    cleanups.push(() => {
      client.destroy();
      server.close();
    });
    return client;
  }

  test('the whole answer arrives, also to a slow reader', async () => {
    const client = await serve(readerOf().reader);
    const stream = client.request({ ':path': '/metrics' });
    const [headers] = await once(stream, 'response');
    expect(headers[':status']).toBe(200);
    const chunks: Buffer[] = [];
    for await (const chunk of stream) {
      chunks.push(chunk);
      await setImmediate();
    }
    expect(Buffer.concat(chunks).toString() === WHOLE).toBe(true);
  });

  test('HEAD, 405 and 500 are as elsewhere', async () => {
    const { reader, collect } = readerOf();
    const client = await serve(reader);
    const status = async (method: string) => {
      const stream = client.request({ ':path': '/metrics', ':method': method });
      const [headers] = await once(stream, 'response');
      stream.resume();
      return headers[':status'];
    };
    expect([await status('HEAD'), await status('PUT')]).toEqual([200, 405]);
    collect.mockRejectedValueOnce(new Error('broken'));
    expect(await status('GET')).toBe(500);
  });

  test('an answer that fails half-way is reset', async () => {
    const client = await serve(readerOf(brokenBatch()).reader);
    const stream = client.request({ ':path': '/metrics' }).resume();
    await expect(once(stream, 'close')).rejects.toThrow(/INTERNAL_ERROR/);
  });

  test('a stream that is cancelled ends the encoding, and the connection lives on', async () => {
    const { reader, collect } = readerOf();
    const client = await serve(reader);
    for (let i = 0; i < 12; i++) {
      const stream = client.request({ ':path': '/metrics' });
      await once(stream, 'data');
      stream.close(8);
      await once(stream, 'close');
    }
    // Otherwise the eleventh would have shared the tenth's collection.
    expect(collect).toHaveBeenCalledTimes(12);
  });
});

test('a scraper that takes gzip gets it, and it is the same text', async () => {
  const { reader } = readerOf();
  const url = await listening(reader.handler);
  const plain = await (await fetch(url, { headers: { 'accept-encoding': 'identity' } })).text();
  const { headers, body } = await new Promise<{ headers: Record<string, unknown>; body: Buffer }>(
    (resolve) => {
      httpRequest(url, { headers: { 'accept-encoding': 'gzip' } }, async (response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of response) chunks.push(chunk);
        resolve({ headers: response.headers, body: Buffer.concat(chunks) });
      }).end();
    },
  );
  expect(headers['content-encoding']).toBe('gzip');
  expect(body.length).toBeLessThan(plain.length / 10);
  expect(zlib.gunzipSync(body).toString()).toBe(plain);
});

test('a thousand scrapes at once share collections, and all are answered', async () => {
  const batch = batchOf([[{ name: 'test' }, [counter('requests', [[{}, 3]])]]]);
  const { reader, collect } = readerOf(batch);
  const responses = await Promise.all(
    Array.from({ length: 1_000 }, () => reader.handler(new Request('http://localhost/metrics'))),
  );
  const texts = new Set(await Promise.all(responses.map((response) => response.text())));
  expect(texts.size).toBe(1);
  expect(collect).toHaveBeenCalledTimes(1);
});

test('[8.29] the reader answers in the format and with the families that were asked for', async () => {
  const batch = batchOf([[{ name: 'test' }, [counter('a.b', [[{}, 3]]), counter('c', [[{}, 4]])]]]);
  const { reader } = readerOf(batch, { translationStrategy: 'NoTranslation', scopeLabels: false });
  const response = await reader.handler(
    new Request('http://localhost/metrics?name%5B%5D=a.b&name[]=x', {
      headers: { accept: 'text/plain;version=1.0.0;escaping=allow-utf-8' },
    }),
  );
  expect(response.headers.get('content-type')).toBe(
    'text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8',
  );
  expect(await response.text()).toBe('# TYPE "a.b" counter\n{"a.b"} 3\n');
});

test.each([
  ['1', 800],
  ['2.5', 2_000],
  ['10', 5_000],
  ['1000', 5_000],
  ['0', 5_000],
  ['-1', 5_000],
  ['soon', 5_000],
  ['Infinity', 5_000],
])('callbacks get their part of a scrape timeout of %s s', async (seconds, expected) => {
  const { reader, collect } = readerOf();
  const headers = { 'x-prometheus-scrape-timeout-seconds': seconds };
  await reader.handler(new Request('http://localhost/metrics', { method: 'HEAD', headers }));
  expect(collect).toHaveBeenCalledWith(expect.objectContaining({ timeoutMillis: expected }));
});

test.each<[Record<string, unknown>, RegExp]>([
  [{ scopeLabel: true }, /no setting scopeLabel;/],
  [{ scopeLabels: 'no' }, /scopeLabels is 'no'; it must be true or false/],
  [{ createdSeries: 1 }, /createdSeries is 1/],
  [
    { translationStrategy: 'Nothing' },
    /translationStrategy is 'Nothing'; .*UnderscoreEscapingWithSuffixes, or/,
  ],
  [{ resourceLabels: ['a'] }, /resourceLabels is .*; it must be an object/],
  [{ resourceLabels: { include: [] } }, /no setting resourceLabels\.include;/],
  [{ resourceLabels: { included: 'a' } }, /resourceLabels\.included is 'a'; .*list/],
  [{ callbackTimeoutMillis: '5000' }, /callbackTimeoutMillis is .*above 0/],
  [{ callbackTimeoutMillis: 0 }, /callbackTimeoutMillis is 0; .*above 0/],
  [{ aggregationSelector: 1 }, /aggregationSelector is 1/],
])('the options %j are refused with what is wrong', (options, message) => {
  expect(() => new PrometheusMetricReader(options)).toThrow(message);
});
