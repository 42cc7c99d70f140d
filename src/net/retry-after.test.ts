import { expect, test } from 'vitest';
import { retryAfterMillis } from './retry-after.ts';

const NOW = Date.UTC(2026, 9, 21, 7, 27, 50);

test.each([
  ['2', 2_000],
  [' 120 ', 120_000],
  ['0', 0],
  ['Wed, 21 Oct 2026 07:28:00 GMT', 10_000],
  ['Wednesday, 21-Oct-26 07:28:00 GMT', 10_000],
  ['Wed, 21 Oct 2015 07:28:00 GMT', 0],
  ['-1', undefined],
  ['1.5', undefined],
  ['abc', undefined],
  ['2026', 2_026_000],
  ['2026-10-21', undefined],
  ['Wed, 99 Oct 2026 07:28:00 GMT', undefined],
  ['', undefined],
  [undefined, undefined],
])('[7.18] Retry-After: %s means %s ms', (header, millis) => {
  expect(retryAfterMillis(header, NOW)).toBe(millis);
});
