import { renameSync, rmSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  type CertificateAuthority,
  createAuthority,
  type KeyAndCertificate,
} from '../../test/support/certificates.ts';
import { captureLogs } from '../../test/support/collected.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { type TlsOptions, tlsSource } from './tls.ts';

let authority: CertificateAuthority;
let first: KeyAndCertificate;
let second: KeyAndCertificate;
beforeAll(async () => {
  authority = await createAuthority();
  first = await authority.issueClient({ name: 'first' });
  second = await authority.issueClient({ name: 'second' });
});

/** A client certificate and its key in files. */
function files(pair = first) {
  const folder = temporaryFolder();
  const paths = { ca: join(folder, 'ca.pem'), cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  const write = ({ cert, key }: KeyAndCertificate) => {
    writeFileSync(paths.cert, cert);
    writeFileSync(paths.key, key);
  };
  writeFileSync(paths.ca, authority.cert);
  write(pair);
  return { folder, ...paths, write };
}

const logs = captureLogs();

describe('TLS material', () => {
  test('[7.12] comes from PEM text, buffers, paths and file URLs alike', async () => {
    const { ca, cert, key } = files();
    const sources: TlsOptions[] = [
      { ca: authority.cert, cert: first.cert, key: first.key },
      { ca: Buffer.from(authority.cert), cert: Buffer.from(first.cert), key: Buffer.from(first.key) },
      { ca, cert, key },
      { ca: pathToFileURL(ca), cert: pathToFileURL(cert).href, key: pathToFileURL(key) },
    ];
    for (const source of sources) {
      const material = await tlsSource('test', source).current();
      expect(String(material.ca)).toContain(authority.cert.trim());
      expect(String(material.cert)).toContain(first.cert.trim());
      expect(String(material.key)).toContain(first.key.trim());
      expect(material).toMatchObject({ version: 0, rejectUnauthorized: true });
    }
  });

  test('joins several authorities, from files without a last line break too', async () => {
    const other = await createAuthority('Other');
    const { ca } = files();
    writeFileSync(ca, authority.cert.trim());
    const material = await tlsSource('test', { ca: [ca, other.cert] }).current();
    expect(String(material.ca)).toMatch(/-----END CERTIFICATE-----\n+-----BEGIN CERTIFICATE-----/);
  });

  test('is a context of the application as it is', async () => {
    const secureContext = createSecureContext();
    expect((await tlsSource('test', { secureContext }).current()).secureContext).toBe(secureContext);
  });

  test('stays the same object while nothing changes', async () => {
    const { cert, key } = files();
    const source = tlsSource('test', { cert, key });
    expect(await source.current()).toBe(await source.current());
  });

  test('does not touch files for material that is given', async () => {
    const source = tlsSource('test', { cert: first.cert, key: first.key });
    expect(await source.current()).toBe(await source.current());
  });

  test('is read again when its files are written anew', async () => {
    const { write, ...paths } = files();
    const source = tlsSource('test', { cert: paths.cert, key: paths.key });
    await source.current();
    write(second);
    const material = await source.current();
    expect(material.version).toBe(1);
    expect(String(material.cert)).toContain(second.cert.trim());
    expect(await source.current()).toBe(material);
    expect(logs.join()).toMatch(/uses the new certificates of .*cert\.pem/);
  });

  test('is read again when another file takes the place of its own', async () => {
    const { folder, ca } = files();
    const other = await createAuthority('Other');
    const source = tlsSource('test', { ca });
    writeFileSync(join(folder, 'new'), other.cert);
    renameSync(join(folder, 'new'), ca);
    expect(String((await source.current()).ca)).toContain(other.cert.trim());
  });

  test('is read again when the other file has the size and the time of its own', async () => {
    const { folder, ca } = files();
    const other = await createAuthority('Other');
    const length = Math.max(authority.cert.length, other.cert.length) + 1;
    const time = new Date(0);
    const write = (path: string, pem: string) => {
      writeFileSync(path, pem.padEnd(length, '\n'));
      utimesSync(path, time, time);
    };
    write(ca, authority.cert);
    const source = tlsSource('test', { ca });
    write(join(folder, 'new'), other.cert);
    renameSync(join(folder, 'new'), ca);
    expect(String((await source.current()).ca)).toContain(other.cert.trim());
  });

  test('is read once for those who ask at the same time', async () => {
    const { cert, key, write } = files();
    const source = tlsSource('test', { cert, key });
    write(second);
    const [one, other] = await Promise.all([source.current(), source.current()]);
    expect(one).toBe(other);
    expect(one!.version).toBe(1);
  });

  test('is read again when a link turns to another folder, as Kubernetes does it', async () => {
    const before = files(first);
    const after = files(second);
    const link = join(temporaryFolder(), '..data');
    symlinkSync(before.folder, link);
    const source = tlsSource('test', { cert: join(link, 'cert.pem'), key: join(link, 'key.pem') });
    unlinkSync(link);
    symlinkSync(after.folder, link);
    expect(String((await source.current()).cert)).toContain(second.cert.trim());
  });

  test.each<[string, (paths: ReturnType<typeof files>) => void, RegExp]>([
    ['is not PEM', ({ cert }) => writeFileSync(cert, 'no PEM'), /cert: it is not PEM/],
    ['is empty', ({ cert }) => writeFileSync(cert, ''), /cert: it is not PEM/],
    [
      'has another key',
      ({ key }) => writeFileSync(key, second.key),
      /the key is not that of the certificate/,
    ],
    ['is gone', ({ key }) => rmSync(key), /the file .*key\.pem cannot be read \(ENOENT\)/],
    ['has a broken authority', ({ ca }) => writeFileSync(ca, 'no PEM'), /ca is not PEM/],
  ])('stays as it was when what replaces it %s, and says so', async (_, spoil, reason) => {
    const paths = files();
    const source = tlsSource('test', { ca: paths.ca, cert: paths.cert, key: paths.key });
    const before = await source.current();
    spoil(paths);
    expect(await source.current()).toBe(before);
    expect(logs.join()).toMatch(/keeps the certificates it has/);
    expect(logs.join()).toMatch(reason);
    paths.write(second);
    writeFileSync(paths.ca, `${authority.cert}\n`);
    expect(String((await source.current()).cert)).toContain(second.cert.trim());
  });

  test('is verified once for each change, also when it cannot be used', async () => {
    const { cert, key } = files();
    const source = tlsSource('test', { cert, key });
    writeFileSync(cert, 'no PEM');
    await Promise.all([source.current(), source.current()]);
    await source.current();
    expect(logs.filter((line) => line.includes('keeps'))).toHaveLength(1);
    expect(logs[0]).not.toMatch(/more like this/);
  });

  const garbage = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  test.each<[() => unknown, RegExp]>([
    [() => 5, /test: tls is 5; it must be an object/],
    [() => ({ ca: 5 }), /tls\.ca cannot work; it must be PEM text/],
    [() => ({ ca: '' }), /tls\.ca cannot work/],
    [() => ({ ca: new URL('http://a') }), /tls\.ca cannot work/],
    [() => ({ ca: 'nowhere.pem' }), /the file nowhere\.pem cannot be read \(ENOENT\)/],
    [() => ({ ca: '/' }), /the file.* cannot be read \(EISDIR\)/],
    [() => ({ ca: garbage }), /tls cannot work: ca:/],
    [() => ({ ca: Buffer.from('junk') }), /ca is not PEM/],
    [() => ({ cert: first.cert }), /tls\.cert without tls\.key cannot work/],
    [() => ({ key: first.key }), /tls\.key without tls\.cert cannot work/],
    [() => ({ cert: first.cert, key: second.key }), /the key is not that of the certificate/],
    [() => ({ cert: first.cert, key: Buffer.from('junk') }), /key: it is not PEM/],
    [() => ({ cert: Buffer.from('junk'), key: first.key }), /cert: it is not PEM/],
    [() => ({ passphrase: 5 }), /tls\.passphrase cannot work/],
    [() => ({ rejectUnauthorized: 'no' }), /tls\.rejectUnauthorized is 'no'/],
    [() => ({ servername: 5 }), /tls\.servername is 5/],
    [() => ({ secureContext: 5 }), /tls\.secureContext cannot work/],
    [() => ({ secureContext: createSecureContext(), ca: authority.cert }), /secureContext beside tls\.ca/],
    [() => ({ certificate: 'x' }), /no setting tls\.certificate/],
  ])('[7.12] refuses at the start what cannot work: %#', (options, message) => {
    const make = () => tlsSource('test', options() as TlsOptions);
    expect(make).toThrow(message);
    expect(make).toThrow(expect.objectContaining({ name: 'ConfigError' }));
    expect(make).not.toThrow(/BEGIN PRIVATE/);
  });
});
