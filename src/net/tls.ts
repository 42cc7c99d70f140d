// Certificates and keys for connections, read again when their files change, so that rotation needs no restart.
import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext, type SecureContext } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { report, textOf } from '../data/diagnostics.ts';
import { ConfigError } from '../data/errors.ts';
import { optionChecks } from '../data/option-checks.ts';

/** PEM text or bytes, or the file that holds them: its path, or a `file:` URL. Text with a line `-----BEGIN …` is PEM. */
export type PemSource = string | Uint8Array | URL;

/** Named as in `tls.connect`. Files are read again when they change; see `docs/otlp.md`. */
export interface TlsOptions {
  /**
   * The authorities to trust, in place of those that Node trusts.
   * @default those of Node, with `NODE_EXTRA_CA_CERTS`
   */
  ca?: PemSource | PemSource[];
  /** The client's certificate for mutual TLS, followed by its intermediates. Needs `key`. */
  cert?: PemSource;
  /** The private key of `cert`. */
  key?: PemSource;
  /** The passphrase of an encrypted `key`. */
  passphrase?: string;
  /** A context made by the application, in place of `ca`, `cert`, `key` and `passphrase`. It is not read again. */
  secureContext?: SecureContext;
  /**
   * Whether the server's certificate is verified. `false` lets anyone read and change what is sent.
   * @default true
   */
  rejectUnauthorized?: boolean;
  /**
   * The name to ask for, and to verify in the server's certificate.
   * @default the host of the address
   */
  servername?: string;
}

/** What a new connection is made with. The same object as long as nothing changed. */
export interface TlsMaterial {
  /** Counts the changes, from 0. */
  readonly version: number;
  readonly secureContext: SecureContext;
  readonly ca: Buffer | undefined;
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
  readonly passphrase: string | undefined;
  readonly rejectUnauthorized: boolean;
  readonly servername: string | undefined;
}

export interface TlsSource {
  /**
   * The present material. Looks whether the files have changed, which costs a `stat` each and no timer: call it before a
   * request. A change that cannot work keeps the material as it was, and is reported.
   */
  current(): Promise<TlsMaterial>;
}

const PARTS = ['ca', 'cert', 'key'] as const;
type Part = (typeof PARTS)[number];
type Texts = Record<Part, Buffer | undefined>;

/** Where a part comes from: bytes that were given, or a file. */
type Origin = Buffer | { readonly path: string };

/**
 * Reads and verifies the material once, at start, so that a mistake shows there.
 *
 * @param owner whose `tls` setting it is, for messages
 * @throws ConfigError when a file cannot be read, is not PEM, or the key is not that of the certificate
 */
export function tlsSource(owner: string, options: TlsOptions = {}): TlsSource {
  const origins = validated(owner, options);
  const { passphrase, secureContext, rejectUnauthorized = true, servername } = options;
  const paths = PARTS.flatMap((part) => origins[part]).flatMap((origin) =>
    Buffer.isBuffer(origin) ? [] : [origin.path],
  );

  function materialOf(version: number, texts: Texts): TlsMaterial {
    const context = secureContext ?? contextOf(texts, passphrase);
    return { version, secureContext: context, ...texts, passphrase, rejectUnauthorized, servername };
  }

  const texts = (contents: ReadonlyMap<string, Buffer>): Texts => {
    const joined = (part: Part) => {
      const buffers = origins[part].map((origin) =>
        Buffer.isBuffer(origin) ? origin : contents.get(origin.path)!,
      );
      // A file may lack its last line break.
      return buffers.length === 0 ? undefined : Buffer.concat(buffers.flatMap((pem) => [pem, NEWLINE]));
    };
    return { ca: joined('ca'), cert: joined('cert'), key: joined('key') };
  };

  let seen: string;
  let material: TlsMaterial;
  try {
    seen = paths.map((path) => fingerprint(statSync(path, { bigint: true }))).join();
    material = materialOf(0, texts(new Map(paths.map((path) => [path, readFileSync(path)]))));
  } catch (error) {
    throw new ConfigError(`${owner}: tls cannot work: ${reasonOf(error)}`, { cause: error });
  }

  let looking: Promise<void> | undefined;
  async function look(): Promise<void> {
    try {
      const stats = await Promise.all(paths.map((path) => stat(path, { bigint: true })));
      const found = stats.map(fingerprint).join();
      if (found === seen) return;
      const contents = await Promise.all(paths.map(async (path) => [path, await readFile(path)] as const));
      // Before the material is made: what cannot work is read again when it has changed, not each time.
      seen = found;
      material = materialOf(material.version + 1, texts(new Map(contents)));
      report(
        'info',
        `tls:${owner}:${paths.join()}`,
        `${owner} uses the new certificates of ${paths.join(', ')}`,
      );
    } catch (error) {
      report(
        'warn',
        `tls-invalid:${owner}:${paths.join()}`,
        `${owner} keeps the certificates it has, because the changed files cannot be used: ${reasonOf(error)}`,
      );
    }
  }

  return {
    async current() {
      if (paths.length > 0) {
        looking ??= look().finally(() => {
          looking = undefined;
        });
        await looking;
      }
      return material;
    },
  };
}

const NEWLINE = Buffer.from('\n');

function validated(owner: string, options: TlsOptions): Record<Part, Origin[]> {
  const { demand, demandObject, demandNothing, demandSecret } = optionChecks(owner);
  demandObject('tls', options);
  const { ca, cert, key, passphrase, secureContext, rejectUnauthorized, servername, ...unknown } = options;
  demandNothing(unknown, 'tls.');
  demandSecret(
    passphrase === undefined || typeof passphrase === 'string',
    'tls.passphrase',
    'the passphrase of tls.key, as text',
  );
  demand(
    rejectUnauthorized === undefined || typeof rejectUnauthorized === 'boolean',
    'tls.rejectUnauthorized',
    rejectUnauthorized,
    'true or false',
  );
  demand(servername === undefined || typeof servername === 'string', 'tls.servername', servername, 'a name');
  demandSecret(
    secureContext === undefined || (typeof secureContext === 'object' && secureContext !== null),
    'tls.secureContext',
    'what tls.createSecureContext returned',
  );
  demandSecret(
    secureContext === undefined || [ca, cert, key, passphrase].every((part) => part === undefined),
    'tls.secureContext beside tls.ca, tls.cert, tls.key or tls.passphrase',
    'alone: put these into the context',
  );
  demandSecret(
    (cert === undefined) === (key === undefined),
    cert === undefined ? 'tls.key without tls.cert' : 'tls.cert without tls.key',
    'given both, or neither',
  );
  const originsOf = (part: Part, value: unknown): Origin[] => {
    if (value === undefined) return [];
    const origin = originOf(value);
    demandSecret(
      origin !== undefined,
      `tls.${part}`,
      'PEM text, a Buffer with it, or the path of a file with it',
    );
    return [origin!];
  };
  return {
    ca: Array.isArray(ca) ? ca.flatMap((one) => originsOf('ca', one)) : originsOf('ca', ca),
    cert: originsOf('cert', cert),
    key: originsOf('key', key),
  };
}

function originOf(value: unknown): Origin | undefined {
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (value instanceof URL) return value.protocol === 'file:' ? { path: fileURLToPath(value) } : undefined;
  if (typeof value !== 'string' || value === '' || value.includes('\0')) return undefined;
  if (value.includes('-----BEGIN')) return Buffer.from(value);
  return value.startsWith('file:') ? originOf(new URL(value)) : { path: value };
}

/** Throws where Node would take it and fail at each connection: it ignores authorities that are not PEM. */
function contextOf({ ca, cert, key }: Texts, passphrase: string | undefined): SecureContext {
  if (ca !== undefined) {
    const blocks = ca.toString('latin1').match(/-----BEGIN [\s\S]*?-----END [^-]*-----/g) ?? [];
    if (blocks.length === 0) throw new Error('ca is not PEM');
    for (const block of blocks) named('ca', () => new X509Certificate(block));
  }
  if (cert !== undefined) named('cert', () => createSecureContext({ cert }));
  if (key !== undefined) named('key', () => createSecureContext({ key, passphrase }));
  return named('key and cert together', () => createSecureContext({ ca, cert, key, passphrase }));
}

function named<T>(part: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = REASONS[code ?? ''] ?? textOf(error);
    throw new Error(`${part}: ${reason}`, { cause: error });
  }
}

/** What OpenSSL means. */
const REASONS: Record<string, string> = {
  ERR_OSSL_PEM_NO_START_LINE: 'it is not PEM',
  ERR_OSSL_UNSUPPORTED: 'it is not PEM, or of a kind that Node does not know',
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: 'the key is not that of the certificate',
  ERR_OSSL_BAD_DECRYPT: 'the passphrase is wrong',
  ERR_MISSING_PASSPHRASE: 'the key is encrypted: give its passphrase',
};

function reasonOf(error: unknown): string {
  const { code, path, syscall } = error as NodeJS.ErrnoException;
  return syscall === undefined ? textOf(error) : `the file ${path ?? ''} cannot be read (${code})`;
}

/** Changes with each way to replace a file: writing it, renaming another over it, or turning a link to it. */
function fingerprint(stats: { ino: bigint; size: bigint; mtimeNs: bigint }): string {
  return `${stats.ino}:${stats.size}:${stats.mtimeNs}`;
}
