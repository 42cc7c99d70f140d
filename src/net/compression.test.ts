import * as zlib from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { type Compression, compressor } from './compression.ts';

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
