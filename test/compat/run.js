// Compiles and runs the same tests against each line of the official SDK, every one installed as an application
// would: its own packages, one copy of the API, and Meterline as it is published.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = join(here, '..', '..');
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');

/** @param {string} folder @param {string} command @param {string[]} args */
function run(folder, command, ...args) {
  const { status, error } = spawnSync(command, args, { cwd: folder, stdio: 'inherit' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed in ${folder}`, { cause: error });
}

/** SDK 3.x needs Node.js 22.15. */
function nodeFor3() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const isNewEnough = major > 22 || (major === 22 && minor >= 15);
  return isNewEnough ? [process.execPath] : ['npx', '--yes', '--package=node@24', 'node'];
}

const lines = [
  { name: 'sdk-2', tests: ['suite', 'instrumentation'], node: [process.execPath] },
  { name: 'sdk-3', tests: ['suite'], node: nodeFor3() },
];

for (const { name, tests, node } of lines) {
  console.log(`\n--- ${name}`);
  const folder = join(here, name);
  run(folder, 'npm', 'ci', '--no-audit', '--no-fund', '--loglevel=error');

  const meterline = join(folder, 'node_modules', 'meterline');
  mkdirSync(meterline);
  cpSync(join(root, 'package.json'), join(meterline, 'package.json'));
  run(root, process.execPath, tsc, '-p', 'tsconfig.build.json', '--outDir', join(meterline, 'dist'));

  // Copies, because imports are resolved from where a file lies; here no other compilation comes upon them.
  const copies = join(folder, 'node_modules', 'meterline-compat');
  for (const test of tests) cpSync(join(here, test), join(copies, 'src', test), { recursive: true });
  cpSync(join(folder, 'package.json'), join(copies, 'package.json'));
  run(folder, process.execPath, tsc, '-p', 'tsconfig.json');
  const files = tests.flatMap((test) =>
    readdirSync(join(copies, 'built', test))
      .filter((file) => file.endsWith('.js'))
      .map((file) => join(copies, 'built', test, file)),
  );
  const [command, ...before] = /** @type {[string, ...string[]]} */ (node);
  run(folder, command, ...before, '--test', '--test-reporter=spec', ...files);
}
