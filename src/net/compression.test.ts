import { randomFillSync } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import * as zlib from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { type Compression, compressedStream, compressor, STREAM_COMPRESSIONS } from './compression.ts';

const body = Buffer.from('metric '.repeat(1_000));

describe('compressor', () => {
  test('[7.14] gzip gives what gunzip undoes', async () => {
    const { contentEncoding, compress } = compressor('test', 'gzip')!;
    expect(contentEncoding).toBe('gzip');
    const compressed = await compress(body);
    expect(compressed.length).toBeLessThan(200);
    expect(zlib.gunzipSync(compressed)).toEqual(body);
  });

  if ('zstdDecompressSync' in zlib) {
    test('zstd gives what its counterpart undoes', async () => {
      const { contentEncoding, compress } = compressor('test', 'zstd')!;
      expect(contentEncoding).toBe('zstd');
      const { zstdDecompressSync } = zlib as unknown as { zstdDecompressSync(body: Uint8Array): Buffer };
      expect(zstdDecompressSync(await compress(body))).toEqual(body);
    });
  } else {
    test('zstd is refused where Node does not have it, with what to do', () => {
      expect(() => compressor('test', 'zstd')).toThrow(
        /compression is 'zstd', which Node .* does not have; use 'gzip'/,
      );
    });
  }

  test('none compresses nothing', () => {
    expect(compressor('test', 'none')).toBeUndefined();
  });

  test('works beside the event loop', async () => {
    const large = Buffer.alloc(32 * 2 ** 20, 'abcdefgh'.repeat(64));
    let turns = 0;
    const count = setInterval(() => turns++, 1);
    await compressor('test', 'gzip')!.compress(large);
    clearInterval(count);
    expect(turns).toBeGreaterThan(3);
  });

  test('[7.11] others are refused by name', () => {
    expect(() => compressor('test', 'br' as Compression)).toThrow(
      expect.objectContaining({
        name: 'ConfigError',
        message: expect.stringContaining("compression is 'br'"),
      }),
    );
  });
});

describe.each(STREAM_COMPRESSIONS)('compressedStream with %s', (compression) => {
  const { gunzipSync, zstdDecompressSync } = zlib as unknown as Record<string, (body: Uint8Array) => Buffer>;
  const undone = (compression === 'gzip' ? gunzipSync : zstdDecompressSync)!;

  /** Chunks that cannot become smaller, all of them in the same memory; \`made\` and \`isEnded\` tell how far it got. */
  function randomChunks(count: number, failure?: Error) {
    const state = { made: 0, isEnded: false, all: [] as Buffer[] };
    async function* chunks() {
      const memory = Buffer.alloc(64 * 1024);
      try {
        for (; state.made < count; state.made++) {
          randomFillSync(memory);
          state.all.push(Buffer.from(memory));
          // Of several sizes.
          yield memory.subarray(0, memory.length - state.made);
        }
        if (failure) throw failure;
      } finally {
        state.isEnded = true;
      }
    }
    return { state, chunks: chunks() };
  }

  test('gives what its counterpart undoes, though all chunks are in the same memory', async () => {
    const { state, chunks } = randomChunks(20);
    const compressed: Uint8Array[] = [];
    for await (const piece of compressedStream(chunks, compression)) compressed.push(piece);
    const expected = Buffer.concat(state.all.map((chunk, i) => chunk.subarray(0, chunk.length - i)));
    expect(undone(Buffer.concat(compressed)).equals(expected)).toBe(true);
  });

  test('of nothing is nothing', async () => {
    const compressed: Uint8Array[] = [];
    for await (const piece of compressedStream(randomChunks(0).chunks, compression)) compressed.push(piece);
    expect(undone(Buffer.concat(compressed)).length).toBe(0);
  });

  test('takes no chunk while its reader waits, and ends with it', async () => {
    const { state, chunks } = randomChunks(100);
    const pieces = compressedStream(chunks, compression);
    await pieces.next();
    const before = state.made;
    for (let i = 0; i < 1_000; i++) await setImmediate();
    // Zstandard gives nothing before it has seen a block of 128 KiB.
    expect(before).toBeLessThan(8);
    expect(state.made).toBe(before);
    expect(state.isEnded).toBe(false);
    await pieces.return();
    expect(state.isEnded).toBe(true);
  });

  test('fails with what its source fails with', async () => {
    const { chunks } = randomChunks(3, new Error('encoder'));
    await expect(
      (async () => {
        for await (const _ of compressedStream(chunks, compression));
      })(),
    ).rejects.toThrow('encoder');
  });
});
