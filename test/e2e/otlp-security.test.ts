// Certificates and tokens, also those that change while the service reports.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  type CertificateAuthority,
  createAuthority,
  type KeyAndCertificate,
} from '../support/certificates.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { type Collector, type CollectorOptions, startCollector } from './support/collector.ts';
import { TRANSPORTS } from './support/otlp-exporters.ts';
import { type Reporting, startReporting, sumOf } from './support/reporting.ts';

let authority: CertificateAuthority;
let collector: Collector;

beforeAll(async () => {
  authority = await createAuthority();
});

describe.each(TRANSPORTS)('$name', (transport) => {
  async function start(options: CollectorOptions): Promise<number> {
    collector = await startCollector(options);
    // After the services of the test, which report once more when they end.
    onTestFinished(() => collector.stop());
    return transport.portOf(collector);
  }

  async function expectAllOf(service: Reporting): Promise<void> {
    expect(sumOf(service.pointsIn(await collector.received()))).toBe(service.done);
  }

  test('mutual TLS: only with the certificate that the receiver asks for', async () => {
    const port = await start({ tls: { ...(await authority.issueServer()), clientCa: authority.cert } });
    const without = startReporting(
      transport.make(port, { tls: { ca: authority.cert }, retry: false, temporality: 'delta' }),
    );
    without.work(1);
    expect(await without.report()).toMatchObject({ code: 'TLS' });

    const tls = { ca: authority.cert, ...(await authority.issueClient()) };
    const service = startReporting(transport.make(port, { tls, temporality: 'delta' }));
    service.work(10);
    expect(await service.report()).toBeUndefined();
    await expectAllOf(service);
  });

  test('a certificate of an unknown authority', async () => {
    const port = await start({ tls: await authority.issueServer() });
    const stranger = await createAuthority('Another authority');
    const service = startReporting(transport.make(port, { tls: { ca: stranger.cert }, retry: false }));
    service.work(1);

    expect(await service.report()).toMatchObject({ code: 'TLS' });
    expect(service.pointsIn(await collector.received())).toEqual([]);
  });

  test('an expired certificate, until it is renewed', async () => {
    const port = await start({ tls: await authority.issueExpired() });
    const service = startReporting(
      transport.make(port, { tls: { ca: authority.cert }, retry: false, temporality: 'delta' }),
    );
    service.work(1);
    const error = await service.report();
    expect(error).toMatchObject({ code: 'TLS', message: expect.stringMatching(/expired/) });
    collector.replaceCertificate(await authority.issueServer());
    service.work(10);

    // It looks at its files once in a while.
    await expect.poll(() => service.report(), { timeout: 10_000 }).toBeUndefined();
    await expectAllOf(service);
  });

  test('certificates of both sides and their authority rotated under load', async () => {
    const next = await createAuthority('Next authority');
    const folder = temporaryFolder();
    const [ca, cert, key] = ['ca.pem', 'client.pem', 'client-key.pem'].map((name) => join(folder, name));
    const writeClient = (client: KeyAndCertificate) => {
      writeFileSync(cert!, client.cert);
      writeFileSync(key!, client.key);
    };
    writeFileSync(ca!, authority.cert);
    writeClient(await authority.issueClient());
    const port = await start({
      tls: { ...(await authority.issueServer()), clientCa: `${authority.cert}${next.cert}` },
    });
    const service = startReporting(
      transport.make(port, { tls: { ca, cert, key }, temporality: 'delta', retry: false }),
    );
    const reportFor = async (reports: number) => {
      for (let i = 0; i < reports; i++) {
        service.work(1);
        expect(await service.report()).toBeUndefined();
      }
    };

    await reportFor(5);
    // Half-way, as a slow writer leaves it: the certificate is another one than the key's.
    const renewed = await next.issueClient();
    writeFileSync(cert!, renewed.cert);
    await reportFor(5);
    writeClient(renewed);
    await reportFor(5);
    writeFileSync(ca!, `${authority.cert}${next.cert}`);
    await reportFor(5);
    collector.replaceCertificate(await next.issueServer());
    await reportFor(5);
    await expectAllOf(service);

    // From now on nothing of the first authority is good for anything.
    writeFileSync(ca!, next.cert);
    await collector.restart({ tls: { ...(await next.issueServer()), clientCa: next.cert } });
    service.work(1);
    expect(await service.report()).toBeUndefined();
    await expectAllOf(service);
  });

  test('a token that has expired is asked for once more', async () => {
    const port = await start({ bearerToken: 'new' });
    const tokens = ['old', 'new'];
    const asked: string[] = [];
    const headers = async () => {
      asked.push(tokens[asked.length] ?? 'new');
      return { authorization: `Bearer ${asked.at(-1)}` };
    };
    const service = startReporting(transport.make(port, { headers, temporality: 'delta', retry: false }));
    service.work(10);

    expect(await service.report()).toBeUndefined();
    expect(asked).toEqual(tokens);
    await expectAllOf(service);
  });

  test('a token that is wrong', async () => {
    const port = await start({ bearerToken: 'right' });
    const headers = { authorization: 'Bearer secret' };
    const service = startReporting(transport.make(port, { headers, retry: false }));
    service.work(1);
    const error = await service.report();

    expect(error).toMatchObject({ code: 'UNAUTHENTICATED', retryable: false });
    expect(String(error)).not.toContain('secret');
    expect(service.pointsIn(await collector.received())).toEqual([]);
  });
});
