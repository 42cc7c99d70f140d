// Snappy's block format, which remote write demands, in Node's thread pool.
import { report } from '../data/diagnostics.ts';

type Compress = (body: Uint8Array) => Promise<Uint8Array>;

let loaded: Promise<Compress> | undefined;

/** Where the native library has no build for the platform, a block that says what it holds without making it smaller. */
export async function snappy(body: Uint8Array): Promise<Uint8Array> {
  loaded ??= import('snappy').then(
    (library): Compress =>
      (bytes) =>
        // Without it each block holds the memory of the worst case until the garbage collector comes, and makes it come.
        library.compress(bytes, { copyOutputData: true }),
    (error): Compress => {
      report('warn', 'snappy', 'snappy cannot be loaded here; remote write sends uncompressed blocks', error);
      return async (bytes) => literalBlock(bytes);
    },
  );
  return (await loaded)(body);
}

/** As long as a literal can be that says its length in two bytes. */
const MAX_LITERAL = 65_536;

/** @returns the length and then literals alone; any decoder of the format reads it */
export function literalBlock(body: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  const length: number[] = [];
  let rest = body.length;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) length.push((rest % 128) | 0x80);
  parts.push(Uint8Array.from([...length, rest]));
  for (let at = 0; at < body.length; at += MAX_LITERAL) {
    const piece = body.subarray(at, at + MAX_LITERAL);
    const last = piece.length - 1;
    parts.push(Uint8Array.of(0xf4, last & 0xff, last >> 8), piece);
  }
  return Buffer.concat(parts);
}
