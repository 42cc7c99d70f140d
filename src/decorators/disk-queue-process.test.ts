// Runs the built package in processes that are killed, and on disks that fill up; `npm test` builds it first.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';

const MODULE = new URL('../../dist/decorators/index.js', import.meta.url).href;
const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
const KILLS = 12;

describe('a process that is killed', () => {
  test('has all that was accepted delivered after it, in order, and again only what was under way', async () => {
    const dir = temporaryFolder();
    const received = join(dir, 'received');
    const accepted: number[] = [];
    const restarts: number[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      // Counted, not timed: a slow machine is to be killed as deep in its work as a fast one.
      const batches = 3 + Math.floor(Math.random() * 20);
      accepted.push(...(await killed([MODULE, dir, received, String((kill + 1) * 1e6)], batches)));
      restarts.push((await linesOf(received)).length);
    }
    await promisify(execFile)(process.execPath, [fixture('queue-until-killed.js'), MODULE, dir, received]);

    const lines = await linesOf(received);
    for (const line of lines) expect(line).toMatch(/^\d+ 50 1$/);
    const numbers = lines.map((line) => Number.parseInt(line, 10));
    expect(accepted.length).toBeGreaterThan(2 * KILLS);
    const arrived = new Set(numbers);
    expect(accepted.filter((number) => !arrived.has(number))).toEqual([]);
    numbers.forEach((number, i) => {
      if (i === 0) return;
      // The first one after a restart may be the last one before it.
      if (restarts.includes(i)) expect(number).toBeGreaterThanOrEqual(numbers[i - 1]!);
      else expect(number).toBeGreaterThan(numbers[i - 1]!);
    });
  });

  test('keeps its folder to itself while it lives', async () => {
    const dir = temporaryFolder();
    const child = spawn(process.execPath, [
      fixture('queue-until-killed.js'),
      MODULE,
      dir,
      join(dir, 'r'),
      '0',
    ]);
    await once(child.stdout, 'data');
    const { diskQueue, createExporter } = (await import(MODULE)) as typeof import('./index.ts');
    const second = diskQueue(createExporter({ name: 'second', export: async () => {} }), {
      dir,
      name: 'q',
      maxExportsPerSecond: Infinity,
    });
    const batch = { resource: { attributes: {} }, scopeMetrics: [] };
    const metric = (await import('../exporters/fixtures/plain-batch.js')).plainBatch(1, 1);
    const sent = () =>
      new Promise<{ error?: Error }>((done) => second.export({ ...batch, ...metric } as never, done));
    expect((await sent()).error?.message).toContain(`the queue is in use by process ${child.pid} on `);
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
    expect((await sent()).error).toBeUndefined();
    await second.shutdown();
  });
});

describe.runIf(mayMount())('a file system', () => {
  test.each(['full', 'read-only'])(
    'that is %s is replaced by memory, and used again once it can be',
    async (kind) => {
      const args = ['-m', process.execPath, fixture('queue-on-bad-disk.js'), MODULE, temporaryFolder(), kind];
      const { stdout } = await promisify(execFile)('unshare', args);
      const { sent, received, whileBad, afterwards, error } = JSON.parse(stdout);
      expect(whileBad).toMatchObject({ isOnDisk: false });
      expect(whileBad.memoryPoints).toBeGreaterThanOrEqual(500);
      expect(error).toBeUndefined();
      expect(afterwards).toMatchObject({ isOnDisk: true, memoryPoints: 0, batches: sent });
      expect(received).toEqual(Array.from({ length: sent }, (_, i) => i));
    },
  );
});

/** Kills it once so many batches were accepted, and returns what it had printed: their numbers. */
async function killed(args: string[], batches: number): Promise<number[]> {
  const child = spawn(process.execPath, [fixture('queue-until-killed.js'), ...args]);
  const closed = once(child, 'close');
  let printed = '';
  let errors = '';
  child.stderr.on('data', (text) => {
    errors += text;
  });
  child.stdout.on('data', (text) => {
    printed += text;
    if (printed.split('\n').length > batches) child.kill('SIGKILL');
  });
  await closed;
  if (errors !== '') throw new Error(errors);
  return printed.split('\n').slice(0, -1).map(Number);
}

async function linesOf(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.split('\n').slice(0, -1);
}

/** Mounting takes root, or a container that allows it. */
function mayMount(): boolean {
  try {
    const folder = temporaryFolder();
    execFileSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', folder], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
