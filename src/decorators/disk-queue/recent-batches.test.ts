import { expect, test } from 'vitest';
import { deltas } from '../fixtures/answering.ts';
import { RecentBatches } from './recent-batches.ts';

const stored = (sequence: number, points: number) => ({
  sequence,
  acceptedAt: 0,
  batch: deltas(...Array(points).fill(sequence)),
});

test('holds the batches that are delivered next, up to a number of points, and the first one whatever its size', () => {
  const recent = new RecentBatches();
  recent.add(stored(1, 29_000));
  recent.add(stored(2, 1_000));
  recent.add(stored(3, 1));
  expect([1, 2, 3].map((sequence) => recent.get(sequence)?.sequence)).toEqual([1, 2, undefined]);
  recent.forget(1);
  expect(recent.get(1)).toBeUndefined();
  expect(recent.get(2)).toBeDefined();
  recent.add(stored(4, 29_000));
  expect(recent.get(4)).toBeDefined();
  recent.forget(4);
  recent.add(stored(5, 31_000));
  expect(recent.get(5)).toBeDefined();
});
