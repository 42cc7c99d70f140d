// Two copies of the package in one process, and modules evaluated anew by a bundler's hot reload. In child processes,
// because what is shared lives on `globalThis`.
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

// Inside the package, so that the copies find their dependencies; ignored by git.
mkdirSync(join(root, 'logs'), { recursive: true });
const folder = mkdtempSync(join(root, 'logs', 'duplicates-'));
beforeAll(() => {
  for (const copy of ['one', 'two']) cpSync(join(root, 'dist'), join(folder, copy), { recursive: true });
});
afterAll(() => rmSync(folder, { recursive: true }));

const COPIES = {
  'another copy': { one: 'one/', two: 'two/', query: '' },
  'a module reloaded under another URL': { one: 'one/', two: 'one/', query: '?v=2' },
};

/** Modules of a copy by the names that the scripts below give them. */
const MODULES = {
  data: 'data/metric-batch.js',
  index: 'index.js',
  start: 'config/start-metrics.js',
  provider: 'sdk/meter-provider.js',
  reader: 'sdk/readers/periodic-exporting-metric-reader.js',
  inMemory: 'exporters/in-memory.js',
  jsonFile: 'exporters/json-file.js',
  prometheus: 'exporters/prometheus.js',
  exporter: 'data/exporter.js',
  http: 'instrumentation/http.js',
};

/** Runs a script with the modules of both copies as `one` and `two`; returns the value that it hands to `done`. */
async function run(
  { one, two, query }: (typeof COPIES)[keyof typeof COPIES],
  script: string,
): Promise<unknown> {
  const imports = (name: string, copy: string, query: string) => {
    const entries = Object.entries(MODULES).map(([key, path]) => {
      const url = pathToFileURL(join(folder, copy, path)).href + query;
      return `${key}: await import(${JSON.stringify(url)})`;
    });
    return `const ${name} = { ${entries.join(', ')} };`;
  };
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `${imports('one', one, '')}
       ${imports('two', two, query)}
       const done = (value) => console.log('done ' + JSON.stringify(value));
       ${script}`,
    ],
    { cwd: folder },
  );
  const result = /^done (.*)$/m.exec(stdout)?.[1];
  if (result === undefined) throw new Error(`the script did not end: ${stdout}${stderr}`);
  return JSON.parse(result);
}

/** The values of the counter `c` in a file of JSON lines, which has metrics of the exporter as well. */
const counterValuesIn = (path: string) =>
  readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ metric_name }) => metric_name === 'c')
    .map(({ value }) => value);

/** Serves `count` requests and returns all of `http_server_requests_total` as the readers have it. */
const REQUESTS = `
  import { createServer } from 'node:http';
  import { once } from 'node:events';
  const memory = new one.inMemory.InMemoryMetricExporter(1);
  const handle = one.start.startMetrics({ exporters: [memory] });
  const counted = async () => {
    await handle.forceFlush();
    return memory.getMetrics().at(-1).scopeMetrics.flatMap(({ metrics }) => metrics)
      .filter(({ descriptor }) => descriptor.name === 'http_server_requests_total')
      .flatMap(({ dataPoints }) => dataPoints)
      .map(({ attributes, value }) => [attributes['http.route'], value]);
  };
  const server = createServer((request, response) => {
    two.http.setHttpRoute(request, '/all');
    request.on('end', () => response.end('hello')).resume();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = 'http://127.0.0.1:' + server.address().port;
  const get = async () => (await fetch(url)).text();
  const end = async () => {
    server.closeAllConnections();
    server.close();
    await handle.shutdown();
  };`;

describe.each(Object.entries(COPIES))('%s', (_, copies) => {
  test('is a module of its own', async () => {
    expect(
      await run(
        copies,
        `done([one.start.startMetrics === two.start.startMetrics, one.http.instrumentHttp === two.http.instrumentHttp])`,
      ),
    ).toEqual([false, false]);
  });

  test('finds the metrics that run already, and both record into them', async () => {
    const path = join(folder, `shared${copies.query.length}.jsonl`);
    const result = await run(
      copies,
      `const path = ${JSON.stringify(path)};
       const first = one.start.startMetrics({ jsonFilePath: path });
       const second = two.start.startMetrics({ jsonFilePath: path });
       const { metrics } = await import('@opentelemetry/api');
       first.meterProvider.getMeter('m').createCounter('c').add(1, { from: 'one' });
       second.meterProvider.getMeter('m').createCounter('c').add(2, { from: 'two' });
       metrics.getMeter('m').createCounter('c').add(4, { from: 'two' });
       await second.shutdown();
       done([first === second, metrics.getMeterProvider() === first.meterProvider]);`,
    );
    expect(result).toEqual([true, false]);
    expect(counterValuesIn(path)).toEqual([1, 6]);
  });

  test('may start anew what the other has shut down', async () => {
    const result = await run(
      copies,
      `const first = one.start.startMetrics({ exporters: [new one.inMemory.InMemoryMetricExporter(1)] });
       await first.shutdown();
       const memory = new two.inMemory.InMemoryMetricExporter(1);
       const second = two.start.startMetrics({ exporters: [memory] });
       const { metrics } = await import('@opentelemetry/api');
       metrics.getMeter('m').createCounter('c').add(3);
       await second.shutdown();
       done([first === second, memory.getMetrics()[0].scopeMetrics[0].metrics[0].dataPoints[0].value]);`,
    );
    expect(result).toEqual([false, 3]);
  });

  test('may start anew while the other still shuts down, and neither loses anything', async () => {
    const result = await run(
      copies,
      `const { metrics } = await import('@opentelemetry/api');
       const memories = [1, 1].map((temporality) => new one.inMemory.InMemoryMetricExporter(temporality));
       const first = one.start.startMetrics({ exporters: [memories[0]] });
       metrics.getMeter('m').createCounter('c').add(1);
       const ending = first.shutdown();
       const second = two.start.startMetrics({ exporters: [memories[1]] });
       metrics.getMeter('m').createCounter('c').add(2);
       await ending;
       metrics.getMeter('m').createCounter('c').add(4);
       await second.shutdown();
       done(memories.map((memory) => memory.getMetrics().map((batch) =>
         batch.scopeMetrics.flatMap(({ metrics }) => metrics).find(({ descriptor }) => descriptor.name === 'c')
           .dataPoints[0].value)));`,
    );
    expect(result).toEqual([[1], [6]]);
  });

  test('counts no HTTP request twice', async () => {
    const result = await run(
      copies,
      `${REQUESTS}
       one.http.instrumentHttp();
       await get();
       two.http.instrumentHttp();
       for (let i = 0; i < 3; i++) await get();
       one.http.instrumentHttp();
       await get();
       done(await counted());
       await end();`,
    );
    expect(result).toEqual([['/all', 5]]);
  });

  test('counts a request that is in flight during the change once, and stops when the last is disabled', async () => {
    const result = await run(
      copies,
      `${REQUESTS}
       const first = one.http.instrumentHttp();
       const { request } = await import('node:http');
       const posted = request(url, { method: 'POST' });
       posted.write('half');
       await once(server, 'request');
       const second = two.http.instrumentHttp();
       posted.end();
       const [response] = await once(posted, 'response');
       response.resume();
       await once(response, 'end');
       await get();
       first.disable();
       await get();
       second.disable();
       await get();
       done(await counted());
       await end();`,
    );
    expect(result).toEqual([
      ['/all', 1],
      ['/all', 2],
    ]);
  });

  test("takes the other's batches, readers and exporters, and loses none of them", async () => {
    const path = join(folder, `mixed${copies.query.length}.jsonl`);
    const result = await run(
      copies,
      `const path = ${JSON.stringify(path)};
       const memory = new two.inMemory.InMemoryMetricExporter(0);
       const own = [];
       const definition = { name: 'own', export: async (batch) => void own.push(batch) };
       const readers = [
         new two.reader.PeriodicExportingMetricReader({ exporter: memory }),
         new one.reader.PeriodicExportingMetricReader({ exporter: two.jsonFile.jsonFile({ path }) }),
         new two.reader.PeriodicExportingMetricReader({ exporter: two.exporter.createExporter(definition) }),
       ];
       const provider = new one.provider.MeterProvider({ readers });
       const counter = provider.getMeter('m').createCounter('c');
       for (const value of [1, 2]) {
         counter.add(value, { a: 'x' });
         await provider.forceFlush();
       }
       const valuesOf = (batches) => batches.map((batch) => batch.scopeMetrics[0].metrics[0].dataPoints[0].value);
       done({
         memory: valuesOf(memory.getMetrics()),
         own: valuesOf(own),
         isBatch: own.every(two.data.MetricBatch.is),
       });
       await provider.shutdown();`,
    );
    expect(result).toEqual({ memory: [1, 2], own: [1, 3], isBatch: true });
    // Shutdown exports once more.
    expect(counterValuesIn(path)).toEqual([1, 3, 3]);
  });

  test("encodes the other's attributes whatever was done with them before, in whatever order", async () => {
    const path = join(folder, `encoded${copies.query.length}.jsonl`);
    const result = await run(
      copies,
      `const reader = new one.index.ManualMetricReader();
       const provider = new one.provider.MeterProvider({ readers: [reader] });
       provider.getMeter('m').createCounter('c').add(1, { a: 'x' });
       const { resourceMetrics } = await reader.collect();
       const [point] = resourceMetrics.scopeMetrics[0].metrics[0].dataPoints;
       const exporter = two.jsonFile.jsonFile({ path: ${JSON.stringify(path)} });
       const { code } = await new Promise((resolve) => exporter.export(resourceMetrics, resolve));
       done([code, point.attributes]);`,
    );
    expect(result).toEqual([0, { a: 'x' }]);
    expect(counterValuesIn(path)).toEqual([1]);
  });

  test('has its failures told as errors of the kind that both know', async () => {
    const result = await run(
      copies,
      `const failing = two.exporter.createExporter({ name: 'failing', export: () => new Promise(() => {}), timeoutMillis: 1 });
       const reader = new one.reader.PeriodicExportingMetricReader({ exporter: failing });
       const provider = new one.provider.MeterProvider({ readers: [reader] });
       provider.getMeter('m').createCounter('c').add(1);
       const alive = setInterval(() => {}, 1_000);
       const error = await reader.forceFlush().catch((error) => error);
       clearInterval(alive);
       done([error.code, error instanceof one.index.TimeoutError, error instanceof two.index.TimeoutError]);`,
    );
    expect(result).toEqual(['TIMEOUT', true, true]);
  });
});
