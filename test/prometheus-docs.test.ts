// Runs the programs of docs/prometheus.md as its reader would, from the built package, and scrapes them.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { parse } from 'yaml';
import { escapedName } from '../src/encoding/prometheus-escaping.ts';
import {
  metricName,
  TRANSLATION_STRATEGIES,
  type TranslationStrategy,
} from '../src/encoding/prometheus-names.ts';
import { PrometheusMetricReader } from '../src/exporters/prometheus.ts';
import { negotiateFormat, SCRAPE_FORMATS } from '../src/exporters/scrape-negotiation.ts';
import { MeterProvider } from '../src/index.ts';
import { freePort } from './support/free-port.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = readFileSync(join(root, 'docs/prometheus.md'), 'utf8');
const blocks = (language: string) =>
  [...page.matchAll(new RegExp(`^ *\`\`\`${language}\n(.*?)^ *\`\`\``, 'gms'))].map(([, code]) => code!);
const [head = '', ...programs] = blocks('js');
const titled = programs.map((code) => ({ title: /^ *\/\/ (.*)$/m.exec(code)?.[1] ?? '', code }));

// Inside the package, so that it can be imported by its own name; ignored by git.
mkdirSync(join(root, 'logs'), { recursive: true });
const folder = mkdtempSync(join(root, 'logs', 'prometheus-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The reader of the first program, given to a provider that has measured something. */
const MOUNTED = `${head.replace(/^const \{ url \}.*\n/m, '')}
provider.getMeter('docs').createCounter('requests').add(3);
`;

/** Runs a program until the test has looked. */
async function running(title: string, code: string, look: () => Promise<void>): Promise<void> {
  const file = join(folder, `${title.replaceAll(/\W+/g, '-')}.mjs`);
  writeFileSync(file, code);
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  try {
    await look();
  } catch (error) {
    throw new Error(`${title}: ${output}`, { cause: error });
  } finally {
    child.kill();
  }
}

async function scraped(port: number): Promise<string> {
  return vi.waitFor(
    async () => {
      const response = await fetch(`http://localhost:${port}/metrics`);
      expect(response.status).toBe(200);
      return response.text();
    },
    { timeout: 15_000, interval: 50 },
  );
}

test('there is no program that these tests do not run', () => {
  expect(titled.map(({ title }) => title)).toEqual([
    'node:http, and node:https, node:http2 likewise',
    'Express',
    'Fastify',
    'Koa',
    'Hono',
    'Servers in the manner of fetch: Next.js, Bun, Deno',
    'Authentication',
    'Exponential histograms',
  ]);
});

test('the first program listens', async () => {
  const port = await freePort();
  const code = `${head.replace('listen()', `listen({ port: ${port} })`)}
setInterval(() => {}, 1_000);
provider.getMeter('docs').createCounter('requests').add(3);`;
  await running('first', code, async () => {
    expect(await scraped(port)).toMatch(/^requests_total\{.*\} 3$/m);
  });
});

describe('mounted in a server,', () => {
  const inServers = titled.filter(({ code }) => code.includes('8080'));
  test('all five', () => expect(inServers).toHaveLength(5));

  test.each(inServers)('the program for $title is scraped', async ({ title, code }) => {
    const port = await freePort();
    await running(title, MOUNTED + code.replace('8080', String(port)), async () => {
      expect(await scraped(port)).toMatch(/^requests_total\{.*\} 3$/m);
    });
  });
});

test.each(titled.filter(({ code }) => !code.includes('8080')))(
  'the program "$title" runs',
  async ({ title, code }) => {
    const use = `
const answer = typeof GET === 'undefined' ? undefined : await GET(new Request('http://localhost/metrics'));
if (answer) console.log(await answer.text());
console.log('ran');`;
    const file = join(folder, `${title.replaceAll(/\W+/g, '-')}.mjs`);
    writeFileSync(file, MOUNTED + code + use);
    const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
    const output = (await child.stdout.toArray()).join('');
    expect(output).toMatch(/^ran$/m);
    if (code.includes('GET')) expect(output).toMatch(/^requests_total\{.*\} 3$/m);
  },
);

test('the YAML can be read', () => {
  for (const code of blocks('yaml')) expect(parse(code)).toHaveProperty('scrape_configs');
});

test('the table of formats is that of the code: their names, and what asks for them', () => {
  const rows = [...page.matchAll(/^\| `((?:Prom|Open)\w+[\d.]*)` \| (.*?) \| /gm)];
  expect(rows.map(([, name]) => name)).toEqual(expect.arrayContaining([...SCRAPE_FORMATS]));
  for (const [, name, accept] of rows) {
    const [first] = /(?<=`)[^`]+\/[^`]+(?=`)/.exec(accept!) ?? [];
    const format = SCRAPE_FORMATS.find((known) => known === name)!;
    expect(negotiateFormat(first).contentType, name).toBe(negotiateFormat(undefined, format).contentType);
  }
});

test('the table of names is what becomes of them', () => {
  const strategies = [...page.matchAll(/^\| `(\w+)` \| `(\w+)` \| `([\w.]+)` \|$/gm)];
  expect(strategies.map(([, strategy]) => strategy)).toEqual([...TRANSLATION_STRATEGIES]);
  for (const [, strategy, , utf8] of strategies)
    expect(metricName('foo.bar', 'By', true, strategy as TranslationStrategy)).toBe(utf8);
});

test('the table of instruments is what a scrape has of them', async () => {
  const rows = [...page.matchAll(/^\| ([a-z- ]+) `([\w.]+)`(?:, unit `(.*?)`)? \| `(\w+)` \| (\w+) \|$/gm)];
  expect(rows.length).toBe(6);
  const reader = new PrometheusMetricReader();
  const provider = new MeterProvider({ readers: [reader] });
  const meter = provider.getMeter('docs');
  for (const [, kind, name, unit = ''] of rows) {
    if (kind === 'counter') meter.createCounter(name!, { unit }).add(1);
    else if (kind === 'up-down counter') meter.createUpDownCounter(name!, { unit }).add(1);
    else if (kind === 'histogram') meter.createHistogram(name!, { unit }).record(1);
    else meter.createGauge(name!, { unit }).record(1);
  }
  const answer = await reader.handler(new Request('http://localhost/metrics'));
  const types = (await answer.text()).match(/^# TYPE (?!target_info|otel_).*$/gm);
  expect(types).toEqual(rows.map(([, , , , name, type]) => `# TYPE ${name} ${type}`));
});

test('the other escapings are what they are said to be', () => {
  const [, dots, values] = /`dots` makes `(\w+)` of `foo\.bar`, and `values` makes `(\w+)`/.exec(page)!;
  expect([dots, values]).toEqual([escapedName('foo.bar', 'dots'), escapedName('foo.bar', 'values')]);
});
