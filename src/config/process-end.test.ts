import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'meterline-ends-'));
afterAll(() => rmSync(folder, { recursive: true }));

const service = fileURLToPath(new URL('fixtures/service.js', import.meta.url));
let files = 0;

interface Steps {
  /** What the service prints when it is to get the signal. */
  due?: 'ready' | 'exporting';
  /** Sent once the last export has begun. */
  second?: NodeJS.Signals;
  /** What runs the service. */
  through?: string[];
}

/** Starts the service, waits until it is ready, sends the signal if there is one, and waits for its end. */
async function run(
  signal: NodeJS.Signals | undefined,
  mode: string,
  options: object,
  { due = 'ready', second, through = [] }: Steps = {},
) {
  const jsonFilePath = join(folder, `${files++}.jsonl`);
  const settings = JSON.stringify({ jsonFilePath, ...options });
  const [command, ...args] = [...through, process.execPath, service, settings, mode];
  const child = spawn(command!, args, { stdio: 'pipe' });
  let said = '';
  child.stderr.on('data', (data) => void (said += data));
  let printed = '';
  child.stdout.on('data', (data) => void (printed += data));
  const exit = once(child, 'exit');
  const prints = async (text: string) => {
    while (!printed.includes(text)) await once(child.stdout, 'data');
  };
  await Promise.race([prints(due), exit]);
  // Under unshare, the service is its only child.
  const pid = through.length === 0 ? child.pid! : onlyChildOf(child.pid!);
  if (signal) process.kill(pid, signal);
  if (second) await prints('exporting').then(() => process.kill(pid, second));
  const [code, endedBy] = await exit;
  return { code, endedBy, said, jsonFilePath };
}

function onlyChildOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'));
}

/** What each export said. */
function served(file: string): unknown[] {
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  return lines.filter((line) => line.includes('served_total')).map((line) => JSON.parse(line).value);
}

describe('handleSignals', () => {
  const handleSignals = true;

  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s exports what is left, then ends the process as it would have',
    async (signal) => {
      const { endedBy, said, jsonFilePath } = await run(signal, 'waits', { handleSignals });
      expect({ endedBy, said }).toEqual({ endedBy: signal, said: '' });
      expect(served(jsonFilePath)).toEqual([3]);
    },
  );

  test("an application's own listener goes on counting, and decides how the process ends", async () => {
    const { code, said, jsonFilePath } = await run('SIGTERM', 'own-listener', { handleSignals });
    expect({ code, said }).toEqual({ code: 7, said: '' });
    expect(served(jsonFilePath)).toEqual([3, 7]);
  });

  test('an exporter that hangs delays the end by 5 s at the most', async () => {
    const options = { handleSignals, exportTimeout: 0 };
    const { endedBy, said, jsonFilePath } = await run('SIGTERM', 'waits-hanging', options);
    expect(said).toContain('the last export on SIGTERM did not end within 5000 ms');
    expect(endedBy).toBe('SIGTERM');
    expect(served(jsonFilePath)).toEqual([3]);
  });

  test('an export that hangs already is given up on within its own time, and the other exporters get the last one', async () => {
    const options = { handleSignals, exportInterval: 50, exportTimeout: 300 };
    const { endedBy, said, jsonFilePath } = await run('SIGTERM', 'waits-hanging', options, {
      due: 'exporting',
    });
    expect(endedBy).toBe('SIGTERM');
    expect(said).toContain('still busy with an earlier batch');
    expect(said).not.toContain('within 5000 ms');
    expect(served(jsonFilePath).at(-1)).toBe(3);
  });

  test('an exporter that rejects with nothing costs one message', async () => {
    const { endedBy, said, jsonFilePath } = await run('SIGTERM', 'waits-rejecting', { handleSignals });
    expect(endedBy).toBe('SIGTERM');
    expect(said.match(/shutdown: /g)).toHaveLength(1);
    expect(served(jsonFilePath)).toEqual([3]);
  });

  test.each([
    ['SIGINT', 'SIGINT'],
    ['SIGTERM', 'SIGINT'],
  ] as const)('%s, and %s while the last export hangs, ends the process at once', async (first, second) => {
    const options = { handleSignals, exportTimeout: 0 };
    const { endedBy, said } = await run(first, 'waits-hanging', options, { second });
    expect({ endedBy, said }).toEqual({ endedBy: second, said: '' });
  });

  test("an application's own listener that listens once is one too, though it is there first", async () => {
    const { code, said, jsonFilePath } = await run('SIGTERM', 'own-once-listener', { handleSignals });
    expect({ code, said }).toEqual({ code: 7, said: '' });
    expect(served(jsonFilePath)).toEqual([3, 7]);
  });

  test('one that exits at once loses what is left, as process.exit() does, and nothing more', async () => {
    const { code, said } = await run('SIGTERM', 'own-listener-exits', { handleSignals });
    expect({ code, said }).toEqual({ code: 9, said: '' });
  });

  test('one that only lets the work end is followed by the export on beforeExit, once', async () => {
    const options = { handleSignals, handleBeforeExit: true };
    const { code, said, jsonFilePath } = await run('SIGTERM', 'own-listener-and-nothing-left', options);
    expect({ code, said }).toEqual({ code: 0, said: '' });
    expect(served(jsonFilePath).at(-1)).toBe(7);
    expect(served(jsonFilePath).length).toBeLessThanOrEqual(2);
  });

  // The first process of a pid namespace, as in a container. Only some users may make one.
  const firstInNamespace = ['unshare', '--pid', '--fork', '--kill-child'];
  if (spawnSync(firstInNamespace[0]!, [...firstInNamespace.slice(1), 'true']).status === 0) {
    test.each([
      ['SIGTERM', 143],
      ['SIGINT', 130],
    ] as const)(
      '%s ends the first process of a container too, as a shell would tell it',
      async (signal, expected) => {
        const { code, said, jsonFilePath } = await run(
          signal,
          'waits',
          { handleSignals },
          { through: firstInNamespace },
        );
        expect({ code, said }).toEqual({ code: expected, said: '' });
        expect(served(jsonFilePath)).toEqual([3]);
      },
    );
  }

  test('without it a signal ends the process at once', async () => {
    expect(await run('SIGTERM', 'waits', {})).toMatchObject({ endedBy: 'SIGTERM' });
  });

  test('a process that only waits for shutdown ends with its own code, also when the exporter hangs', async () => {
    const options = { handleSignals, exportTimeout: 200 };
    expect(await run(undefined, 'awaits-shutdown', options)).toMatchObject({ code: 3 });
  });

  test('[5.18] metrics do not keep a process alive that has nothing else to do', async () => {
    const options = { handleSignals, handleUncaughtExceptions: true, prometheus: { port: 0 } };
    const { code, jsonFilePath } = await run(undefined, 'exits', options);
    expect(code).toBe(4);
    expect(existsSync(jsonFilePath)).toBe(false);
  });
});

describe('handleBeforeExit', () => {
  const handleBeforeExit = true;

  test('a process with nothing left to do exports once, then ends with its own code', async () => {
    const options = { handleBeforeExit, handleSignals: true, prometheus: { port: 0 } };
    const { code, said, jsonFilePath } = await run(undefined, 'exits', options);
    expect({ code, said }).toEqual({ code: 4, said: '' });
    expect(served(jsonFilePath)).toEqual([3]);
  });

  test('an exporter that hangs delays the end by 5 s at the most', async () => {
    const options = { handleBeforeExit, exportTimeout: 0 };
    const { code, said } = await run(undefined, 'exits-hanging', options);
    expect(said).toContain('the last export on beforeExit did not end within 5000 ms');
    expect(code).toBe(0);
  });

  test('process.exit() in the application’s own listener ends the process at once', async () => {
    const { code, said } = await run(undefined, 'exits-in-beforeExit', { handleBeforeExit });
    expect({ code, said }).toEqual({ code: 6, said: '' });
  });

  test('process.exit() after shutdown costs nothing', async () => {
    const { code, said, jsonFilePath } = await run(undefined, 'shuts-down-and-exits', { handleBeforeExit });
    expect({ code, said }).toEqual({ code: 8, said: '' });
    expect(served(jsonFilePath)).toEqual([3]);
  });

  test('nothing happens a second time where the application has ended metrics itself', async () => {
    // Enough for the file, also on a busy machine.
    const options = { handleBeforeExit, exportTimeout: 2_000 };
    const { code, said, jsonFilePath } = await run(undefined, 'awaits-shutdown', options);
    expect(code).toBe(3);
    expect(said.match(/shutdown/g)).toHaveLength(1);
    expect(served(jsonFilePath)).toEqual([3]);
  });
});

describe('handleUncaughtExceptions', () => {
  const handleUncaughtExceptions = true;

  test.each([
    ['throws', 'TypeError: a mistake'],
    ['rejects', 'TypeError: a broken promise'],
  ])('%s: exports what is left, then ends the process as it would have', async (mode, message) => {
    const { code, endedBy, said, jsonFilePath } = await run(undefined, mode, { handleUncaughtExceptions });
    const without = await run(undefined, mode, {});
    expect({ code, endedBy }).toEqual({ code: without.code, endedBy: without.endedBy });
    expect(code).toBe(1);
    expect(said).toContain(message);
    expect(said).toMatch(/at .*service\.js:\d+/);
    expect(served(jsonFilePath)).toEqual([3]);
    expect(existsSync(without.jsonFilePath)).toBe(false);
  });

  test('an exporter that hangs delays the end by 5 s at the most', async () => {
    const options = { handleUncaughtExceptions, exportTimeout: 0 };
    const { code, said } = await run(undefined, 'throws-hanging', options);
    expect(said).toContain('the last export on an uncaught exception did not end within 5000 ms');
    expect(said).toContain('TypeError: a mistake');
    expect(code).toBe(1);
  });

  test('a second exception during the last export ends the process at once', async () => {
    const { code, said } = await run(undefined, 'throws-twice', { handleUncaughtExceptions });
    expect(code).toBe(1);
    expect(said).toContain('RangeError: another mistake');
  });

  test.each(['own-exception-listener', 'own-once-exception-listener'])(
    "%s: an application's own listener decides how the process ends; what it had recorded is exported",
    async (mode) => {
      const { endedBy, jsonFilePath } = await run(undefined, mode, { handleUncaughtExceptions });
      expect(endedBy).toBe('SIGKILL');
      expect(served(jsonFilePath)).toEqual([3]);
    },
  );
});
