import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { batchOf } from '../encoding/fixtures/metrics.ts';
import { type Collected, SharedCollections } from './scrape-collections.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

function collections() {
  const collect = vi.fn(
    async (_timeoutMillis: number): Promise<Collected> => ({ batch: batchOf([]), isWhole: true }),
  );
  return { collect, shared: new SharedCollections(collect, 5_000) };
}

test('scrapes share the collection that is running, and no finished one', async () => {
  const { collect, shared } = collections();
  const [first, second] = await Promise.all([shared.acquire(100), shared.acquire(200)]);
  expect(first.batch).toBe(second.batch);
  expect(collect.mock.calls).toEqual([[100]]);
  expect((await shared.acquire(300)).batch).not.toBe(first.batch);
});

/** Collections that take as long as their callbacks may, because one of them hangs. */
function hangingCollections() {
  const all = collections();
  all.collect.mockImplementation(async (timeoutMillis) => {
    await Promise.resolve();
    vi.advanceTimersByTime(timeoutMillis);
    return { batch: batchOf([]), isWhole: false };
  });
  return all;
}

test('one who can wait for longer than the collection did that it joined collects again, if something is missing', async () => {
  const { collect, shared } = hangingCollections();
  const [short, long, longer] = await Promise.all(
    [100, 10_000, Infinity].map((time) => shared.acquire(time)),
  );
  expect(collect.mock.calls).toEqual([[100], [5_000]]);
  expect(long!.batch).not.toBe(short!.batch);
  expect(longer!.batch).toBe(long!.batch);
});

test('what it has waited for the first one is no longer there for the second', async () => {
  const { collect, shared } = hangingCollections();
  await Promise.all([shared.acquire(100), shared.acquire(300)]);
  expect(collect.mock.calls).toEqual([[100], [200]]);
});

test.each([100, 50, 199])(
  'one who has no more time than it, left %s ms, takes what there is',
  async (time) => {
    const { collect, shared } = hangingCollections();
    const [one, other] = await Promise.all([shared.acquire(100), shared.acquire(time)]);
    expect(collect).toHaveBeenCalledTimes(1);
    expect(one!.batch).toBe(other!.batch);
  },
);

test('the first of two collections is not held for those who have a second', async () => {
  const { collect, shared } = hangingCollections();
  for (let i = 0; i < 9; i++) {
    const [short] = await Promise.all([shared.acquire(100), shared.acquire(5_000)]);
    short!.release();
  }
  expect(collect).toHaveBeenCalledTimes(18);
  const tenth = await shared.acquire(100);
  vi.advanceTimersByTime(1_000);
  expect(tenth.signal.aborted).toBe(false);
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
