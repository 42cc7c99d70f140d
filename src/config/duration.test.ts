import { expect, test } from 'vitest';
import { parseDuration } from './duration.ts';

test.each([
  ['500ms', 500],
  ['10s', 10_000],
  ['1m30s', 90_000],
  ['1.5h', 5_400_000],
  ['1d', 86_400_000],
  ['250', 250],
  [' 10s ', 10_000],
  ['0', 0],
])('%j is %d ms', (text, millis) => {
  expect(parseDuration(text)).toBe(millis);
});

test.each(['', ' ', 's', '10 s', '10sec', '-10s', '1e3', '10s!', 'soon'])('%j is not a duration', (text) => {
  expect(parseDuration(text)).toBeUndefined();
});
