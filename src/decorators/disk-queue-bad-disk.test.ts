// A disk that does not work, and folders and files that vanish.
import { rename, rm, symlink, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { SUCCESS, send } from '../../test/conformance/exporter-kit.ts';
import { answering, deltas, fails } from './fixtures/answering.ts';
import { down, eventually, queueFolder } from './fixtures/queue-folder.ts';

const { logs, inFolder, files, queue, crashed } = queueFolder();

test('a folder that cannot be made: batches are kept in memory and delivered, and on disk once it can', async () => {
  await writeFile(inFolder('q'), 'a file where the folder should be');
  const { exporter, exports } = answering('inner', [fails(down())]);
  const q = queue(exporter, { retry: { initialIntervalMillis: 1e9 } });
  expect(await send(q, deltas(1))).toEqual(SUCCESS);
  expect(await send(q, deltas(2))).toEqual(SUCCESS);
  expect(q.stats()).toMatchObject({ isOnDisk: false, batches: 2, memoryPoints: 2, bytes: 0 });
  expect(logs.join()).toContain('Until then up to 100000 points are kept in memory');
  await rm(inFolder('q'));
  expect(await send(q, deltas(3))).toEqual(SUCCESS);
  expect(q.stats()).toMatchObject({ isOnDisk: true, batches: 3, memoryPoints: 0 });
  expect(logs.join()).toContain('the disk can be written again');
  await q.forceFlush();
  expect(exports).toEqual([[1], [1], [2], [3]]);
});

test('without a disk the exporter still gets everything, in order', async () => {
  await writeFile(inFolder('q'), '');
  const { exporter, exports } = answering('inner', [fails(down())]);
  const q = queue(exporter);
  for (let i = 0; i < 5; i++) await send(q, deltas(i));
  await q.forceFlush();
  expect(exports).toEqual([[0], [0], [1], [2], [3], [4]]);
});

test('memory is bounded: beyond it exports fail, and the caller keeps what it owes', async () => {
  await writeFile(inFolder('q'), '');
  const q = queue(answering('inner', Array(99).fill(fails(down()))).exporter, { maxMemoryPoints: 3 });
  expect(await send(q, deltas(1, 2))).toEqual(SUCCESS);
  expect(await send(q, deltas(3, 4))).toMatchObject({ error: { code: 'IO', retryable: true } });
  expect(await send(q, deltas(5))).toEqual(SUCCESS);
  await q.shutdown();
  expect(logs.join()).toContain(
    '3 points were in memory, because the disk could not be written, and are lost',
  );
});

test('what is in memory gets to a disk that is back before the queue is shut down', async () => {
  await writeFile(inFolder('q'), '');
  const q = queue(answering('inner', Array(9).fill(fails(down()))).exporter, {
    retry: { initialIntervalMillis: 1e9 },
  });
  await send(q, deltas(1));
  await rm(inFolder('q'));
  await q.shutdown();
  const { exporter, exports } = answering('next');
  await queue(exporter).forceFlush();
  expect(exports).toEqual([[1]]);
});

test('a folder that vanishes: what was in it is counted, and new batches are on disk again', async () => {
  const { exporter, exports } = answering('inner', [fails(down())]);
  const q = queue(exporter, { retry: { initialIntervalMillis: 1e9 } });
  for (let i = 1; i <= 3; i++) await send(q, deltas(i));
  await eventually(() => expect(exports).toHaveLength(1));
  await rm(inFolder(), { recursive: true });
  expect(await send(q, deltas(4))).toMatchObject(SUCCESS);
  expect(q.stats()).toMatchObject({ isOnDisk: true, batches: 1 });
  await q.forceFlush();
  expect(exports).toEqual([[1], [1], [4]]);
  expect(q.stats().droppedPoints).toMatchObject({ damage: 2 });
  expect(logs.join()).toContain('2 points could not be read back from the disk');
});

test('a folder that is away: the batch under way is delivered all the same, and once', async () => {
  const { exporter, exports } = answering('inner', [fails(down())]);
  const q = queue(exporter, { retry: { initialIntervalMillis: 1e9 } });
  for (let i = 1; i <= 2; i++) await send(q, deltas(i));
  await eventually(() => expect(exports).toHaveLength(1));
  const [folder, aside, link] = [inFolder('q'), inFolder('aside'), inFolder('link')];
  await rename(folder, aside);
  await symlink(inFolder('nowhere', 'q'), folder);
  expect(await send(q, deltas(3))).toEqual(SUCCESS);
  await q.forceFlush();
  expect(exports).toEqual([[1], [1], [3]]);
  // At once, since the queue may be about to look.
  await symlink(aside, link);
  await rename(link, folder);
  await q.forceFlush();
  expect(exports).toEqual([[1], [1], [3], [2]]);
  expect(q.stats()).toMatchObject({ deliveredPoints: 3, droppedPoints: { damage: 0, size: 0 } });
});

test('a file that vanishes: what was in it is counted, and the others are delivered', async () => {
  await crashed({}, deltas(1), deltas(2));
  const [first] = await files('.queue');
  const { exporter, exports } = answering('inner', [fails(down())]);
  const q = queue(exporter, { retry: { initialIntervalMillis: 1e9 } });
  await eventually(() => expect(exports).toHaveLength(1));
  await send(q, deltas(3));
  await rm(inFolder('q', first!));
  await q.forceFlush();
  expect(exports.at(-1)).toEqual([3]);
});
