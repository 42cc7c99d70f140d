import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { captureLogs } from '../../../test/support/collected.ts';
import { temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { QueueLock } from './lock.ts';

/** Done before the next file is renamed. */
let meanwhile: (() => Promise<void>) | undefined;
vi.mock('node:fs/promises', async (original) => {
  const actual = await original<typeof import('node:fs/promises')>();
  const rename: typeof actual.rename = async (from, to) => {
    const first = meanwhile;
    meanwhile = undefined;
    await first?.();
    return actual.rename(from, to);
  };
  return { ...actual, rename };
});

const logs = captureLogs();
const never = new AbortController().signal;
const REST = 300;

async function acquired(folder: string): Promise<QueueLock> {
  const lock = await QueueLock.acquire(folder, never, REST);
  onTestFinished(() => lock.release());
  return lock;
}

/** What this process writes into a lock, with some of it changed. */
async function lockOf(change: object): Promise<string> {
  const folder = temporaryFolder();
  const lock = await acquired(folder);
  const made = JSON.parse(await readFile(join(folder, 'lock'), 'utf8'));
  await lock.release();
  await writeFile(join(folder, 'lock'), JSON.stringify({ ...made, ...change }));
  return folder;
}

async function deadPid(): Promise<number> {
  const child = spawn('true');
  await once(child, 'exit');
  return child.pid!;
}

describe('the lock of a queue', () => {
  test('keeps others out until it is released', async () => {
    const folder = temporaryFolder();
    const lock = await acquired(folder);
    expect(await lock.isHeld()).toBe(true);
    await expect(acquired(folder)).rejects.toMatchObject({ code: 'IO', retryable: true });
    await lock.release();
    expect(await lock.isHeld()).toBe(false);
    await acquired(folder);
  });

  test('of a process that has ended is taken over at once', async () => {
    const pid = await deadPid();
    const folder = await lockOf({ pid, thread: `${pid}/task/${pid}`, started: '1' });
    await acquired(folder);
    expect(logs).toEqual([]);
  });

  test.runIf(process.platform === 'linux')(
    'of a process whose pid another one has now is taken over at once',
    async () => {
      const thread = `${process.ppid}/task/${process.ppid}`;
      const folder = await lockOf({ pid: process.ppid, thread, started: '1' });
      await acquired(folder);
      expect(logs).toEqual([]);
    },
  );

  test.runIf(process.platform === 'linux')(
    'of another process that lives is respected, however long it rests',
    async () => {
      const child = spawn('sleep', ['60']);
      onTestFinished(() => void child.kill());
      const line = await readFile(`/proc/${child.pid}/stat`, 'utf8');
      const started = line.slice(line.lastIndexOf(')') + 2).split(' ')[19];
      const folder = await lockOf({ pid: child.pid, thread: `${child.pid}/task/${child.pid}`, started });
      await expect(acquired(folder)).rejects.toThrow(`in use by process ${child.pid}`);
    },
  );

  test.each([
    ['another container', { namespace: 'pid:[1]' }],
    ['another machine', { boot: 'other', host: 'other', namespace: 'pid:[1]' }],
  ])('of %s is taken over when nobody touches it, and not before', async (_, change) => {
    const folder = await lockOf(change);
    const path = join(folder, 'lock');
    const touching = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), 10);
    await expect(acquired(folder)).rejects.toThrow('the queue is in use by process');
    clearInterval(touching);
    const start = performance.now();
    await acquired(folder);
    expect(performance.now() - start).toBeGreaterThan(REST * 0.9);
    expect(logs.join()).toContain('to see whether it is still in use');
  });

  test.each(['', '{', 'null', '[]', '{"pid":"x"}', '{"pid":1e999}'])(
    'with %j in it counts as made by somebody unknown',
    async (text) => {
      const folder = temporaryFolder();
      await writeFile(join(folder, 'lock'), text);
      await acquired(folder);
    },
  );

  test('is noticed to be gone or another one', async () => {
    const folder = temporaryFolder();
    const lock = await acquired(folder);
    await rm(join(folder, 'lock'));
    expect(await lock.isHeld()).toBe(false);
    const second = await acquired(folder);
    expect(await lock.isHeld()).toBe(false);
    await lock.release();
    expect(await second.isHeld()).toBe(true);
  });

  test('goes to one of many who find it stale at once', async () => {
    const pid = await deadPid();
    const folder = await lockOf({ pid, thread: `${pid}/task/${pid}`, started: '1' });
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => acquired(folder)));
    const locks = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    // On a busy machine another one may have got it first, and does not have it any more.
    const held = await Promise.all(locks.map((lock) => lock.isHeld()));
    expect(held.filter((isHeld) => isHeld)).toHaveLength(1);
  });

  test('of another one that came first is put back when it was taken for the stale one', async () => {
    const pid = await deadPid();
    const folder = await lockOf({ pid, thread: `${pid}/task/${pid}`, started: '1' });
    const path = join(folder, 'lock');
    let winner: QueueLock | undefined;
    meanwhile = async () => {
      await rm(path);
      winner = await acquired(folder);
    };
    await expect(acquired(folder)).rejects.toThrow(`in use by process ${process.pid}`);
    expect(await winner!.isHeld()).toBe(true);
  });

  test('that was taken over is given up when somebody else takes it for the stale one', async () => {
    const pid = await deadPid();
    const folder = await lockOf({ pid, thread: `${pid}/task/${pid}`, started: '1' });
    const path = join(folder, 'lock');
    const stale = await readFile(path, 'utf8');
    const taken = acquired(folder);
    await vi.waitFor(async () => expect(await readFile(path, 'utf8')).not.toBe(stale));
    await rm(path);
    const winner = await acquired(folder);
    await expect(taken).rejects.toThrow(`in use by process ${process.pid}`);
    expect(await winner.isHeld()).toBe(true);
  });

  test('is no longer waited for when the queue is shut down', async () => {
    const folder = await lockOf({ namespace: 'pid:[1]' });
    const controller = new AbortController();
    const waiting = QueueLock.acquire(folder, controller.signal);
    setTimeout(() => controller.abort(new Error('shut down')), 20);
    await expect(waiting).rejects.toThrow('shut down');
  });
});
