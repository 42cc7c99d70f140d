// A certificate authority for tests: server, client, expired and renewed certificates, as PEM text.
import 'reflect-metadata';
import { KeyObject, webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** A certificate and its private key, both PEM. */
export interface KeyAndCertificate {
  readonly key: string;
  readonly cert: string;
}

export interface CertificateOptions {
  /** Common name, which tells a renewed certificate from the one before it. */
  name?: string;
  /** DNS names and addresses it is valid for. */
  hosts?: string[];
  notBefore?: Date;
  notAfter?: Date;
}

export interface CertificateAuthority {
  /** Its own certificate, PEM: what the other side is to trust. */
  readonly cert: string;
  /** For servers: valid for `localhost`, `127.0.0.1` and `::1` unless `hosts` says otherwise. */
  issueServer(options?: CertificateOptions): Promise<KeyAndCertificate>;
  issueClient(options?: CertificateOptions): Promise<KeyAndCertificate>;
  /** A server certificate that ended yesterday. */
  issueExpired(options?: CertificateOptions): Promise<KeyAndCertificate>;
}

const DAY_MILLIS = 24 * 60 * 60 * 1000;
const LOOPBACK = ['localhost', '127.0.0.1', '::1'];
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

export async function createAuthority(name = 'Test authority'): Promise<CertificateAuthority> {
  const keys = await generateKeys();
  const authority = await X509CertificateGenerator.createSelfSigned(
    {
      name: `CN=${name}`,
      keys,
      ...validity({}),
      extensions: [
        new BasicConstraintsExtension(true, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ],
    },
    webcrypto,
  );

  async function issue(usage: ExtendedKeyUsage, options: CertificateOptions): Promise<KeyAndCertificate> {
    const { publicKey, privateKey } = await generateKeys();
    const { hosts = LOOPBACK } = options;
    const extensions: Extension[] = [
      new ExtendedKeyUsageExtension([usage]),
      new SubjectAlternativeNameExtension(
        hosts.map((value) => ({ type: /^[\d.]+$|:/.test(value) ? 'ip' : 'dns', value })),
      ),
    ];
    const certificate = await X509CertificateGenerator.create(
      {
        subject: `CN=${options.name ?? hosts[0]}`,
        issuer: authority.subject,
        publicKey,
        signingKey: keys.privateKey,
        ...validity(options),
        extensions,
      },
      webcrypto,
    );
    return {
      key: KeyObject.from(privateKey).export({ type: 'pkcs8', format: 'pem' }).toString(),
      cert: pem(certificate),
    };
  }

  return {
    cert: pem(authority),
    issueServer: (options = {}) => issue(ExtendedKeyUsage.serverAuth, options),
    issueClient: (options = {}) => issue(ExtendedKeyUsage.clientAuth, options),
    issueExpired: (options = {}) =>
      issue(ExtendedKeyUsage.serverAuth, { notAfter: new Date(Date.now() - DAY_MILLIS), ...options }),
  };
}

/** With a line break at the end, so that several make a bundle. */
function pem(certificate: X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

function validity({ notBefore, notAfter }: CertificateOptions) {
  return {
    signingAlgorithm: ALGORITHM,
    notBefore: notBefore ?? new Date(Date.now() - 2 * DAY_MILLIS),
    notAfter: notAfter ?? new Date(Date.now() + DAY_MILLIS),
  };
}
