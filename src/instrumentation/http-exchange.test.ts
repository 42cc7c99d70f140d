import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { get, serveHttp } from './fixtures/http-server.ts';

describe('sizes', () => {
  const answers: Record<string, (response: ServerResponse) => void> = {
    end: (response) => response.end('héllo'),
    'end with an encoding': (response) => response.end('68c3a96c6c6f', 'hex'),
    'write and end': (response) => {
      response.write('hé');
      response.end('llo');
    },
    'buffers, callbacks and Content-Length': (response) => {
      response.writeHead(200, { 'content-length': 6 });
      response.write(Buffer.from('hé'), () => response.end(new Uint8Array([108, 108, 111]), () => {}));
    },
    'end with a callback only': (response) => {
      response.write('héllo');
      response.end(() => {});
    },
    'a stream': (response) => Readable.from(['hé', 'llo']).pipe(response),
    'writing after the end': (response) => {
      response.on('error', () => {});
      response.end('héllo');
      response.write('lost');
      response.end('lost');
    },
  };
  test.each(Object.entries(answers))('bytes of a response: %s', async (_, answer) => {
    const { fetch, recorded, bytes } = await serveHttp((_, response) => answer(response));
    expect((await fetch('/')).body).toBe('héllo');
    await recorded.settled('http', 1);
    expect(await bytes('response')).toBe(6);
  });

  test.each([
    ['HEAD', 200],
    ['GET', 204],
    ['GET', 304],
  ])('%s answered with %i has no body', async (method, code) => {
    const { fetch, recorded, bytes } = await serveHttp((_, response) =>
      response.writeHead(code).end('not sent'),
    );
    await fetch('/', { method });
    await recorded.settled('http', 1);
    expect(await bytes('response')).toBe(0);
  });

  test.each([
    ['Content-Length', { 'content-length': '6' }],
    ['chunked', { 'transfer-encoding': 'chunked' }],
  ])('bytes of a request body: %s', async (_, headers) => {
    const { fetch, recorded, bytes } = await serveHttp(async (request, response) =>
      response.end(await text(request)),
    );
    expect((await fetch('/', { method: 'POST', body: 'héllo', headers })).body).toBe('héllo');
    await recorded.settled('http', 1);
    expect(await bytes('request')).toBe(6);
  });

  test('bytes that a client announces and does not send are not counted', async () => {
    const { raw, recorded, bytes } = await serveHttp((_, response) => response.writeHead(401).end());
    const socket = raw('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 9007199254740991\r\n\r\nabc');
    await once(socket, 'data');
    await recorded.settled('http', 1);
    expect(await bytes('request')).toBeLessThanOrEqual(3);
  });
});

describe('every way a request can end is counted once and leaves nothing active', () => {
  test.each([
    ['the client leaves before an answer', false, 'end', '499 success'],
    ['the client resets before an answer', false, 'resetAndDestroy', '499 success'],
    ['the client leaves during the answer', true, 'end', '200 success'],
    ['the client resets during the answer', true, 'resetAndDestroy', '200 success'],
  ] as const)('%s', async (_, startsAnswer, leave, expected) => {
    const { server, raw, requestsBy, recorded } = await serveHttp((_, response) => {
      if (startsAnswer) response.write('part');
    });
    const seen = once(server, 'request');
    const socket = raw(get('/'));
    await (startsAnswer ? once(socket, 'data') : seen);
    socket[leave]();
    await recorded.settled('http', 1);
    expect(await requestsBy('http.status_code', 'status')).toEqual({ [expected]: 1 });
  });

  test.each([
    ['before it answers', false, '500 error'],
    ['during its answer', true, '200 error'],
  ])('the server drops the connection %s', async (_, startsAnswer, expected) => {
    const { server, raw, requestsBy, recorded } = await serveHttp((_, response) => {
      if (startsAnswer) response.write('part');
    });
    const seen = once(server, 'request');
    const socket = raw(get('/'));
    await (startsAnswer ? once(socket, 'data') : seen);
    server.closeAllConnections();
    await recorded.settled('http', 1);
    expect(await requestsBy('http.status_code', 'status')).toEqual({ [expected]: 1 });
  });

  test('the handler destroys the response with an error', async () => {
    const { raw, requestsBy, recorded } = await serveHttp(
      (_, response) => void response.destroy(new Error('broken')),
    );
    raw(get('/'));
    await recorded.settled('http', 1);
    expect(await requestsBy('http.status_code', 'status')).toEqual({ '500 error': 1 });
  });

  test('the server drops the connection with most of its answer unsent', async () => {
    const { raw, recorded, requestsBy } = await serveHttp((_, response) => {
      response.end(Buffer.alloc(50_000_000));
      setImmediate(() => response.destroy());
    });
    raw(get('/'));
    await recorded.settled('http', 1);
    expect(await requestsBy('http.status_code', 'status')).toEqual({ '200 error': 1 });
  });

  test('the client does not read a large answer and resets', async () => {
    const { raw, requestsBy, recorded } = await serveHttp((_, response) =>
      response.end(Buffer.alloc(50_000_000)),
    );
    const socket = raw(get('/'));
    await once(socket, 'readable');
    socket.resetAndDestroy();
    await recorded.settled('http', 1);
    expect(await requestsBy('http.status_code', 'status')).toEqual({ '200 success': 1 });
  });

  test('the body does not arrive in time', async () => {
    const { raw, requestsBy, recorded } = await serveHttp(
      () => {},
      {},
      { requestTimeout: 50, connectionsCheckingInterval: 10 },
    );
    raw('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabc');
    await recorded.settled('http', 1);
    expect(await requestsBy('http.status_code', 'status')).toEqual({ '408 success': 1 });
  });

  test('the body is malformed', async () => {
    const { raw, requestsBy, recorded } = await serveHttp(() => {});
    raw('POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n');
    await recorded.settled('http', 1);
    expect(await requestsBy('http.status_code', 'status')).toEqual({ '400 success': 1 });
  });

  test('an answer that comes after the client has left changes nothing', async () => {
    let answer = () => {};
    const { server, raw, requestsBy, recorded } = await serveHttp((_, response) => {
      answer = () => response.writeHead(500).end('late');
    });
    const seen = once(server, 'request');
    const socket = raw(get('/'));
    await seen;
    socket.destroy();
    await recorded.settled('http', 1);
    answer();
    await recorded.settled('http', 1);
    expect(await requestsBy('http.status_code')).toEqual({ 499: 1 });
  });

  test('pipelined requests are answered in order', async () => {
    const waiting = new Map<string, () => void>();
    const { raw, requestsBy, recorded, bytes } = await serveHttp((request, response) => {
      waiting.set(request.url!, () => response.end(request.url));
      if (waiting.size === 3) for (const path of ['/c', '/a', '/b']) waiting.get(path)!();
    });
    const socket = raw(get('/a') + get('/b') + get('/c'));
    await recorded.settled('http', 3);
    expect(await requestsBy('http.status_code', 'status')).toEqual({ '200 success': 3 });
    expect(await bytes('response')).toBe(6);
    socket.destroy();
  });

  test('pipelined requests whose client leaves while the first blocks the others', async () => {
    const { server, raw, recorded, requestsBy } = await serveHttp((request, response) => {
      if (request.url === '/b') response.end('ready');
      if (request.url === '/c') server.emit('all here');
    });
    const all = once(server, 'all here');
    const socket = raw(get('/a') + get('/b') + get('/c'));
    await all;
    socket.destroy();
    await recorded.settled('http', 3);
    expect(await requestsBy('http.status_code')).toEqual({ 200: 1, 499: 2 });
  });

  test('a pipelined request whose client leaves once the one before it was answered', async () => {
    const { server, raw, recorded, requestsBy } = await serveHttp((request, response) => {
      if (request.url === '/b') server.emit('all here');
      else server.once('all here', () => response.end());
    });
    const socket = raw(get('/a') + get('/b'));
    await once(socket, 'data');
    await recorded.settled('http', 1, 1);
    socket.destroy();
    await recorded.settled('http', 2);
    expect(await requestsBy('http.status_code')).toEqual({ 200: 1, 499: 1 });
  });

  test('a connection lost with thousands of pipelined requests on it', async () => {
    const requests = 20_000;
    let seen = 0;
    const { server, raw, recorded } = await serveHttp(() => {
      if (++seen === requests) server.emit('all here');
    });
    const all = once(server, 'all here');
    const socket = raw(get('/').repeat(requests));
    await all;
    socket.destroy();
    await recorded.settled('http', requests);
  });

  test('many requests on one kept-alive connection leave no listeners behind', async () => {
    let serverSocket: Socket | undefined;
    const { fetch, recorded } = await serveHttp((request, response) => {
      serverSocket = request.socket;
      response.end();
    });
    await fetch('/');
    const before = serverSocket!.listenerCount('close');
    for (let i = 0; i < 20; i++) await fetch('/');
    await recorded.settled('http', 21);
    expect(serverSocket!.listenerCount('close')).toBe(before);
  });

  test('Expect: 100-continue, accepted and refused', async () => {
    const { raw, requestsBy, recorded, bytes } = await serveHttp(async (request, response) =>
      response.end(await text(request)),
    );
    const head = 'POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n';
    const accepted = raw(`${head}Expect: 100-continue\r\n\r\n`);
    expect(String((await once(accepted, 'data'))[0])).toContain('100 Continue');
    accepted.write('abc');
    await once(accepted, 'data');
    raw(`${head}Expect: something\r\n\r\n`);
    await recorded.settled('http', 2);
    expect(await requestsBy('http.status_code')).toEqual({ 200: 1, 417: 1 });
    expect(await bytes('request')).toBe(3);
  });

  test('requests that node answers without the handler', async () => {
    const { server, raw, requestsBy, recorded } = await serveHttp((_, response) => response.end());
    server.maxRequestsPerSocket = 1;
    raw(get('/') + get('/'));
    raw('GET / HTTP/1.1\r\n\r\n');
    await recorded.settled('http', 3);
    expect(await requestsBy('http.status_code')).toEqual({ 200: 1, 503: 1, 400: 1 });
  });

  test('an upgrade that the server takes is no request; one that it does not take is', async () => {
    const { server, raw, recorded } = await serveHttp((_, response) => response.end());
    const upgrade = 'GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
    await once(raw(upgrade), 'data');
    await recorded.settled('http', 1);
    const upgraded = once(server, 'upgrade');
    raw(upgrade);
    const [, socket] = (await upgraded) as [unknown, Socket];
    socket.end();
    await once(socket, 'close');
    await recorded.settled('http', 1);
  });

  test('a handler that throws, in a process that survives it, leaves a request until its client gives up', async () => {
    const { raw, recorded, requestsBy } = await serveHttp(() => {
      throw new Error('broken handler');
    });
    const ours = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const thrown = once(process, 'uncaughtException');
    const socket = raw(get('/'));
    expect(String((await thrown)[0])).toContain('broken handler');
    for (const listener of ours) process.on('uncaughtException', listener);

    expect(await recorded.total('http_server_active_requests')).toBe(1);
    socket.destroy();
    await recorded.settled('http', 1);
    expect(await requestsBy('http.status_code')).toEqual({ 499: 1 });
  });
});
