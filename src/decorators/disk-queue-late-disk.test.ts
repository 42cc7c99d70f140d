// A disk that cannot even be looked at when the process starts, and is there later.
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { SUCCESS, send } from '../../test/conformance/exporter-kit.ts';
import { captureLogs } from '../../test/support/collected.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { ExportError } from '../data/errors.ts';
import { diskQueue } from './disk-queue.ts';
import { type Answer, answering, deltas, fails } from './fixtures/answering.ts';

captureLogs();

const down = new ExportError('UNAVAILABLE', 'down', { retryable: true });
const NOTHING_DROPPED = { age: 0, damage: 0, memory: 0, refusal: 0, size: 0 };

function queueIn(dir: string, answers: Answer[], intervalMillis = 1) {
  const { exporter, exports } = answering('inner', answers);
  const queue = diskQueue(exporter, {
    dir,
    name: 'q',
    maxExportsPerSecond: Infinity,
    retry: { initialIntervalMillis: intervalMillis, maxIntervalMillis: intervalMillis },
  });
  onTestFinished(() => queue.shutdown().catch(() => {}));
  return { queue, exports };
}

/** The values of what was accepted before, and not delivered. */
async function withLeftovers(...values: number[]): Promise<string> {
  const dir = temporaryFolder();
  const { queue } = queueIn(dir, Array(100).fill(fails(down)), 1e9);
  for (const value of values) await send(queue, deltas(value));
  await queue.shutdown();
  return dir;
}

async function withoutFolder(dir: string): Promise<() => Promise<void>> {
  const [folder, aside] = [join(dir, 'q'), join(dir, 'aside')];
  await rename(folder, aside);
  await writeFile(folder, 'not a folder');
  return async () => {
    await rm(folder);
    await rename(aside, folder);
  };
}

const delivered = (queue: { stats(): { batches: number } }) =>
  vi.waitFor(() => expect(queue.stats().batches).toBe(0), 15_000);

test('what was kept in memory meanwhile goes behind what an earlier process left', async () => {
  const dir = await withLeftovers(1, 2, 3);
  const back = await withoutFolder(dir);
  let isUp = false;
  const answers = Array<Answer>(1_000).fill(async () => {
    if (!isUp) throw down;
  });
  const { queue, exports } = queueIn(dir, answers);
  for (const value of [4, 5]) expect(await send(queue, deltas(value))).toEqual(SUCCESS);
  expect(queue.stats()).toMatchObject({ memoryPoints: 2, isOnDisk: false });
  await back();
  expect(await send(queue, deltas(6))).toEqual(SUCCESS);
  expect(queue.stats()).toMatchObject({ batches: 6, memoryPoints: 0, isOnDisk: true });
  isUp = true;
  await delivered(queue);
  // Its attempts had begun before the disk was there.
  const arrived = exports.slice(exports.findLastIndex(([value]) => value === 4));
  expect(arrived).toEqual([[4], [1], [2], [3], [5], [6]]);
  expect(queue.stats()).toMatchObject({ deliveredPoints: 6, droppedPoints: NOTHING_DROPPED });
});

test('what was delivered from memory meanwhile says nothing about what an earlier process left', async () => {
  const dir = await withLeftovers(1, 2);
  const back = await withoutFolder(dir);
  const { queue, exports } = queueIn(dir, []);
  for (const value of [3, 4]) expect(await send(queue, deltas(value))).toEqual(SUCCESS);
  await delivered(queue);
  await back();
  await send(queue, deltas(5));
  await delivered(queue);
  expect(exports).toEqual([[3], [4], [1], [2], [5]]);
});

test('one that was delivered from memory and is on disk behind others is sent again by the next process alone', async () => {
  const dir = await withLeftovers(1);
  const back = await withoutFolder(dir);
  let answer = () => {};
  const held: Answer = () => new Promise((resolve) => void (answer = resolve));
  const first = queueIn(dir, [held, ...Array(100).fill(fails(down))]);
  await send(first.queue, deltas(2));
  await vi.waitFor(() => expect(first.exports).toEqual([[2]]));
  await back();
  await send(first.queue, deltas(3));
  answer();
  await vi.waitFor(() => expect(first.exports.length).toBeGreaterThan(3));
  await first.queue.shutdown();
  expect(first.exports.filter(([value]) => value === 2)).toHaveLength(1);
  const second = queueIn(dir, []);
  await second.queue.forceFlush();
  // At least once: only the process knew, until those before it are delivered.
  expect(second.exports).toEqual([[1], [2], [3]]);
});

test('one that is answered while it gets to the disk is the one that is done', async () => {
  const dir = await withLeftovers(1, 2);
  const back = await withoutFolder(dir);
  let answer = () => {};
  const held: Answer = () => new Promise((resolve) => void (answer = resolve));
  const { queue, exports } = queueIn(dir, [held]);
  await send(queue, deltas(3));
  await vi.waitFor(() => expect(exports).toEqual([[3]]));
  await back();
  const sent = send(queue, deltas(4));
  answer();
  await sent;
  await delivered(queue);
  expect(exports).toEqual([[3], [1], [2], [4]]);
});

// A file on a disk that is always full.
if (existsSync('/dev/full')) {
  test('what is delivered while progress cannot be written is not counted as damage', async () => {
    const dir = temporaryFolder();
    await mkdir(join(dir, 'q'));
    await symlink('/dev/full', join(dir, 'q', 'progress'));
    const { queue, exports } = queueIn(dir, []);
    for (const value of [1, 2]) await send(queue, deltas(value));
    await queue.forceFlush();
    await send(queue, deltas(3));
    await queue.forceFlush();
    expect(exports).toEqual([[1], [2], [3]]);
    expect(queue.stats()).toMatchObject({ batches: 0, deliveredPoints: 3, droppedPoints: NOTHING_DROPPED });
  });
}
