// A real Prometheus that lets in only those with a password and a certificate.
import { writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { counterBatch, exported } from '../../src/exporters/fixtures/exporting.ts';
import { type RemoteWriteOptions, remoteWrite } from '../../src/exporters/remote-write.ts';
import { type CertificateAuthority, createAuthority } from '../support/certificates.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { type Prometheus, startPrometheus } from './support/prometheus.ts';

const USER = { username: 'writer', password: 'hunter2' };
/** Of the password, by bcrypt. */
const USERS = { writer: '$2b$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm' };

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** As a client that has what it takes. */
function asked(url: string, tls: { ca: string; key: string; cert: string }): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { username, password } = USER;
    request(url, { ...tls, auth: `${username}:${password}` }, (response) => {
      let text = '';
      response.on('data', (data) => {
        text += data;
      });
      response.on('end', () => resolve({ status: response.statusCode!, text }));
    })
      .on('error', reject)
      .end();
  });
}

/** That of the fixture is of years ago. */
function presentBatch(value: number) {
  const batch = counterBatch(value);
  for (const { metrics } of batch.scopeMetrics)
    for (const { endTimes } of metrics) endTimes.fill(BigInt(Date.now()) * 1_000_000n);
  return batch;
}

describe.each([2, 3] as const)('Prometheus %i', (version) => {
  async function guarded(
    authority: CertificateAuthority,
  ): Promise<Prometheus & { values(): Promise<unknown> }> {
    const folder = temporaryFolder();
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const { key, cert } = await authority.issueServer();
    const client = { ca: authority.cert, ...(await authority.issueClient()) };
    const prometheus = await startPrometheus({
      version,
      web: {
        basic_auth_users: USERS,
        tls_server_config: {
          cert_file: file('server.pem', cert),
          key_file: file('server-key.pem', key),
          client_auth_type: 'RequireAndVerifyClientCert',
          client_ca_file: file('ca.pem', authority.cert),
        },
      },
      isReady: (url) =>
        asked(`${url}/-/ready`, client).then(
          ({ status }) => status === 200,
          () => false,
        ),
    });
    onTestFinished(() => prometheus.stop());
    return {
      ...prometheus,
      async values() {
        const { text } = await asked(`${prometheus.url}/api/v1/query?query=requests_total[1h]`, client);
        const { data } = JSON.parse(text) as { data: { result: { values: [number, string][] }[] } };
        return data.result.flatMap(({ values }) => values.map(([, value]) => Number(value)));
      },
    };
  }

  function made(options: Partial<RemoteWriteOptions> & Pick<RemoteWriteOptions, 'url'>) {
    const exporter = remoteWrite({ retry: false, staleMarkers: false, targetInfo: false, ...options });
    onTestFinished(() => exporter.shutdown());
    return exporter;
  }

  test('takes samples of those who have a certificate and a password, and no others', async () => {
    const authority = await createAuthority();
    const { writeUrl: url, values } = await guarded(authority);
    const tls = { ca: authority.cert, ...(await authority.issueClient()) };
    const batch = presentBatch(7);
    const { ca } = tls;
    const stranger = await createAuthority('Another authority');
    expect(await exported(made({ url, tls: { ca }, basicAuth: USER }), batch)).toMatchObject({ code: 'TLS' });
    const untrusting = { ca: stranger.cert, cert: tls.cert, key: tls.key };
    expect(await exported(made({ url, tls: untrusting, basicAuth: USER }), batch)).toMatchObject({
      code: 'TLS',
    });
    const foreign = { ca, ...(await stranger.issueClient()) };
    expect(await exported(made({ url, tls: foreign, basicAuth: USER }), batch)).toMatchObject({
      code: 'TLS',
    });
    for (const credentials of [{}, { basicAuth: { ...USER, password: 'x' } }, { bearerToken: 'hunter2' }]) {
      const error = await exported(made({ url, tls, ...credentials }), batch);
      expect(error).toMatchObject({ code: 'UNAUTHENTICATED', retryable: false });
      expect(String(error)).not.toContain('hunter2');
    }
    expect(await values()).toEqual([]);

    expect(await exported(made({ url, tls, basicAuth: USER }), batch)).toBeUndefined();
    const inUrl = url.replace('//', `//${USER.username}:${USER.password}@`);
    expect(await exported(made({ url: inUrl, tls }), presentBatch(8))).toBeUndefined();
    expect(await values()).toEqual([7, 8]);
  });

  test('takes samples of a client whose certificate is renewed', async () => {
    const authority = await createAuthority();
    const { writeUrl: url, values } = await guarded(authority);
    const folder = temporaryFolder();
    const [cert, key] = [join(folder, 'client.pem'), join(folder, 'client-key.pem')];
    const write = ({ cert: certText, key: keyText }: { cert: string; key: string }) => {
      writeFileSync(cert, certText);
      writeFileSync(key, keyText);
    };
    write(await authority.issueClient({ notAfter: new Date(Date.now() - 1_000) }));
    const exporter = made({ url, tls: { ca: authority.cert, cert, key }, basicAuth: USER });
    const report = () => exported(exporter, presentBatch(3));
    expect(await report()).toMatchObject({ code: 'TLS' });
    write(await authority.issueClient());
    // It looks at its files once in a while.
    await expect.poll(report, { timeout: 10_000 }).toBeUndefined();
    expect(await values()).toEqual([3]);
  });
});
