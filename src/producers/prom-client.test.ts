// Every rule on both clients: what their registries show is what goes out.
import * as prometheusIo from '@prometheus-io/client';
import fc from 'fast-check';
import * as promClient from 'prom-client';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { captureLogs } from '../../test/support/collected.ts';
import type { MetricBatch, MetricColumns } from '../data/metric-batch.ts';
import { AggregationTemporality, DataPointType, SUMMARY } from '../data/metric-data.ts';
import { encodeOpenMetrics } from '../encoding/prometheus-openmetrics.ts';
import { MeterProvider } from '../sdk/meter-provider.ts';
import { ManualMetricReader } from '../sdk/readers/manual-metric-reader.ts';
import { PeriodicExportingMetricReader } from '../sdk/readers/periodic-exporting-metric-reader.ts';
import { samplesIn, textOf } from './fixtures/client-text.ts';
import { type PromClientOptions, type PromClientRegistry, promClientProducer } from './prom-client.ts';

const CLIENTS: [string, typeof promClient][] = [
  ['prom-client 15', promClient],
  // The types differ in what they export; what these tests use is the same.
  ['@prometheus-io/client 0.16', prometheusIo as unknown as typeof promClient],
];

async function collected(registry: PromClientRegistry | PromClientRegistry[], options?: PromClientOptions) {
  const { resourceMetrics, errors } = await promClientProducer(registry, options).collect();
  expect(errors).toEqual([]);
  return resourceMetrics as MetricBatch;
}

const metricsIn = (batch: MetricBatch): MetricColumns[] =>
  batch.scopeMetrics.flatMap(({ metrics }) => metrics);

const HOSTILE = [
  'quote " backslash \\ both \\"',
  'line\nbreak \\n\r\n',
  '} 1\nevil 1\n',
  'a="b",',
  '{}',
  ' ',
  '\u0000',
  '💥',
];

describe.each(CLIENTS)('%s', (_, client) => {
  const messages = captureLogs();
  const openMetrics = () => {
    const registry: promClient.Registry<promClient.RegistryContentType> = new client.Registry();
    registry.setContentType(client.Registry.OPENMETRICS_CONTENT_TYPE);
    return registry;
  };

  /** All kinds, with all that may be in them. */
  function fill(registers: promClient.Registry[]) {
    const labelNames = ['value', 'other'];
    const requests = new client.Counter({
      name: 'http_requests_total',
      help: 'Requests.',
      labelNames,
      registers,
    });
    const old = new client.Counter({ name: 'ns:old_style', help: 'An old name.', registers });
    const size = new client.Gauge({
      name: 'queue_size',
      help: 'Line\nbreak \\ "quotes"',
      labelNames,
      registers,
    });
    const total = new client.Gauge({
      name: 'disk_total',
      help: 'A gauge, whatever the name says.',
      registers,
    });
    const duration = new client.Histogram({
      name: 'duration_seconds',
      help: 'Durations.',
      labelNames,
      buckets: [0.005, 1, 2.5, 1000, 1e21],
      registers,
    });
    const bare = new client.Histogram({
      name: 'bare',
      help: 'Without labels, and bounds below zero.',
      buckets: [-1, 0],
      registers,
    });
    const latency = new client.Summary({
      name: 'latency',
      help: 'Quantiles.',
      labelNames,
      percentiles: [0.5, 0.999],
      registers,
    });
    HOSTILE.forEach((value, i) => {
      requests.inc({ value, other: 'x' }, i);
      size.set({ value }, i - 2);
      duration.observe({ value, other: '' }, i);
      duration.observe({ value, other: '' }, 1e30);
      latency.observe({ value }, i);
    });
    old.inc(0.1);
    total.set(-0.5);
    bare.observe(-7);
    for (const [i, value] of [Number.NaN, Infinity, -Infinity, 5e-324, 1.7e308, -0].entries())
      size.set({ other: `${i}` }, value);
  }

  test('what the registry shows is what arrives at Prometheus: same names, labels and values', async () => {
    const registry = new client.Registry();
    fill([registry]);
    const expected = samplesIn(await registry.metrics());
    const problems: string[] = [];
    expect(samplesIn(textOf(await collected(registry), problems))).toEqual(expected);
    expect(Object.keys(expected).length).toBeGreaterThan(100);
    expect(problems).toEqual([]);
  });

  test('so it is for OpenMetrics registries, whose counters all end with _total, before and after a scrape of their own', async () => {
    const registry = openMetrics();
    fill([registry] as never);
    const before = samplesIn(textOf(await collected(registry)));
    const expected = samplesIn(await registry.metrics());
    expect(before).toEqual(expected);
    expect(samplesIn(textOf(await collected(registry)))).toEqual(expected);
    expect(Object.keys(expected)).toContain('ns:old_style_total{}');
  });

  test('default labels are there, and give way to labels of the same name', async () => {
    const registry = new client.Registry();
    fill([registry]);
    registry.setDefaultLabels({ app: 'shop', other: 'default' });
    const ours = samplesIn(textOf(await collected(registry)));
    expect(ours).toEqual(samplesIn(await registry.metrics()));
    expect(ours).toHaveProperty(['ns:old_style{app="shop",other="default"}']);
  });

  test('what collectDefaultMetrics gathers arrives', async () => {
    const registry = new client.Registry();
    client.collectDefaultMetrics({ register: registry });
    onTestFinished(() => registry.clear());
    const names = (samples: object) =>
      new Set(Object.keys(samples).map((series) => series.replace(/\{.*/, '')));
    const problems: string[] = [];
    const ours = names(samplesIn(textOf(await collected(registry), problems)));
    expect(ours).toEqual(names(samplesIn(await registry.metrics())));
    expect(ours.size).toBeGreaterThan(20);
    expect(problems).toEqual([]);
    expect(messages).toEqual([]);
  });

  test('whatever is recorded: the samples are the same', async () => {
    const text = fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: 'binary', maxLength: 6 }));
    const labels = fc.record(
      { a: text, b: fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null)) },
      { requiredKeys: [] },
    );
    const number = fc.oneof(fc.double(), fc.integer());
    const finite = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer());
    const steps = fc.array(
      fc.oneof(
        fc.record({
          kind: fc.constant('counter'),
          labels,
          value: fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
        }),
        fc.record({ kind: fc.constant('gauge'), labels, value: number }),
        fc.record({ kind: fc.constantFrom('histogram', 'summary'), labels, value: finite }),
      ),
      { maxLength: 30 },
    );
    const bounds = fc
      .uniqueArray(finite, { maxLength: 6 })
      .map((list) => list.map((bound) => bound + 0).sort((x, y) => x - y));
    await fc.assert(
      fc.asyncProperty(steps, bounds, fc.boolean(), async (all, buckets, isOpenMetrics) => {
        const registers = [isOpenMetrics ? openMetrics() : new client.Registry()] as promClient.Registry[];
        const labelNames = ['a', 'b'];
        const counter = new client.Counter({ name: 'c_total', help: 'c', labelNames, registers });
        const gauge = new client.Gauge({ name: 'g', help: 'g', labelNames, registers });
        const histogram = new client.Histogram({ name: 'h', help: 'h', labelNames, buckets, registers });
        const summary = new client.Summary({ name: 's', help: 's', labelNames, registers });
        for (const { kind, labels, value } of all) {
          if (kind === 'counter') counter.inc(labels as never, value);
          else if (kind === 'gauge') gauge.set(labels as never, value);
          else (kind === 'summary' ? summary : histogram).observe(labels as never, value);
        }
        const producer = promClientProducer(registers);
        const first = samplesIn(textOf((await producer.collect()).resourceMetrics));
        expect(numbered(first)).toEqual(numbered(samplesIn(await registers[0]!.metrics())));
        // What is remembered of the series does not change them.
        expect(samplesIn(textOf((await producer.collect()).resourceMetrics))).toEqual(first);
      }),
      { numRuns: 200 },
    );
  });

  test('series that come, go and come back: each collection has those of the moment', async () => {
    const round = fc.array(
      fc.record({
        action: fc.constantFrom('inc', 'observe', 'remove', 'reset'),
        a: fc.constantFrom('x', 'y', 'z', ''),
        b: fc.constantFrom('x', 'y'),
        isTurned: fc.boolean(),
      }),
      { maxLength: 6 },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(round, { maxLength: 8 }), async (rounds) => {
        const registry = new client.Registry();
        const labelNames = ['a', 'b'];
        const counter = new client.Counter({ name: 'c_total', help: 'c', labelNames, registers: [registry] });
        const histogram = new client.Histogram({ name: 'h', help: 'h', labelNames, registers: [registry] });
        const producer = promClientProducer(registry);
        for (const steps of rounds) {
          for (const { action, a, b, isTurned } of steps) {
            // The order of labels is that of the first call.
            const labels = isTurned ? { b, a } : { a, b };
            if (action === 'inc') counter.inc(labels);
            else if (action === 'observe') histogram.observe(labels, 1);
            else if (action === 'remove') for (const metric of [counter, histogram]) metric.remove(labels);
            else counter.reset();
          }
          const { resourceMetrics, errors } = await producer.collect();
          expect(samplesIn(textOf(resourceMetrics))).toEqual(samplesIn(await registry.metrics()));
          expect(errors).toEqual([]);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('kinds of metrics: counters are monotonic sums, histograms have explicit buckets, all cumulative', async () => {
    const registry = new client.Registry();
    fill([registry]);
    const kinds = metricsIn(await collected(registry)).map((metric) => [
      metric.descriptor.name,
      metric.dataPointType === SUMMARY ? 'SUMMARY' : DataPointType[metric.dataPointType],
      metric.dataPointType === DataPointType.SUM ? metric.isMonotonic : undefined,
    ]);
    expect(kinds).toEqual([
      ['http_requests_total', 'SUM', true],
      ['ns:old_style', 'SUM', false],
      ['queue_size', 'GAUGE', undefined],
      ['disk_total', 'GAUGE', undefined],
      ['duration_seconds', 'HISTOGRAM', undefined],
      ['bare', 'HISTOGRAM', undefined],
      ['latency', 'SUMMARY', undefined],
    ]);
    for (const { aggregationTemporality } of metricsIn(await collected(registry)))
      expect(aggregationTemporality).toBe(AggregationTemporality.CUMULATIVE);
  });

  test('summaries have their quantiles, sum and count; series with other quantiles are a metric of their own', async () => {
    const values = [
      { labels: { a: 'x', quantile: 0.5 }, value: 2 },
      { labels: { quantile: '0.9', a: 'x' }, value: 4 },
      { metricName: 's_sum', labels: { a: 'x' }, value: 7 },
      { metricName: 's_count', labels: { a: 'x' }, value: 3 },
      { labels: { a: 'y', quantile: 0.5 }, value: 1 },
    ];
    const metrics = metricsIn(
      await collected({ getMetricsAsJSON: async () => [{ name: 's', help: 'h', type: 'summary', values }] }),
    );
    expect(metrics.map(({ dataPoints }) => dataPoints)).toMatchObject([
      [
        {
          attributes: { a: 'x' },
          value: {
            count: 3,
            sum: 7,
            quantileValues: [
              { quantile: 0.5, value: 2 },
              { quantile: 0.9, value: 4 },
            ],
          },
        },
      ],
      [
        {
          attributes: { a: 'y' },
          value: { count: Number.NaN, sum: Number.NaN, quantileValues: [{ quantile: 0.5, value: 1 }] },
        },
      ],
    ]);
  });

  test('what is no quantile of a summary is not lost with it, nor it with that', async () => {
    const values = [
      { labels: {}, value: 1 },
      { labels: { quantile: 'most' }, value: 2 },
      { labels: { quantile: 0.5 }, value: 3 },
      { metricName: 's_sum', labels: {}, value: 4 },
      { metricName: 's_extra', labels: {}, value: 5 },
    ];
    const problems: string[] = [];
    const registry = { getMetricsAsJSON: async () => [{ name: 's', help: 'h', type: 'summary', values }] };
    const batch = await collected(registry);
    expect(samplesIn(textOf(batch, problems))).toEqual({
      's{quantile="0.5"}': 3,
      's_sum{}': 4,
      's_extra{}': 5,
    });
    expect(problems).toEqual([expect.stringMatching(/metric s .* is not exposed/)]);
    expect(metricsIn(batch).map(({ length }) => length)).toEqual([1, 2, 1]);
  });

  test('of a summary that is there twice the first goes out, and it is an error', async () => {
    const values = [1, 2].flatMap((value) => [
      { labels: { quantile: 0.5 }, value },
      { metricName: 's_sum', labels: {}, value },
      { metricName: 's_count', labels: {}, value },
    ]);
    const registry = { getMetricsAsJSON: async () => [{ name: 's', help: 'h', type: 'summary', values }] };
    const { resourceMetrics, errors } = await promClientProducer(registry).collect();
    expect(samplesIn(textOf(resourceMetrics))).toEqual({
      's{quantile="0.5"}': 1,
      's_sum{}': 1,
      's_count{}': 1,
    });
    expect(errors.map((error) => `${(error as Error).cause}`)).toEqual([
      expect.stringMatching(/1 of its series are there twice/),
    ]);
  });

  test('summaries can be gauges and sums, with the same samples, for exporters that know no summaries', async () => {
    const registry = new client.Registry();
    const registers = [registry];
    new client.Summary({ name: 's', help: 's', labelNames: ['a'], percentiles: [0.5], registers }).observe(
      { a: 'x' },
      3,
    );
    const batch = await collected(registry, { summaries: 'gauges' });
    expect(metricsIn(batch)).toMatchObject([
      { descriptor: { name: 's' }, dataPointType: DataPointType.GAUGE },
      { descriptor: { name: 's_sum' }, dataPointType: DataPointType.SUM, isMonotonic: false },
      { descriptor: { name: 's_count' }, dataPointType: DataPointType.SUM, isMonotonic: false },
    ]);
    expect(samplesIn(textOf(batch))).toEqual(samplesIn(await registry.metrics()));
    expect(messages).toEqual([]);
  });

  test('what a metric is of which OpenTelemetry makes a gauge is in its metadata', async () => {
    const types = ['untyped', 'unknown', 'info', 'stateset', 'gauge', 'made-up', undefined];
    const metrics = types.map((type, i) => ({ name: `m${i}`, type, values: [{ labels: {}, value: 1 }] }));
    const found = metricsIn(await collected({ getMetricsAsJSON: async () => metrics }));
    expect(found.map(({ descriptor }) => descriptor.metadata?.['prometheus.type'])).toEqual([
      'unknown',
      'unknown',
      'info',
      'stateset',
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('buckets hold their own counts, not those of the buckets below', async () => {
    const registry = new client.Registry();
    const histogram = new client.Histogram({
      name: 'h',
      help: 'h',
      labelNames: ['a'],
      buckets: [1, 2, 3],
      registers: [registry],
    });
    for (const value of [0, 1, 1.5, 2.5, 4, 4]) histogram.observe({ a: 'x' }, value);
    const [metric] = metricsIn(await collected(registry));
    expect(metric!.dataPoints).toMatchObject([
      {
        attributes: { a: 'x' },
        value: {
          buckets: { boundaries: [1, 2, 3], counts: [2, 1, 1, 2] },
          count: 6,
          sum: 13,
          min: undefined,
          max: undefined,
        },
      },
    ]);
  });

  test('counters without _total keep their names and lose their type, said once, or the other way round', async () => {
    const registry = new client.Registry();
    for (const name of ['jobs', 'mails', 'done_total'])
      new client.Counter({ name, help: name, registers: [registry] });
    const producer = promClientProducer(registry);
    await producer.collect();
    await producer.collect();
    expect(messages).toEqual([expect.stringMatching(/_total keep their names.*: jobs, mails$/)]);
    const typed = await collected(registry, { counterWithoutTotal: 'keep-type' });
    expect(metricsIn(typed).map((metric) => 'isMonotonic' in metric && metric.isMonotonic)).toEqual([
      true,
      true,
      true,
    ]);
    expect(Object.keys(samplesIn(textOf(typed)))).toEqual(['jobs_total{}', 'mails_total{}', 'done_total{}']);
    expect(messages).toHaveLength(1);
  });

  test('series have no label that tells the scope, unless one is named', async () => {
    const registry = new client.Registry();
    new client.Gauge({ name: 'g', help: 'g', registers: [registry] });
    expect(textOf(await collected(registry, { scopeName: 'old' }))).toContain('g{otel_scope_name="old"} 0');
  });

  test('reading a registry does not change what it shows', async () => {
    const registry = new client.Registry();
    new client.Counter({ name: 'c_total', help: 'c', labelNames: ['app'], registers: [registry] }).inc({
      app: '',
    });
    registry.setDefaultLabels({ app: 'shop', zone: 'a' });
    const before = await registry.metrics();
    expect(samplesIn(textOf(await collected(registry)))).toEqual(samplesIn(before));
    expect(await registry.metrics()).toBe(before);
  });

  test('of series that a default label makes the same the first goes out, with its start, and an error tells', async () => {
    const registry = new client.Registry();
    const labelNames = ['zone'];
    const counter = new client.Counter({ name: 'c_total', help: 'c', labelNames, registers: [registry] });
    const histogram = new client.Histogram({
      name: 'h',
      help: 'h',
      labelNames,
      buckets: [1, 2],
      registers: [registry],
    });
    counter.inc(9);
    counter.inc({ zone: 'a' }, 5);
    for (const value of [1, 2, 3, 3]) histogram.observe(value);
    histogram.observe({ zone: 'a' }, 1);
    registry.setDefaultLabels({ zone: 'a' });
    const producer = promClientProducer(registry);
    const starts: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      const { resourceMetrics, errors } = await producer.collect();
      const points = resourceMetrics.scopeMetrics[0]!.metrics.map(({ dataPoints }) => dataPoints);
      expect(points).toMatchObject([
        [{ attributes: { zone: 'a' }, value: 9 }],
        [{ attributes: { zone: 'a' }, value: { buckets: { counts: [1, 1, 2] }, count: 4, sum: 9 } }],
      ]);
      expect(points.map(({ length }) => length)).toEqual([1, 1]);
      expect(errors.map((error) => ((error as Error).cause as Error).message)).toEqual([
        expect.stringContaining('twice'),
        expect.stringContaining('twice'),
      ]);
      starts.push(points.map(([point]) => point!.startTime));
    }
    expect(starts[1]).toEqual(starts[0]);
    expect(starts[2]).toEqual(starts[0]);
  });

  test('bounds that are there twice, or are infinite, say nothing more than the others', async () => {
    const registry = new client.Registry();
    const bounds = [
      [1, 2, 2],
      [1, 2, Number.POSITIVE_INFINITY],
      [Number.NEGATIVE_INFINITY, 1, 2],
    ];
    for (const [i, buckets] of bounds.entries()) {
      const histogram = new client.Histogram({ name: `h${i}`, help: 'h', buckets, registers: [registry] });
      for (const value of [0, 1.5, 9]) histogram.observe(value);
    }
    for (const { dataPoints } of metricsIn(await collected(registry)))
      expect(dataPoints[0]!.value).toMatchObject({
        buckets: { boundaries: [1, 2], counts: [1, 1, 1] },
        count: 3,
      });
  });

  describe('exemplars', () => {
    const traced = { trace_id: '0AF7651916CD43DD8448EB211C80319C', span_id: 'b7ad6b7169203331' };

    test('of counters and buckets are carried over', async () => {
      const registry = openMetrics();
      const registers = [registry] as never;
      const counter = new client.Counter({
        name: 'c',
        help: 'c',
        labelNames: ['a'],
        enableExemplars: true,
        registers,
      });
      const histogram = new client.Histogram({
        name: 'h',
        help: 'h',
        buckets: [1, 2],
        enableExemplars: true,
        registers,
      });
      counter.inc({ labels: { a: 'x' }, value: 2, exemplarLabels: { traceId: 'abc', n: 1 } as never });
      counter.inc({ labels: { a: 'y' }, value: 2 });
      for (const value of [0.5, 1.5, 7])
        histogram.observe({ labels: {}, value, exemplarLabels: { ...traced, at: `${value}` } });
      const batch = await collected(registry);
      const [sum, buckets] = metricsIn(batch);
      const [x, y] = sum!.dataPoints;
      expect(x!.exemplars).toMatchObject([{ value: 2, filteredAttributes: { traceId: 'abc', n: '1' } }]);
      expect(Math.abs(x!.exemplars![0]!.timestamp[0] - Date.now() / 1_000)).toBeLessThan(60);
      expect(y!.exemplars).toBeUndefined();
      expect(buckets!.dataPoints[0]!.exemplars).toMatchObject(
        [0.5, 1.5, 7].map((value) => ({
          value,
          traceId: traced.trace_id.toLowerCase(),
          spanId: traced.span_id,
        })),
      );
      expect(buckets!.dataPoints[0]!.exemplars!.map(({ filteredAttributes }) => filteredAttributes)).toEqual(
        [0.5, 1.5, 7].map((value) => ({ at: `${value}` })),
      );
      // Of the lines of the client, all that is behind the numbers, which are written in another way.
      const exemplars = (text: string) =>
        [...text.matchAll(/ # (\{.*\}) (\S+) [\d.]+$/gm)].map(([, labels, value]) => [
          labels!.toLowerCase(),
          Number(value),
        ]);
      const ours = Buffer.concat([...encodeOpenMetrics(batch)]).toString();
      const theirs = exemplars(await registry.metrics());
      expect(theirs).toHaveLength(4);
      expect(exemplars(ours).map(([labels, value]) => [sortedLabels(labels as string), value])).toEqual(
        theirs.map(([labels, value]) => [sortedLabels(labels as string), value]),
      );
    });
  });

  test('a reader that prefers deltas exports its own and the totals of the registry, also after an export that failed', async () => {
    const registry = new client.Registry();
    new client.Counter({ name: 'old_total', help: 'o', registers: [registry] }).inc(5);
    const exported: [string, AggregationTemporality, unknown[]][][] = [];
    const reader = new PeriodicExportingMetricReader({
      exporter: {
        selectAggregationTemporality: () => AggregationTemporality.DELTA,
        export(metrics, done) {
          const seen = metricsIn(metrics as MetricBatch);
          exported.push(
            seen.map(({ descriptor, aggregationTemporality, dataPoints }) => [
              descriptor.name,
              aggregationTemporality,
              dataPoints.map(({ value }) => value),
            ]),
          );
          done(exported.length === 1 ? { code: 1, error: new Error('down') } : { code: 0 });
        },
        forceFlush: async () => {},
        shutdown: async () => {},
      },
      exportIntervalMillis: Number.POSITIVE_INFINITY,
      selfMetrics: false,
      metricProducers: [promClientProducer(registry)],
    });
    const provider = new MeterProvider({ readers: [reader] });
    const counter = provider.getMeter('m').createCounter('new_total');
    counter.add(1);
    await provider.forceFlush().catch(() => {});
    counter.add(2);
    await provider.forceFlush();
    expect(exported).toEqual(
      [1, 3].map((value) => [
        ['new_total', AggregationTemporality.DELTA, [value]],
        ['old_total', AggregationTemporality.CUMULATIVE, [5]],
      ]),
    );
  });

  describe('start times', () => {
    const startsOf = async (collect: () => Promise<MetricBatch>) =>
      Object.fromEntries(
        metricsIn(await collect()).flatMap(({ descriptor, dataPoints }) =>
          dataPoints.map(({ attributes, startTime, endTime }) => {
            expect(Number(millis(startTime))).toBeLessThanOrEqual(Number(millis(endTime)));
            return [
              `${descriptor.name} ${Object.values(attributes).join()}`,
              { start: millis(startTime), end: millis(endTime) },
            ];
          }),
        ),
      );

    test('what was there at first counts since the process began, what came later since the collection before', async () => {
      const registry = new client.Registry();
      const registers = [registry];
      const counter = new client.Counter({ name: 'c_total', help: 'c', labelNames: ['a'], registers });
      const histogram = new client.Histogram({ name: 'h', help: 'h', labelNames: ['a'], registers });
      const producer = promClientProducer(registry);
      const collect = async () => (await producer.collect()).resourceMetrics as MetricBatch;
      const record = (a: string) => {
        counter.inc({ a });
        histogram.observe({ a }, 1);
      };
      record('first');
      const first = await startsOf(collect);
      record('first');
      record('second');
      await nextMillisecond();
      const second = await startsOf(collect);
      await nextMillisecond();
      const third = await startsOf(collect);
      for (const name of ['c_total', 'h']) {
        expect(first[`${name} first`]!.start).toBe(Math.round(performance.timeOrigin));
        expect(second[`${name} first`]!.start).toBe(first[`${name} first`]!.start);
        expect(second[`${name} second`]!.start).toBe(first[`${name} first`]!.end);
        expect(third[`${name} second`]!.start).toBe(second[`${name} second`]!.start);
      }
    });

    test('a value that fell, or a series that was gone, began anew after it was seen last', async () => {
      const registry = new client.Registry();
      const registers = [registry];
      const counter = new client.Counter({ name: 'c_total', help: 'c', labelNames: ['a'], registers });
      const histogram = new client.Histogram({ name: 'h', help: 'h', labelNames: ['a'], registers });
      const summary = new client.Summary({
        name: 's',
        help: 's',
        labelNames: ['a'],
        percentiles: [0.5],
        registers,
      });
      const gauge = new client.Gauge({ name: 'g', help: 'g', labelNames: ['a'], registers });
      const record = (value: number) => {
        counter.inc({ a: 'x' }, value);
        histogram.observe({ a: 'x' }, value);
        summary.observe({ a: 'x' }, value);
        gauge.set({ a: 'x' }, value);
      };
      const producer = promClientProducer(registry);
      const collect = async () => (await producer.collect()).resourceMetrics as MetricBatch;
      record(5);
      record(5);
      const first = await startsOf(collect);
      await nextMillisecond();
      const second = await startsOf(collect);
      registry.resetMetrics();
      await nextMillisecond();
      record(1);
      const third = await startsOf(collect);
      for (const series of ['c_total x', 'h x', 's x']) {
        expect(second[series]!.start).toBe(first[series]!.start);
        expect(third[series]!.start, series).toBe(second[series]!.end);
      }
      expect(third['g x']!.start).toBe(first['g x']!.start);

      counter.remove({ a: 'x' });
      await nextMillisecond();
      const gone = await startsOf(collect);
      expect(Object.keys(gone)).not.toContain('c_total x');
      record(9);
      await nextMillisecond();
      const back = await startsOf(collect);
      expect(back['c_total x']!.start).toBeLessThanOrEqual(gone['h x']!.end);
      expect(back['c_total x']!.start).toBeGreaterThan(third['c_total x']!.end);
    });
  });

  describe('collect functions', () => {
    test('are awaited, side by side', async () => {
      const registry = new client.Registry();
      const waiting: (() => void)[] = [];
      for (const name of ['a', 'b', 'c']) {
        new client.Gauge({
          name,
          help: name,
          registers: [registry],
          async collect() {
            await new Promise<void>((resolve) => {
              // Only the last one wakes them all.
              if (waiting.push(resolve) === 3) for (const wake of waiting) wake();
            });
            this.set(7);
          },
        });
      }
      expect(samplesIn(textOf(await collected(registry)))).toEqual({ 'a{}': 7, 'b{}': 7, 'c{}': 7 });
    });

    test('that fail or hang cost their own metric, and the collection tells which', async () => {
      const registry = new client.Registry();
      const registers = [registry];
      new client.Gauge({ name: 'first', help: 'f', registers });
      // While it is waited for, the others have failed already.
      new client.Gauge({ name: 'hangs', help: 'h', registers, collect: () => new Promise(() => {}) });
      new client.Gauge({ name: 'throws', help: 't', registers, collect: () => void fail() });
      new client.Gauge({
        name: 'rejects',
        help: 'r',
        registers,
        collect: () => Promise.reject(new Error('mine')),
      });
      new client.Gauge({ name: 'last', help: 'l', registers });
      const { resourceMetrics, errors } = await promClientProducer(registry).collect({ timeoutMillis: 50 });
      expect(samplesIn(textOf(resourceMetrics))).toEqual({ 'first{}': 0, 'last{}': 0 });
      expect(errors.map((error) => `${error} ${(error as Error).cause}`)).toEqual([
        expect.stringMatching(/the metric hangs .*did not end within/),
        expect.stringMatching(/the metric throws of prom-client could not be collected .*mine/),
        expect.stringMatching(/the metric rejects .*mine/),
      ]);
    });

    test('that hang take less than the time of the reader, so that the rest of all registries arrives', async () => {
      const registries = [1, 2].map((n) => {
        const registry = new client.Registry();
        new client.Gauge({
          name: `hangs_${n}`,
          help: 'h',
          registers: [registry],
          collect: () => new Promise(() => {}),
        });
        new client.Gauge({ name: `here_${n}`, help: 'h', registers: [registry], async collect() {} });
        return registry;
      });
      const reader = new ManualMetricReader({ metricProducers: [promClientProducer(registries)] });
      new MeterProvider({ readers: [reader] });
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
      onTestFinished(() => void vi.useRealTimers());
      const collecting = reader.collect({ timeoutMillis: 1_000 });
      await vi.advanceTimersByTimeAsync(900);
      vi.useRealTimers();
      const { resourceMetrics, errors } = await collecting;
      expect(samplesIn(textOf(resourceMetrics))).toEqual({ 'here_1{}': 0, 'here_2{}': 0 });
      expect(errors).toHaveLength(2);
    });

    test('a metric that could not be collected has not begun anew when it is back', async () => {
      const registry = new client.Registry();
      let isBroken = false;
      const counter = new client.Counter({
        name: 'c_total',
        help: 'c',
        registers: [registry],
        collect() {
          if (isBroken) fail();
        },
      });
      counter.inc();
      const producer = promClientProducer(registry);
      const start = async () => {
        const [metric] = metricsIn((await producer.collect()).resourceMetrics as MetricBatch);
        return metric?.dataPoints[0]?.startTime;
      };
      const first = await start();
      isBroken = true;
      expect(await start()).toBeUndefined();
      isBroken = false;
      expect(await start()).toEqual(first);
    });
  });

  test('several registries, and the aggregated one of a cluster, go out together', async () => {
    const workers = [1, 2].map((n) => {
      const registry = new client.Registry();
      new client.Counter({ name: 'c_total', help: 'c', labelNames: ['a'], registers: [registry] }).inc(
        { a: 'x' },
        n,
      );
      new client.Histogram({
        name: 'h',
        help: 'h',
        labelNames: ['a'],
        buckets: [1],
        registers: [registry],
      }).observe({ a: `${n}` }, n);
      return registry;
    });
    const aggregated = client.AggregatorRegistry.aggregate(
      (await Promise.all(workers.map((worker) => worker.getMetricsAsJSON()))) as never,
    );
    const own = new client.Registry();
    new client.Gauge({ name: 'own', help: 'o', registers: [own] });
    const samples = samplesIn(textOf(await collected([aggregated as never, own])));
    expect(samples).toEqual({ ...samplesIn(await aggregated.metrics()), 'own{}': 0 });
    expect(samples).toMatchObject({ 'c_total{a="x"}': 3, 'h_bucket{a="2",le="+Inf"}': 1 });
  });
});

function fail(): never {
  throw new Error('mine');
}

const millis = ([seconds, nanos]: [number, number]) => seconds * 1_000 + nanos / 1e6;

async function nextMillisecond() {
  const now = Date.now();
  while (Date.now() === now) await new Promise(setImmediate);
}

const sortedLabels = (block: string) => block.slice(1, -1).split(',').sort().join();

/** Bounds by their values, however they are written. */
function numbered(samples: Record<string, number>) {
  return Object.fromEntries(
    Object.entries(samples).map(([series, value]) => [
      series.replace(/le="([^"]*)"/, (_, le) => `le=${Number(le)}`),
      value,
    ]),
  );
}
