// Providers, readers, exporters, Views and resources of either maker, in every combination.
import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mock, test } from 'node:test';
import { metrics } from '@opentelemetry/api';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { detectResources, resourceFromAttributes as theirResource } from '@opentelemetry/resources';
import * as theirs from '@opentelemetry/sdk-metrics';
import * as ours from 'meterline';
import { createExporter } from 'meterline/decorators';
import { jsonFile } from 'meterline/json-file';
import { PrometheusMetricReader } from 'meterline/prometheus';
import { assertRecorded, record } from './support/collected.js';

const VIEWS = [
  {
    instrumentName: 'exponential',
    aggregation: { type: theirs.AggregationType.EXPONENTIAL_HISTOGRAM } as const,
  },
];

/** What an application passes to either; each call has objects of the other maker among its options. */
const resource = () => theirResource({ 'service.name': 'compat' });
const ourResource = () => ours.resourceFromAttributes({ 'service.name': 'compat' });
const ourProvider = (...readers: theirs.IMetricReader[]) =>
  new ours.MeterProvider({ resource: resource(), views: VIEWS, readers });
const theirProvider = (...readers: ours.IMetricReader[]) =>
  new theirs.MeterProvider({ resource: ourResource(), views: VIEWS, readers });

const PROVIDERS = { 'our provider': ourProvider, 'their provider': theirProvider };

const READERS = {
  'our periodic reader': (exporter: theirs.PushMetricExporter) =>
    new ours.PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 60_000 }),
  'their periodic reader': (exporter: ours.PushMetricExporter) =>
    new theirs.PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 60_000 }),
};

const { CUMULATIVE, DELTA } = ours.AggregationTemporality;

for (const [providerName, provider] of Object.entries(PROVIDERS)) {
  for (const [readerName, reader] of Object.entries(READERS)) {
    const way = `${providerName}, ${readerName}`;

    for (const [maker, InMemory] of [
      ['our', ours.InMemoryMetricExporter],
      ['their', theirs.InMemoryMetricExporter],
    ] as const) {
      test(`${way}, ${maker} in-memory exporter`, async () => {
        const exporter = new InMemory(CUMULATIVE);
        const running = provider(reader(exporter));
        record(running.getMeter('shop', '1.2.3'));
        await running.forceFlush();
        assertRecorded(exporter.getMetrics()[0]!);
        await running.shutdown();
        equal(exporter.getMetrics().length, 2);
        exporter.reset();
        deepEqual(exporter.getMetrics(), []);
      });

      test(`${way}, ${maker} in-memory exporter with deltas`, async () => {
        const exporter = new InMemory(DELTA);
        const running = provider(reader(exporter));
        const counter = running.getMeter('shop').createCounter('requests');
        for (const value of [2, 3]) {
          counter.add(value);
          await running.forceFlush();
        }
        const [first, second] = exporter.getMetrics().map(({ scopeMetrics }) => scopeMetrics[0]!.metrics[0]!);
        for (const metric of [first!, second!]) equal(metric.aggregationTemporality, DELTA);
        deepEqual(
          [first, second].map((metric) => metric!.dataPoints[0]!.value),
          [2, 3],
        );
        deepEqual(second!.dataPoints[0]!.startTime, first!.dataPoints[0]!.endTime);
        await running.shutdown();
      });
    }

    for (const [maker, Console] of [
      ['our', ours.ConsoleMetricExporter],
      ['their', theirs.ConsoleMetricExporter],
    ] as const) {
      test(`${way}, ${maker} console exporter`, async () => {
        const dir = mock.method(console, 'dir', () => {});
        try {
          const running = provider(reader(new Console()));
          record(running.getMeter('shop', '1.2.3'));
          await running.forceFlush();
          const printed = dir.mock.calls.map((call) => call.arguments[0].descriptor.name);
          deepEqual(printed.sort(), ['exponential', 'level', 'observed', 'open', 'requests', 'size']);
          deepEqual(Object.keys(dir.mock.calls[0]!.arguments[0]), [
            'descriptor',
            'dataPointType',
            'dataPoints',
          ]);
          await running.shutdown();
        } finally {
          dir.mock.restore();
        }
      });
    }

    test(`${way}, our JSON file`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'meterline-compat-'));
      try {
        const path = join(folder, 'metrics.jsonl');
        const running = provider(reader(jsonFile({ path })));
        record(running.getMeter('shop', '1.2.3'));
        await running.forceFlush();
        const lines = readFileSync(path, 'utf8')
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line));
        deepEqual(
          lines.filter((line) => line.metric_name === 'requests').map((line) => line.value),
          [2, 3],
        );
        equal(lines.length, 7);
        await running.shutdown();
      } finally {
        rmSync(folder, { recursive: true });
      }
    });

    test(`${way}, an exporter of one's own`, async () => {
      const batches: ours.MetricBatch[] = [];
      const exporter = createExporter({ name: 'own', export: async (batch) => void batches.push(batch) });
      const running = provider(reader(exporter));
      record(running.getMeter('shop', '1.2.3'));
      await running.forceFlush();
      assertRecorded(batches[0]!);
      equal(batches[0]!.pointCount, 7);
      await running.shutdown();
    });
  }

  test(`${providerName}, our manual reader`, async () => {
    const reader = new ours.ManualMetricReader();
    const running = provider(reader);
    record(running.getMeter('shop', '1.2.3'));
    const { resourceMetrics, errors } = await reader.collect();
    deepEqual(errors, []);
    assertRecorded(resourceMetrics);
    await running.shutdown();
  });

  test(`${providerName}, our Prometheus reader`, async () => {
    const reader = new PrometheusMetricReader();
    const running = provider(reader);
    record(running.getMeter('shop', '1.2.3'));
    const server = createServer(reader.handler).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    match(text, /^requests_total\{.*method="GET".*\} 2$/m);
    match(text, /^size_bytes_bucket\{.*le="10".*\} 1$/m);
    server.closeAllConnections();
    server.close();
    await running.shutdown();
  });

  test(`${providerName}, their Prometheus reader`, async () => {
    const reader = new PrometheusExporter({ host: '127.0.0.1', port: 0, preventServerStart: true });
    const running = provider(reader);
    record(running.getMeter('shop', '1.2.3'));
    const server = createServer((request, response) => reader.getMetricsRequestHandler(request, response));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    match(text, /^requests_total\{.*method="GET".*\} 2$/m);
    match(text, /^size(_bytes)?_bucket\{.*le="10".*\} 1$/m);
    server.closeAllConnections();
    server.close();
    await running.shutdown();
  });

  test(`${providerName}, readers of both at once`, async () => {
    const [first, second] = [
      new ours.InMemoryMetricExporter(CUMULATIVE),
      new theirs.InMemoryMetricExporter(CUMULATIVE),
    ];
    const running = provider(...Object.values(READERS).map((reader, i) => reader(i === 0 ? first : second)));
    record(running.getMeter('shop', '1.2.3'));
    await running.forceFlush();
    assertRecorded(first.getMetrics()[0]!);
    assertRecorded(second.getMetrics()[0]!);
    await running.shutdown();
  });
}

test('their reader, extended by an application, works in our provider after a change of the import', async () => {
  class Collecting extends ours.MetricReader {
    flushes = 0;
    protected override async onForceFlush(): Promise<void> {
      this.flushes++;
    }
    protected override async onShutdown(): Promise<void> {}
  }
  const reader = new Collecting({ aggregationTemporalitySelector: () => DELTA });
  const running = ourProvider(reader);
  record(running.getMeter('shop', '1.2.3'));
  await running.forceFlush();
  equal(reader.flushes, 1);
  assertRecorded((await reader.collect()).resourceMetrics);
  await running.shutdown();
});

test('attributes processors of either maker filter in the Views of the other', async () => {
  const attributesProcessors = {
    ours: [ours.createAllowListAttributesProcessor(['a'])],
    theirs: [theirs.createDenyListAttributesProcessor(['b'])],
  };
  for (const Provider of [ours.MeterProvider, theirs.MeterProvider]) {
    for (const processors of Object.values(attributesProcessors)) {
      const reader = new ours.ManualMetricReader();
      const running = new Provider({
        readers: [reader],
        views: [{ instrumentName: 'c', attributesProcessors: processors }],
      });
      running.getMeter('m').createCounter('c').add(1, { a: 1, b: 2 });
      const { resourceMetrics } = await reader.collect();
      deepEqual({ ...resourceMetrics.scopeMetrics[0]!.metrics[0]!.dataPoints[0]!.attributes }, { a: 1 });
      await running.shutdown();
    }
  }
});

test('resources of either maker merge, the one merged in wins, and what is detected later is awaited', async () => {
  const names = ['theirs', 'ours'] as const;
  const theirsFirst = theirResource({ 'service.name': names[0] }).merge(
    ours.resourceFromAttributes({ 'service.name': names[1] }),
  );
  equal(theirsFirst.attributes['service.name'], 'ours');
  const detected = { attributes: { 'host.name': Promise.resolve('found') } };
  const oursFirst = ours
    .resourceFromAttributes({ 'service.name': names[1], 'host.name': 'unknown' })
    .merge(theirResource({ 'service.name': names[0] }))
    .merge(detectResources({ detectors: [{ detect: () => detected }] }));
  const reader = new ours.ManualMetricReader();
  const running = new ours.MeterProvider({ resource: oursFirst, readers: [reader] });
  deepEqual((await reader.collect()).resourceMetrics.resource.attributes, {
    'service.name': 'theirs',
    'host.name': 'found',
  });
  await running.shutdown();
});

test('our provider serves all that asks the API for a meter', async () => {
  const reader = new ours.ManualMetricReader();
  const running = ourProvider(reader);
  ok(metrics.setGlobalMeterProvider(running));
  try {
    record(metrics.getMeter('shop', '1.2.3'));
    assertRecorded((await reader.collect()).resourceMetrics);
  } finally {
    metrics.disable();
    await running.shutdown();
  }
});

test('a timeout of the caller is an error of the official name', async () => {
  class Stuck extends ours.MetricReader {
    protected override onForceFlush(): Promise<void> {
      return new Promise(() => {});
    }
    protected override async onShutdown(): Promise<void> {}
  }
  const reader = new Stuck();
  // What waits is not to be kept waiting for by the test runner.
  const alive = setInterval(() => {}, 1_000);
  const isTimeout = (error: unknown) => error instanceof ours.TimeoutError && error.code === 'TIMEOUT';
  await rejects(reader.forceFlush({ timeoutMillis: 1 }), isTimeout);
  clearInterval(alive);
  ok(new ours.TimeoutError('late') instanceof Error);
  ok(!(new Error('late') instanceof ours.TimeoutError));
});
