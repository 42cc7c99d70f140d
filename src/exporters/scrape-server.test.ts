import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  type CertificateAuthority,
  createAuthority,
  type KeyAndCertificate,
} from '../../test/support/certificates.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { batchOf, counter } from '../encoding/fixtures/metrics.ts';
import {
  type ListenOptions,
  PrometheusMetricReader,
  type PrometheusMetricReaderOptions,
} from './prometheus.ts';
import { authentication } from './scrape-authentication.ts';

const cleanups: (() => unknown)[] = [];
let authority: CertificateAuthority;
let server: KeyAndCertificate;

beforeAll(async () => {
  authority = await createAuthority();
  server = await authority.issueServer({ name: 'first' });
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

function listen(options: ListenOptions, readerOptions?: PrometheusMetricReaderOptions) {
  const reader = new PrometheusMetricReader(readerOptions);
  const resourceMetrics = batchOf([[{ name: 'test' }, [counter('requests', [[{}, 3]])]]]);
  reader.setMetricProducer({ collect: async () => ({ resourceMetrics, errors: [] }) });
  cleanups.push(() => reader.shutdown());
  return reader.listen({ host: '127.0.0.1', port: 0, ...options });
}

function status(url: string, client?: KeyAndCertificate): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(url, { ca: authority.cert, agent: false, ...client }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on('error', reject);
  });
}

test('with tls the metrics are served over HTTPS', async () => {
  const { url } = await listen({ tls: server });
  expect(url).toMatch(/^https:/);
  expect(await status(url)).toBe(200);
  await expect(fetch(url.replace('https', 'http'))).rejects.toThrow();
});

test('with an authority only its scrapers are served', async () => {
  const { url } = await listen({ tls: { ...server, ca: authority.cert } });
  await expect(status(url)).rejects.toThrow();
  const stranger = await (await createAuthority('Stranger')).issueClient();
  await expect(status(url, stranger)).rejects.toThrow();
  expect(await status(url, await authority.issueClient())).toBe(200);
});

test('a renewed certificate is served without a restart', async () => {
  const folder = temporaryFolder();
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const write = (pair: KeyAndCertificate) => {
    writeFileSync(cert, pair.cert);
    writeFileSync(key, pair.key);
  };
  write(server);
  const { port } = await listen({ tls: { cert, key } });
  const shown = async () => {
    const socket: TLSSocket = connect({ port, host: '127.0.0.1', ca: authority.cert });
    await once(socket, 'secureConnect');
    const { CN } = socket.getPeerCertificate().subject;
    socket.destroy();
    return CN;
  };
  expect(await shown()).toBe('first');
  write(await authority.issueServer({ name: 'second' }));
  await expect.poll(shown).toBe('second');
  // Half of a renewal, or a failed one, is none.
  writeFileSync(key, 'garbage');
  for (let i = 0; i < 5; i++) expect(await shown()).toBe('second');
  write(await authority.issueServer({ name: 'third' }));
  await expect.poll(shown).toBe('third');
});

test.each<[string, () => object]>([
  ['no key', () => ({ cert: server.cert })],
  ['a key of another certificate', () => ({ cert: server.cert, key: 'garbage' })],
  ['an unknown setting', () => ({ ...server, cret: 'x' })],
])('tls with %s rejects listen', async (_, tls) => {
  await expect(listen({ tls: tls() as ListenOptions['tls'] })).rejects.toThrow(/tls/);
});

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

describe('with authentication', () => {
  const both = [{ username: 'prometheus', password: 'pä:ss' }, { token: 's3cret' }];

  test.each<[string | undefined, number]>([
    [basic('prometheus:pä:ss'), 200],
    [basic('prometheus:pä:ss').replace('Basic', 'bASIC '), 200],
    ['Bearer s3cret', 200],
    ['bearer s3cret', 200],
    [undefined, 401],
    ['', 401],
    [basic('prometheus:wrong'), 401],
    [basic('prometheus'), 401],
    [basic(':'), 401],
    [basic('s3cret'), 401],
    ['Bearer S3cret', 401],
    ['Bearer s3cret x', 401],
    ['Bearer', 401],
    ['s3cret', 401],
    ['Digest s3cret', 401],
  ])('%s is answered with %i', async (authorization, expected) => {
    const { url } = await listen({}, { authentication: both });
    const response = await fetch(url, { headers: authorization === undefined ? {} : { authorization } });
    expect(response.status).toBe(expected);
    expect(response.headers.has('www-authenticate')).toBe(expected === 401);
    expect((await response.text()).includes('requests_total')).toBe(expected === 200);
  });

  test('the challenge names what is accepted', () => {
    expect(authentication(both).challenge).toBe(
      'Basic realm="metrics", charset="UTF-8", Bearer realm="metrics"',
    );
    expect(authentication({ token: 'x' }).challenge).toBe('Bearer realm="metrics"');
  });

  test.each<[unknown]>([
    [[]],
    [{}],
    [null],
    ['s3cret'],
    [{ token: '' }],
    [{ username: 'a:b', password: 's3cret' }],
    [{ username: 'a' }],
    [{ username: 'a', password: 's3cret', token: 's3cret' }],
  ])('%j is refused, and the message shows no secret', (credentials) => {
    const make = () => new PrometheusMetricReader({ authentication: credentials as never });
    expect(make).toThrow(/authentication/);
    expect(make).not.toThrow(/s3cret/);
  });
});
