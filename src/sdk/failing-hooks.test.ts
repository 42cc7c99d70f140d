// Processors, callbacks and exporters of the user that fail cost what they are for, and nothing beside it.
import { describe, expect, test } from 'vitest';
import { captureLogs, metricsOf, pointsOf } from '../../test/support/collected.ts';
import { AggregationType } from '../data/aggregation-option.ts';
import { type ExportResult, ExportResultCode } from '../data/exporter.ts';
import { AggregationTemporality, type Histogram, type ResourceMetrics } from '../data/metric-data.ts';
import { MeterProvider } from './meter-provider.ts';
import { ManualMetricReader } from './readers/manual-metric-reader.ts';
import { PeriodicExportingMetricReader } from './readers/periodic-exporting-metric-reader.ts';

const throws = {
  process() {
    throw new Error('mine');
  },
};

describe('hooks that fail', () => {
  const logs = captureLogs();

  test('a processor that throws costs the attributes of its own View, for calls and bound series alike', async () => {
    const reader = new ManualMetricReader();
    const identity = { process: (incoming: object) => ({ ...incoming }) };
    const provider = new MeterProvider({
      readers: [reader],
      views: [
        { instrumentName: 'c', name: 'failing', attributesProcessors: [throws] },
        { instrumentName: 'c', name: 'fine', attributesProcessors: [identity] },
      ],
    });
    const counter = provider.getMeter('m').createCounter('c');
    counter.add(1, { a: 1 });
    counter.bind({ a: 1 }).add(2);
    counter.remove({ a: 2 });
    const metrics = await metricsOf(reader);
    expect(
      metrics.map(({ dataPoints }) => dataPoints.map(({ attributes, value }) => [attributes, value])),
    ).toEqual([[[{}, 3]], [[{ a: 1 }, 3]]]);
    expect(logs).toEqual([expect.stringContaining('an attributes processor of a View failed')]);
  });

  test.each<[string, () => unknown]>([
    ['nothing', () => undefined],
    ['a text', () => 'abc'],
    ['a promise', async () => ({ a: 1 })],
    ['a promise that fails', () => Promise.reject(new Error('mine'))],
  ])(
    'a processor that gives %s is told, and the measurement counts without attributes',
    async (_, process) => {
      const reader = new ManualMetricReader();
      const provider = new MeterProvider({
        readers: [reader],
        views: [{ attributesProcessors: [{ process: process as () => object as never }] }],
      });
      provider.getMeter('m').createCounter('c').add(1, { a: 1 });
      expect(await pointsOf(reader)).toEqual([[{}, 1]]);
      expect(logs).toEqual([expect.stringContaining('an attributes processor of a View failed')]);
      // A rejection that nobody handles fails the run.
      await new Promise((resolve) => setImmediate(resolve));
    },
  );

  test.each([AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA])(
    'what a failed round observed does not count in a distribution (temporality %s)',
    async (temporality) => {
      const reader = new ManualMetricReader({ aggregationTemporalitySelector: () => temporality });
      const aggregation = { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM } as const;
      const provider = new MeterProvider({ readers: [reader], views: [{ aggregation }] });
      let isBroken = true;
      provider
        .getMeter('m')
        .createObservableGauge('g')
        .addCallback((result) => {
          result.observe(5);
          if (isBroken) throw new Error('mine');
        });
      expect(await pointsOf(reader)).toEqual([]);
      expect(await pointsOf(reader)).toEqual([]);
      isBroken = false;
      const [[, value]] = (await pointsOf(reader)) as [[unknown, Histogram]];
      expect(value.count).toBe(1);
    },
  );

  test('an export that succeeds while it is told to stop is not sent again', async () => {
    const received: unknown[] = [];
    const exporter = {
      selectAggregationTemporality: () => AggregationTemporality.DELTA,
      export(
        metrics: ResourceMetrics,
        done: (result: ExportResult) => void,
        { signal }: { signal?: AbortSignal } = {},
      ) {
        received.push(metrics.scopeMetrics[0]!.metrics[0]!.dataPoints[0]!.value);
        signal!.addEventListener('abort', () => done({ code: ExportResultCode.SUCCESS }));
      },
      forceFlush: async () => {},
      shutdown: async () => {},
    };
    const reader = new PeriodicExportingMetricReader({ exporter, exportTimeoutMillis: 20 });
    const counter = new MeterProvider({ readers: [reader] }).getMeter('m').createCounter('c');
    counter.add(5);
    await expect(reader.forceFlush()).rejects.toMatchObject({ code: 'TIMEOUT' });
    counter.add(1);
    await expect(reader.forceFlush()).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(received).toEqual([5, 1]);
  });
});
