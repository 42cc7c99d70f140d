// Meterline in the place of `@opentelemetry/sdk-metrics`; test/compat compares the types and runs both together.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { JsonMetricsSerializer, ProtobufMetricsSerializer } from '@opentelemetry/otlp-transformer';
import * as theirs from '@opentelemetry/sdk-metrics';
import { describe, expect, test, vi } from 'vitest';
import { everyKind } from '../src/encoding/fixtures/every-kind.ts';
import * as ours from '../src/index.ts';
import { DataPointType, TimeoutError } from '../src/index.ts';
import { exportedNames } from './compat/suite/support/exported-names.ts';
import { decodeRequest, parseRequest } from './support/otlp.ts';

const sourceOf = (url: string) => readFileSync(fileURLToPath(url), 'utf8');
const official = exportedNames(
  sourceOf(import.meta.resolve('@opentelemetry/sdk-metrics').replace(/\.js$/, '.d.ts')),
);

test('every name of the official package is exported, types included', () => {
  expect(official.length).toBeGreaterThan(30);
  const source = sourceOf(new URL('../src/index.ts', import.meta.url).href);
  expect(exportedNames(source)).toEqual(expect.arrayContaining(official));
});

test('enums have the members and values of the official ones', () => {
  const enums = Object.entries(theirs).filter(([, value]) => typeof value === 'object');
  for (const [name, value] of enums.filter(([name]) => official.includes(name)))
    expect(ours, name).toHaveProperty(name, value);
  expect(Object.keys(DataPointType)).toHaveLength(8);
});

describe('a batch with summaries, which the official data model does not have', () => {
  const batch = everyKind();
  const others = { ...batch, scopeMetrics: batch.scopeMetrics.slice(0, 1) } as theirs.ResourceMetrics;
  const isWithoutData = expect.not.objectContaining({ summary: expect.anything() });

  test.each([
    [
      'protobuf',
      (given: theirs.ResourceMetrics) => decodeRequest(ProtobufMetricsSerializer.serializeRequest(given)!),
    ],
    [
      'JSON',
      (given: theirs.ResourceMetrics) =>
        parseRequest(Buffer.from(JsonMetricsSerializer.serializeRequest(given)!).toString()),
    ],
  ])('is serialized by the official exporters in %s, with the summary a mere name', (_, serialized) => {
    const [{ scopeMetrics } = expect.fail()] = serialized(batch).resourceMetrics;
    expect(scopeMetrics[0]).toEqual(serialized(others).resourceMetrics[0]!.scopeMetrics[0]);
    expect(scopeMetrics[1]!.metrics.map(({ name }) => name)).toEqual([
      'http_server_active_requests',
      'temperature',
      'gc_duration_seconds',
    ]);
    expect(scopeMetrics[1]!.metrics[2]).toEqual(isWithoutData);
  });

  test('is shown by the official Prometheus exporter without them', () => {
    const text = new PrometheusSerializer().serialize(batch);
    expect(text).toContain('temperature{');
    expect(text).not.toContain('quantile');
  });

  test('is printed by the official console exporter, and kept by the one in memory', async () => {
    const dir = vi.spyOn(console, 'dir').mockReturnValue();
    const inMemory = new theirs.InMemoryMetricExporter(theirs.AggregationTemporality.CUMULATIVE);
    for (const exporter of [new theirs.ConsoleMetricExporter(), inMemory]) {
      const result = await new Promise((resolve) => exporter.export(batch, resolve));
      expect(result).toEqual({ code: ours.ExportResultCode.SUCCESS });
    }
    expect(dir.mock.calls.at(-1)![0].dataPoints[0].value).toMatchObject({ count: 3, sum: 1.75 });
    expect(inMemory.getMetrics()).toEqual([batch]);
    dir.mockRestore();
  });

  test('has numbers for kinds that the official enum has not', () => {
    expect(theirs.DataPointType[ours.SUMMARY]).toBeUndefined();
  });
});

test('every ExportError with the code TIMEOUT is a TimeoutError, of another copy of the package too', () => {
  const foreign = Object.assign(new Error('late'), { name: 'ExportError', code: 'TIMEOUT' });
  expect(new ours.ExportError('TIMEOUT', 'late')).toBeInstanceOf(TimeoutError);
  expect(foreign).toBeInstanceOf(TimeoutError);
  expect(new TimeoutError('late')).toMatchObject({ name: 'ExportError', code: 'TIMEOUT', retryable: true });
  for (const other of [new ours.ExportError('IO', 'full'), new Error('late'), undefined, null, 'TIMEOUT'])
    expect(other instanceof TimeoutError).toBe(false);
});

test('what a caller waits for too long rejects with a TimeoutError', async () => {
  const provider = new ours.MeterProvider({
    readers: [
      new (class extends ours.ManualMetricReader {
        protected override onForceFlush = () => new Promise<void>(() => {});
      })(),
    ],
  });
  const error = await provider.forceFlush({ timeoutMillis: 1 }).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(TimeoutError);
});
