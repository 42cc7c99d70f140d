// Runs the programs of docs/lifecycle.md as their reader would, from the built package, and ends them in the way that each is about.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { freePort } from './support/free-port.ts';
import { dataOf, decodeRequest } from './support/otlp.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = readFileSync(join(root, 'docs/lifecycle.md'), 'utf8');
const blocks = [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language, code]) => ({
  language,
  code: code!,
}));
const [service, kubernetes, pm2, cluster, threads, lambda] = blocks.map(({ code }) => code);

const METRICS_MILLIS = 5_000;

// Inside the package, so that it can be imported by its own name; ignored by git.
mkdirSync(join(root, 'logs'), { recursive: true });
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

function program(code: string, name = 'program.mjs'): { folder: string; file: string } {
  const folder = mkdtempSync(join(root, 'logs', 'lifecycle-'));
  folders.push(folder);
  const file = join(folder, name);
  writeFileSync(file, code);
  return { folder, file };
}

/** A process, once it has said that it is ready so many times. */
async function started(code: string, env: Record<string, string> = {}, times = 1) {
  const { folder, file } = program(code);
  const child = spawn(process.execPath, [file], {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: 'pipe',
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let printed = '';
  child.stdout.on('data', (data) => void (printed += data));
  child.stderr.on('data', (data) => void (printed += data));
  while (printed.split('ready').length <= times) await once(child.stdout, 'data');
  return { folder, child, printed: () => printed };
}

async function endOf(child: ChildProcess): Promise<unknown> {
  return child.exitCode ?? child.signalCode ?? (await once(child, 'exit')).find((end) => end !== null);
}

/** The values of `orders_total` in each file, oldest first. */
function ordersIn(folder: string): unknown[][] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
  return files.sort().map((name) =>
    readFileSync(join(folder, name), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter((point) => point.metric_name === 'orders_total')
      .map(({ value }) => value),
  );
}

test('there is no code that these tests do not run', () => {
  expect(blocks.map(({ language }) => language)).toEqual(['js', 'yaml', 'js', 'js', 'js', 'js']);
});

test('the service finishes the request under way, which counts, and exits with 0', async () => {
  const port = await freePort();
  const { folder, child, printed } = await started(service!, { PORT: String(port) });
  // The server says that it may continue when it begins to handle it.
  const order = request({ port, host: '127.0.0.1', headers: { expect: '100-continue' } });
  const answer = once(order, 'response');
  order.flushHeaders();
  await once(order, 'continue');
  child.kill('SIGTERM');
  order.end();
  const [response] = await answer;
  expect(await textOf(response)).toBe('thank you\n');
  expect(await endOf(child)).toBe(0);
  expect(printed()).toBe('ready\n');
  expect(ordersIn(folder)[0]!.at(-1)).toBe(1);
});

test('the times for Kubernetes and pm2 leave room for metrics', () => {
  const { spec } = parse(kubernetes!);
  const [, seconds] = spec.containers[0].lifecycle.preStop.exec.command;
  expect(spec.terminationGracePeriodSeconds * 1_000).toBeGreaterThan(
    Number(seconds) * 1_000 + METRICS_MILLIS,
  );
  const { file } = program(pm2!, 'ecosystem.config.cjs');
  const { apps } = createRequire(import.meta.url)(file);
  expect(apps[0].kill_timeout).toBeGreaterThan(METRICS_MILLIS);
});

test('each worker of a cluster exports what it has, under its own name, when the primary is told to end', async () => {
  const { folder, child } = await started(cluster!, {}, 2);
  child.kill('SIGTERM');
  expect(await endOf(child)).toBe(0);
  expect(ordersIn(folder)).toEqual([[1], [1]]);
});

test('a worker thread exports what it has before it ends', async () => {
  const { folder, file } = program(threads!);
  const child = spawn(process.execPath, [file], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  child.stdout.on('data', (data) => void (printed += data));
  expect(await endOf(child)).toBe(0);
  expect(printed).toBe('ended\n');
  expect(ordersIn(folder)).toEqual([[1]]);
});

test('the function exports at the end of each invocation, and in between has no timers', async () => {
  const counts: number[] = [];
  const receiver = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const { metrics } = decodeRequest(Buffer.concat(chunks)).resourceMetrics[0]!.scopeMetrics[0]!;
    const invocations = metrics.find(({ name }) => name === 'invocations');
    if (invocations) counts.push(Number(dataOf(invocations).dataPoints[0]!.asDouble));
    response.end();
  }).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  onTestFinished(() => {
    receiver.close();
    receiver.closeAllConnections();
  });
  const { port } = receiver.address() as AddressInfo;
  const { file } = program(lambda!);
  const driver = `
    const { handler } = await import(${JSON.stringify(pathToFileURL(file).href)});
    for (let i = 0; i < 3; i++) console.log((await handler({ kind: 'test' })).statusCode);
    console.log(process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length);
  `;
  const { file: main, folder } = program(driver);
  const env = { ...process.env, METRICS_URL: `http://127.0.0.1:${port}/v1/metrics` };
  const child = spawn(process.execPath, [main], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  child.stdout.on('data', (data) => void (printed += data));
  expect(await endOf(child)).toBe(0);
  expect(printed).toBe('200\n200\n200\n0\n');
  expect(counts).toEqual([1, 1, 1]);
});
