// Group 1: MeterProvider and Meter. Proven elsewhere:
//   src/sdk/meter-provider.test.ts      1.01 1.02 1.03 1.04 1.05 1.07 1.10 1.11 1.12 1.14 1.15 1.16 1.17 1.18 1.19 1.21 1.22 1.25
//   src/sdk/instruments.test.ts         1.08 1.23 1.24
//   src/sdk/attribute-interner.test.ts  1.34 1.35
//   src/sdk/host-safety.test.ts         1.09
// Not offered: 1.06 (readers cannot be added later), said so in docs/architecture.md, and 1.29 and 1.31, which options.test.ts has.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Attributes, type ObservableResult, ValueType } from '@opentelemetry/api';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import { metricsEnvironment } from '../../src/config/metrics-environment.ts';
import { metricsConfig } from '../../src/config/schema.ts';
import { AggregationType } from '../../src/data/aggregation-option.ts';
import { resetReports } from '../../src/data/diagnostics.ts';
import { ExportResultCode, type PushMetricExporter } from '../../src/data/exporter.ts';
import { AggregationTemporality, type Histogram, InstrumentType } from '../../src/data/metric-data.ts';
import { toBatch } from '../../src/data/to-batch.ts';
import { encodePrometheusText } from '../../src/encoding/prometheus-text.ts';
import { createAllowListAttributesProcessor } from '../../src/sdk/attribute-filter.ts';
import type { InstrumentOptions } from '../../src/sdk/instrument-descriptor.ts';
import { MeterProvider } from '../../src/sdk/meter-provider.ts';
import { ManualMetricReader } from '../../src/sdk/readers/manual-metric-reader.ts';
import { PeriodicExportingMetricReader } from '../../src/sdk/readers/periodic-exporting-metric-reader.ts';
import type { ViewOptions } from '../../src/sdk/view.ts';
import { captureLogs, metricsOf, pointsOf } from '../support/collected.ts';

const { DELTA } = AggregationTemporality;

function setUp(views: ViewOptions[] = []) {
  const reader = new ManualMetricReader();
  const provider = new MeterProvider({ readers: [reader], views });
  return { reader, provider, meter: provider.getMeter('test') };
}

const succeed: PushMetricExporter['export'] = (_, done) => done({ code: ExportResultCode.SUCCESS });

function fakeExporter(answer = succeed, overrides: Partial<PushMetricExporter> = {}) {
  return {
    forceFlush: vi.fn(async () => {}),
    shutdown: vi.fn(async () => {}),
    ...overrides,
    export: vi.fn(answer),
  };
}

/** The bucket boundaries of the first histogram. */
async function boundariesOf(reader: ManualMetricReader): Promise<number[]> {
  const [[, value]] = (await pointsOf(reader)) as [[unknown, Histogram]];
  return value.buckets.boundaries;
}

describe('MeterProvider', () => {
  const logs = captureLogs();
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllEnvs();
  });

  test('[1.02][12.01] scopes that differ in any one field, or in text alone, are apart', async () => {
    const { reader, provider } = setUp();
    const scopes: [string, string?, { schemaUrl?: string; attributes?: Attributes }?][] = [
      ['a'],
      ['b'],
      ['a:b'],
      ['a', 'b'],
      ['a', undefined, { schemaUrl: 'b' }],
      ['a', undefined, { attributes: { x: 1 } }],
      ['a', undefined, { attributes: { x: '1' } }],
      ['a', undefined, { attributes: { x: Number.NaN } }],
      ['a', undefined, { attributes: { x: Number.POSITIVE_INFINITY } }],
      ['a', undefined, { attributes: { x: [1] } }],
      ['a', undefined, { attributes: { x: ['1'] } }],
    ];
    for (const round of [1, 2]) {
      for (const scope of scopes)
        provider
          .getMeter(...scope)
          .createCounter('c')
          .add(round);
    }
    const { scopeMetrics } = (await reader.collect()).resourceMetrics;
    expect(scopeMetrics).toHaveLength(scopes.length);
    for (const { metrics } of scopeMetrics) expect(metrics[0]!.dataPoints[0]!.value).toBe(3);
    expect(logs).toEqual([]);
  });

  test('[1.02] an empty version or schema URL is none', async () => {
    const { reader, provider } = setUp();
    provider.getMeter('a', '', { schemaUrl: '' }).createCounter('c').add(1);
    provider.getMeter('a').createCounter('c').add(1);
    expect((await reader.collect()).resourceMetrics.scopeMetrics).toMatchObject([{ scope: { name: 'a' } }]);
  });

  test('[1.06] readers, Views and filters are those of the provider, for all of its meters', async () => {
    const { reader, provider } = setUp([{ instrumentName: 'c', name: 'renamed' }]);
    for (const name of ['one', 'two']) provider.getMeter(name).createCounter('c').add(1);
    const names = (await metricsOf(reader)).map(({ descriptor }) => descriptor.name);
    expect(names).toEqual(['renamed', 'renamed']);
  });

  test('[1.08][12.27] collecting one reader changes nothing for another', async () => {
    const options = { aggregationTemporalitySelector: () => DELTA, cardinalitySelector: () => 2 };
    const readers = [new ManualMetricReader(options), new ManualMetricReader(options)] as const;
    const meter = new MeterProvider({ readers: [...readers], exemplarFilter: 'always_on' }).getMeter('m');
    const counter = meter.createCounter('c');
    let observed = 0;
    meter.createObservableCounter('o').addCallback((result) => result.observe((observed += 10)));
    for (const i of [1, 2, 3]) {
      counter.add(1, { i });
      await readers[0].collect();
    }
    const [sum, difference] = await metricsOf(readers[1]);
    expect(sum!.dataPoints.map(({ attributes, value }) => [attributes, value])).toEqual([
      [{ i: 1 }, 1],
      [{ i: 2 }, 1],
      [{ 'otel.metric.overflow': true }, 1],
    ]);
    expect(sum!.dataPoints.every(({ exemplars }) => exemplars?.length === 1)).toBe(true);
    expect(difference!.dataPoints[0]!.value).toBe(40);
  });

  test('[1.09] bad input goes to the logger that the user set, and nowhere else', async () => {
    const { reader, provider, meter } = setUp();
    const junk = [null, 7, 'text', Symbol('s'), () => {}, new Proxy({}, {}), Object.create(null)] as never[];
    for (const it of junk) {
      provider.getMeter(it, it, it);
      for (const create of ['createCounter', 'createHistogram', 'createObservableGauge'] as const) {
        meter[create](it, it);
        meter[create]('x', { unit: it, description: it, valueType: it, advice: it });
        meter[create]('x', { advice: { explicitBucketBoundaries: it, attributes: it } as never });
      }
      meter.addBatchObservableCallback(it, it);
      meter.addBatchObservableCallback(() => {}, it);
      meter.removeBatchObservableCallback(it, it);
      const gauge = meter.createObservableGauge('g');
      gauge.addCallback(it);
      gauge.removeCallback(it);
      gauge.addCallback((result) => result.observe(it, it));
      gauge.addCallback((result) => result.observe(1, it));
    }
    await reader.collect();
    expect(logs.length).toBeGreaterThan(5);
  });

  test('[1.10] shutdown reaches every exporter once, and the caller sees which failed', async () => {
    const broken = fakeExporter(succeed, { shutdown: vi.fn(() => Promise.reject(new Error('locked'))) });
    const fine = fakeExporter();
    const readers = [broken, fine].map((exporter) => new PeriodicExportingMetricReader({ exporter }));
    const provider = new MeterProvider({ readers });
    const results = await Promise.allSettled([provider.shutdown(), provider.shutdown()]);
    expect(results.map((result) => result.status === 'rejected' && result.reason.message)).toEqual([
      'locked',
      'locked',
    ]);
    for (const { shutdown } of [broken, fine]) expect(shutdown).toHaveBeenCalledTimes(1);
  });

  test('[1.10] of several readers that failed, the caller sees each', async () => {
    const exporters = ['locked', 'full'].map((reason) =>
      fakeExporter(succeed, { shutdown: vi.fn(() => Promise.reject(new Error(reason))) }),
    );
    const readers = exporters.map((exporter) => new PeriodicExportingMetricReader({ exporter }));
    const error: unknown = await new MeterProvider({ readers }).shutdown().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(AggregateError);
    expect(error).toMatchObject({
      message: 'shutdown failed: locked; full',
      errors: [{ message: 'locked' }, { message: 'full' }],
    });
  });

  test('[1.11][1.32] after shutdown nothing is recorded, exported, checked or kept', async () => {
    vi.useFakeTimers();
    const exporter = fakeExporter();
    const provider = new MeterProvider({
      readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 100 })],
    });
    const meter = provider.getMeter('m');
    const counter = meter.createCounter('c');
    const bound = counter.bind({ a: 1 });
    const callback = vi.fn();
    meter.createObservableGauge('g').addCallback(callback);
    await provider.shutdown();
    callback.mockClear();
    for (const late of [meter, provider.getMeter('late')]) {
      const created = late.createCounter('not a valid name', { unit: 7 as never });
      created.add(-1);
      created.bind().add(1);
      expect(created.enabled()).toBe(false);
      late.createObservableGauge('').addCallback(callback);
      late.addBatchObservableCallback(callback, []);
    }
    counter.add(1);
    bound.add(1);
    expect(counter.enabled()).toBe(false);
    const { length } = exporter.export.mock.calls;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(exporter.export).toHaveBeenCalledTimes(length);
    expect(callback).not.toHaveBeenCalled();
    expect(logs.filter((message) => /not a valid|ignored|created/.test(message))).toEqual([]);
  });

  test("[1.11] after shutdown a bound instrument calls no processor and no reservoir of the user's, and says nothing", async () => {
    const process = vi.fn((incoming: Attributes) => incoming);
    const offer = vi.fn();
    const collect = () => [];
    const aggregationCardinalityLimit = 1;
    const provider = new MeterProvider({
      readers: [new ManualMetricReader({ aggregationTemporalitySelector: () => DELTA })],
      views: [
        { instrumentName: 'c', attributesProcessors: [{ process }], aggregationCardinalityLimit },
        {
          instrumentName: 'c',
          name: 'with reservoirs',
          exemplarReservoir: () => ({ offer, collect }),
          aggregationCardinalityLimit,
        },
      ],
      exemplarFilter: 'always_on',
    });
    const counter = provider.getMeter('m').createCounter('c');
    const bound = [1, 2, 3].map((a) => counter.bind({ a }));
    counter.remove({ a: 1 });
    await provider.shutdown();
    process.mockClear();
    logs.length = 0;
    resetReports();
    for (const handle of bound) handle.add(1);
    expect(process).not.toHaveBeenCalled();
    expect(offer).not.toHaveBeenCalled();
    expect(logs).toEqual([]);
  });

  test('[1.32] a meter that is a no-op lets go of callbacks', async () => {
    const { provider } = setUp();
    const early = provider.getMeter('early').createObservableGauge('g');
    const kept: WeakRef<object>[] = [];
    const addTo = (gauge: typeof early) => {
      const callback = (result: ObservableResult) => result.observe(1);
      gauge.addCallback(callback);
      kept.push(new WeakRef(callback));
    };
    addTo(early);
    await provider.shutdown();
    const late = provider.getMeter('late').createObservableGauge('g');
    addTo(late);
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc');
    for (let i = 0; i < 10 && kept.some((reference) => reference.deref()); i++) {
      await new Promise(setImmediate);
      collectGarbage();
    }
    expect(kept.map((reference) => reference.deref())).toEqual([undefined, undefined]);
    expect([early, late]).toHaveLength(2);
  });

  test('[1.13] forceFlush and shutdown may be interleaved', async () => {
    let open = 0;
    let mostOpen = 0;
    const delivered: unknown[] = [];
    const exporter = fakeExporter(
      (metrics, done) => {
        mostOpen = Math.max(mostOpen, ++open);
        setImmediate(() => {
          open--;
          delivered.push(metrics.scopeMetrics[0]!.metrics[0]!.dataPoints[0]!.value);
          done({ code: ExportResultCode.SUCCESS });
        });
      },
      { selectAggregationTemporality: () => DELTA },
    );
    const reader = new PeriodicExportingMetricReader({ exporter, selfMetrics: false });
    const provider = new MeterProvider({ readers: [reader] });
    const counter = provider.getMeter('m').createCounter('c');
    counter.add(1);
    const calls = [provider.forceFlush(), provider.shutdown(), provider.forceFlush()];
    counter.add(10);
    await Promise.all(calls);
    expect(mostOpen).toBe(1);
    expect(delivered.reduce((sum: number, value) => sum + (value as number), 0)).toBe(11);
    expect(exporter.shutdown).toHaveBeenCalledTimes(1);
  });

  test('[1.13] what is asked for while callbacks run or pieces are exported waits for its turn', async () => {
    let open = 0;
    let mostOpen = 0;
    const ends: string[] = [];
    const exporter = fakeExporter(
      ({ scopeMetrics }, done) => {
        mostOpen = Math.max(mostOpen, ++open);
        ends.push(String(scopeMetrics[0]!.metrics[0]!.dataPoints[0]!.endTime));
        setTimeout(() => {
          open--;
          done({ code: ExportResultCode.SUCCESS });
        }, 10);
      },
      { selectAggregationTemporality: () => DELTA },
    );
    vi.useFakeTimers();
    const reader = new PeriodicExportingMetricReader({ exporter, selfMetrics: false, maxExportBatchSize: 1 });
    const provider = new MeterProvider({ readers: [reader] });
    const gauge = provider.getMeter('m').createObservableGauge('g');
    gauge.addCallback(async (result) => {
      await new Promise((resolve) => setTimeout(resolve, 15));
      for (let i = 0; i < 3; i++) result.observe(i, { i });
    });
    const calls = [provider.forceFlush()];
    // While the callback of the first runs, then while its second piece is exported.
    for (const millis of [5, 25]) {
      await vi.advanceTimersByTimeAsync(millis);
      calls.push(millis === 25 ? provider.shutdown() : provider.forceFlush());
    }
    await vi.advanceTimersByTimeAsync(1_000);
    await Promise.all(calls);
    expect(mostOpen).toBe(1);
    // The second and the third share a collection, and the first has been exported whole before it.
    const [first, second] = [ends[0], ends[3]];
    expect(ends).toEqual([first, first, first, second, second, second]);
    expect(second).not.toBe(first);
    expect(exporter.shutdown).toHaveBeenCalledTimes(1);
  });

  test('[1.33] limits on attributes are not for metrics', async () => {
    vi.stubEnv('OTEL_ATTRIBUTE_COUNT_LIMIT', '1');
    vi.stubEnv('OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT', '1');
    const { reader, meter } = setUp();
    const attributes = Object.fromEntries(
      Array.from({ length: 200 }, (_, i) => [`key${i}`, 'x'.repeat(300)]),
    );
    meter.createCounter('c').add(1, attributes);
    expect(await pointsOf(reader)).toEqual([[attributes, 1]]);
  });

  test('[1.36] what a file or the environment can set, code can set too', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'meterline-')), 'metrics.yaml');
    writeFileSync(
      file,
      `metrics:
  service_name: orders
  service_version: "2"
  environment: dev
  resource_attributes: { team: checkout }
  json_file_path: /tmp/metrics.jsonl
  export_interval: 1s
  export_timeout: 500ms
  prometheus: { host: localhost, port: 9000, path: /m }
  exemplar_filter: always_off
  self_metrics: false
  handle_signals: true
  handle_before_exit: true
  handle_uncaught_exceptions: true
`,
    );
    const code = {
      serviceName: 'orders',
      serviceVersion: '2',
      environment: 'dev',
      resourceAttributes: { team: 'checkout' },
      jsonFilePath: '/tmp/metrics.jsonl',
      exportInterval: 1_000,
      exportTimeout: 500,
      prometheus: { host: 'localhost', port: 9000, path: '/m' },
      exemplarFilter: 'always_off' as const,
      selfMetrics: false,
      handleSignals: true,
      handleBeforeExit: true,
      handleUncaughtExceptions: true,
    };
    expect(loadConfig(file, {})).toEqual(loadConfig(undefined, code));
    const environment = metricsEnvironment({
      OTEL_METRIC_EXPORT_INTERVAL: '1000',
      OTEL_METRIC_EXPORT_TIMEOUT: '500',
      OTEL_METRICS_EXEMPLAR_FILTER: 'always_off',
    });
    expect(code).toMatchObject(environment);
    const inCodeOnly = ['exporters', 'readers', 'metricProducers'];
    expect([...Object.keys(code), ...inCodeOnly].sort()).toEqual(Object.keys(metricsConfig.shape).sort());
  });
});

describe('Meter', () => {
  const logs = captureLogs();

  test('[1.15] units are kept to the letter, and letter case tells them apart', async () => {
    const { reader, meter } = setUp();
    const long = '{a unit of many more characters than anybody will ever need, with blanks and é}';
    meter.createCounter('long', { unit: long }).add(1);
    meter.createCounter('size', { unit: 'kb' }).add(1);
    meter.createCounter('size', { unit: 'kB' }).add(1);
    expect((await metricsOf(reader)).map(({ descriptor }) => descriptor.unit)).toEqual([long, 'kb', 'kB']);
    expect(logs).toEqual([expect.stringMatching(/in kb, and .* in kB/)]);
  });

  test('[1.16] long descriptions in any language reach the reader of the metrics', async () => {
    const { reader, meter } = setUp();
    const description = `${'要求の数。'.repeat(300)}`;
    meter.createCounter('c', { description }).add(1);
    const batch = toBatch((await reader.collect()).resourceMetrics);
    const text = Buffer.concat([...encodePrometheusText(batch)]).toString();
    expect(text).toContain(`# HELP c_total ${description}\n`);
  });

  test('[1.18] integers and doubles of one name are two metrics and one warning', async () => {
    const { reader, meter } = setUp();
    meter.createCounter('c', { valueType: ValueType.INT }).add(1);
    meter.createCounter('c', { valueType: ValueType.DOUBLE }).add(1.5);
    expect((await metricsOf(reader)).map(({ dataPoints }) => dataPoints[0]!.value)).toEqual([1, 1.5]);
    expect(logs).toEqual([expect.stringContaining('COUNTER c of integers, and COUNTER c of doubles')]);
  });

  test('[1.19] a View that describes the stream settles what the descriptions disagree on', async () => {
    const { reader, meter } = setUp([{ instrumentName: 'c', description: 'from the View' }]);
    meter.createCounter('c', { description: 'ab' }).add(1);
    meter.createCounter('c', { description: 'abcd' }).add(1);
    expect((await metricsOf(reader)).map(({ descriptor }) => descriptor.description)).toEqual([
      'from the View',
    ]);
    expect(logs).toEqual([]);
  });

  test.each<[string, InstrumentOptions, InstrumentOptions, 'createCounter' | 'createUpDownCounter']>([
    ['kind', {}, {}, 'createUpDownCounter'],
    ['unit', { unit: 's' }, { unit: 'ms' }, 'createCounter'],
  ])(
    '[1.20] where Views can tell two instruments apart by %s, the warning has one that works',
    async (_, first, second, create) => {
      const conflict = (views: ViewOptions[]) => {
        const { reader, meter } = setUp(views);
        meter.createCounter('c', first).add(1);
        meter[create]('c', second).add(1);
        return metricsOf(reader);
      };
      await conflict([]);
      const [, recipe] = /by the View (\{.*\})/.exec(logs[0]!)!;
      expect(recipe).toContain('instrumentName: "c"');
      const suggested = runInNewContext(`(${recipe})`, { InstrumentType }) as ViewOptions;
      logs.length = 0;
      const names = (await conflict([{ ...suggested }])).map(({ descriptor }) => descriptor.name);
      expect(names).toEqual(['c', suggested.name]);
      expect(logs).toEqual([]);
    },
  );

  test('[1.20] where Views cannot tell them apart, the warning says to rename one', () => {
    const { meter } = setUp();
    meter.createCounter('c', { valueType: ValueType.INT });
    meter.createCounter('c');
    expect(logs).toEqual([expect.stringMatching(/give one of them another name$/)]);
  });

  test('[1.23][1.26] a View that leaves the aggregation alone keeps the advice; one that names it replaces it', async () => {
    const advice = { explicitBucketBoundaries: [7] };
    const explicit = AggregationType.EXPLICIT_BUCKET_HISTOGRAM;
    const seen: number[][] = [];
    for (const view of [
      { attributesProcessors: [createAllowListAttributesProcessor([])] },
      { aggregation: { type: AggregationType.DEFAULT } },
      { aggregation: { type: explicit } },
      { aggregation: { type: explicit, options: { boundaries: [5] } } },
    ] as ViewOptions[]) {
      const { reader, meter } = setUp([view]);
      meter.createHistogram('h', { advice }).record(1);
      seen.push(await boundariesOf(reader));
    }
    expect(seen[0]).toEqual([7]);
    expect(seen[1]).toEqual([7]);
    expect(seen[2]).toHaveLength(15);
    expect(seen[3]).toEqual([5]);
  });

  test('[1.27][12.05] advised attributes are kept and no others, unless a View has a list of its own', async () => {
    const options: InstrumentOptions = { advice: { attributes: ['a'] } };
    const own = {
      instrumentName: 'viewed',
      attributesProcessors: [createAllowListAttributesProcessor(['b'])],
    };
    const { reader, meter } = setUp([own, { instrumentName: 'renamed', name: 'new' }]);
    for (const name of ['plain', 'viewed', 'renamed']) {
      const counter = meter.createCounter(name, options);
      counter.add(1, { a: 1, b: 2 });
      counter.bind({ a: 1, b: 3 }).add(1);
    }
    meter.createObservableGauge('gauge', options).addCallback((result) => result.observe(1, { a: 1, b: 2 }));
    meter.createCounter('all').add(1, { a: 1, b: 2 });
    const attributes = (await metricsOf(reader)).map(({ descriptor, dataPoints }) => [
      descriptor.name,
      dataPoints.map((point) => point.attributes),
    ]);
    expect(Object.fromEntries(attributes)).toEqual({
      plain: [{ a: 1 }],
      viewed: [{ b: 2 }, { b: 3 }],
      new: [{ a: 1 }],
      gauge: [{ a: 1 }],
      all: [{ a: 1, b: 2 }],
    });
    expect(logs).toEqual([]);
  });

  test('[1.25][1.27][12.04] bad or contradicting advice is reported, and the first good one stands', async () => {
    const { reader, meter } = setUp();
    for (const attributes of ['a', [7]] as never[]) {
      meter.createCounter('bad', { advice: { attributes } }).add(1, { a: 1, b: 2 });
    }
    meter.createCounter('twice', { advice: { attributes: ['a'] } }).add(1, { a: 1, b: 2 });
    meter.createCounter('twice', { advice: { attributes: ['b'] } }).add(1, { a: 1, b: 2 });
    meter.createCounter('twice').add(1, { a: 1, b: 2 });
    const points = (await metricsOf(reader)).map(({ dataPoints }) =>
      dataPoints.map(({ attributes, value }) => [attributes, value]),
    );
    expect(points).toEqual([[[{ a: 1, b: 2 }, 2]], [[{ a: 1 }, 3]]]);
    expect(logs).toEqual([
      expect.stringContaining('"bad": the advised attributes are ignored'),
      expect.stringContaining('twice was created with different advice'),
    ]);
  });

  test('[1.28][12.05] an instrument is enabled while any stream of any reader keeps it', () => {
    const drop = { aggregation: { type: AggregationType.DROP } } as const;
    const kinds = ['createCounter', 'createUpDownCounter', 'createHistogram', 'createGauge'] as const;
    const enabled = (provider: MeterProvider) =>
      kinds.map((create) => provider.getMeter('m')[create]('x').enabled());
    const dropping = new ManualMetricReader({ aggregationSelector: () => drop.aggregation });
    const readers = [new ManualMetricReader()];
    expect(enabled(setUp().provider)).toEqual([true, true, true, true]);
    expect(enabled(setUp([drop]).provider)).toEqual([false, false, false, false]);
    expect(enabled(setUp([drop, { instrumentName: 'x' }]).provider)).toEqual([true, true, true, true]);
    expect(enabled(new MeterProvider({ readers: [dropping, ...readers] }))).toEqual([true, true, true, true]);
  });

  test('[1.30] a bound instrument stays in the series that its binding gave it', async () => {
    const reader = new ManualMetricReader({ cardinalitySelector: () => 1 });
    const counter = new MeterProvider({ readers: [reader] }).getMeter('m').createCounter('c');
    const [a, b] = [counter.bind({ x: 'a' }), counter.bind({ x: 'b' })];
    for (const round of [1, 2, 3]) {
      a.add(1);
      b.add(10);
      expect(await pointsOf(reader)).toEqual([
        [{ x: 'a' }, round],
        [{ 'otel.metric.overflow': true }, round * 10],
      ]);
    }
  });
});
