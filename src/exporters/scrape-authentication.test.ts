// What an attacker could learn from the time that a refusal takes. Which headers are accepted is tested with the server.
import type * as crypto from 'node:crypto';
import { afterEach, expect, test, vi } from 'vitest';
import { authentication } from './scrape-authentication.ts';

const comparisons = vi.hoisted((): [number, number][] => []);

vi.mock('node:crypto', async (original) => {
  const real = await original<typeof crypto>();
  return {
    ...real,
    timingSafeEqual(a: Uint8Array, b: Uint8Array) {
      comparisons.push([a.length, b.length]);
      return real.timingSafeEqual(a, b);
    },
  };
});

afterEach(() => {
  comparisons.length = 0;
});

test.each([
  undefined,
  '',
  'Bearer first',
  'Bearer second',
  'Bearer firs',
  `Bearer ${'x'.repeat(15_000)}`,
  'Basic dXNlcjpwYXNzd29yZA==',
  'Basic dXNlcjo=',
  'Digest',
])('%s is compared with all credentials in full, in one length', (header) => {
  const { accepts } = authentication([
    { token: 'first' },
    { username: 'user', password: 'password' },
    { token: 'second' },
  ]);
  accepts(header);
  expect(comparisons).toEqual(Array(3).fill([32, 32]));
});
