// Runs the built package in processes that are killed or run out of space; `npm test` builds it first.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { temporaryFolder, valuesIn } from './fixtures/exporting.ts';

const MODULE = new URL('../../dist/exporters/json-file.js', import.meta.url).href;
const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));

describe('a process that exports to a file', () => {
  it('leaves at most one torn line when killed, and the next one ends it and goes on', async () => {
    const path = join(await temporaryFolder(), 'metrics.jsonl');
    const kills = 4;
    let succeeded: number[] = [];
    for (let kill = 0; kill < kills; kill++) {
      const child = spawn(process.execPath, [
        fixture('export-until-killed.js'),
        MODULE,
        path,
        `${kill * 1e6}`,
      ]);
      succeeded = [...succeeded, ...(await killAfter(child, 3))];
    }

    const lines = (await readFile(path, 'utf8')).split('\n');
    const counts = new Map<number, number>();
    const torn: string[] = [];
    for (const line of lines.filter((line) => line !== '')) {
      const value = wholeValue(line);
      if (value === undefined) torn.push(line);
      else counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    expect(torn.length).toBeLessThanOrEqual(kills);
    for (const line of torn) expect(line.lastIndexOf('{"timestamp"')).toBeLessThanOrEqual(0);
    expect(succeeded.length).toBeGreaterThanOrEqual(3 * kills);
    for (const number of succeeded) expect(counts.get(number)).toBe(2_000);
  });

  it('takes back an export that did not fit, and resumes when there is room', async () => {
    const path = join(await temporaryFolder(), 'metrics.jsonl');
    const command = `ulimit -f 256; exec "$0" "$@"`;
    const args = ['-c', command, process.execPath, fixture('export-until-full.js'), MODULE, path];
    const { stdout } = await promisify(execFile)('bash', args);
    const { succeeded, bytes, ...seen } = JSON.parse(stdout);
    expect(seen).toEqual({
      code: 'IO',
      retryable: true,
      resumed: true,
      message: `[IO] cannot write ${path} (EFBIG): rotate at a smaller size or raise the file size limit (ulimit -f); writing then resumes by itself`,
    });
    // The last export filled the file up to the limit before it failed.
    expect(bytes).toBeLessThan(256 * 1024);
    expect(succeeded).toBeGreaterThan(0);
    const whole = Array.from({ length: succeeded }, (_, number) => Array(100).fill(number)).flat();
    expect(await valuesIn(`${path}.full`)).toEqual(whole);
    expect(await valuesIn(path)).toEqual(Array(100).fill(succeeded));
  });
});

/** Kills the child somewhere in the export after the given number of successful ones; returns their numbers. */
async function killAfter(child: ChildProcess, exports: number): Promise<number[]> {
  const succeeded: number[] = [];
  const closed = once(child, 'close');
  let errors = '';
  child.stderr?.on('data', (text) => {
    errors += text;
  });
  createInterface({ input: child.stdout! }).on('line', async (line) => {
    succeeded.push(Number(line));
    if (succeeded.length < exports) return;
    // Anywhere within an export, which takes a few milliseconds; no outcome depends on where.
    await delay(Math.random() * 8);
    child.kill('SIGKILL');
  });
  await closed;
  expect(errors).toBe('');
  return succeeded;
}

function wholeValue(line: string): number | undefined {
  try {
    return (JSON.parse(line) as { value: number }).value;
  } catch {
    return undefined;
  }
}
