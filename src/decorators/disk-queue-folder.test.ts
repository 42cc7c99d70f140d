// Whose a folder is.
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SUCCESS, send } from '../../test/conformance/exporter-kit.ts';
import { QueueLock } from './disk-queue/lock.ts';
import { answering, deltas, fails } from './fixtures/answering.ts';
import { down, eventually, queueFolder } from './fixtures/queue-folder.ts';

const { inFolder, files, queue } = queueFolder();

/** As when one that cannot be told to live is taken for dead. */
async function takenOver(): Promise<QueueLock> {
  await rm(inFolder('q', 'lock'));
  return QueueLock.acquire(inFolder('q'), new AbortController().signal);
}

test('a second one is refused clearly, and takes over when the first is shut down', async () => {
  const first = queue(answering('first').exporter);
  await send(first, deltas(1));
  const { exporter, exports } = answering('second');
  const second = queue(exporter);
  const { error } = await send(second, deltas(2));
  expect(error).toMatchObject({ code: 'IO', retryable: true });
  expect(error!.message).toContain(`the queue is in use by process ${process.pid} on `);
  expect(error!.message).toContain('give each process, thread and exporter a dir or a name of its own');
  await first.shutdown();
  expect(await send(second, deltas(2))).toEqual(SUCCESS);
  await second.forceFlush();
  expect(exports).toEqual([[2]]);
});

test('one that another process has taken over stops, leaves it what is there, and counts nothing as lost', async () => {
  const { exporter, exports } = answering('inner', [fails(down())]);
  const q = queue(exporter, { retry: { initialIntervalMillis: 1e9 } });
  await send(q, deltas(1));
  await send(q, deltas(2));
  await eventually(() => expect(exports).toHaveLength(1));
  const other = await takenOver();
  expect(await send(q, deltas(3))).toMatchObject({ error: { code: 'IO', retryable: true } });
  await q.forceFlush().catch(() => {});
  expect(exports).toEqual([[1]]);
  expect(await files('.queue')).toHaveLength(1);
  expect(Object.values(q.stats().droppedPoints)).toEqual([0, 0, 0, 0, 0]);
  await q.shutdown();
  expect(await other.isHeld()).toBe(true);
  await other.release();
});

test('one that gets its folder back delivers what the other one did not', async () => {
  const { exporter, exports } = answering('inner', [fails(down())]);
  const q = queue(exporter, { retry: { initialIntervalMillis: 1e9 } });
  await send(q, deltas(1));
  await send(q, deltas(2));
  await eventually(() => expect(exports).toHaveLength(1));
  const other = await takenOver();
  expect(await send(q, deltas(3))).toMatchObject({ error: { code: 'IO' } });
  await q.forceFlush().catch(() => {});
  await other.release();
  await q.forceFlush();
  expect(exports).toEqual([[1], [1], [2]]);
  expect(q.stats()).toMatchObject({ deliveredPoints: 2, droppedPoints: { damage: 0, size: 0 } });
});

test('exporters of different names have different folders', async () => {
  const one = queue(answering('one').exporter, { name: undefined });
  const two = queue(answering('two').exporter, { name: undefined });
  expect(await send(one, deltas(1))).toEqual(SUCCESS);
  expect(await send(two, deltas(1))).toEqual(SUCCESS);
  expect(one.stats().folder).not.toBe(two.stats().folder);
});

test('files are readable for their owner only', async () => {
  const q = queue(answering('inner', [fails(down())]).exporter, {
    dir: inFolder('new'),
    retry: { initialIntervalMillis: 1e9 },
  });
  await send(q, deltas(1));
  const { folder } = q.stats();
  const modes = [inFolder('new'), folder, ...(await readdir(folder)).map((name) => join(folder, name))];
  const found = await Promise.all(modes.map(async (path) => (await stat(path)).mode & 0o077));
  expect(found.length).toBeGreaterThan(4);
  expect(new Set(found)).toEqual(new Set([0]));
});
