// Compressing bodies off the event loop: zlib's asynchronous functions and streams work in Node's thread pool.
import type { Transform } from 'node:stream';
import { finished } from 'node:stream/promises';
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
const { zstdCompress, createZstdCompress } = zlib as unknown as {
  zstdCompress?: (body: Uint8Array, done: (error: Error | null, result: Buffer) => void) => void;
  createZstdCompress?: () => Transform;
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

export type StreamCompression = Exclude<Compression, 'none'>;

const STREAMS: Partial<Record<StreamCompression, () => Transform>> = {
  ...(createZstdCompress && { zstd: () => createZstdCompress() }),
  // The lowest level takes a third of the time of the usual one, for a fifth more bytes.
  gzip: () => zlib.createGzip({ level: zlib.constants.Z_BEST_SPEED }),
};

/** What this version of Node can compress streams with, the best first. */
export const STREAM_COMPRESSIONS = Object.keys(STREAMS) as StreamCompression[];

/**
 * Compresses one chunk while the next one is made, so that no more than two are held. A chunk is copied: whoever makes
 * them may fill the same memory again.
 */
export async function* compressedStream(
  chunks: AsyncIterable<Uint8Array>,
  compression: StreamCompression,
): AsyncGenerator<Uint8Array, void, undefined> {
  const stream = STREAMS[compression]!();
  const ready: Uint8Array[] = [];
  stream.on('data', (chunk: Uint8Array) => ready.push(chunk));
  // The writes tell it too.
  stream.on('error', () => {});
  let input = Buffer.alloc(0);
  let written: Promise<void> | undefined;
  try {
    for await (const chunk of chunks) {
      await written;
      if (chunk.length > input.length) input = Buffer.allocUnsafeSlow(chunk.length);
      input.set(chunk);
      written = write(stream, input.subarray(0, chunk.length));
      yield* ready.splice(0);
    }
    stream.end();
    await finished(stream);
    yield* ready;
  } finally {
    stream.destroy();
  }
}

/** Resolves when the chunk is no longer needed. */
function write(stream: Transform, chunk: Uint8Array): Promise<void> {
  const written = new Promise<void>((resolve, reject) => {
    stream.write(chunk, (error) => (error ? reject(error) : resolve()));
  });
  // Nobody may be waiting when it fails.
  written.catch(() => {});
  return written;
}
