// A disk of its own for a queue, small, so that it can be filled.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { temporaryFolder } from '../../support/temporary-folder.ts';

export interface Volume {
  /** Where processes started with `command` see it. */
  readonly dir: string;
  /** Where this process sees it. */
  readonly outside: string;
  /** False where this user may not mount: it is an ordinary folder then. */
  readonly canBeFilled: boolean;
  /** What runs a command where the volume is mounted. */
  command(command: string, args: string[]): [command: string, args: string[]];
  fill(): void;
  free(): void;
  /** Whatever is opened from now on cannot be written; what is open can, as on a disk that is mounted anew. */
  setReadOnly(): void;
  setWritable(): void;
}

const holders = new Set<ChildProcess>();
afterAll(() => {
  for (const holder of holders) holder.kill('SIGKILL');
});

/** A tmpfs in a mount namespace, which goes with the tests of the file. */
export async function smallVolume(megabytes: number): Promise<Volume> {
  const dir = join(temporaryFolder(), 'volume');
  mkdirSync(dir);
  const readOnly = `${dir}-read-only`;
  mkdirSync(readOnly);
  const script = [
    `mount -t tmpfs -o size=${megabytes}m tmpfs "${dir}"`,
    `mount --bind "${dir}" "${readOnly}"`,
    `mount -o remount,bind,ro "${readOnly}"`,
    'echo mounted',
    'exec sleep infinity',
  ].join(' && ');
  const holder = spawn('unshare', ['--mount', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  const mounted = await Promise.race([
    once(holder.stdout, 'data').then(() => true),
    once(holder, 'exit').then(() => false),
    once(holder, 'error').then(() => false),
  ]);
  if (!mounted) {
    return {
      dir,
      outside: dir,
      canBeFilled: false,
      command: (...command) => command,
      fill() {},
      free() {},
      setReadOnly() {},
      setWritable() {},
    };
  }
  holders.add(holder);
  const outside = `/proc/${holder.pid}/root${dir}`;
  const filler = join(outside, 'filler');
  const inside = (...command: string[]) =>
    void execFileSync('nsenter', [`--target=${holder.pid}`, '--mount', ...command]);
  return {
    dir,
    outside,
    canBeFilled: true,
    command: (command, args) => ['nsenter', [`--target=${holder.pid}`, '--mount', command, ...args]],
    fill() {
      try {
        writeFileSync(filler, Buffer.alloc(megabytes * 2 ** 20));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
    },
    free: () => rmSync(filler, { force: true }),
    // On top of it, because a disk on which a file is open for writing refuses to become read-only itself.
    setReadOnly: () => inside('mount', '--bind', readOnly, dir),
    setWritable: () => inside('umount', '--lazy', dir),
  };
}

/** The files of the queue, oldest first. */
export function queueFiles({ outside }: Volume): string[] {
  return readdirSync(outside, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.queue'))
    .sort()
    .map((name) => join(outside, name));
}
