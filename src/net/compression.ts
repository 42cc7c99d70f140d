// Compressing bodies off the event loop: zlib's asynchronous functions work in Node's thread pool.
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { ConfigError } from '../data/errors.ts';
import { optionChecks } from '../data/option-checks.ts';

export const COMPRESSIONS = ['none', 'gzip', 'zstd'] as const;

export type Compression = (typeof COMPRESSIONS)[number];

export interface Compressor {
  /** For the header `Content-Encoding`. */
  readonly contentEncoding: string;
  compress(body: Uint8Array): Promise<Uint8Array>;
}

type Compress = (body: Uint8Array) => Promise<Uint8Array>;

/** Node has it from 22.15 on; the types are those of an older one. */
const { zstdCompress } = zlib as unknown as {
  zstdCompress?: (body: Uint8Array, done: (error: Error | null, result: Buffer) => void) => void;
};

const gzip: Compress = promisify<Uint8Array, Buffer>(zlib.gzip);
const zstd: Compress | undefined = zstdCompress && promisify<Uint8Array, Buffer>(zstdCompress);

/**
 * @param owner whose `compression` setting it is, for messages
 * @returns undefined for `none`
 * @throws ConfigError when there is no such compression, or not in this version of Node
 */
export function compressor(owner: string, compression: Compression): Compressor | undefined {
  const { demand } = optionChecks(owner);
  demand(
    COMPRESSIONS.includes(compression),
    'compression',
    compression,
    COMPRESSIONS.map((name) => `'${name}'`).join(' or '),
  );
  if (compression === 'none') return undefined;
  if (compression === 'gzip') return { contentEncoding: 'gzip', compress: gzip };
  if (zstd === undefined) {
    throw new ConfigError(
      `${owner}: compression is 'zstd', which Node ${process.versions.node} does not have; use 'gzip', or Node 22.15 or newer`,
    );
  }
  return { contentEncoding: 'zstd', compress: zstd };
}
