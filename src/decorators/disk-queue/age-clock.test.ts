import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AgeClock } from './age-clock.ts';

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 0, 1);

beforeEach(() => void vi.useFakeTimers({ now: NOW, toFake: ['Date', 'performance'] }));
afterEach(() => void vi.useRealTimers());

test('a batch is too old when more than the given time has passed, restarts included', () => {
  expect(new AgeClock(DAY).isTooOld(NOW - DAY)).toBe(false);
  expect(new AgeClock(DAY).isTooOld(NOW - DAY - 1)).toBe(true);
  expect(new AgeClock(Infinity).isTooOld(0)).toBe(false);
});

test.each([100 * DAY, -100 * DAY])('a clock set by %d ms while batches wait ages none', (jump) => {
  const clock = new AgeClock(DAY);
  const acceptedAt = clock.now();
  vi.setSystemTime(NOW + jump);
  expect(clock.isTooOld(acceptedAt)).toBe(false);
  vi.advanceTimersByTime(DAY + 1);
  expect(clock.isTooOld(acceptedAt)).toBe(true);
});

test.each([
  ['1970', 0],
  ['the future', NOW + 1_000],
])('a batch of %s is as old as this process', (_, acceptedAt) => {
  const clock = new AgeClock(DAY);
  expect(clock.isTooOld(acceptedAt)).toBe(false);
  vi.advanceTimersByTime(DAY + 2_000);
  expect(clock.isTooOld(acceptedAt)).toBe(true);
});
