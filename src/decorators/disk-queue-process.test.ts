// Runs the built package in processes that are killed, and on disks that fill up; `npm test` builds it first.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
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

describe('a worker thread', () => {
  function workerWith(dir: string, name: string): Worker {
    const worker = new Worker(fixture('queue-in-worker.js'), { workerData: { module: MODULE, dir, name } });
    onTestFinished(async () => void (await worker.terminate()));
    return worker;
  }
  async function answerTo(worker: Worker, number: number): Promise<string> {
    worker.postMessage(number);
    const [answer] = await once(worker, 'message');
    return answer;
  }

  test('has a queue of its own in the same folder, by its name', async () => {
    const dir = temporaryFolder();
    const workers = [workerWith(dir, 'a'), workerWith(dir, 'b')];
    const answers = await Promise.all(workers.map((worker) => answerTo(worker, 1)));
    expect(answers).toEqual(['accepted', 'accepted']);
    expect((await readdir(dir)).sort()).toEqual(['a', 'b']);
  });

  // Elsewhere it takes 20 s to tell whether a thread still is there.
  if (process.platform === 'linux') {
    test('is refused the queue of another one at once, and has it at once when that one was ended', async () => {
      const dir = temporaryFolder();
      const first = workerWith(dir, 'q');
      expect(await answerTo(first, 1)).toBe('accepted');
      const second = workerWith(dir, 'q');
      expect(await answerTo(second, 2)).toContain(`the queue is in use by process ${process.pid} on `);
      // Without a shutdown.
      await first.terminate();
      expect(await answerTo(second, 3)).toBe('accepted');
      await second.terminate();

      const { createExporter, diskQueue } = (await import(MODULE)) as typeof import('./index.ts');
      const received: unknown[] = [];
      const exporter = createExporter({
        name: 'next',
        export: async ({ scopeMetrics }) =>
          void received.push(scopeMetrics[0]!.metrics[0]!.dataPoints[0]!.value),
      });
      const queue = diskQueue(exporter, { dir, name: 'q' });
      await queue.forceFlush();
      await queue.shutdown();
      expect(received).toEqual([1, 3]);
    });
  }
});

describe('a disk', () => {
  async function inTrouble(command: string[]) {
    const { stdout } = await promisify(execFile)(command[0]!, command.slice(1));
    const { sent, received, whileGood, whileBad, afterwards } = JSON.parse(stdout);
    expect(whileGood).toMatchObject({ isOnDisk: true, memoryPoints: 0 });
    expect(whileBad).toMatchObject({ isOnDisk: false });
    expect(whileBad.memoryPoints).toBeGreaterThanOrEqual(500);
    expect(afterwards).toMatchObject({ isOnDisk: true, memoryPoints: 0, batches: sent });
    expect(received).toEqual(Array.from({ length: sent }, (_, i) => i));
  }
  const args = (trouble: string) => [
    process.execPath,
    fixture('queue-on-bad-disk.js'),
    MODULE,
    temporaryFolder(),
    trouble,
  ];

  if (mayMount()) {
    test.each(['full', 'read-only'])(
      'that becomes %s is replaced by memory, and used again once it can be',
      (kind) => inTrouble(['unshare', '-m', ...args(kind)]),
    );
  }

  if (process.getuid !== undefined) {
    test('that its owner may no longer use is replaced by memory, and used again once it can be', () =>
      inTrouble(args('closed')));
  }
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
