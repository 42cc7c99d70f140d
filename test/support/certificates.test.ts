import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { type CertificateAuthority, createAuthority, type KeyAndCertificate } from './certificates.ts';

let authority: CertificateAuthority;
let closing: (() => void)[] = [];

beforeAll(async () => {
  authority = await createAuthority();
});

afterEach(() => {
  for (const close of closing) close();
  closing = [];
});

/** What a client that trusts `ca` gets from a server with this certificate: its name, or the error's code. */
async function handshake(server: KeyAndCertificate, ca: string, client?: KeyAndCertificate) {
  const listener = createServer(
    client ? { ...server, ca: authority.cert, requestCert: true, rejectUnauthorized: true } : server,
    (socket) => void socket.end(String(socket.getPeerCertificate().subject?.CN ?? 'anonymous')),
  ).listen(0, '127.0.0.1');
  listener.on('tlsClientError', () => {});
  closing.push(() => listener.close());
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const socket: TLSSocket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca, ...client });
  try {
    const [seen] = await once(socket, 'data');
    return String(seen);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

test('a server certificate is accepted by who trusts the authority, and by nobody else', async () => {
  const server = await authority.issueServer();
  const stranger = await createAuthority('Another authority');

  expect(await handshake(server, authority.cert)).toBe('anonymous');
  expect(await handshake(server, stranger.cert)).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
});

test('a client certificate is accepted by a server that asks for one', async () => {
  const client = await authority.issueClient({ name: 'exporter' });

  expect(await handshake(await authority.issueServer(), authority.cert, client)).toBe('exporter');
});

test('an expired certificate and one for another host are refused', async () => {
  expect(await handshake(await authority.issueExpired(), authority.cert)).toBe('CERT_HAS_EXPIRED');
  const elsewhere = await authority.issueServer({ hosts: ['elsewhere.test'] });
  expect(await handshake(elsewhere, authority.cert)).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
});

test('a renewed certificate has a key and a serial number of its own', async () => {
  const [first, second] = await Promise.all([authority.issueServer(), authority.issueServer()]);

  expect(new X509Certificate(second.cert).serialNumber).not.toBe(
    new X509Certificate(first.cert).serialNumber,
  );
  expect(second.key).not.toBe(first.key);
});
