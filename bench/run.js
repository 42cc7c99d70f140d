// Runs the benchmarks named on the command line, or all; see README.md.
import { readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { describeNode, eligible } from './contestants.js';
import { results, writePage } from './report.js';
import { runRounds } from './rounds.js';

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    node: { type: 'string', default: 'bundled' },
    quick: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});

const files = readdirSync(new URL('benchmarks', import.meta.url))
  .map((file) => new URL(`benchmarks/${file}`, import.meta.url))
  .sort((a, b) => a.pathname.localeCompare(b.pathname, 'en', { numeric: true }));
const benchmarks = await Promise.all(
  files.map(async (file) => ({ file, ...(await import(file.href)).default })),
);
const chosen = benchmarks.filter(({ id }) => names.length === 0 || names.some((name) => matches(id, name)));
const ids = benchmarks.map(({ id }) => id).join(', ');
for (const name of names) {
  if (!chosen.some(({ id }) => matches(id, name))) fail(`no benchmark is called ${name}; there are ${ids}`);
}
if (!['bundled', 'system'].includes(options.node)) fail('--node is bundled or system');
if (options.write && options.quick) fail('--write needs full runs');

const node = describeNode(options.node);
console.log(`Node ${node.version}${options.quick ? '; a quick run: take the figures as rough ones' : ''}`);
const sections = new Map(benchmarks.map(({ id }) => [id, undefined]));
for (const benchmark of chosen) {
  const { contestants, skipped } = eligible(benchmark.contestants, node);
  const rounds = await runRounds({ ...benchmark, contestants }, { node, quick: options.quick });
  const section = results(benchmark, contestants, rounds, node);
  console.log(`\n${[section, ...skipped].join('\n')}`);
  sections.set(benchmark.id, section);
}
if (options.write) console.log(`\nwritten: ${writePage(sections)}`);

function matches(id, name) {
  const [whole, wanted] = [id.toLowerCase(), name.toLowerCase()];
  return whole === wanted || whole.startsWith(`${wanted}-`);
}

function fail(message) {
  console.error(message);
  process.exit(2);
}
