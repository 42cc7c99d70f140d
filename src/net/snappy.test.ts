import fc from 'fast-check';
import { uncompress } from 'snappy';
import { expect, test } from 'vitest';
import { literalBlock, snappy } from './snappy.ts';

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.integer({ min: 65_000, max: 200_000 }).map((length) => new Uint8Array(length).map((_, i) => i * 7)),
);

test.each([
  ['compressed', snappy],
  ['literal', async (body: Uint8Array) => literalBlock(body)],
])('a %s block is what any decoder reads', async (_, compress) => {
  await fc.assert(
    fc.asyncProperty(bytes, async (body) => {
      const back = await uncompress(await compress(body));
      expect(Buffer.compare(back as Buffer, Buffer.from(body))).toBe(0);
    }),
    { numRuns: 60 },
  );
});

test('makes text that repeats much smaller', async () => {
  expect((await snappy(Buffer.from('http_server_requests_total'.repeat(1_000)))).length).toBeLessThan(2_000);
});
