// How otlpGrpc gets to a receiver: encryption, certificates that change, proxies, and networks that fail.
import { once } from 'node:events';
import { renameSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  type CertificateAuthority,
  createAuthority,
  type KeyAndCertificate,
} from '../../test/support/certificates.ts';
import { captureLogs } from '../../test/support/collected.ts';
import { startFaultProxy } from '../../test/support/fault-proxy.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import type { ExportError } from '../data/errors.ts';
import type { ExportResult } from '../data/exporter.ts';
import { batchOf, counter } from '../encoding/fixtures/metrics.ts';
import { type GrpcStubOptions, serveStub } from '../net/fixtures/grpc-stub.ts';
import { type OtlpGrpcOptions, otlpGrpc } from './otlp-grpc.ts';

const BATCH = batchOf([[{ name: 'shop' }, [counter('orders', [[{}, 3]])]]]);
const OK = { code: 0 };

/** Fails at the first failure unless told otherwise. */
function exporterOf(options: OtlpGrpcOptions) {
  const exporter = otlpGrpc({ retry: false, timeoutMillis: 5_000, ...options });
  onTestFinished(() => exporter.shutdown());
  return () =>
    new Promise<ExportResult & { error?: ExportError }>((resolve) =>
      exporter.export(BATCH, (result) => resolve(result as ExportResult & { error?: ExportError })),
    );
}

let authority: CertificateAuthority;
let server: KeyAndCertificate;
beforeAll(async () => {
  authority = await createAuthority();
  server = await authority.issueServer();
});

const logs = captureLogs();

function secured(
  { key, cert }: KeyAndCertificate = server,
  clientAuthority?: CertificateAuthority,
): grpc.ServerCredentials {
  const pair = { private_key: Buffer.from(key), cert_chain: Buffer.from(cert) };
  const ca = clientAuthority ? Buffer.from(clientAuthority.cert) : null;
  return grpc.ServerCredentials.createSsl(ca, [pair], clientAuthority !== undefined);
}
const serveTls = (options: GrpcStubOptions = {}) => serveStub({ credentials: secured(), ...options });

describe('encryption', () => {
  test.each([
    ['http://', undefined, false],
    ['http://', false, false],
    ['http://', true, false],
    ['https://', undefined, true],
    ['https://', true, true],
    ['https://', false, true],
    ['', undefined, true],
    ['', false, true],
    ['', true, false],
    ['dns:///', undefined, true],
    ['dns:///', true, false],
  ])('[7.07] [12.45] %slocalhost with insecure %s: encrypted %s', async (scheme, insecure, isEncrypted) => {
    const [plain, encrypted] = [await serveStub(), await serveTls()];
    const { port } = isEncrypted ? encrypted : plain;
    const run = exporterOf({ url: `${scheme}localhost:${port}`, insecure, tls: { ca: authority.cert } });
    expect(await run()).toEqual(OK);
  });

  test('[7.12] a server of an unknown authority is refused', async () => {
    const stub = await serveTls();
    const { error } = await exporterOf({ url: `https://localhost:${stub.port}` })();
    expect(error).toMatchObject({
      code: 'TLS',
      retryable: true,
      message: expect.stringContaining('certificate'),
    });
    expect(stub.calls).toHaveLength(0);
  });

  test.each([
    ['PEM text', () => ({ ca: authority.cert })],
    ['a Buffer', () => ({ ca: Buffer.from(authority.cert) })],
    ['a SecureContext', () => ({ secureContext: createSecureContext({ ca: authority.cert }) })],
    ['no verification', () => ({ rejectUnauthorized: false })],
  ])('[7.12] the authority as %s', async (_, tls) => {
    const stub = await serveTls();
    expect(await exporterOf({ url: `https://localhost:${stub.port}`, tls: tls() })()).toEqual(OK);
  });

  test('[7.12] an expired certificate is named', async () => {
    const stub = await serveTls({ credentials: secured(await authority.issueExpired()) });
    const { error } = await exporterOf({
      url: `https://localhost:${stub.port}`,
      tls: { ca: authority.cert },
    })();
    expect(error).toMatchObject({ code: 'TLS', message: expect.stringContaining('expired') });
  });

  test('a certificate for another name needs servername', async () => {
    const other = await authority.issueServer({ hosts: ['collector.example'] });
    const stub = await serveTls({ credentials: secured(other) });
    const url = `https://localhost:${stub.port}`;
    const { error } = await exporterOf({ url, tls: { ca: authority.cert } })();
    expect(error).toMatchObject({ code: 'TLS', message: expect.stringContaining('altnames') });
    const tls = { ca: authority.cert, servername: 'collector.example' };
    expect(await exporterOf({ url, tls })()).toEqual(OK);
  });

  test('[7.12] mutual TLS: with a client certificate, and without', async () => {
    const client = await authority.issueClient();
    const stub = await serveTls({ credentials: secured(server, authority) });
    const url = `https://localhost:${stub.port}`;
    expect(await exporterOf({ url, tls: { ca: authority.cert, ...client } })()).toEqual(OK);
    const { error } = await exporterOf({ url, tls: { ca: authority.cert } })();
    expect(error).toMatchObject({ retryable: true });
    expect(stub.calls).toHaveLength(1);
  });

  test('channel credentials of the user’s own decide', async () => {
    const stub = await serveTls();
    const credentials = grpc.credentials.createSsl(Buffer.from(authority.cert));
    expect(await exporterOf({ url: `http://localhost:${stub.port}`, credentials })()).toEqual(OK);
  });
});

describe('certificates that change', () => {
  /** A server that trusts one authority at a time for its clients, and tells who came. */
  async function serveByName() {
    const names: unknown[] = [];
    const stub = await serveTls({
      credentials: secured(server, authority),
      answer: ({ peerName }) => {
        names.push(peerName);
        return new Uint8Array(0);
      },
    });
    return { names, url: `https://localhost:${stub.port}` };
  }

  async function clientFiles(name: string) {
    const folder = temporaryFolder();
    const [cert, key] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
    const put = (pair: KeyAndCertificate | { cert: string; key: string }) => {
      for (const [path, content] of [
        [cert, pair.cert],
        [key, pair.key],
      ] as const) {
        writeFileSync(`${path}.new`, content);
        renameSync(`${path}.new`, path);
      }
    };
    put(await authority.issueClient({ name }));
    return { tls: { ca: authority.cert, cert, key }, put };
  }

  test('are used from the next export on, and none is lost', async () => {
    const { names, url } = await serveByName();
    const { tls, put } = await clientFiles('old');
    const run = exporterOf({ url, tls });
    expect(await run()).toEqual(OK);
    expect(await run()).toEqual(OK);
    put(await authority.issueClient({ name: 'new' }));
    expect(await run()).toEqual(OK);
    expect(names).toEqual(['old', 'old', 'new']);
  });

  test('under load lose no export', async () => {
    const { names, url } = await serveByName();
    const { tls, put } = await clientFiles('0');
    const run = exporterOf({ url, tls });
    const results = [];
    for (let i = 1; i <= 10; i++) {
      const under = [run(), run(), run()];
      put(await authority.issueClient({ name: String(i) }));
      results.push(...(await Promise.all(under)));
    }
    expect(results).toEqual(Array(30).fill(OK));
    expect(new Set(names).size).toBeGreaterThan(3);
  });

  test('into what cannot be used are told, and the old ones kept', async () => {
    const { names, url } = await serveByName();
    const { tls, put } = await clientFiles('old');
    const run = exporterOf({ url, tls });
    expect(await run()).toEqual(OK);
    put({ cert: 'no PEM', key: 'no PEM' });
    expect(await run()).toEqual(OK);
    expect(names).toEqual(['old', 'old']);
    expect(logs).toContainEqual(expect.stringContaining('keeps the certificates'));
  });
});

describe('proxies', () => {
  /** Tunnels as asked with CONNECT, or answers with the status. */
  async function serveProxy(status = 200) {
    const asked: IncomingMessage[] = [];
    const sockets = new Set<Socket>();
    const proxy = createServer().on('connect', (request, socket: Socket) => {
      asked.push(request);
      sockets.add(socket);
      if (status !== 200) return socket.end(`HTTP/1.1 ${status} No\r\n\r\n`);
      const [, port] = /:(\d+)$/.exec(request.url!)!;
      const upstream = connect(Number(port), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        socket.pipe(upstream).pipe(socket);
      });
      for (const end of [socket, upstream]) end.on('error', () => {});
      socket.on('close', () => upstream.destroy());
      return undefined;
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      proxy.close();
    });
    return { asked, port: (proxy.address() as AddressInfo).port };
  }

  test.each(['http', 'https'])('[7.47] %s goes through, to the name that was asked for', async (scheme) => {
    const stub = await (scheme === 'https' ? serveTls() : serveStub());
    const proxy = await serveProxy();
    const run = exporterOf({
      url: `${scheme}://localhost:${stub.port}`,
      tls: { ca: authority.cert },
      proxy: `http://us%40er:pass@127.0.0.1:${proxy.port}`,
    });
    expect(await run()).toEqual(OK);
    expect(proxy.asked[0]!.url).toBe(`localhost:${stub.port}`);
    expect(proxy.asked[0]!.headers['proxy-authorization']).toBe(
      `Basic ${Buffer.from('us@er:pass').toString('base64')}`,
    );
    expect(stub.calls[0]!.authority).toBe(`localhost:${stub.port}`);
  });

  test('[7.47] hosts that need none do without', async () => {
    const stub = await serveStub();
    const proxy = await serveProxy();
    const url = `http://127.0.0.1:${proxy.port}`;
    const run = exporterOf({
      url: `http://localhost:${stub.port}`,
      proxy: { http: url, https: url, noProxy: 'localhost' },
    });
    expect(await run()).toEqual(OK);
    expect(proxy.asked).toHaveLength(0);
  });

  test('[7.47] one that refuses is a failure that may pass', async () => {
    const stub = await serveStub();
    const proxy = await serveProxy(407);
    const run = exporterOf({ url: `http://localhost:${stub.port}`, proxy: `http://127.0.0.1:${proxy.port}` });
    expect((await run()).error).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  });
});

describe('networks that fail', () => {
  const RETRY = { initialIntervalMillis: 10, maxIntervalMillis: 20, maxElapsedTimeMillis: 0 };

  async function behindProxy() {
    const stub = await serveStub();
    const proxy = await startFaultProxy(stub.port);
    onTestFinished(() => proxy.stop());
    return { stub, proxy, url: `http://127.0.0.1:${proxy.port}` };
  }

  test('an export waits for a receiver that comes up while it retries', async () => {
    const { stub, proxy, url } = await behindProxy();
    proxy.refuse();
    const running = exporterOf({ url, retry: RETRY })();
    setTimeout(() => void proxy.heal(), 100);
    expect(await running).toEqual(OK);
    expect(stub.calls).toHaveLength(1);
  });

  test('a receiver that is restarted elsewhere behind the same name is found', async () => {
    const { stub, proxy, url } = await behindProxy();
    const run = exporterOf({ url, retry: RETRY });
    expect(await run()).toEqual(OK);
    const other = await serveStub();
    stub.stop();
    proxy.switchTo(other.port);
    expect(await run()).toEqual(OK);
    expect(other.calls).toHaveLength(1);
  });

  test('a connection that is cut within a request costs a retry', async () => {
    const { stub, proxy, url } = await behindProxy();
    const run = exporterOf({ url, retry: RETRY });
    expect(await run()).toEqual(OK);
    const cut = proxy.cutAfter(50);
    expect(await run()).toEqual(OK);
    await cut;
    expect(stub.calls).toHaveLength(2);
  });

  test('GOAWAY costs no export', async () => {
    const stub = await serveStub({
      options: { 'grpc.max_connection_age_ms': 50, 'grpc.max_connection_age_grace_ms': 50 },
    });
    const run = exporterOf({ url: `http://127.0.0.1:${stub.port}`, retry: RETRY });
    const end = performance.now() + 400;
    let exports = 0;
    while (performance.now() < end) {
      expect(await run()).toEqual(OK);
      exports++;
    }
    expect(stub.calls.length).toBeGreaterThanOrEqual(exports);
    expect(new Set(stub.calls.map(({ peer }) => peer)).size).toBeGreaterThan(1);
  });

  test('a black hole costs one export; the next one after it gets through', async () => {
    const { proxy, url } = await behindProxy();
    const run = exporterOf({ url, timeoutMillis: 200 });
    expect(await run()).toEqual(OK);
    proxy.blackHole();
    expect((await run()).error).toMatchObject({ code: 'TIMEOUT', retryable: true });
    expect((await run()).error).toMatchObject({ code: 'TIMEOUT', retryable: true });
    await proxy.heal();
    expect(await run()).toEqual(OK);
  });
});
