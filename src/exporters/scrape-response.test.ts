import { EventEmitter, once } from 'node:events';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { duplexPair } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { sliced } from '../data/time-slice.ts';
import { answerScrape } from './scrape-response.ts';

const cleanups: (() => unknown)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

async function listening(listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1');
  cleanups.push(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { port, url: `http://127.0.0.1:${port}/` };
}

/** A server that answers with the chunks; `ended` tells how each answer ended. */
async function serve(chunks: Iterable<Uint8Array>, outdated?: AbortSignal) {
  const ended = new EventEmitter<{ answer: [Error | undefined] }>();
  const address = await listening((request, response) => {
    answerScrape(request, response, async (_, gone) => ({
      status: 200,
      headers: { 'Content-Type': 'text/plain' },
      ...(outdated && { outdated }),
      body: sliced(chunks, { signal: gone }),
    })).then(
      () => ended.emit('answer', undefined),
      (error) => ended.emit('answer', error),
    );
  });
  return { ...address, ended: once(ended, 'answer') };
}

async function rawScrape(port: number) {
  const socket = connect(port, '127.0.0.1').pause();
  cleanups.push(() => socket.destroy());
  await once(socket, 'connect');
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(socket, 'readable');
  return socket;
}

test('fifty scrapers that read nothing have one chunk each under way, and all that is asked for has a place to go', async () => {
  const responses: ServerResponse[] = [];
  let asked = 0;
  let waitingWhenAsked = 0;
  const { port } = await listening((request, response) => {
    responses.push(response);
    function* chunks() {
      for (; ; asked++) {
        waitingWhenAsked += response.writableLength;
        yield Buffer.alloc(64 * 1024);
      }
    }
    answerScrape(request, response, async (_, gone) => ({
      status: 200,
      headers: {},
      body: sliced(chunks(), { signal: gone }),
    }));
  });
  for (let i = 0; i < 50; i++) await rawScrape(port);
  let before: number;
  do {
    before = asked;
    for (let i = 0; i < 1_000; i++) await setImmediate();
  } while (asked > before);
  expect(waitingWhenAsked).toBe(0);
  // With what HTTP puts around a chunk.
  for (const { writableLength } of responses) expect(writableLength).toBeLessThan(65 * 1024);
  expect(responses).toHaveLength(50);
});

test('a scraper that has gone before it is its turn gets nothing', async () => {
  let isAborted: boolean | undefined;
  const answered = new Promise<void>((resolve, reject) => {
    listening(async (request, response) => {
      request.socket.destroy();
      await once(response, 'close');
      answerScrape(request, response, async (_, gone) => {
        isAborted = gone.aborted;
        return { status: 200, headers: {}, body: '' };
      }).then(resolve, reject);
    }).then(({ url }) => fetch(url).catch(() => {}));
  });
  await answered;
  expect(isAborted).toBe(true);
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

describe('thirty seconds', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  test('in which a scraper takes nothing end the answer', async () => {
    let asked = 0;
    const { port, ended } = await serve(
      (function* () {
        for (; ; asked++) yield Buffer.alloc(64 * 1024);
      })(),
    );
    let isEnded = false;
    ended.then(() => {
      isEnded = true;
    });
    const scraper = await rawScrape(port);
    let before: number;
    do {
      before = asked;
      for (let i = 0; i < 1_000; i++) await setImmediate();
    } while (asked > before);
    vi.advanceTimersByTime(29_999);
    await setImmediate();
    expect(isEnded).toBe(false);
    vi.advanceTimersByTime(1);
    expect(await ended).toEqual([undefined]);
    await once(scraper.resume(), 'close');
  });

  test('begin anew with each chunk that it takes, and nothing of them is left', async () => {
    const { url, ended } = await serve(
      (function* () {
        for (let i = 0; i < 5; i++) {
          vi.advanceTimersByTime(29_000);
          yield Buffer.from(`${i}\n`);
        }
      })(),
    );
    expect(await (await fetch(url)).text()).toBe('0\n1\n2\n3\n4\n');
    expect(await ended).toEqual([undefined]);
    await vi.waitFor(() => expect(vi.getTimerCount()).toBe(0));
  });

  test('are not those of a collection, in which the connection is idle', async () => {
    const { url } = await listening((request, response) => {
      answerScrape(request, response, async () => {
        vi.advanceTimersByTime(60_000);
        // As Node does for an idle socket of which someone has said that it may not be.
        response.emit('timeout');
        return { status: 200, headers: {}, body: 'late' };
      });
    });
    expect(await (await fetch(url)).text()).toBe('late');
  });
});

test('an answer that cannot begin is cut off, so that nobody waits for it', async () => {
  let failure: unknown;
  const { url } = await listening((request, response) => {
    response.write('of someone else');
    const headers = { 'Content-Type': 'text/plain' };
    answerScrape(request, response, async () => ({ status: 200, headers, body: '' })).catch((error) => {
      failure = error;
    });
  });
  const response = await fetch(url);
  await expect(response.text()).rejects.toThrow();
  expect(failure).toMatchObject({ code: 'ERR_HTTP_HEADERS_SENT' });
});

test('who reads a connection within the process may keep what it reads', async () => {
  const [ours, theirs] = duplexPair();
  cleanups.push(() => ours.destroy());
  const shared = Buffer.alloc(5);
  function* chunks() {
    for (let i = 0; i < 4; i++) yield shared.fill(`${i}`);
  }
  const server = createServer((request, response) => {
    answerScrape(request, response, async () => ({ status: 200, headers: {}, body: sliced(chunks()) }));
  });
  server.emit('connection', ours);
  theirs.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  const kept: Buffer[] = [];
  theirs.on('data', (chunk) => kept.push(chunk));
  await once(theirs, 'end');
  expect(
    Buffer.concat(kept)
      .toString()
      .match(/(\d)\1{4}/g),
  ).toEqual(['00000', '11111', '22222', '33333']);
});

test.each(['destroy', 'end'] as const)(
  'when someone else calls %s of the response the answer ends, without an error that nobody hears',
  async (what) => {
    const answered = new Promise<boolean>((resolve, reject) => {
      listening((request, response) => {
        let isEnded = false;
        function* chunks() {
          try {
            yield Buffer.alloc(10);
            response[what]();
            for (;;) yield Buffer.alloc(10);
          } finally {
            isEnded = true;
          }
        }
        answerScrape(request, response, async (_, gone) => ({
          status: 200,
          headers: {},
          body: sliced(chunks(), { signal: gone }),
        })).then(() => resolve(isEnded), reject);
      }).then(({ url }) => fetch(url).catch(() => {}));
    });
    expect(await answered).toBe(true);
  },
);

test('a middleware that writes may say to wait', async () => {
  let asked = 0;
  let drained = 0;
  let mostAhead = 0;
  const { url } = await listening((request, response) => {
    const { write } = response;
    response.write = (chunk: Uint8Array) => {
      write.call(response, chunk, 'utf8');
      return false;
    };
    function* chunks() {
      for (let i = 0; i < 5; i++) {
        asked++;
        mostAhead = Math.max(mostAhead, asked - drained);
        yield Buffer.from(`${i}\n`);
      }
    }
    answerScrape(request, response, async () => ({ status: 200, headers: {}, body: sliced(chunks()) }));
    setTimeout(function drain() {
      if (!response.writableEnded) setTimeout(drain);
      drained = asked;
      response.emit('drain');
    });
  });
  expect(await (await fetch(url)).text()).toBe('0\n1\n2\n3\n4\n');
  expect(mostAhead).toBe(1);
});
