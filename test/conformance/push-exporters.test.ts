// Group 6: the contract of push exporters. Proven elsewhere:
//   src/data/exporter.test.ts                                 6.03 6.04 6.08 6.09
//   src/sdk/readers/periodic-exporting-metric-reader.test.ts  6.05 (as 5.11)
//   src/encoding/prometheus-text.test.ts                      6.07 (as 8.15)
import { mkdtempSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Context,
  type ContextManager,
  context,
  ROOT_CONTEXT,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import type { PushMetricExporter as OfficialPushMetricExporter } from '@opentelemetry/sdk-metrics';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  createExporter,
  type ExporterDefinition,
  type ExportResult,
  ExportResultCode,
  type PushMetricExporter,
} from '../../src/data/exporter.ts';
import { MetricBatch } from '../../src/data/metric-batch.ts';
import { AggregationTemporality, InstrumentType, type ResourceMetrics } from '../../src/data/metric-data.ts';
import { resourceFromAttributes } from '../../src/data/resource.ts';
import { toBatch } from '../../src/data/to-batch.ts';
import { everyKind } from '../../src/encoding/fixtures/every-kind.ts';
import { jsonFile } from '../../src/exporters/json-file.ts';
import { MeterProvider } from '../../src/sdk/meter-provider.ts';
import { PeriodicExportingMetricReader } from '../../src/sdk/readers/periodic-exporting-metric-reader.ts';
import { captureLogs } from '../support/collected.ts';

/** The package that tells instrumentations to be quiet, as the official SDK has it. */
const { isTracingSuppressed } = createRequire(import.meta.resolve('@opentelemetry/sdk-metrics'))(
  '@opentelemetry/core',
) as { isTracingSuppressed(context: Context): boolean };

const SUCCESS = { code: ExportResultCode.SUCCESS };
const EMPTY = new MetricBatch(resourceFromAttributes({}), []);
const SPAN = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };

function send(exporter: PushMetricExporter, metrics: ResourceMetrics = EMPTY): Promise<ExportResult> {
  return new Promise((resolve) => exporter.export(metrics, resolve));
}

/** A manager that follows synchronous code. */
function synchronousContexts(): ContextManager {
  let current: Context = ROOT_CONTEXT;
  const manager: ContextManager = {
    active: () => current,
    with(next, run, that, ...args) {
      const before = current;
      current = next;
      try {
        return run.call(that as never, ...args);
      } finally {
        current = before;
      }
    },
    bind: (_, target) => target,
    enable: () => manager,
    disable: () => manager,
  };
  return manager;
}

describe('push exporters', () => {
  const logs = captureLogs();
  afterEach(() => {
    vi.useRealTimers();
    context.disable();
  });

  test('[6.01] whoever implements OpenTelemetry’s interface is an exporter, and ours are theirs', async () => {
    const seen: unknown[] = [];
    const own: PushMetricExporter = {
      export(metrics, done) {
        seen.push(metrics.scopeMetrics[0]!.metrics[0]!.descriptor.name);
        done(SUCCESS);
      },
      forceFlush: async () => void seen.push('flush'),
      shutdown: async () => void seen.push('shutdown'),
      selectAggregationTemporality: (type) =>
        type === InstrumentType.COUNTER ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE,
    };
    const theirs: OfficialPushMetricExporter = own;
    const reader = new PeriodicExportingMetricReader({ exporter: theirs, selfMetrics: false });
    const provider = new MeterProvider({ readers: [reader] });
    provider.getMeter('m').createCounter('c').add(1);
    await provider.forceFlush();
    await provider.shutdown();
    expect(seen).toEqual(['c', 'flush', 'shutdown']);
  });

  test('[6.02] a batch tells resource, scope, metric and points, with their exemplars', async () => {
    let batch: ResourceMetrics | undefined;
    const exporter = createExporter({
      name: 'test',
      export: async (metrics) => {
        batch = metrics;
      },
    });
    const provider = new MeterProvider({
      readers: [new PeriodicExportingMetricReader({ exporter, selfMetrics: false })],
      resource: resourceFromAttributes({ 'service.name': 'orders' }, { schemaUrl: 'https://resource' }),
    });
    const meter = provider.getMeter('m', '1', { schemaUrl: 'https://scope', attributes: { team: 'a' } });
    const sampled = trace.setSpanContext(ROOT_CONTEXT, { ...SPAN, traceFlags: TraceFlags.SAMPLED });
    meter.createCounter('c', { unit: 's', description: 'time' }).add(2, { a: 1 }, sampled);
    await provider.forceFlush();
    const time = [expect.any(Number), expect.any(Number)];
    expect(batch).toMatchObject({
      resource: { attributes: { 'service.name': 'orders' }, schemaUrl: 'https://resource' },
      scopeMetrics: [
        {
          scope: { name: 'm', version: '1', schemaUrl: 'https://scope', attributes: { team: 'a' } },
          metrics: [
            {
              descriptor: { name: 'c', unit: 's', description: 'time' },
              aggregationTemporality: AggregationTemporality.CUMULATIVE,
              isMonotonic: true,
              dataPoints: [
                {
                  attributes: { a: 1 },
                  value: 2,
                  startTime: time,
                  endTime: time,
                  exemplars: [{ ...SPAN, value: 2, timestamp: time, filteredAttributes: {} }],
                },
              ],
            },
          ],
        },
      ],
    });
  });

  test.each<[string, Partial<ExporterDefinition>]>([
    [
      'throws at once',
      {
        export: () => {
          throw new Error('serializer');
        },
      },
    ],
    ['rejects', { export: () => Promise.reject(new Error('serializer')) }],
    ['rejects with nothing', { export: () => Promise.reject() }],
    [
      'fails after its time',
      { export: () => new Promise((_, fail) => setTimeout(fail, 20)), timeoutMillis: 5 },
    ],
  ])('[6.03] an exporter that %s is one failure', async (_, definition) => {
    const exporter = createExporter({ name: 'test', export: async () => {}, ...definition });
    const done = vi.fn();
    exporter.export(EMPTY, done);
    await exporter.forceFlush();
    await new Promise(setImmediate);
    expect(done).toHaveBeenCalledTimes(1);
    expect(done).toHaveBeenCalledWith({ code: ExportResultCode.FAILED, error: expect.any(Error) });
  });

  test('[6.05] an exporter that is called twice at once all the same delivers both', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'meterline-')), 'metrics.jsonl');
    const exporter = jsonFile({ path });
    const results = await Promise.all([send(exporter, everyKind()), send(exporter, everyKind())]);
    await exporter.shutdown();
    expect(results).toEqual([SUCCESS, SUCCESS]);
    const lines = readFileSync(path, 'utf8').trim().split('\n');
    expect(lines.slice(0, lines.length / 2)).toEqual(lines.slice(lines.length / 2));
    for (const line of lines) JSON.parse(line);
  });

  test('[6.06] the reader calls an exporter once for a batch, and again only with the next collection', async () => {
    vi.useFakeTimers();
    const answer = vi.fn<PushMetricExporter['export']>((_, done) =>
      done({ code: ExportResultCode.FAILED, error: new Error('down') }),
    );
    const exporter = { export: answer, forceFlush: async () => {}, shutdown: async () => {} };
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1_000 });
    new MeterProvider({ readers: [reader] }).getMeter('m').createCounter('c').add(1);
    for (const calls of [1, 2, 3]) {
      await vi.advanceTimersByTimeAsync(1_000);
      expect(answer).toHaveBeenCalledTimes(calls);
    }
    expect(logs).toHaveLength(1);
  });

  test('[6.08] a flush that takes too long ends with an error', async () => {
    vi.useFakeTimers();
    const exporter = createExporter({
      name: 'test',
      export: async () => {},
      forceFlush: () => new Promise(() => {}),
      timeoutMillis: 100,
    });
    const flushed = expect(exporter.forceFlush()).rejects.toMatchObject({ code: 'TIMEOUT' });
    await vi.advanceTimersByTimeAsync(100);
    await flushed;
  });

  test('[6.09] an export after shutdown fails without touching the destination', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'meterline-')), 'metrics.jsonl');
    const exporter = jsonFile({ path });
    await send(exporter, everyKind());
    await exporter.shutdown();
    const before = readFileSync(path, 'utf8');
    expect(await send(exporter, everyKind())).toMatchObject({ error: { code: 'SHUTDOWN' } });
    expect(readFileSync(path, 'utf8')).toBe(before);
  });

  describe('[6.10] forceFlush and shutdown at once', () => {
    beforeEach(() => void vi.useFakeTimers());

    test('wait for the export under way, then shut down once', async () => {
      const order: string[] = [];
      const exporter = createExporter({
        name: 'test',
        export: async () => {
          await new Promise((resolve) => setTimeout(resolve, 50));
          order.push('export');
        },
        forceFlush: async () => void order.push('flush'),
        shutdown: async () => void order.push('shutdown'),
      });
      const sent = send(exporter);
      const calls = [exporter.forceFlush(), exporter.shutdown(), exporter.forceFlush(), exporter.shutdown()];
      const late = send(exporter);
      await vi.advanceTimersByTimeAsync(50);
      await Promise.all(calls);
      expect(await sent).toEqual(SUCCESS);
      expect(await late).toMatchObject({ error: { code: 'SHUTDOWN' } });
      expect(order[0]).toBe('export');
      expect(order.filter((it) => it === 'shutdown')).toHaveLength(1);
    });
  });

  test('[6.11] an exporter changes nothing in the batch it is given', async () => {
    const freeze = <T>(value: T): T => {
      // Typed arrays cannot be frozen.
      if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) {
        Object.freeze(value);
        for (const key of Object.keys(value)) freeze(value[key as keyof T]);
      }
      return value;
    };
    const batch = toBatch(everyKind());
    const plain = JSON.parse(JSON.stringify(batch.scopeMetrics.map(({ scope }) => scope)));
    const before = JSON.stringify(
      batch.scopeMetrics.map(({ metrics }) => metrics.map((it) => it.dataPoints)),
    );
    const exporter = jsonFile({ path: join(mkdtempSync(join(tmpdir(), 'meterline-')), 'metrics.jsonl') });
    expect(await send(exporter, freeze(batch))).toEqual(SUCCESS);
    expect(await send(exporter, batch)).toEqual(SUCCESS);
    await exporter.shutdown();
    const after = JSON.stringify(batch.scopeMetrics.map(({ metrics }) => metrics.map((it) => it.dataPoints)));
    expect(after).toBe(before);
    expect(batch.scopeMetrics.map(({ scope }) => scope)).toEqual(plain);
  });

  test('[6.12] exporting makes no spans of its own requests, in whatever span it is flushed', async () => {
    context.setGlobalContextManager(synchronousContexts());
    const suppressed: boolean[] = [];
    const exporter: PushMetricExporter = {
      export(_, done) {
        suppressed.push(isTracingSuppressed(context.active()));
        done(SUCCESS);
      },
      forceFlush: async () => {},
      shutdown: async () => {},
    };
    const reader = new PeriodicExportingMetricReader({ exporter, selfMetrics: false });
    new MeterProvider({ readers: [reader] }).getMeter('m').createCounter('c').add(1);
    await reader.forceFlush();
    expect(suppressed).toEqual([true]);
    expect(isTracingSuppressed(context.active())).toBe(false);
  });
});
