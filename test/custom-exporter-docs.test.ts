// Runs the programs of docs/custom-exporter.md as its reader would, from the built package.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const page = readFileSync(join(root, 'docs/custom-exporter.md'), 'utf8');
const programs = [...page.matchAll(/^## (.*?)$(?:(?!^## ).)*?```js\n(.*?)```\n\n```text\n(.*?)```/gms)];

// Inside the package, so that it can be imported by its own name; ignored by git.
mkdirSync(join(root, 'logs'), { recursive: true });
const folder = mkdtempSync(join(root, 'logs', 'custom-exporter-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('there is no code that these tests do not run', () => {
  expect(programs).toHaveLength(page.match(/^```\w+$/gm)!.length / 2);
});

test.each(programs)('%#: the program prints what the page shows', async (...[, title, code, output]) => {
  const file = join(folder, `${title!.replaceAll(/\W+/g, '-')}.mjs`);
  writeFileSync(file, code!);
  const { stdout, stderr } = await run(process.execPath, [file], { cwd: folder, timeout: 15_000 });
  expect(stdout).toBe(output);
  expect(stderr).toBe('');
});
