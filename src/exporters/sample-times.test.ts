import { expect, test } from 'vitest';
import { SampleTimes } from './sample-times.ts';

test('a later collection has a later millisecond, and keeps it however often it is sent', () => {
  const times = new SampleTimes();
  const nanos = [1_000_000n, 1_000_001n, 1_999_999n, 2_000_000n, 9_000_000n];
  expect(nanos.map((at) => times.of(at))).toEqual([1, 2, 3, 4, 9]);
  expect(times.latest).toBe(9);
  // As a queue does that delivers late.
  expect(nanos.map((at) => times.of(at))).toEqual([1, 2, 3, 4, 9]);
  expect(times.of(500_000n)).toBe(0);
  expect(times.of(9_000_001n)).toBe(10);
});
