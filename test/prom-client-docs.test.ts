// Runs the programs of docs/migrate-from-prom-client.md as its reader would, from the built package.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import client from 'prom-client';
import { afterAll, expect, test } from 'vitest';
import { PrometheusMetricReader } from '../src/exporters/prometheus.ts';
import { MeterProvider, resourceFromAttributes } from '../src/index.ts';
import { samplesIn } from '../src/producers/fixtures/client-text.ts';
import { freePort } from './support/free-port.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const page = readFileSync(join(root, 'docs/migrate-from-prom-client.md'), 'utf8');
const programs = [
  ...page.matchAll(/^## \d\. ([^\n]*)$(?:(?!^## ).)*?```js\n(.*?)```\n\n```text\n(.*?)```/gms),
];
const CLIENTS = ['prom-client', '@prometheus-io/client'];

// Inside the package, so that it can be imported by its own name; ignored by git.
mkdirSync(join(root, 'logs'), { recursive: true });
const folder = mkdtempSync(join(root, 'logs', 'prom-client-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('there is no code that these tests do not run', () => {
  const blocks = page.match(/^```\w+$/gm)!;
  expect(blocks.filter((block) => block === '```js')).toHaveLength(programs.length);
  expect(new Set(blocks)).toEqual(new Set(['```sh', '```js', '```text']));
});

test.each(
  CLIENTS.flatMap((client) => programs.map(([, title, code, output]) => [client, title!, code!, output!])),
)('%s, %s: the program prints what the page shows', async (client, title, code, output) => {
  const file = join(folder, `${client}-${title}`.replaceAll(/\W+/g, '-').concat('.mjs'));
  const port = await freePort();
  writeFileSync(file, code.replace("'prom-client'", `'${client}'`).replace('9464', `${port}`));
  const { stdout, stderr } = await run(process.execPath, [file], { cwd: folder, timeout: 15_000 });
  expect(stdout).toBe(output);
  expect(stderr).toBe('');
});

test('what the table puts in the place of each metric has the same series in Prometheus', async () => {
  const labels = { kind: 'book', code: 200 };
  const labelNames = Object.keys(labels);
  const register = new client.Registry();
  const registers = [register];
  new client.Counter({ name: 'orders_total', help: 'h', labelNames, registers }).inc(labels, 3);
  new client.Gauge({ name: 'set', help: 'h', labelNames, registers }).set(labels, -3);
  const open = new client.Gauge({ name: 'open', help: 'h', registers });
  open.inc();
  open.inc();
  open.dec();
  new client.Gauge({
    name: 'observed',
    help: 'h',
    registers,
    collect: async function () {
      this.set(7);
    },
  });
  new client.Histogram({ name: 'took_seconds', help: 'h', labelNames, registers }).observe(labels, 0.2);
  new client.Gauge({ name: 'size_bytes', help: 'h', registers }).set(1e6);
  register.setDefaultLabels({ zone: 'a' });

  const reader = new PrometheusMetricReader({
    scopeLabels: false,
    targetInfo: false,
    resourceLabels: { included: ['zone'] },
  });
  const meter = new MeterProvider({
    readers: [reader],
    selfMetrics: false,
    resource: resourceFromAttributes({ zone: 'a' }),
  }).getMeter('shop');
  const description = 'h';
  meter.createCounter('orders_total', { description }).add(3, labels);
  meter.createGauge('set', { description }).record(-3, labels);
  const now = meter.createUpDownCounter('open', { description });
  for (const change of [1, 1, -1]) now.add(change);
  meter.createObservableGauge('observed', { description }).addCallback(async (result) => result.observe(7));
  const row = page.split('\n').find((line) => line.includes('explicitBucketBoundaries'))!;
  const explicitBucketBoundaries = JSON.parse(/explicitBucketBoundaries: (\[.*?\])/.exec(row)![1]!);
  meter
    .createHistogram('took_seconds', { description, unit: 's', advice: { explicitBucketBoundaries } })
    .record(0.2, labels);
  meter.createGauge('size', { description, unit: 'By' }).record(1e6);

  const shown = await (await reader.handler(new Request('http://localhost/metrics'))).text();
  expect(samplesIn(shown)).toEqual(samplesIn(await register.metrics()));
  expect(types(shown)).toEqual(types(await register.metrics()));
});

const types = (text: string) => text.match(/^# (TYPE|HELP) .*$/gm)!.sort();
