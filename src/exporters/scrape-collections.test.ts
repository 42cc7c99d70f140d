import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { MetricBatch } from '../data/metric-batch.ts';
import { batchOf } from '../encoding/fixtures/metrics.ts';
import { SharedCollections } from './scrape-collections.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

function collections() {
  const collect = vi.fn(async (_timeoutMillis: number): Promise<MetricBatch> => batchOf([]));
  return { collect, shared: new SharedCollections(collect) };
}

test('scrapes share the collection that is running, and no finished one', async () => {
  const { collect, shared } = collections();
  const [first, second] = await Promise.all([shared.acquire(100), shared.acquire(200)]);
  expect(first.batch).toBe(second.batch);
  expect(collect.mock.calls).toEqual([[100]]);
  expect((await shared.acquire(300)).batch).not.toBe(first.batch);
});

test('slow scrapers hold ten collections at most: then the latest is shared for a second', async () => {
  const { collect, shared } = collections();
  const held = [];
  for (let i = 0; i < 10; i++) held.push(await shared.acquire(1));
  expect((await shared.acquire(1)).batch).toBe(held[9]!.batch);
  vi.advanceTimersByTime(999);
  expect((await shared.acquire(1)).batch).toBe(held[9]!.batch);
  expect(collect).toHaveBeenCalledTimes(10);
  expect(held.some(({ signal }) => signal.aborted)).toBe(false);
});

test('after that the scrapers of the oldest are cut off', async () => {
  const { collect, shared } = collections();
  const held = [];
  for (let i = 0; i < 10; i++) held.push(await shared.acquire(1));
  vi.advanceTimersByTime(1_000);
  const next = await shared.acquire(1);
  expect(collect).toHaveBeenCalledTimes(11);
  expect(held.map(({ signal }) => signal.aborted)).toEqual([true, ...Array(9).fill(false)]);
  expect(next.signal.aborted).toBe(false);
});

test('one that is released, by all who share it, makes room', async () => {
  const { collect, shared } = collections();
  const [one, two] = await Promise.all([shared.acquire(1), shared.acquire(1)]);
  for (let i = 0; i < 9; i++) await shared.acquire(1);
  one.release();
  one.release();
  await shared.acquire(1);
  expect(collect).toHaveBeenCalledTimes(10);
  two.release();
  await shared.acquire(1);
  expect(collect).toHaveBeenCalledTimes(11);
  expect(one.signal.aborted).toBe(false);
});

test('one that failed is not held', async () => {
  const { collect, shared } = collections();
  for (let i = 0; i < 30; i++) {
    collect.mockRejectedValueOnce(new Error('broken'));
    await expect(shared.acquire(1)).rejects.toThrow('broken');
  }
  await shared.acquire(1);
  expect(collect).toHaveBeenCalledTimes(31);
});
