// Group 5: readers. Proven elsewhere:
//   src/sdk/readers/periodic-exporting-metric-reader.test.ts  5.03 5.08 5.10 5.11 5.12 5.13 5.14 5.15 5.17
//   src/sdk/meter-provider.test.ts    5.04 5.24
//   src/data/slice-batch.test.ts      5.16
//   src/config/process-end.test.ts    5.18
//   src/exporters/prometheus.test.ts  5.21
//   src/config/metrics-environment.test.ts  5.09 5.22
// Not offered: 5.07, which options.test.ts has.
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AggregationType } from '../../src/data/aggregation-option.ts';
import { ExportError } from '../../src/data/errors.ts';
import { type ExportResult, ExportResultCode, type PushMetricExporter } from '../../src/data/exporter.ts';
import {
  AggregationTemporality,
  DataPointType,
  InstrumentType,
  type ResourceMetrics,
} from '../../src/data/metric-data.ts';
import type { MetricProducer } from '../../src/data/reader.ts';
import { resourceFromAttributes } from '../../src/data/resource.ts';
import { InMemoryMetricExporter } from '../../src/exporters/in-memory.ts';
import { MeterProvider } from '../../src/sdk/meter-provider.ts';
import { ManualMetricReader } from '../../src/sdk/readers/manual-metric-reader.ts';
import {
  PeriodicExportingMetricReader,
  type PeriodicExportingMetricReaderOptions,
} from '../../src/sdk/readers/periodic-exporting-metric-reader.ts';
import { captureLogs, metricsOf, pointsOf } from '../support/collected.ts';

const { CUMULATIVE, DELTA } = AggregationTemporality;
const SUCCESS = { code: ExportResultCode.SUCCESS };
const failure = (error: Error) => ({ code: ExportResultCode.FAILED, error });
const KINDS = Object.values(InstrumentType);

/** What a library with metrics of its own would hand over. */
function foreignMetrics(names: string[], temporality = CUMULATIVE): ResourceMetrics {
  return {
    resource: resourceFromAttributes({ from: 'elsewhere' }),
    scopeMetrics: [
      {
        scope: { name: 'bridge', version: '1' },
        metrics: names.map((name) => ({
          descriptor: { name, description: 'text', unit: 's', valueType: 0 },
          aggregationTemporality: temporality,
          dataPointType: DataPointType.SUM,
          isMonotonic: true,
          dataPoints: [{ startTime: [1, 0], endTime: [2, 3], attributes: { a: 1 }, value: 42 }],
        })),
      },
    ],
  };
}

const producing = (metrics: ResourceMetrics): MetricProducer => ({
  collect: async () => ({ resourceMetrics: metrics, errors: [] }),
});

/** A push exporter whose answers the test decides. */
function recording(
  answer: (done: (result: ExportResult) => void, call: number) => void = (done) => done(SUCCESS),
  overrides: Partial<PushMetricExporter> = {},
) {
  const batches: ResourceMetrics[] = [];
  const exporter = {
    batches,
    signals: [] as (AbortSignal | undefined)[],
    open: 0,
    mostOpen: 0,
    forceFlush: vi.fn(async () => {}),
    shutdown: vi.fn(async () => {}),
    ...overrides,
    export: vi.fn<PushMetricExporter['export']>((metrics, done, options) => {
      exporter.mostOpen = Math.max(exporter.mostOpen, ++exporter.open);
      exporter.signals.push(options?.signal);
      const call = batches.push(metrics) - 1;
      answer((result) => {
        exporter.open--;
        done(result);
      }, call);
    }),
  };
  return exporter;
}

type Recording = ReturnType<typeof recording>;

function setUp(
  exporter: Recording,
  { delta = false, ...options }: Partial<PeriodicExportingMetricReaderOptions> & { delta?: boolean } = {},
) {
  if (delta) Object.assign(exporter, { selectAggregationTemporality: () => DELTA });
  const reader = new PeriodicExportingMetricReader({ exporter, selfMetrics: false, ...options });
  const provider = new MeterProvider({ readers: [reader] });
  return { reader, provider, meter: provider.getMeter('m') };
}

/** The values of all points, batch by batch. */
const valuesOf = ({ batches }: Recording) =>
  batches.map(({ scopeMetrics }) =>
    scopeMetrics.flatMap(({ metrics }) => metrics.flatMap((it) => it.dataPoints.map(({ value }) => value))),
  );

describe('every reader', () => {
  const logs = captureLogs();
  afterEach(() => void vi.useRealTimers());

  test('[5.01] takes aggregation, temporality and limit for each kind of instrument', () => {
    const reader = new ManualMetricReader({
      aggregationSelector: (type) => ({
        type: type === InstrumentType.GAUGE ? AggregationType.DROP : AggregationType.DEFAULT,
      }),
      aggregationTemporalitySelector: (type) => (type === InstrumentType.COUNTER ? DELTA : CUMULATIVE),
      cardinalitySelector: (type) => type.length,
    });
    for (const type of KINDS) {
      const isGauge = type === InstrumentType.GAUGE;
      expect(reader.selectAggregation(type)).toEqual({
        type: isGauge ? AggregationType.DROP : AggregationType.DEFAULT,
      });
      expect(reader.selectAggregationTemporality(type)).toBe(
        type === InstrumentType.COUNTER ? DELTA : CUMULATIVE,
      );
      expect(reader.selectCardinalityLimit(type)).toBe(type.length);
    }
  });

  test('[5.01] without them: the aggregation of the kind, cumulative, 2000 series', () => {
    for (const reader of [
      new ManualMetricReader(),
      new PeriodicExportingMetricReader({ exporter: recording() }),
    ]) {
      for (const type of KINDS) {
        expect(reader.selectAggregation(type)).toEqual({ type: AggregationType.DEFAULT });
        expect(reader.selectAggregationTemporality(type)).toBe(CUMULATIVE);
        expect(reader.selectCardinalityLimit(type)).toBe(2000);
      }
    }
  });

  test('[5.01] a push exporter decides on aggregation and temporality', () => {
    const exporter = recording(undefined, {
      selectAggregation: vi.fn(() => ({ type: AggregationType.SUM }) as const),
      selectAggregationTemporality: vi.fn(() => DELTA),
    });
    const reader = new PeriodicExportingMetricReader({ exporter });
    for (const type of KINDS) {
      expect(reader.selectAggregation(type)).toEqual({ type: AggregationType.SUM });
      expect(reader.selectAggregationTemporality(type)).toBe(DELTA);
      expect(exporter.selectAggregation).toHaveBeenLastCalledWith(type);
      expect(exporter.selectAggregationTemporality).toHaveBeenLastCalledWith(type);
    }
  });

  test('[5.02][5.06] points of other producers pass through as they are, under the provider’s resource', async () => {
    const metrics = foreignMetrics(['x'], CUMULATIVE);
    const reader = new ManualMetricReader({
      aggregationTemporalitySelector: () => DELTA,
      metricProducers: [producing(metrics)],
    });
    const provider = new MeterProvider({ readers: [reader], resource: resourceFromAttributes({ own: 1 }) });
    provider.getMeter('m').createCounter('c').add(1);
    const { resourceMetrics } = await reader.collect();
    expect(resourceMetrics.resource.attributes).toEqual({ own: 1 });
    expect(resourceMetrics.scopeMetrics).toMatchObject([{ scope: { name: 'm' } }, metrics.scopeMetrics[0]]);
  });

  test('[5.03] a collection that half failed has the other half and the errors', async () => {
    const reader = new ManualMetricReader();
    const meter = new MeterProvider({ readers: [reader] }).getMeter('m');
    meter.createCounter('c').add(1);
    meter.createObservableGauge('g').addCallback(() => {
      throw new Error('sensor');
    });
    const { resourceMetrics, errors } = await reader.collect();
    expect(errors).toEqual([new Error('sensor')]);
    expect(resourceMetrics.scopeMetrics[0]!.metrics).toHaveLength(1);
  });

  test('[5.04] collecting after shutdown fails', async () => {
    for (const reader of [
      new ManualMetricReader(),
      new PeriodicExportingMetricReader({ exporter: recording() }),
    ]) {
      new MeterProvider({ readers: [reader] });
      await reader.shutdown();
      await expect(reader.collect()).rejects.toMatchObject({ code: 'SHUTDOWN' });
    }
  });

  test('[5.05] a producer that fails in any way hides nothing of the others', async () => {
    vi.useFakeTimers();
    const broken: MetricProducer[] = [
      { collect: () => Promise.reject(new Error('rejects')) },
      {
        collect: () => {
          throw new Error('throws');
        },
      },
      { collect: async () => undefined as never },
      { collect: () => new Promise(() => {}) },
      { collect: async () => ({ resourceMetrics: foreignMetrics(['y']), errors: [new Error('half')] }) },
    ];
    const reader = new ManualMetricReader({ metricProducers: [...broken, producing(foreignMetrics(['z']))] });
    new MeterProvider({ readers: [reader] }).getMeter('m').createCounter('c').add(1);
    const collecting = reader.collect({ timeoutMillis: 100 });
    await vi.advanceTimersByTimeAsync(100);
    const { resourceMetrics, errors } = await collecting;
    const names = resourceMetrics.scopeMetrics.map(({ metrics }) => metrics[0]!.descriptor.name);
    expect(names).toEqual(['c', 'y', 'z']);
    expect(errors.map(String)).toEqual([
      'Error: rejects',
      'Error: throws',
      expect.stringContaining('TypeError'),
      expect.stringContaining('a metric producer did not end within 100 ms'),
      'Error: half',
    ]);
  });

  test('[5.17] what has no points leaves no envelope, other producers’ included', async () => {
    const empty = foreignMetrics(['x']);
    Object.assign(empty.scopeMetrics[0]!.metrics[0]!, { dataPoints: [] });
    const hollow: ResourceMetrics = { ...empty, scopeMetrics: [{ scope: { name: 'hollow' }, metrics: [] }] };
    const reader = new ManualMetricReader({ metricProducers: [producing(empty), producing(hollow)] });
    const meter = new MeterProvider({ readers: [reader] }).getMeter('m');
    meter.createCounter('silent');
    meter.createObservableGauge('g').addCallback(() => {});
    expect((await reader.collect()).resourceMetrics.scopeMetrics).toEqual([]);
  });

  test('[5.20] a manual reader collects on demand, and has nothing to flush', async () => {
    const reader = new ManualMetricReader({
      aggregationSelector: () => ({ type: AggregationType.EXPONENTIAL_HISTOGRAM }),
      aggregationTemporalitySelector: () => DELTA,
      cardinalitySelector: () => 1,
      metricProducers: [producing(foreignMetrics(['x']))],
    });
    const histogram = new MeterProvider({ readers: [reader] }).getMeter('m').createHistogram('h');
    for (const a of [1, 2, 3]) histogram.record(1, { a });
    await reader.forceFlush();
    const [own, foreign] = await metricsOf(reader);
    expect(own).toMatchObject({
      dataPointType: DataPointType.EXPONENTIAL_HISTOGRAM,
      aggregationTemporality: DELTA,
      dataPoints: [{ value: { count: 1 } }, { value: { count: 2 } }],
    });
    expect(foreign!.descriptor.name).toBe('x');
    expect((await metricsOf(reader)).map(({ descriptor }) => descriptor.name)).toEqual(['x']);
  });

  test('[5.23] what the in-memory exporter was given can be looked at, in the temporality asked for', async () => {
    for (const temporality of [CUMULATIVE, DELTA]) {
      const exporter = new InMemoryMetricExporter(temporality);
      const reader = new PeriodicExportingMetricReader({ exporter });
      const counter = new MeterProvider({ readers: [reader] }).getMeter('m').createCounter('c');
      for (const _ of [1, 2]) {
        counter.add(1);
        await reader.forceFlush();
      }
      const values = exporter
        .getMetrics()
        .map(({ scopeMetrics }) => scopeMetrics[0]!.metrics[0]!.dataPoints[0]!.value);
      expect(values).toEqual(temporality === DELTA ? [1, 1] : [1, 2]);
      await reader.shutdown();
    }
  });

  test('[5.24] a resource attribute that is never found delays the first collection only, for 5 seconds', async () => {
    vi.useFakeTimers();
    const pending = { getRawAttributes: () => [['never', new Promise(() => {})]] } as never;
    const resource = resourceFromAttributes({ a: 1 }).merge(pending);
    const reader = new ManualMetricReader();
    new MeterProvider({ readers: [reader], resource }).getMeter('m').createCounter('c').add(1);
    const first = vi.fn();
    const collecting = pointsOf(reader).then(first);
    await vi.advanceTimersByTimeAsync(4_999);
    expect(first).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    await collecting;
    expect(first).toHaveBeenCalledWith([[{}, 1]]);
    expect(await pointsOf(reader)).toEqual([[{}, 1]]);
    expect(logs).toEqual([expect.stringContaining('without the resource attributes')]);
  });
});

describe('PeriodicExportingMetricReader', () => {
  const logs = captureLogs();
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('[5.11][12.31] an exporter that takes five intervals never has two exports', async () => {
    const exporter = recording((done) => setTimeout(done, 500, SUCCESS));
    const { reader, meter } = setUp(exporter, { exportIntervalMillis: 100, exportTimeoutMillis: 60 });
    const counter = meter.createCounter('c');
    for (let i = 0; i < 40; i++) {
      counter.add(1);
      if (i % 7 === 0) reader.forceFlush().catch(() => {});
      if (i % 5 === 0) await reader.collect();
      await vi.advanceTimersByTimeAsync(50);
    }
    expect(exporter.mostOpen).toBe(1);
    expect(exporter.batches.length).toBeGreaterThan(2);
  });

  test('[5.12][12.35] the signal of an export that ran out of time aborts with the reason', async () => {
    const exporter = recording(() => {});
    const { reader, meter } = setUp(exporter, { exportTimeoutMillis: 50 });
    meter.createCounter('c').add(1);
    const flushed = expect(reader.forceFlush()).rejects.toMatchObject({ code: 'TIMEOUT' });
    await vi.advanceTimersByTimeAsync(50);
    await flushed;
    expect(exporter.signals[0]!.reason).toMatchObject({ code: 'TIMEOUT' });
  });

  test('[5.14][12.32] forceFlush flushes the exporter also when the export failed or took too long, and says so', async () => {
    const answers: ((done: (result: ExportResult) => void) => void)[] = [
      (done) => done(failure(new Error('down'))),
      () => {},
    ];
    const exporter = recording((done, call) => answers[call]!(done));
    const { reader, meter } = setUp(exporter, { exportTimeoutMillis: 50 });
    meter.createCounter('c').add(1);
    await expect(reader.forceFlush()).rejects.toThrow('down');
    expect(exporter.forceFlush).toHaveBeenCalledTimes(1);
    const second = expect(reader.forceFlush({ timeoutMillis: 10 })).rejects.toThrow('within 10 ms');
    await vi.advanceTimersByTimeAsync(50);
    await second;
    expect(exporter.forceFlush).toHaveBeenCalledTimes(2);
  });

  test('[5.14][5.15] an exporter whose flush and shutdown hang holds nobody up', async () => {
    const hang = () => vi.fn(() => new Promise<void>(() => {}));
    const exporter = recording(undefined, { forceFlush: hang(), shutdown: hang() });
    const { reader } = setUp(exporter, { exportTimeoutMillis: 50 });
    for (const call of ['forceFlush', 'shutdown'] as const) {
      const ended = expect(reader[call]()).rejects.toThrow(
        `${call} of the exporter did not end within 50 ms`,
      );
      await vi.advanceTimersByTimeAsync(50);
      await ended;
    }
  });

  test('[5.15][12.08] two shutdowns at once are one, with one last export and one error', async () => {
    const exporter = recording((done) => setTimeout(done, 10, failure(new Error('down'))));
    const { reader, meter } = setUp(exporter);
    meter.createCounter('c').add(1);
    const both = Promise.allSettled([reader.shutdown(), reader.shutdown()]);
    await vi.advanceTimersByTimeAsync(10);
    for (const result of await both) expect(result).toMatchObject({ reason: { message: '[INTERNAL] down' } });
    expect(exporter.batches).toHaveLength(1);
    expect(exporter.shutdown).toHaveBeenCalledTimes(1);
  });

  describe('[5.16] maxExportBatchSize', () => {
    const recordSeries = ({ meter }: ReturnType<typeof setUp>, from: number, to: number) => {
      const counter = meter.createCounter('c', { unit: 's', description: 'text' });
      for (let i = from; i <= to; i++) counter.add(10 ** i, { i });
    };
    /** 100 + 1000 + … */
    const powers = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i));

    test('cuts a collection into full pieces, in order, each complete in itself', async () => {
      const exporter = recording();
      const set = setUp(exporter, { maxExportBatchSize: 3 });
      recordSeries(set, 1, 7);
      await set.reader.forceFlush();
      expect(valuesOf(exporter)).toEqual([powers(1, 3), powers(4, 6), powers(7, 7)]);
      for (const { resource, scopeMetrics } of exporter.batches) {
        expect(resource.attributes['service.name']).toBeDefined();
        expect(scopeMetrics).toMatchObject([
          {
            scope: { name: 'm' },
            metrics: [
              {
                descriptor: { name: 'c', unit: 's', description: 'text' },
                aggregationTemporality: CUMULATIVE,
                isMonotonic: true,
              },
            ],
          },
        ]);
      }
    });

    test('exports one piece at a time, each with its own time', async () => {
      const exporter = recording((done) => setTimeout(done, 40, SUCCESS));
      const set = setUp(exporter, { maxExportBatchSize: 1, exportTimeoutMillis: 50 });
      recordSeries(set, 1, 4);
      const flushed = set.reader.forceFlush();
      await vi.advanceTimersByTimeAsync(4 * 40);
      await flushed;
      expect(exporter.mostOpen).toBe(1);
      expect(exporter.batches).toHaveLength(4);
      expect(exporter.signals.every((signal) => !signal!.aborted)).toBe(true);
    });

    test('a piece that fails holds back no other, and the caller learns of it', async () => {
      const exporter = recording((done, call) =>
        done(call === 1 ? failure(new Error('too large')) : SUCCESS),
      );
      const set = setUp(exporter, { maxExportBatchSize: 2 });
      recordSeries(set, 1, 6);
      await expect(set.reader.forceFlush()).rejects.toThrow('too large');
      expect(exporter.batches).toHaveLength(3);
    });

    test('only delta pieces that may yet be delivered go out with the next collection', async () => {
      const refused = new ExportError('IO', 'never', { retryable: false });
      const answers = [SUCCESS, failure(new Error('later')), failure(refused), failure(new Error('later'))];
      const exporter = recording((done, call) => done(answers[call] ?? SUCCESS));
      const set = setUp(exporter, { maxExportBatchSize: 2, delta: true });
      recordSeries(set, 1, 8);
      await expect(set.reader.forceFlush()).rejects.toThrow('later');
      recordSeries(set, 3, 3);
      await set.reader.forceFlush();
      const delivered = valuesOf(exporter).slice(4).flat() as number[];
      expect(delivered.toSorted((a, b) => a - b)).toEqual([2 * 10 ** 3, 10 ** 4, 10 ** 7, 10 ** 8]);
      await set.reader.forceFlush();
      expect(exporter.batches).toHaveLength(6);
    });

    test('a piece delivered after its time is not sent again', async () => {
      const exporter = recording((done, call) => setTimeout(done, call === 0 ? 70 : 1, SUCCESS));
      const set = setUp(exporter, { maxExportBatchSize: 2, delta: true, exportTimeoutMillis: 50 });
      recordSeries(set, 1, 4);
      const flushed = expect(set.reader.forceFlush()).rejects.toMatchObject({ code: 'TIMEOUT' });
      await vi.advanceTimersByTimeAsync(100);
      await flushed;
      expect(exporter.mostOpen).toBe(1);
      const again = set.reader.forceFlush();
      await vi.advanceTimersByTimeAsync(100);
      await again;
      expect(valuesOf(exporter)).toEqual([powers(1, 2), powers(3, 4)]);
    });

    test('an exporter that no longer answers costs its time once, and no delta', async () => {
      let answer: ((result: ExportResult) => void) | undefined;
      const exporter = recording((done, call) => {
        if (call === 0) answer = done;
        else done(SUCCESS);
      });
      const set = setUp(exporter, { maxExportBatchSize: 1, delta: true, exportTimeoutMillis: 50 });
      recordSeries(set, 1, 5);
      const flushed = expect(set.reader.forceFlush()).rejects.toMatchObject({ code: 'TIMEOUT' });
      await vi.advanceTimersByTimeAsync(2 * 50);
      await flushed;
      expect(exporter.batches).toHaveLength(1);
      answer!(failure(new Error('at last')));
      await set.reader.forceFlush();
      expect(valuesOf(exporter).slice(1).flat()).toEqual(powers(1, 5));
    });

    test.each([0, -1, 1.5, Number.NaN, '10'])('%s is refused with the remedy', (maxExportBatchSize) => {
      expect(() => setUp(recording(), { maxExportBatchSize: maxExportBatchSize as number })).toThrow(
        /^maxExportBatchSize of a PeriodicExportingMetricReader is \S+; use an integer above 0, or Infinity$/,
      );
    });
  });

  test('[5.19] in whatever order it is called: no overlap, nothing twice, nothing lost, one shutdown', async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.constant('add' as const) },
      { weight: 3, arbitrary: fc.integer({ min: 1, max: 150 }) },
      fc.constantFrom('collect' as const, 'forceFlush' as const),
    );
    const answer = fc.oneof(
      fc.constant('success' as const),
      fc.constant('failure' as const),
      fc.constant('late success' as const),
      fc.constant('late failure' as const),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.array(answer, { maxLength: 10 }),
        fc.integer({ min: 1, max: 4 }),
        async (steps, answers, maxExportBatchSize) => {
          let delivered = 0;
          const exporter = recording((done, call) => {
            const how = answers[call] ?? 'success';
            setTimeout(
              () => {
                if (how.endsWith('success')) {
                  delivered += valuesOf(exporter)[call]!.reduce<number>((sum, it) => sum + (it as number), 0);
                  done(SUCCESS);
                } else done(failure(new Error(how)));
              },
              how.startsWith('late') ? 90 : 5,
            );
          });
          const set = setUp(exporter, {
            delta: true,
            exportIntervalMillis: 100,
            exportTimeoutMillis: 60,
            maxExportBatchSize,
          });
          const counter = set.meter.createCounter('c');
          const pending: Promise<unknown>[] = [];
          const call = (it: Promise<void>) => void pending.push(it.catch(() => {}));
          let added = 0;
          for (const it of steps) {
            if (it === 'add') counter.add(1, { i: added++ % 5 });
            else if (it === 'forceFlush') call(set.reader.forceFlush());
            // A collection by hand takes its delta window, so what it gets counts as delivered.
            else if (it === 'collect') {
              call(
                pointsOf(set.reader).then((points) => {
                  for (const [, value] of points) delivered += value as number;
                }),
              );
            } else await vi.advanceTimersByTimeAsync(it);
          }
          await vi.advanceTimersByTimeAsync(10_000);
          for (const shutdown of [set.reader.shutdown(), set.reader.shutdown()]) call(shutdown);
          await vi.advanceTimersByTimeAsync(10_000);
          await Promise.all(pending);
          expect(exporter.mostOpen).toBeLessThanOrEqual(1);
          expect(exporter.shutdown).toHaveBeenCalledTimes(1);
          expect(delivered).toBe(added);
        },
      ),
      { numRuns: 150 },
    );
    expect(logs.every((message) => message.includes('export'))).toBe(true);
  });
});
