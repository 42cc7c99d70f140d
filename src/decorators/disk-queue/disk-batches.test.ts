import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { captureLogs } from '../../../test/support/collected.ts';
import { temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { deltas, valuesOf } from '../fixtures/answering.ts';
import { AgeClock } from './age-clock.ts';
import { DiskBatches } from './disk-batches.ts';
import { QueueLock } from './lock.ts';
import { Losses } from './losses.ts';
import { validDiskQueueOptions } from './options.ts';

captureLogs();

async function opened(folder: string) {
  const losses = new Losses(folder);
  const disk = new DiskBatches(
    folder,
    validDiskQueueOptions({ dir: folder }),
    new AgeClock(Infinity),
    losses,
  );
  await disk.open(new AbortController().signal);
  const add = (value: number) =>
    disk.append({ sequence: disk.lastSequence + 1, acceptedAt: Date.now(), batch: deltas(value, value) });
  return { disk, losses, add };
}

test('the oldest batch is the same one until it is done, and damage before it is counted once', async () => {
  const folder = temporaryFolder();
  const before = await opened(folder);
  for (const value of [1, 2, 3]) await before.add(value);
  await before.disk.close();
  const [name] = (await readdir(folder)).filter((one) => one.endsWith('.queue'));
  const bytes = await readFile(join(folder, name!));
  // In the head of the first batch.
  bytes.fill(0xff, 40, 50);
  await writeFile(join(folder, name!), bytes);

  const { disk, losses } = await opened(folder);
  const oldest = await disk.oldest();
  expect(valuesOf(oldest!.batch)).toEqual([2, 2]);
  expect((await disk.oldest())!.sequence).toBe(oldest!.sequence);
  expect(losses.points.damage).toBe(2);
  await disk.done(oldest!.sequence);
  expect(valuesOf((await disk.oldest())!.batch)).toEqual([3, 3]);
  expect(losses.points.damage).toBe(2);
  await disk.close();
});

test('damage that was counted is not counted again by the next process, also when nothing was delivered since', async () => {
  const folder = temporaryFolder();
  const before = await opened(folder);
  for (const value of [1, 2]) await before.add(value);
  await before.disk.close();
  const [name] = (await readdir(folder)).filter((one) => one.endsWith('.queue'));
  const bytes = await readFile(join(folder, name!));
  bytes.fill(0xff, 40, 50);
  await writeFile(join(folder, name!), bytes);

  for (const damage of [2, 0]) {
    const { disk, losses } = await opened(folder);
    expect(valuesOf((await disk.oldest())!.batch)).toEqual([2, 2]);
    expect(losses.points.damage).toBe(damage);
    await disk.close();
  }
});

test('a batch that was given out and never done is lost with its file, and counted', async () => {
  const folder = temporaryFolder();
  const { disk, losses, add } = await opened(folder);
  for (const value of [1, 2]) await add(value);
  await disk.oldest();
  const [name] = (await readdir(folder)).filter((one) => one.endsWith('.queue'));
  await disk.close();
  await rm(join(folder, name!));
  await disk.open(new AbortController().signal);
  expect(await disk.oldest()).toBeUndefined();
  expect(losses.points.damage).toBe(4);
  await disk.close();
});

test('a batch in hand is for another queue that has the folder, and for nobody else when the disk does not work', async () => {
  const never = new AbortController().signal;
  const folder = temporaryFolder();
  const { disk, add } = await opened(folder);
  await add(1);
  const { sequence } = (await disk.oldest())!;
  const lock = join(folder, 'lock');
  await rm(lock);
  const other = await QueueLock.acquire(folder, never);
  await expect(disk.open(never)).rejects.toThrow('in use');
  expect(disk.fateOf(sequence)).toBe('elsewhere');
  await other.release();
  await mkdir(lock);
  await expect(disk.open(never)).rejects.toMatchObject({ code: 'EISDIR' });
  expect(disk.fateOf(sequence)).toBe('wanted');
  await disk.close();
});
