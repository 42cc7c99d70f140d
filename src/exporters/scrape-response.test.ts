import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { sliced } from '../net/time-slice.ts';
import { answerScrape } from './scrape-response.ts';

const cleanups: (() => unknown)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

/** A server that answers with the chunks; `ended` tells how each answer ended. */
async function serve(chunks: Iterable<Uint8Array>, outdated?: AbortSignal) {
  const ended = new EventEmitter<{ answer: [Error | undefined] }>();
  const server = createServer((request, response) => {
    answerScrape(request, response, async (_, gone) => ({
      status: 200,
      headers: { 'Content-Type': 'text/plain' },
      ...(outdated && { outdated }),
      body: sliced(chunks, { signal: gone }),
    })).then(
      () => ended.emit('answer', undefined),
      (error) => ended.emit('answer', error),
    );
  }).listen(0, '127.0.0.1');
  cleanups.push(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { port, url: `http://127.0.0.1:${port}/`, ended: once(ended, 'answer') };
}

async function rawScrape(port: number) {
  const socket = connect(port, '127.0.0.1').pause();
  cleanups.push(() => socket.destroy());
  await once(socket, 'connect');
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(socket, 'readable');
  return socket;
}

test('no more is encoded than the scraper takes', async () => {
  let encoded = 0;
  const { port } = await serve(
    (function* () {
      for (; encoded < 2_000; encoded++) yield Buffer.alloc(64 * 1024);
    })(),
  );
  await rawScrape(port);
  let before: number;
  do {
    before = encoded;
    for (let i = 0; i < 100; i++) await setImmediate();
  } while (encoded > before);
  expect(encoded).toBeLessThan(500);
});

test('the encoder is ended when the scraper goes', async () => {
  let isEnded = false;
  const { port, ended } = await serve(
    (function* () {
      try {
        for (;;) yield Buffer.alloc(64 * 1024);
      } finally {
        isEnded = true;
      }
    })(),
  );
  (await rawScrape(port)).destroy();
  expect(await ended).toEqual([undefined]);
  expect(isEnded).toBe(true);
});

test('an answer that cannot be finished is cut off, so that it never looks complete', async () => {
  const { url, ended } = await serve(
    (function* () {
      yield Buffer.from('half 1\n');
      throw new Error('encoder');
    })(),
  );
  await expect(fetch(url).then((response) => response.text())).rejects.toThrow();
  expect(await ended).toEqual([new Error('encoder')]);
});

test('other work of the process runs while a large answer is encoded', async () => {
  let turns = 0;
  let isDone = false;
  const { url } = await serve(
    (function* () {
      for (let i = 0; i < 20; i++) {
        const end = performance.now() + 1;
        while (performance.now() < end);
        yield Buffer.from('a 1\n');
      }
      isDone = true;
    })(),
  );
  const body = fetch(url).then((response) => response.text());
  while (!isDone) {
    await setImmediate();
    turns++;
  }
  expect(await body).toBe('a 1\n'.repeat(20));
  expect(turns).toBeGreaterThan(5);
});

test('a scraper whose answer must not go on is cut off, though it reads nothing', async () => {
  const outdated = new AbortController();
  const { port, ended } = await serve(
    (function* () {
      for (;;) yield Buffer.alloc(64 * 1024);
    })(),
    outdated.signal,
  );
  await rawScrape(port);
  outdated.abort();
  expect(await ended).toEqual([undefined]);
});
