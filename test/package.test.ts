// The package as its users load it, from the built files.
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const { exports } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'));
const entries = Object.keys(exports).filter((entry) => entry !== './package.json');

describe('package', () => {
  test.each(entries)('%s is built, with types', (entry) => {
    for (const file of Object.values<string>(exports[entry]))
      expect(existsSync(`${root}/${file}`), file).toBe(true);
  });

  test.each(entries)("require('meterline%s') works through Node's require(esm)", async (entry) => {
    const specifier = entry.replace('.', 'meterline');
    const script = `console.log(Object.keys(require(${JSON.stringify(specifier)})).length)`;
    const { stdout } = await run(process.execPath, ['--no-warnings', '-e', script], { cwd: root });
    expect(Number(stdout)).toBeGreaterThan(0);
  });

  test('importing the package starts nothing', async () => {
    const script = `
      ${entries.map((entry) => `await import(${JSON.stringify(entry.replace('.', 'meterline'))});`).join('\n')}
      console.log(process.getActiveResourcesInfo().filter((name) => !/PipeWrap|TTY|FSReq|CloseReq/.test(name)).length);`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: root });
    expect(stdout.trim()).toBe('0');
  });
});
