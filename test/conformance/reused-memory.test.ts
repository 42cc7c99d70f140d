// The periodic reader collects into the memory of what has been delivered, where the exporter says that it lets go of it.
import { expect, test, vi } from 'vitest';
import { ExportError } from '../../src/data/errors.ts';
import {
  createExporter,
  type ExporterDefinition,
  type PushMetricExporter,
  releasesBatches,
} from '../../src/data/exporter.ts';
import type { MetricBatch } from '../../src/data/metric-batch.ts';
import { AggregationTemporality } from '../../src/data/metric-data.ts';
import { diskQueue, fallback, filter, logging, multi, retry, timeout } from '../../src/decorators/index.ts';
import { otlpHttp } from '../../src/exporters/otlp-http.ts';
import { remoteWrite } from '../../src/exporters/remote-write.ts';
import { MeterProvider } from '../../src/sdk/meter-provider.ts';
import { PeriodicExportingMetricReader } from '../../src/sdk/readers/periodic-exporting-metric-reader.ts';

type Export = ExporterDefinition['export'];

function service(definition: Partial<ExporterDefinition>, answer: Export = async () => {}) {
  const batches: MetricBatch[] = [];
  const exporter = createExporter({
    name: 'test',
    selectAggregationTemporality: () => AggregationTemporality.DELTA,
    ...definition,
    export: (batch, options) => {
      batches.push(batch);
      return answer(batch, options);
    },
  });
  const reader = new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: Number.POSITIVE_INFINITY,
    exportTimeoutMillis: 50,
    selfMetrics: false,
  });
  const counter = new MeterProvider({ readers: [reader] }).getMeter('test').createCounter('c');
  return {
    batches,
    async exported(value: number) {
      for (let id = 0; id < 100; id++) counter.add(value, { id });
      await reader.forceFlush().catch(() => {});
      return bufferOf(batches.at(-1)!);
    },
  };
}

const metricOf = (batch: MetricBatch) => batch.scopeMetrics[0]!.metrics[0]!;

function bufferOf(batch: MetricBatch) {
  const metric = metricOf(batch);
  if (!('values' in metric)) throw new Error('a counter has values');
  return metric.values.buffer;
}

const valuesOf = (batch: MetricBatch) => metricOf(batch).dataPoints.map(({ value }) => value);

test('after a delivery to an exporter that lets go of batches', async () => {
  const { exported } = service({ releasesBatches: true });
  const first = await exported(1);
  expect(await exported(2)).toBe(first);
});

test('not for an exporter that says nothing: it may keep batches', async () => {
  const { exported, batches } = service({});
  for (const value of [1, 2, 3]) await exported(value);
  expect(batches.map((batch) => valuesOf(batch)[99])).toEqual([1, 2, 3]);
});

test('not after a failure: what is owed goes with the next export', async () => {
  const { exported, batches } = service({ releasesBatches: true }, async () => {
    if (batches.length === 2) throw new ExportError('UNAVAILABLE', 'once', { retryable: true });
  });
  await exported(1);
  const failed = await exported(2);
  expect(await exported(4)).not.toBe(failed);
  expect(valuesOf(batches.at(-1)!)).toEqual(Array(100).fill(6));
  await exported(8);
  expect(valuesOf(batches.at(-1)!)).toEqual(Array(100).fill(8));
});

test('not while an export that was given up on may still read it', async () => {
  let release = () => {};
  const { exported, batches } = service({ releasesBatches: true, timeoutMillis: 0 }, () =>
    batches.length === 1 ? new Promise<void>((resolve) => (release = resolve)) : Promise.resolve(),
  );
  const slow = await exported(1);
  release();
  expect(await exported(2)).not.toBe(slow);
  expect(metricOf(batches[0]!).length).toBe(100);
});

test('decorators say it of what they wrap, unless they keep batches themselves', () => {
  const lets = () => otlpHttp({ url: 'http://localhost/' });
  const keeps = () => createExporter({ name: 'keeps', export: async () => {} });
  for (const exporter of [
    lets(),
    retry(lets()),
    logging(lets()),
    timeout(retry(lets()), 10),
    filter(lets(), { exclude: { name: 'x' } }),
  ]) {
    expect(releasesBatches(exporter)).toBe(true);
  }
  const others = [
    keeps(),
    retry(keeps()),
    logging(keeps()),
    multi([lets(), lets()]),
    fallback(lets(), lets()),
    diskQueue(lets(), { dir: '/nonexistent' }),
  ];
  for (const exporter of others) expect(releasesBatches(exporter)).toBe(false);
});

test('remoteWrite, which remembers series, remembers nothing else of a batch', () => {
  expect(releasesBatches(remoteWrite({ url: 'http://localhost/' }))).toBe(true);
});

test('not for what somebody puts around the export of one that lets go of batches', () => {
  const lets = () => otlpHttp({ url: 'http://localhost/' });
  const keep = (exporter: PushMetricExporter): PushMetricExporter['export'] => exporter.export.bind(exporter);
  expect(releasesBatches({ ...lets(), export: keep(lets()) })).toBe(false);
  expect(releasesBatches(Object.assign(lets(), { export: keep(lets()) }))).toBe(false);
  expect(releasesBatches(retry({ ...lets(), export: keep(lets()) }))).toBe(false);
  const spied = lets();
  vi.spyOn(spied, 'export');
  expect(releasesBatches(spied)).toBe(false);
});
