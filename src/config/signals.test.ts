import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'meterline-signals-'));
afterAll(() => rmSync(folder, { recursive: true }));

const service = fileURLToPath(new URL('fixtures/service.js', import.meta.url));
let files = 0;

/** Starts the service, waits until it is ready, sends the signal if there is one, and waits for its end. */
async function run(signal: NodeJS.Signals | undefined, mode: string, options: object = {}) {
  const jsonFilePath = join(folder, `${files++}.jsonl`);
  const settings = JSON.stringify({ jsonFilePath, handleSignals: true, ...options });
  const child = spawn(process.execPath, [service, settings, mode], { stdio: 'pipe' });
  let said = '';
  child.stderr.on('data', (data) => void (said += data));
  const exit = once(child, 'exit');
  await once(child.stdout, 'data');
  const start = performance.now();
  if (signal) child.kill(signal);
  const [code, endedBy] = await exit;
  return { code, endedBy, millis: performance.now() - start, said, jsonFilePath };
}

function served(file: string): unknown {
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  return JSON.parse(lines.findLast((line) => line.includes('served_total'))!).value;
}

describe('handleSignals', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s exports what is left, then ends the process as it would have',
    async (signal) => {
      const { endedBy, jsonFilePath } = await run(signal, 'plain');
      expect(endedBy).toBe(signal);
      expect(served(jsonFilePath)).toBe(3);
    },
  );

  test("an application's own listener goes on counting, and decides how the process ends", async () => {
    const { code, said, jsonFilePath } = await run('SIGTERM', 'own-listener');
    expect({ code, said }).toEqual({ code: 7, said: '' });
    expect(served(jsonFilePath)).toBe(7);
  });

  test('an exporter that hangs delays the end by 5 s at the most', async () => {
    const { endedBy, millis, said, jsonFilePath } = await run('SIGTERM', 'hanging-exporter', {
      exportTimeout: 0,
    });
    expect(said).toContain('the last export on SIGTERM did not end within 5000 ms');
    expect(endedBy).toBe('SIGTERM');
    expect(millis).toBeGreaterThan(4_500);
    expect(millis).toBeLessThan(15_000);
    expect(served(jsonFilePath)).toBe(3);
  });

  test('without it a signal ends the process at once', async () => {
    expect(await run('SIGTERM', 'plain', { handleSignals: false })).toMatchObject({ endedBy: 'SIGTERM' });
  });

  test('a process that only waits for shutdown ends with its own code, also when the exporter hangs', async () => {
    const { code } = await run(undefined, 'awaits-shutdown', { exportTimeout: 200 });
    expect(code).toBe(3);
  });

  test('[5.18] metrics do not keep a process alive that has nothing else to do', async () => {
    const { code } = await run(undefined, 'exits', { prometheus: { port: 0 } });
    expect(code).toBe(0);
  });
});
