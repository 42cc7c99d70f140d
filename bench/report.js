// Medians, ratios and verdicts, as Markdown that also reads well in a terminal.
import { writeFileSync } from 'node:fs';
import { arch, cpus, platform, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { label } from './contestants.js';
import { median, quantile } from './statistics.js';

/** One benchmark: a heading and a table with a row for each contestant. */
export function results({ id, title, unit, ratio, extras = {} }, contestants, rounds) {
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
  return `### ${id}: ${title}\n\n${table([head, ...rows])}\n\nMedian (quartiles) of ${rounds.length} rounds.\n`;
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

/** Writes the page that the README quotes and returns its path. */
export function writePage(node, sections) {
  const path = fileURLToPath(new URL('../docs/benchmarks.md', import.meta.url));
  const [cpu] = cpus();
  const page = `# Benchmarks

Written by \`npm run bench -- --write\`; edit \`bench/\` instead.

- Date: ${new Date().toISOString().slice(0, 10)}
- Machine: ${cpus().length} x ${cpu.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${platform()} ${arch()}
- Node ${node.version}; the versions of all contestants are in the tables

Every contestant runs in a fresh process per round, all of them in each round, in alternating order. Ratios are
taken within a round, so they hold where absolute figures differ from machine to machine.

To reproduce: \`npm ci && npm run bench\` (some twenty-five minutes), or \`npm run bench -- --quick\` for rough figures.
\`bench/README.md\` says what is measured and how to add to it.

${sections.join('\n')}`;
  writeFileSync(path, page);
  return path;
}
