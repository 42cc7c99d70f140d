import type { Attributes } from '@opentelemetry/api';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { ExportError } from '../data/errors.ts';
import { createExporter, ExportResultCode, type PushMetricExporter } from '../data/exporter.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { AggregationTemporality, type Histogram } from '../data/metric-data.ts';
import type { IMetricReader } from '../data/reader.ts';
import { sliceBatch } from '../data/slice-batch.ts';
import { toBatch } from '../data/to-batch.ts';
import { InMemoryMetricExporter } from '../exporters/in-memory.ts';
import { PrometheusMetricReader } from '../exporters/prometheus.ts';
import { MeterProvider, type MeterProviderOptions } from './meter-provider.ts';
import { ManualMetricReader } from './readers/manual-metric-reader.ts';
import { PeriodicExportingMetricReader } from './readers/periodic-exporting-metric-reader.ts';
import { SELF_SCOPE } from './self-metrics.ts';

const COLLECTION = 'otel.sdk.metric_reader.collection.duration';
const IN_FLIGHT = 'otel.sdk.exporter.metric_data_point.inflight';
const EXPORTED = 'otel.sdk.exporter.metric_data_point.exported';
const OPERATION = 'otel.sdk.exporter.operation.duration';

/** An exporter whose exports end as the test says. */
function controlled(temporality = AggregationTemporality.CUMULATIVE) {
  const batches: MetricBatch[] = [];
  const pending: { resolve(): void; reject(error: unknown): void }[] = [];
  const exporter = createExporter({
    name: 'controlled',
    componentType: 'controlled_metric_exporter',
    export: (batch) =>
      new Promise<void>((resolve, reject) => {
        batches.push(batch);
        pending.push({ resolve, reject });
      }),
    selectAggregationTemporality: () => temporality,
  });
  return {
    exporter,
    batches,
    next: () => vi.waitUntil(() => pending.shift(), { interval: 1 }),
  };
}

const periodic = (exporter: PushMetricExporter) =>
  new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1e6, exportTimeoutMillis: 1e4 });

/** A provider with the given readers, and what a further one sees of its metrics about itself. */
function observed(readers: IMetricReader[], options: MeterProviderOptions = {}) {
  const watcher = new ManualMetricReader({ selfMetrics: true });
  const provider = new MeterProvider({ ...options, readers: [...readers, watcher] });
  onTestFinished(() => provider.shutdown({ timeoutMillis: 1 }).catch(() => {}));
  const meter = provider.getMeter('app');
  meter.createCounter('jobs').add(1);

  const metrics = async () => {
    const { resourceMetrics } = await watcher.collect();
    return resourceMetrics.scopeMetrics.find(({ scope }) => scope === SELF_SCOPE)?.metrics ?? [];
  };
  return {
    provider,
    meter,
    metrics,
    /** The points of one metric, without those about the watcher: what is left of the attributes, and the value or count. */
    async points(name: string, type = 'controlled_metric_exporter') {
      const found = (await metrics()).find(({ descriptor }) => descriptor.name === name);
      return (found?.dataPoints ?? []).flatMap(({ attributes, value }): [Attributes, number][] => {
        const { 'otel.component.name': name, 'otel.component.type': componentType, ...rest } = attributes;
        if (componentType !== type) return [];
        expect(name).toBe(`${type}/0`);
        return [[rest, typeof value === 'number' ? value : (value as Histogram).count]];
      });
    },
    async names() {
      const all = (await metrics()).flatMap(({ dataPoints }) =>
        dataPoints.map(({ attributes }) => attributes['otel.component.name']),
      );
      return [...new Set(all)].sort();
    },
  };
}

describe('self-metrics', () => {
  test('[11.10] a component says its type, or has the name of its class', async () => {
    class Shipper implements PushMetricExporter {
      export(...[, callback]: Parameters<PushMetricExporter['export']>) {
        callback({ code: ExportResultCode.SUCCESS });
      }
      async forceFlush() {}
      async shutdown() {}
    }
    const plain = createExporter({ name: 'plain(http://host)', export: async () => {} });
    const prometheus = new PrometheusMetricReader();
    const { provider, names } = observed([periodic(new Shipper()), periodic(plain), prometheus]);
    await provider.forceFlush();
    await prometheus.collect();
    expect((await names()).map((name) => String(name).split('/')[0])).toEqual([
      'Shipper',
      'custom_metric_exporter',
      'periodic_metric_reader',
      'periodic_metric_reader',
      'prometheus_http_text_metric_exporter',
    ]);
  });

  test("[11.10][11.16][12.64] the official SDK's names for the options are taken", async () => {
    const reader = new ManualMetricReader({ selfMetrics: true, otelComponentType: 'my_reader' });
    for (const [options, isOn] of [
      [{}, true],
      [{ sdkMetricsEnabled: true }, true],
      [{ sdkMetricsEnabled: false }, false],
      [{ sdkMetricsEnabled: false, selfMetrics: true }, true],
      [{ sdkMetricsEnabled: true, selfMetrics: false }, false],
    ] as const) {
      const { provider, metrics } = observed([], options);
      await metrics();
      expect((await metrics()).length > 0, JSON.stringify(options)).toBe(isOn);
      await provider.shutdown();
    }
    const { names } = observed([reader]);
    await reader.collect();
    expect(await names()).toContain('my_reader/0');
  });

  test('[11.11] [12.64] components of a type are numbered from 0 in each provider', async () => {
    for (let start = 0; start < 2; start++) {
      const exporter = () => createExporter({ name: 'x', export: async () => {} });
      const { provider, names } = observed([periodic(exporter()), periodic(exporter())]);
      await provider.forceFlush();
      expect(await names()).toEqual([
        'custom_metric_exporter/0',
        'custom_metric_exporter/1',
        'periodic_metric_reader/0',
        'periodic_metric_reader/1',
      ]);
    }
  });

  test('[11.12] points are in flight from the call of export until it has ended, also in failure', async () => {
    const { exporter, next } = controlled();
    const { provider, points } = observed([periodic(exporter)]);
    for (const end of ['resolve', 'reject'] as const) {
      const flush = provider.forceFlush().catch(() => {});
      const work = await next();
      const inFlight = await points(IN_FLIGHT);
      work[end](new Error('no'));
      await flush;
      // The second export carries this reader's metrics about the first.
      expect(inFlight).toEqual([[{}, end === 'resolve' ? 1 : expect.any(Number)]]);
      expect(inFlight[0]![1]).toBeGreaterThan(0);
      expect(await points(IN_FLIGHT)).toEqual([[{}, 0]]);
    }
  });

  test('[11.13] [11.14] a success counts its points and one operation, without error.type', async () => {
    const { exporter, next } = controlled();
    const { provider, meter, points } = observed([periodic(exporter)]);
    for (let i = 0; i < 9; i++) meter.createCounter('more').add(1, { i });
    const flush = provider.forceFlush();
    (await next()).resolve();
    await flush;
    expect(await points(EXPORTED)).toEqual([[{}, 10]]);
    expect(await points(OPERATION)).toEqual([[{}, 1]]);
  });

  test.each([
    [new ExportError('IO', 'disk full'), 'IO'],
    [Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }), 'INTERNAL'],
    [new ExportError('INTERNAL', 'all refused', { rejectedDataPoints: 10 }), 'rejected'],
  ])('[11.13] [11.14] of a failed export, all points have the cause: %s', async (error, errorType) => {
    const { exporter, next } = controlled();
    const { provider, meter, points } = observed([periodic(exporter)]);
    for (let i = 0; i < 9; i++) meter.createCounter('more').add(1, { i });
    const flush = provider.forceFlush();
    (await next()).reject(error);
    await expect(flush).rejects.toThrow();
    expect(await points(EXPORTED)).toEqual([[{ 'error.type': errorType }, 10]]);
    expect(await points(OPERATION)).toEqual([[{ 'error.type': errorType }, 1]]);
  });

  test('[11.13] [11.14] [12.44] a partial success splits the points and is not a successful operation', async () => {
    const { exporter, next } = controlled();
    const { provider, meter, points } = observed([periodic(exporter)]);
    for (let i = 0; i < 9; i++) meter.createCounter('more').add(1, { i });
    const flush = provider.forceFlush();
    (await next()).reject(new ExportError('INTERNAL', '3 refused', { rejectedDataPoints: 3 }));
    await expect(flush).rejects.toThrow();
    expect(await points(EXPORTED)).toEqual([
      [{}, 7],
      [{ 'error.type': 'rejected' }, 3],
    ]);
    expect(await points(OPERATION)).toEqual([[{ 'error.type': 'rejected' }, 1]]);
  });

  test('[7.31] points refused of a batch that was taken count as failed, and the flush succeeds', async () => {
    const refusal = new ExportError('REJECTED', '3 refused', { rejectedDataPoints: 3 });
    const exporter = createExporter({
      name: 'controlled',
      componentType: 'controlled_metric_exporter',
      export: async () => refusal,
    });
    const { provider, meter, points } = observed([periodic(exporter)]);
    for (let i = 0; i < 9; i++) meter.createCounter('more').add(1, { i });
    await provider.forceFlush();
    expect(await points(EXPORTED)).toEqual([
      [{}, 7],
      [{ 'error.type': 'rejected' }, 3],
    ]);
  });

  const foreign = (parts: object) => Object.assign(new Error('foreign'), parts);
  const partial =
    (code: 'REJECTED' | 'UNAVAILABLE', undelivered: number, rejectedDataPoints?: number) =>
    (batch: MetricBatch) =>
      new ExportError(code, 'half-way', {
        rejectedDataPoints,
        undelivered: sliceBatch(batch, 0, undelivered),
      });
  test.each<[string, (batch: MetricBatch) => unknown, [object, number][], string]>([
    [
      'points refused, others undelivered, the rest delivered',
      partial('UNAVAILABLE', 4, 3),
      [
        [{}, 3],
        [{ 'error.type': 'rejected' }, 3],
        [{ 'error.type': 'UNAVAILABLE' }, 4],
      ],
      'UNAVAILABLE',
    ],
    [
      'more refused than there are beside the undelivered',
      partial('UNAVAILABLE', 4, 1e9),
      [
        [{ 'error.type': 'rejected' }, 6],
        [{ 'error.type': 'UNAVAILABLE' }, 4],
      ],
      'UNAVAILABLE',
    ],
    ['nothing undelivered, nothing refused', partial('UNAVAILABLE', 0), [[{}, 10]], 'UNAVAILABLE'],
    ...[-5, Number.NaN, 2.5, '3', Number.POSITIVE_INFINITY, 0].map(
      (rejectedDataPoints): [string, () => unknown, [object, number][], string] => [
        `a refusal of ${rejectedDataPoints} points`,
        // As another copy of this package may have made it.
        () => foreign({ name: 'ExportError', code: 'INTERNAL', rejectedDataPoints }),
        [[{ 'error.type': 'INTERNAL' }, 10]],
        'INTERNAL',
      ],
    ),
    [
      'an error that cannot be looked at',
      () =>
        new Proxy(new Error('odd'), {
          get: () => {
            throw new Error('mine');
          },
        }),
      [[{ 'error.type': 'INTERNAL' }, 10]],
      'INTERNAL',
    ],
  ])(
    '[11.13] each point counts once, whatever an error claims: %s',
    async (_, error, exported, operation) => {
      const exporter: PushMetricExporter = {
        componentType: 'controlled_metric_exporter',
        export: (metrics, done) =>
          done({ code: ExportResultCode.FAILED, error: error(toBatch(metrics)) as Error }),
        forceFlush: async () => {},
        shutdown: async () => {},
      };
      const { provider, meter, points } = observed([periodic(exporter)]);
      for (let i = 0; i < 9; i++) meter.createCounter('more').add(1, { i });
      await provider.forceFlush().then(
        () => expect.unreachable(),
        () => {},
      );
      expect(await points(EXPORTED)).toEqual(exported);
      expect(await points(OPERATION)).toEqual([[{ 'error.type': operation }, 1]]);
    },
  );

  test('[11.13] what a receiver says that took everything is no failure', async () => {
    const exporter: PushMetricExporter = {
      componentType: 'controlled_metric_exporter',
      export: (_, done) =>
        done({ code: ExportResultCode.SUCCESS, error: new ExportError('REJECTED', 'use another unit') }),
      forceFlush: async () => {},
      shutdown: async () => {},
    };
    const { provider, points } = observed([periodic(exporter)]);
    await provider.forceFlush();
    expect(await points(EXPORTED)).toEqual([[{}, 1]]);
    expect(await points(OPERATION)).toEqual([[{}, 1]]);
  });

  test('[11.13] error.type is one of few: our codes, and some classes of what is INTERNAL', async () => {
    const named = (name: string) => foreign({ name });
    const errors = [
      foreign({ code: 'TIMEOUT' }),
      foreign({ code: 'ECONNREFUSED' }),
      Object.assign(new TypeError('t'), { code: 14 }),
      named('request 4711 failed'),
      named('x'.repeat(65)),
      named(''),
      ...Array.from({ length: 100 }, (_, i) => named(`Error${i}`)),
      'text',
      { name: 7 },
    ];
    const exporter: PushMetricExporter = {
      componentType: 'controlled_metric_exporter',
      export: (_, done) => done({ code: ExportResultCode.FAILED, error: errors.shift() as Error }),
      forceFlush: async () => {},
      shutdown: async () => {},
    };
    const { provider, points } = observed([periodic(exporter)]);
    while (errors.length > 0) await provider.forceFlush().catch(() => {});
    const types = (await points(OPERATION)).map(([attributes]) => attributes['error.type']);
    expect(types.slice(0, 4)).toEqual(['TIMEOUT', 'INTERNAL', 'TypeError', 'Error0']);
    expect(types).toHaveLength(22);
  });

  test('[11.13] points of a delta batch that is sent again count once in each operation', async () => {
    const { exporter, next, batches } = controlled(AggregationTemporality.DELTA);
    const { provider, meter, points } = observed([periodic(exporter)]);
    const failing = provider.forceFlush();
    (await next()).reject(new ExportError('IO', 'away', { retryable: true }));
    await expect(failing).rejects.toThrow();
    meter.createCounter('jobs').add(1);
    const flush = provider.forceFlush();
    (await next()).resolve();
    await flush;
    expect(await points(EXPORTED)).toEqual([
      [{ 'error.type': 'IO' }, 1],
      [{}, batches[1]!.pointCount],
    ]);
    expect(await points(OPERATION)).toEqual([
      [{ 'error.type': 'IO' }, 1],
      [{}, 1],
    ]);
  });

  test('[11.14] an export that was given up ends when the exporter answers, with the cause or as a success', async () => {
    let answer: ((code: ExportResultCode) => void) | undefined;
    const deaf = Object.assign(createExporter({ name: 'deaf', export: async () => {} }), {
      componentType: 'controlled_metric_exporter',
      export(...[, callback]: Parameters<PushMetricExporter['export']>) {
        answer = (code) => callback({ code });
      },
    });
    const { provider, points } = observed([
      new PeriodicExportingMetricReader({
        exporter: deaf,
        exportIntervalMillis: 1e6,
        exportTimeoutMillis: 1,
      }),
    ]);
    await expect(provider.forceFlush()).rejects.toThrow('did not end');
    expect(await points(IN_FLIGHT)).toEqual([[{}, 1]]);
    expect(await points(OPERATION)).toEqual([]);
    answer!(ExportResultCode.FAILED);
    expect(await points(EXPORTED)).toEqual([[{ 'error.type': 'TIMEOUT' }, 1]]);
    await vi.waitFor(() => expect(provider.forceFlush()).rejects.toThrow('did not end'));
    answer!(ExportResultCode.SUCCESS);
    expect(await points(OPERATION)).toEqual([
      [{ 'error.type': 'TIMEOUT' }, 1],
      [{}, 1],
    ]);
  });

  test('[11.15] a collection has an error.type only when a callback or a producer failed', async () => {
    const exporter = createExporter({ name: 'x', export: async () => {} });
    const reader = periodic(exporter);
    const { provider, meter, points } = observed([reader]);
    await provider.forceFlush();
    meter.createObservableGauge('broken').addCallback(() => {
      throw new RangeError('out of it');
    });
    await provider.forceFlush();
    expect(await points(COLLECTION, 'periodic_metric_reader')).toEqual([
      [{}, 1],
      [{ 'error.type': 'RangeError' }, 1],
    ]);
  });

  test('[11.16] selfMetrics: false turns them off', async () => {
    const exporter = createExporter({ name: 'x', export: async () => {} });
    const { provider, metrics } = observed([periodic(exporter)], { selfMetrics: false });
    await provider.forceFlush();
    await provider.forceFlush();
    expect(await metrics()).toEqual([]);
  });

  test('[11.16] they follow the metrics of the user, and their number does not grow', async () => {
    const { exporter, next, batches } = controlled();
    const reader = periodic(exporter);
    const provider = new MeterProvider({ readers: [reader] });
    onTestFinished(() => provider.shutdown({ timeoutMillis: 1 }).catch(() => {}));
    provider.getMeter('app').createCounter('jobs').add(1);
    for (let i = 0; i < 5; i++) {
      const flush = provider.forceFlush();
      (await next()).resolve();
      await flush;
    }
    expect(batches.map(({ pointCount }) => pointCount)).toEqual([1, 5, 5, 5, 5]);
    expect(batches[4]!.scopeMetrics.map(({ scope }) => scope.name)).toEqual(['app', 'meterline']);
  });

  test.each([AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA])(
    '[5.17] [11.16] without points of the user nothing is exported (temporality %i)',
    async (temporality) => {
      const { exporter, next, batches } = controlled(temporality);
      const provider = new MeterProvider({ readers: [periodic(exporter)] });
      onTestFinished(() => provider.shutdown({ timeoutMillis: 1 }).catch(() => {}));
      for (let i = 0; i < 3; i++) await provider.forceFlush();
      expect(batches).toEqual([]);
      // What was measured meanwhile is not lost.
      provider.getMeter('app').createCounter('jobs').add(1);
      const flush = provider.forceFlush();
      (await next()).resolve();
      await flush;
      const [, own] = batches[0]!.scopeMetrics;
      expect(own!.metrics.map(({ descriptor }) => descriptor.name)).toEqual([COLLECTION]);
      expect((own!.metrics[0]!.dataPoints[0]!.value as Histogram).count).toBe(3);
    },
  );

  test('readers and exporters for tests see the metrics of the user alone', async () => {
    const manual = new ManualMetricReader();
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const busy = periodic(createExporter({ name: 'x', export: async () => {} }));
    const { provider } = observed([busy, manual, periodic(exporter)]);
    for (let i = 0; i < 3; i++) await provider.forceFlush();
    const { resourceMetrics } = await manual.collect();
    for (const { scopeMetrics } of [resourceMetrics, ...exporter.getMetrics()]) {
      expect(scopeMetrics.map(({ scope }) => scope.name)).toEqual(['app']);
    }
  });

  test('a scrape is an operation of the Prometheus exporter', async () => {
    const prometheus = new PrometheusMetricReader();
    const { points } = observed([prometheus]);
    const { url } = await prometheus.listen({ host: '127.0.0.1', port: 0 });
    const scrape = async () => (await fetch(url)).text();
    expect(await scrape()).not.toContain('otel_sdk');
    expect(await scrape()).toContain(
      'otel_sdk_exporter_metric_data_point_exported_total{otel_scope_name="meterline"',
    );
    const type = 'prometheus_http_text_metric_exporter';
    await vi.waitFor(async () => expect(await points(OPERATION, type)).toEqual([[{}, 2]]));
    expect(await points(COLLECTION, type)).toEqual([[{}, 2]]);
    expect(await points(IN_FLIGHT, type)).toEqual([[{}, 0]]);
  });

  test('[11.17] units are seconds and data points, and in no name', async () => {
    const { provider, metrics } = observed([periodic(createExporter({ name: 'x', export: async () => {} }))]);
    await provider.forceFlush();
    expect((await metrics()).map(({ descriptor }) => [descriptor.name, descriptor.unit])).toEqual([
      [COLLECTION, 's'],
      [IN_FLIGHT, '{data_point}'],
      [EXPORTED, '{data_point}'],
      [OPERATION, 's'],
    ]);
  });
});
