// Medians, ratios and verdicts, as Markdown that also reads well in a terminal.
import { readFileSync, writeFileSync } from 'node:fs';
import { arch, cpus, platform, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { label } from './contestants.js';
import { median, quantile } from './statistics.js';

/** One benchmark: a heading and a table with a row for each contestant. */
export function results({ id, title, unit, ratio, extras = {} }, contestants, rounds, node) {
  const baseline = contestants.find((one) => one.isBaseline);
  const rows = contestants.map((contestant) => {
    const { name, target } = contestant;
    const values = (field) => rounds.map((round) => round.get(name)[field]);
    // Within a round both ran on the same machine in the same mood, so the ratio is taken there.
    const ratios = baseline && rounds.map((round) => round.get(name).value / round.get(baseline.name).value);
    return [
      label(contestant),
      spread(values('value')),
      ...Object.keys(extras).map((field) => spread(values(field))),
      ...(baseline ? [contestant === baseline ? '' : spread(ratios)] : []),
      target ? verdict(target, values('value'), ratios) : '',
    ];
  });
  const head = ['', unit, ...Object.values(extras), ...(baseline ? [ratio] : []), 'target'];
  return `### ${id}: ${title}\n\n${table([head, ...rows])}\n\nMedian (quartiles) of ${rounds.length} rounds, Node ${node.version}, ${new Date().toISOString().slice(0, 10)}.\n`;
}

function verdict({ valueAtMost, valueAtLeast, ratioAtLeast }, values, ratios) {
  const [text, isMet] =
    valueAtMost !== undefined
      ? [`<= ${valueAtMost}`, median(values) <= valueAtMost]
      : valueAtLeast !== undefined
        ? [`>= ${valueAtLeast}`, median(values) >= valueAtLeast]
        : [`ratio >= ${ratioAtLeast}`, median(ratios) >= ratioAtLeast];
  return `${text}: ${isMet ? 'met' : 'missed'}`;
}

/** Empty for what a contestant does not have. */
function spread(values) {
  if (values.every((value) => value === undefined)) return '';
  return `${number(median(values))} (${number(quantile(values, 0.25))} to ${number(quantile(values, 0.75))})`;
}

function number(value) {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(3, ...rows.map((row) => row[column].length)));
  const line = (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;
  const [head, ...body] = rows;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}

/**
 * Writes the page that the README quotes, where benchmarks that were not run keep what they have, and returns its path.
 *
 * @param {Map<string, string | undefined>} sections by the id of every benchmark that there is, in order
 */
export function writePage(sections) {
  const path = fileURLToPath(new URL('../docs/benchmarks.md', import.meta.url));
  const earlier = readFileSync(path, 'utf8')
    .split(/^(?=### )/m)
    .slice(1);
  const shown = [...sections].map(
    ([id, section]) =>
      section ??
      earlier
        .find((one) => one.startsWith(`### ${id}: `))
        ?.trimEnd()
        .concat('\n') ??
      '',
  );
  const [cpu] = cpus();
  const page = `# Benchmarks

Written by \`npm run bench -- --write\`; edit \`bench/\` instead.

- Machine: ${cpus().length} x ${cpu.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${platform()} ${arch()}
- Versions of the contestants are in the tables, those of Node and the day below them

Every contestant runs in a fresh process per round, all of them in each round, in alternating order. Ratios are
taken within a round, so they hold where absolute figures differ from machine to machine.

To reproduce: \`npm ci && npm run bench\` (half an hour), or \`npm run bench -- --quick\` for rough figures.
\`bench/README.md\` says what is measured and how to add to it.

${shown.join('\n')}`;
  writeFileSync(path, page);
  return path;
}
