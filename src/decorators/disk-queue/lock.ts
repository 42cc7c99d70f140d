// One queue at a time in a folder: two would deliver everything twice.
//
// A file says who is in it. Whether its maker still lives is certain on Linux, by boot, pid namespace, thread and start time, which
// no other thread has; on other systems, when there is no process of that pid. Else (another container, another host, elsewhere
// another thread of this process) it counts as gone when the file has not been touched for a while.
import { randomUUID } from 'node:crypto';
import { type BigIntStats, readlinkSync } from 'node:fs';
import { type FileHandle, link, open, readFile, readlink, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isObject } from '../../data/checked-options.ts';
import { report } from '../../data/diagnostics.ts';
import { ExportError } from '../../data/errors.ts';
import { errnoOf } from '../../data/file-error.ts';

const TOUCH_MILLIS = 5_000;
/** Four touches. Less than the 30 s that an export has, so that the first one after a restart can wait for it. */
const REST_MILLIS = 20_000;
/** Those who find the same lock stale do what they do about it in a few milliseconds. */
const SETTLE_MILLIS = 200;

/**
 * Those that this thread holds, whichever copy of this package made them. A folder that was away may come back with a lock in it
 * that its maker has given up.
 */
const HELD = Symbol.for('meterline.queueLocks');
const held = ((globalThis as { [HELD]?: Set<string> })[HELD] ??= new Set());

interface Maker {
  id: string;
  pid: number;
  host: string;
  since: string;
  /** Empty where the system does not tell. */
  boot: string;
  namespace: string;
  /** `<pid>/task/<number of the thread>` */
  thread: string;
  started: string;
}

export class QueueLock {
  readonly #path: string;
  readonly #id: string;
  readonly #handle: FileHandle;
  readonly #made: BigIntStats;
  readonly #touching: NodeJS.Timeout;

  private constructor(path: string, id: string, handle: FileHandle, made: BigIntStats) {
    this.#path = path;
    this.#id = id;
    held.add(id);
    this.#handle = handle;
    this.#made = made;
    const touch = () => {
      const now = new Date();
      // A disk that refuses it refuses appends too, which say so.
      handle.utimes(now, now).catch(() => {});
    };
    this.#touching = setInterval(touch, TOUCH_MILLIS);
    this.#touching.unref();
  }

  /**
   * @param signal ends the wait for a lock to be found at rest
   * @param restMillis for how long a lock must rest, where nothing else tells whether it is in use
   * @throws ExportError while another queue is in the folder; errors of the file system as they are
   */
  static async acquire(folder: string, signal: AbortSignal, restMillis = REST_MILLIS): Promise<QueueLock> {
    const path = join(folder, 'lock');
    const self = await maker();
    for (let isTakenOver = false; ; isTakenOver = true) {
      const lock = await QueueLock.#make(path, self);
      if (lock === undefined) {
        await removeStale(path, self, signal, restMillis);
        continue;
      }
      if (!isTakenOver) return lock;
      // Another one who found the old lock stale may just be removing what it takes for it. The process waits for so little: a
      // job whose last export is under way must not end before it is on disk.
      await delay(SETTLE_MILLIS);
      if (await lock.isHeld()) return lock;
      await lock.release();
    }
  }

  /** Undefined when there is one. */
  static async #make(path: string, self: Maker): Promise<QueueLock | undefined> {
    let handle: FileHandle | undefined;
    try {
      handle = await open(path, 'wx', 0o600);
      await handle.writeFile(JSON.stringify(self));
      return new QueueLock(path, self.id, handle, await handle.stat({ bigint: true }));
    } catch (error) {
      if (handle === undefined && errnoOf(error) === 'EEXIST') return undefined;
      await handle?.close();
      if (handle !== undefined) await rm(path, { force: true });
      throw error;
    }
  }

  /** False when the file is gone or another queue's. */
  async isHeld(): Promise<boolean> {
    try {
      const { dev, ino } = await stat(this.#path, { bigint: true });
      return dev === this.#made.dev && ino === this.#made.ino;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return false;
      throw error;
    }
  }

  async release(): Promise<void> {
    clearInterval(this.#touching);
    held.delete(this.#id);
    const isHeld = await this.isHeld().catch(() => false);
    await this.#handle.close().catch(() => {});
    if (isHeld) await rm(this.#path, { force: true });
  }
}

/** Removes the lock of one who is gone. */
async function removeStale(
  path: string,
  self: Maker,
  signal: AbortSignal,
  restMillis: number,
): Promise<void> {
  const text = await textOf(path);
  if (text === undefined) return;
  const other = parsed(text);
  const life = other === undefined ? 'unknown' : await lifeOf(other, self);
  if (life === 'alive') throw inUse(path, other);
  if (life === 'unknown') {
    const maker = other ? `process ${other.pid} on ${other.host}` : 'somebody';
    const message = `${path} was made by ${maker}; waiting ${restMillis / 1_000} s to see whether it is still in use`;
    report('info', `disk-queue:lock:${path}`, message);
    if (!(await rests(path, signal, restMillis))) throw inUse(path, other);
  }
  // Two may have come to the same conclusion, and the first may have made its own by now.
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  const isTheOne = (await textOf(aside)) === text;
  if (!isTheOne) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function parsed(text: string): Maker | undefined {
  try {
    const maker: unknown = JSON.parse(text);
    return isObject(maker) && Number.isInteger(maker.pid) ? (maker as unknown as Maker) : undefined;
  } catch {
    return undefined;
  }
}

async function lifeOf(other: Maker, self: Maker): Promise<'alive' | 'dead' | 'unknown'> {
  if (self.boot !== '' && other.boot === self.boot && other.namespace === self.namespace) {
    if (other.thread === self.thread && !held.has(other.id)) return 'dead';
    return (await startOf(other.thread)) === other.started ? 'alive' : 'dead';
  }
  return self.boot === '' && other.host === self.host && !isThere(other.pid) ? 'dead' : 'unknown';
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) !== 'ESRCH';
  }
}

/** Whether nobody touches the file, by this process's own clock: those of two machines may differ. */
async function rests(path: string, signal: AbortSignal, restMillis: number): Promise<boolean> {
  const touched = async () => {
    const { mtimeNs, ino } = await stat(path, { bigint: true });
    return `${ino} ${mtimeNs}`;
  };
  try {
    const before = await touched();
    await delay(restMillis, undefined, { ref: false, signal });
    return before === (await touched());
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    // Removed meanwhile: nothing to wait for.
    if (errnoOf(error) === 'ENOENT') return true;
    throw error;
  }
}

function inUse(path: string, other: Maker | undefined): ExportError {
  const who = other ? `process ${other.pid} on ${other.host} since ${other.since}` : 'another process';
  const remedy = 'give each process, thread and exporter a dir or a name of its own, or end the other one';
  return new ExportError('IO', `the queue is in use by ${who}, says ${path}; ${remedy}`, { retryable: true });
}

async function maker(): Promise<Maker> {
  const thread = ownThread();
  const [boot, namespace, started] = await Promise.all([
    readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(
      (id) => id.trim(),
      () => '',
    ),
    readlink('/proc/self/ns/pid').catch(() => ''),
    startOf(thread),
  ]);
  // Without one of them nothing is certain.
  const isCertain = boot !== '' && namespace !== '' && started !== '';
  const since = new Date().toISOString();
  const who = { id: randomUUID(), pid: process.pid, host: hostname(), since };
  return { ...who, boot: isCertain ? boot : '', namespace, thread, started };
}

/** Synchronous, because a promise would ask for one of the threads that work for promises; and no disk is behind it. */
function ownThread(): string {
  try {
    return readlinkSync('/proc/thread-self');
  } catch {
    return '';
  }
}

/** When a thread was started, in ticks since the boot; empty when there is none, or it cannot be told. */
async function startOf(thread: string): Promise<string> {
  try {
    const line = await readFile(`/proc/${thread}/stat`, 'utf8');
    // The name of the command, in parentheses, may hold anything.
    return line.slice(line.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
