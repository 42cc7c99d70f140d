// Runs the code of docs/testing.md as its reader would, from the built package.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const page = readFileSync(join(root, 'docs/testing.md'), 'utf8');
const [nodeTest, vitest, ...others] = [...page.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code!);

// Inside the package, so that it can be imported by its own name; ignored by git.
mkdirSync(join(root, 'logs'), { recursive: true });
const folder = mkdtempSync(join(root, 'logs', 'testing-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Without the variables by which test runners know that they run within another one. */
const { NODE_TEST_CONTEXT: _context, NODE_OPTIONS: _options, ...env } = process.env;

function runWithNode(code: string) {
  const file = join(folder, 'shop.test.mjs');
  writeFileSync(file, code);
  return run(process.execPath, ['--test', file], { cwd: folder, env });
}

test('there is no JavaScript that this test does not run', () => {
  expect(others).toEqual([]);
});

test('the example for node:test passes', async () => {
  expect((await runWithNode(nodeTest!)).stdout).toMatch(/pass 1\n/);
});

test('the example for node:test fails as the page shows when it expects another kind', async () => {
  const shown = page.match(/would have failed with\n\n```\n(.*?)```/s)![1]!;
  const broken = nodeTest!.replace("attributes: { kind: 'book' }", "attributes: { kind: 'pen' }");
  const { stdout } = await runWithNode(broken).catch((error) => error);
  for (const line of shown.trim().split('\n')) expect(stdout).toContain(line.trim());
});

test('the example for Vitest passes', async () => {
  writeFileSync(join(folder, 'queue.test.js'), vitest!);
  // Or it would find that of this repository.
  writeFileSync(join(folder, 'vitest.config.js'), 'export default {};');
  const cli = join(root, 'node_modules/vitest/vitest.mjs');
  const args = [cli, 'run', '--root', folder, 'queue.test.js'];
  const { stdout } = await run(process.execPath, args, { cwd: folder, env: { ...env, NO_COLOR: '1' } });
  expect(stdout).toMatch(/Tests\s+1 passed/);
});
