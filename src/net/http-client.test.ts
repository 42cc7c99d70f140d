import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type CertificateAuthority, createAuthority } from '../../test/support/certificates.ts';
import { captureLogs } from '../../test/support/collected.ts';
import { startFaultProxy } from '../../test/support/fault-proxy.ts';
import { freePort } from '../../test/support/free-port.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import type { ExportError } from '../data/errors.ts';
import { serveHttp } from './fixtures/http-stub.ts';
import { httpAddress } from './http-address.ts';
import { type HttpClientOptions, httpClient } from './http-client.ts';

let authority: CertificateAuthority;
beforeAll(async () => {
  authority = await createAuthority();
});

function clientOf(options: HttpClientOptions = {}) {
  const client = httpClient('test', options);
  onTestFinished(() => client.close());
  const send = (url: string, request = {}) =>
    client.request(httpAddress(url)!, { body: Buffer.from('hello'), ...request });
  return {
    client,
    send,
    failure: (url: string, request = {}) =>
      send(url, request).then(
        () => undefined,
        (error: ExportError) => error,
      ),
  };
}

/** A proxy that forwards plain requests and tunnels others, and tells of both. */
async function startProxy(auth?: string, tls?: { key: string; cert: string }) {
  const seen: string[] = [];
  const sockets = new Set<Socket>();
  const isLetIn = (header: string | undefined) => auth === undefined || header === `Basic ${btoa(auth)}`;
  const forward: RequestListener = async (request, response) => {
    seen.push(`${request.method} ${request.url}`);
    if (!isLetIn(request.headers['proxy-authorization'])) return response.writeHead(407).end();
    const { 'proxy-authorization': _, host, ...headers } = request.headers;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const answer = await fetch(request.url!, {
      method: request.method!,
      body: Buffer.concat(chunks),
      headers: { 'x-team': String(headers['x-team']) },
    });
    response.writeHead(answer.status).end(await answer.text());
  };
  const server = tls ? createSecureServer(tls, forward) : createServer(forward);
  server.on('connect', (request, socket: Socket) => {
    seen.push(`CONNECT ${request.url}`);
    if (!isLetIn(request.headers['proxy-authorization'])) {
      return void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
    }
    const upstream = connect(Number(request.url!.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      upstream.pipe(socket).pipe(upstream);
    });
    for (const one of [socket, upstream]) {
      sockets.add(one);
      one.on('error', () => {});
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address() as AddressInfo;
  // TLS names no addresses.
  return { url: tls ? `https://localhost:${port}` : `http://127.0.0.1:${port}`, seen };
}

captureLogs();

describe('connections', () => {
  test('[7.47] reach a unix socket, by URL and by option', async () => {
    const path = join(temporaryFolder(), 'otel.sock');
    const stub = await serveHttp({ listen: { path } });
    await clientOf().send(`http+unix://${encodeURIComponent(path)}/v1/metrics?a=b`);
    await clientOf({ socketPath: path }).send('http://collector/v1/metrics');
    expect(stub.requests.map(({ url }) => url)).toEqual(['/v1/metrics?a=b', '/v1/metrics']);
  });

  test('[7.47] reach an IPv6 address', async () => {
    const stub = await serveHttp({ listen: { host: '::1' } });
    const { status } = await clientOf().send(`http://[::1]:${stub.port}/`);
    expect(status).toBe(200);
    expect(stub.requests[0]!.headers.host).toBe(`[::1]:${stub.port}`);
  });

  test('are given up for new ones at their maximum age, and closed', async () => {
    const closed: number[] = [];
    const stub = await serveHttp({
      answer:
        () =>
        (response, { port }) => {
          response.socket!.once('close', () => closed.push(port));
          response.setHeader('keep-alive', 'timeout=600');
          response.end();
        },
    });
    vi.useFakeTimers({ toFake: ['performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const { send } = clientOf({ maxConnectionAgeMillis: 1_000 });
    await send(stub.url);
    vi.advanceTimersByTime(999);
    await send(stub.url);
    vi.advanceTimersByTime(1);
    await send(stub.url);
    const ports = stub.requests.map(({ port }) => port);
    expect(ports[1]).toBe(ports[0]);
    expect(ports[2]).not.toBe(ports[0]);
    await vi.waitUntil(() => closed.length > 0);
    expect(new Set(closed)).toEqual(new Set([ports[0]]));
  });

  test('are found again when the server comes back', async () => {
    const stub = await serveHttp();
    const { send, failure } = clientOf();
    await send(stub.url);
    await stub.stop();
    expect(await failure(stub.url)).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    const again = await serveHttp({ listen: { port: stub.port } });
    await send(again.url);
    expect(again.requests).toHaveLength(1);
  });
});

describe('a failure', () => {
  test('to connect says that nothing was sent', async () => {
    const port = await freePort();
    const error = await clientOf().failure(`http://me:secret@127.0.0.1:${port}/a?key=secret`);
    expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(error!.message).toBe(`[UNAVAILABLE] http://127.0.0.1:${port}/a cannot be reached (ECONNREFUSED)`);
  });

  test('does not repeat what the answer repeats of the secrets of the request', async () => {
    const stub = await serveHttp({
      answer: ({ url, headers }) => ({
        status: 400,
        body: `${url} ${headers.authorization} ${headers['x-key']}`,
      }),
    });
    const url = stub.url.replace('//', '//me:hunter2@');
    const { body } = await clientOf().send(`${url}?token=s3cret`, { headers: { 'x-key': 'k3y-of-me' } });
    expect(body.toString()).toMatch(/\?token=\*{6} Basic \*{16} \*{9}$/);
  });

  test('in the midst of a request says that it may have been taken', async () => {
    const stub = await serveHttp();
    const proxy = await startFaultProxy(stub.port);
    onTestFinished(() => proxy.stop());
    const cut = proxy.cutAfter(10, 'responses');
    const error = await clientOf().failure(`http://127.0.0.1:${proxy.port}/`);
    await cut;
    expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(error!.message).toMatch(/ended before an answer: .*; it may or may not have been taken/);
  });

  test('[7.20] in a black hole ends with the signal', async () => {
    const stub = await serveHttp();
    const proxy = await startFaultProxy(stub.port);
    onTestFinished(() => proxy.stop());
    proxy.blackHole();
    const start = performance.now();
    const error = await clientOf().failure(`http://127.0.0.1:${proxy.port}/`, {
      signal: AbortSignal.timeout(100),
    });
    expect(error).toMatchObject({ code: 'ABORTED', retryable: true });
    expect(performance.now() - start).toBeLessThan(2_000);
  });

  test('to use a header says so, and is final', async () => {
    const stub = await serveHttp();
    const error = await clientOf().failure(stub.url, { headers: { a: 'b\r\nc: d' } });
    expect(error).toMatchObject({ code: 'INTERNAL', retryable: false });
    expect(stub.requests).toEqual([]);
  });
});

describe('an answer', () => {
  test('[7.14] is decompressed', async () => {
    const stub = await serveHttp({
      answer: () => ({ body: gzipSync('taken'), headers: { 'content-encoding': 'gzip', 'x-a': 'b' } }),
    });
    const { body, headers } = await clientOf().send(stub.url);
    expect(String(body)).toBe('taken');
    expect(headers['x-a']).toBe('b');
    expect(stub.requests[0]!.headers['accept-encoding']).toBe('gzip');
  });
});

describe('TLS', () => {
  test('[7.12] verifies the server by default', async () => {
    const stub = await serveHttp({ tls: await authority.issueServer() });
    const error = await clientOf().failure(stub.url);
    expect(error).toMatchObject({ code: 'TLS', retryable: true });
    expect(error!.message).toMatch(/give it as tls\.ca/);
    expect(stub.requests).toEqual([]);
  });

  test('[7.12] trusts the authority given, or nobody when told so', async () => {
    const stub = await serveHttp({ tls: await authority.issueServer() });
    expect((await clientOf({ tls: { ca: authority.cert } }).send(stub.url)).status).toBe(200);
    expect((await clientOf({ tls: { rejectUnauthorized: false } }).send(stub.url)).status).toBe(200);
  });

  test('refuses a server of another name, unless that is the name to ask for', async () => {
    const stub = await serveHttp({ tls: await authority.issueServer({ hosts: ['collector.internal'] }) });
    const ca = authority.cert;
    const error = await clientOf({ tls: { ca } }).failure(stub.url);
    expect(error).toMatchObject({ code: 'TLS' });
    expect(error!.message).toContain('ERR_TLS_CERT_ALTNAME_INVALID');
    expect((await clientOf({ tls: { ca, servername: 'collector.internal' } }).send(stub.url)).status).toBe(
      200,
    );
  });

  test('names an expired certificate', async () => {
    const stub = await serveHttp({ tls: await authority.issueExpired() });
    const error = await clientOf({ tls: { ca: authority.cert } }).failure(stub.url);
    expect(error!.message).toMatch(/the server's certificate has expired \(CERT_HAS_EXPIRED\)/);
  });

  test('names a server that does not speak it', async () => {
    const stub = await serveHttp();
    const error = await clientOf().failure(stub.url.replace('http:', 'https:'));
    expect(error).toMatchObject({ code: 'TLS' });
    expect(error!.message).toMatch(/use http: in the address/);
  });

  test('[7.12] shows a client certificate, and names the lack of one', async () => {
    const stub = await serveHttp({ tls: { ...(await authority.issueServer()), ca: authority.cert } });
    const ca = authority.cert;
    const client = await authority.issueClient({ name: 'orders' });
    await clientOf({ tls: { ca, ...client } }).send(stub.url);
    expect(stub.requests[0]!.client).toBe('orders');
    const error = await clientOf({ tls: { ca } }).failure(stub.url);
    expect(error).toMatchObject({ code: 'TLS', retryable: true });
    expect(error!.message).toMatch(/client certificate/);
  });

  test('rotates under load without a lost request, and lets those under way end', async () => {
    const server = await authority.issueServer();
    const stub = await serveHttp({
      tls: { ...server, ca: authority.cert },
      answer: () => (response) => void setTimeout(() => response.end(), 5),
    });
    const folder = temporaryFolder();
    const paths = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
    const write = async (name: string) => {
      const { cert, key } = await authority.issueClient({ name });
      writeFileSync(paths.cert, cert);
      writeFileSync(paths.key, key);
    };
    await write('c0');
    const { send } = clientOf({ tls: { ca: authority.cert, ...paths } });
    const results: Promise<{ status: number }>[] = [];
    for (let round = 0; round < 5; round++) {
      if (round > 0) await write(`c${round}`);
      for (let i = 0; i < 4; i++) results.push(send(stub.url));
      await results.at(-4);
    }
    for (const { status } of await Promise.all(results)) expect(status).toBe(200);
    expect(stub.requests).toHaveLength(20);
    expect([...new Set(stub.requests.map(({ client }) => client))].sort()).toEqual([
      'c0',
      'c1',
      'c2',
      'c3',
      'c4',
    ]);
  });
});

describe('a proxy', () => {
  test('[7.47] is asked for the whole URL of a plain request', async () => {
    const stub = await serveHttp({ answer: () => ({ body: 'through' }) });
    const proxy = await startProxy();
    const { body } = await clientOf({ proxy: proxy.url }).send(stub.url, { headers: { 'x-team': 'shop' } });
    expect(String(body)).toBe('through');
    expect(proxy.seen).toEqual([`POST ${stub.url}`]);
    expect(stub.requests[0]!.headers['x-team']).toBe('shop');
    expect(String(stub.requests[0]!.body)).toBe('hello');
  });

  test('[7.47] is asked for a tunnel for a secure one, and verifies what is behind', async () => {
    const stub = await serveHttp({ tls: await authority.issueServer() });
    const proxy = await startProxy('me:p@ss');
    const url = proxy.url.replace('//', '//me:p%40ss@');
    const { send } = clientOf({ proxy: { https: url }, tls: { ca: authority.cert } });
    expect((await send(stub.url)).status).toBe(200);
    expect(proxy.seen).toEqual([`CONNECT localhost:${stub.port}`]);
    expect(await clientOf({ proxy: { https: url } }).failure(stub.url)).toMatchObject({ code: 'TLS' });
  });

  test('[7.47] may be spoken to over TLS, which is verified too', async () => {
    const tls = await authority.issueServer();
    const stub = await serveHttp({ tls });
    const proxy = await startProxy(undefined, tls);
    const { send } = clientOf({ proxy: proxy.url, tls: { ca: authority.cert } });
    expect((await send(stub.url)).status).toBe(200);
    expect(proxy.seen).toEqual([`CONNECT localhost:${stub.port}`]);
    expect(await clientOf({ proxy: proxy.url }).failure(stub.url)).toMatchObject({ code: 'TLS' });
  });

  test('that lets nobody in is named, without its password', async () => {
    const plain = await serveHttp();
    const secure = await serveHttp({ tls: await authority.issueServer() });
    const proxy = await startProxy('me:right');
    const { failure } = clientOf({
      proxy: proxy.url.replace('//', '//me:wrong@'),
      tls: { ca: authority.cert },
    });
    for (const stub of [plain, secure]) {
      const error = await failure(stub.url);
      expect(error).toMatchObject({ code: 'UNAUTHENTICATED', retryable: false });
      expect(error!.message).toMatch(/the proxy answered 407/);
      expect(error!.message).not.toMatch(/wrong/);
    }
  });

  test('that cannot be reached is no answer', async () => {
    const stub = await serveHttp();
    const { failure } = clientOf({ proxy: `http://127.0.0.1:${await freePort()}` });
    expect(await failure(stub.url)).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  });

  test('[7.47] is not asked for what needs none', async () => {
    const stub = await serveHttp();
    const proxy = await startProxy();
    await clientOf({ proxy: { http: proxy.url, noProxy: '127.0.0.0, 127.0.0.1' } }).send(stub.url);
    await clientOf({ proxy: { https: proxy.url } }).send(stub.url);
    expect(stub.requests).toHaveLength(2);
    expect(proxy.seen).toEqual([]);
  });
});
