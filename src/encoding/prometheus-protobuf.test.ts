import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { expect, test } from 'vitest';
import { toExemplarColumns } from '../data/exemplar-columns.ts';
import { exponentialHistogramColumns, type MetricBatch, type MetricColumns } from '../data/metric-batch.ts';
import { batchOf, counter, exponentialHistogram, gauge, histogram, summary } from './fixtures/metrics.ts';
import type { PrometheusProblem } from './prometheus-families.ts';
import { nativeBuckets } from './prometheus-native-buckets.ts';
import type { PrometheusEncodingOptions } from './prometheus-options.ts';
import { encodePrometheusProtobuf } from './prometheus-protobuf.ts';

const schema = protobuf.loadSync(
  fileURLToPath(new URL('../../test/proto/prometheus/metrics.proto', import.meta.url)),
);
const MetricFamily = schema.lookupType('io.prometheus.client.MetricFamily');

interface DecodedFamily {
  name: string;
  help?: string;
  type: string;
  unit?: string;
  metric: Record<string, never>[];
}

function decode(batch: MetricBatch, options?: PrometheusEncodingOptions): DecodedFamily[] {
  const bytes = Buffer.concat([...encodePrometheusProtobuf(batch, options)]);
  const reader = protobuf.Reader.create(bytes);
  const families: DecodedFamily[] = [];
  while (reader.pos < bytes.length) {
    const message = MetricFamily.decodeDelimited(reader);
    families.push(MetricFamily.toObject(message, { enums: String, longs: Number }) as DecodedFamily);
  }
  return families;
}

const scope = { name: 'test' };

function plain(...metrics: MetricColumns[]) {
  const problems: PrometheusProblem[] = [];
  const families = decode(batchOf([[scope, metrics]]), {
    scopeLabels: false,
    onProblem: (problem) => problems.push(problem),
  });
  return { families, problems };
}

interface Native {
  scale?: number;
  offset?: number;
  counts?: number[];
  negativeOffset?: number;
  negativeCounts?: number[];
  zeroCount?: number;
  sum?: number;
}

function native(name: string, point: Native = {}) {
  const {
    scale = 0,
    offset = 0,
    counts = [],
    negativeOffset = 0,
    negativeCounts = [],
    zeroCount = 0,
    sum = 1,
  } = point;
  const total = [...counts, ...negativeCounts, zeroCount].reduce((a, b) => a + b, 0);
  return exponentialHistogramColumns({
    ...exponentialHistogram(name),
    counts: Float64Array.of(total),
    sums: Float64Array.of(sum),
    scales: Int32Array.of(scale),
    zeroCounts: Float64Array.of(zeroCount),
    positive: {
      offsets: Int32Array.of(offset),
      starts: Uint32Array.of(0, counts.length),
      counts: Float64Array.from(counts),
    },
    negative: {
      offsets: Int32Array.of(negativeOffset),
      starts: Uint32Array.of(0, negativeCounts.length),
      counts: Float64Array.from(negativeCounts),
    },
  });
}

test('families have name, help, type and unit; series have labels and values; the resource is target_info', () => {
  const batch = batchOf(
    [
      [
        { name: 'shop', version: '1' },
        [
          counter('requests', [[{ 'http.route': '/größe', code: 200 }, 3]], { description: 'Answered.' }),
          gauge('temperature', [[{}, -1.5]], { unit: 'Cel' }),
        ],
      ],
    ],
    { 'service.name': 'orders' },
  );
  expect(decode(batch)).toEqual([
    {
      name: 'target_info',
      help: 'Attributes of the resource.',
      type: 'GAUGE',
      metric: [{ label: [{ name: 'service_name', value: 'orders' }], gauge: { value: 1 } }],
    },
    {
      name: 'requests_total',
      help: 'Answered.',
      type: 'COUNTER',
      metric: [
        {
          label: [
            { name: 'otel_scope_name', value: 'shop' },
            { name: 'otel_scope_version', value: '1' },
            { name: 'code', value: '200' },
            { name: 'http_route', value: '/größe' },
          ],
          counter: { value: 3 },
        },
      ],
    },
    {
      name: 'temperature_celsius',
      type: 'GAUGE',
      unit: 'celsius',
      metric: [
        {
          label: [
            { name: 'otel_scope_name', value: 'shop' },
            { name: 'otel_scope_version', value: '1' },
          ],
          gauge: { value: -1.5 },
        },
      ],
    },
  ]);
});

test('[8.16] classic histograms have cumulative buckets up to infinity', () => {
  const { families } = plain(
    histogram('h', [[{ le: 'x' }, { boundaries: [0, 1], counts: [1, 2, 3], sum: 9 }]], { unit: 's' }),
  );
  expect(families).toEqual([
    {
      name: 'h_seconds',
      type: 'HISTOGRAM',
      unit: 'seconds',
      metric: [
        {
          label: [{ name: 'exported_le', value: 'x' }],
          histogram: {
            sampleCount: 6,
            sampleSum: 9,
            bucket: [
              { cumulativeCount: 1, upperBound: 0 },
              { cumulativeCount: 3, upperBound: 1 },
              { cumulativeCount: 6, upperBound: Number.POSITIVE_INFINITY },
            ],
          },
        },
      ],
    },
  ]);
});

test('[8.15] summaries have quantiles, sum, count and start; what is not known is no number, and no count', () => {
  const quantiles = [
    [0, 0],
    [0.5, -2],
    [0.999, Number.NaN],
  ] as const;
  const metric = summary(
    's',
    [
      [{ quantile: 'x' }, { count: 3, sum: 7.5, quantiles }],
      [{}, { count: Number.NaN, sum: Number.NaN, quantiles }],
    ],
    { unit: 's' },
  );
  metric.startTimes.set([1_700_000_000_000_000_001n]);
  const quantile = quantiles.map(([of, value]) => ({ quantile: of, value }));
  expect(plain(metric).families).toEqual([
    {
      name: 's_seconds',
      type: 'SUMMARY',
      unit: 'seconds',
      metric: [
        {
          label: [{ name: 'exported_quantile', value: 'x' }],
          summary: {
            sampleCount: 3,
            sampleSum: 7.5,
            quantile,
            startTimestamp: { seconds: 1_700_000_000, nanos: 1 },
          },
        },
        { summary: { sampleCount: 0, sampleSum: Number.NaN, quantile } },
      ],
    },
  ]);
});

test('[8.15] gauges of an unknown type are untyped; the format has no others of those that OpenMetrics has', () => {
  const { families } = plain(
    ...['unknown', 'info', 'stateset'].map((told) =>
      gauge(told, [[{}, 1]], { metadata: { 'prometheus.type': told } }),
    ),
  );
  expect(families.map(({ type, metric }) => [type, ...metric])).toEqual([
    ['UNTYPED', { untyped: { value: 1 } }],
    ['GAUGE', { gauge: { value: 1 } }],
    ['GAUGE', { gauge: { value: 1 } }],
  ]);
});

test('a classic histogram that kept no sum says so, rather than zero', () => {
  const { families } = plain(histogram('h', [[{}, { boundaries: [], counts: [2] }]]));
  expect(families[0]!.metric[0]).toMatchObject({ histogram: { sampleSum: Number.NaN } });
});

test('[8.18] an exponential histogram becomes a native one', () => {
  const { families, problems } = plain(
    native('latency', {
      scale: 0,
      offset: 3,
      counts: [10, 0, 0, 20, 5, 2],
      negativeOffset: -2,
      negativeCounts: [1],
      zeroCount: 4,
      sum: 123.5,
    }),
  );
  expect(problems).toEqual([]);
  expect(families).toEqual([
    {
      name: 'latency',
      type: 'HISTOGRAM',
      metric: [
        {
          histogram: {
            sampleCount: 42,
            sampleSum: 123.5,
            schema: 0,
            zeroThreshold: 1e-128,
            zeroCount: 4,
            negativeSpan: [{ offset: -1, length: 1 }],
            negativeDelta: [1],
            positiveSpan: [
              { offset: 4, length: 1 },
              { offset: 2, length: 3 },
            ],
            positiveDelta: [10, 10, -15, -3],
          },
        },
      ],
    },
  ]);
});

test.each<[string, Native, number, [number, number][], number[]]>([
  ['scale 9 loses a step', { scale: 9, offset: 3, counts: [1, 1, 1, 1] }, 8, [[2, 3]], [1, 1, -1]],
  ['indices below zero round down', { scale: 9, offset: -1, counts: [1] }, 8, [[0, 1]], [1]],
  ['scale 20 loses twelve', { scale: 20, offset: -4097, counts: [5, 6, 7] }, 8, [[-1, 2]], [5, 8]],
  ['the finest that Prometheus has', { scale: 8, offset: 0, counts: [1] }, 8, [[1, 1]], [1]],
  ['the coarsest', { scale: -4, offset: -1, counts: [1, 2] }, -4, [[0, 2]], [1, 1]],
])('[8.18] %s', (_, point, scale, spans, deltas) => {
  const [family] = plain(native('h', point)).families;
  expect(family!.metric[0]).toMatchObject({
    histogram: {
      schema: scale,
      positiveSpan: spans.map(([offset, length]) => ({ offset, length })),
      positiveDelta: deltas,
    },
  });
});

test('[8.18] every value stays in a bucket that holds it, however fine its scale was', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -4, max: 20 }),
      fc.integer({ min: -5_000, max: 5_000 }),
      fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 160 }),
      (scale, offset, counts) => {
        const into = { offsets: [], lengths: [], deltas: [] } as Parameters<typeof nativeBuckets>[3];
        const columns = {
          offsets: Int32Array.of(offset),
          starts: Uint32Array.of(0, counts.length),
          counts: Float64Array.from(counts),
        };
        nativeBuckets(columns, 0, scale, into);
        const found = new Map<number, number>();
        let index = 0;
        let count = 0;
        let bucket = 0;
        into.offsets.forEach((skipped, s) => {
          index += skipped;
          for (let k = 0; k < into.lengths[s]!; k++) {
            count += into.deltas[bucket++]!;
            found.set(index++, count);
          }
        });
        const expected = new Map<number, number>();
        const width = 2 ** Math.max(0, scale - 8);
        counts.forEach((one, k) => {
          const at = Math.floor((offset + k) / width) + 1;
          if (one > 0) expected.set(at, (expected.get(at) ?? 0) + one);
        });
        expect(found).toEqual(expected);
        expect(bucket).toBe(into.deltas.length);
        expect(into.offsets.slice(1).every((skipped) => skipped > 0)).toBe(true);
      },
    ),
  );
});

test('[8.18] histograms that are too coarse, or have no sum, are left out and told', () => {
  const { families, problems } = plain(
    native('coarse', { scale: -5, counts: [1] }),
    native('sumless', { sum: Number.NaN, counts: [1] }),
    native('empty'),
  );
  expect(families.map(({ name }) => name)).toEqual(['empty']);
  expect(problems.map(({ message }) => message)).toEqual([
    expect.stringMatching(/coarse .*scale -5/),
    expect.stringMatching(/sumless .*no sum/),
  ]);
});

test('a native histogram without any value cannot be taken for a classic one', () => {
  expect(plain(native('empty')).families[0]!.metric[0]).toMatchObject({
    histogram: { zeroThreshold: 1e-128 },
  });
});

const TRACE = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };

test('[8.17][8.35] counters and buckets have their latest exemplar, native histograms all, and start times', () => {
  const exemplar = (value: number, seconds: number) => ({
    value,
    timestamp: [seconds, 5] as [number, number],
    filteredAttributes: { 'user.id': 7, trace_id: 'mine' },
    ...TRACE,
  });
  const columns = (...exemplars: ReturnType<typeof exemplar>[]) => ({
    exemplars: toExemplarColumns([exemplars])!,
    startTimes: BigUint64Array.of(1_700_000_000_000_000_001n),
  });
  const { families } = plain(
    { ...counter('c', [[{}, 1]]), ...columns(exemplar(1, 10), exemplar(2, 20)) },
    {
      ...histogram('h', [[{}, { boundaries: [1], counts: [2, 1], sum: 3 }]]),
      ...columns(exemplar(1, 30), exemplar(0.5, 20), exemplar(9, 10)),
    },
    { ...native('n', { counts: [1, 1] }), ...columns(exemplar(1, 30), exemplar(2, 20)) },
  );
  const shown = (value: number, seconds: number) => ({
    label: [
      { name: 'trace_id', value: TRACE.traceId },
      { name: 'span_id', value: TRACE.spanId },
      { name: 'user_id', value: '7' },
    ],
    value,
    timestamp: { seconds, nanos: 5 },
  });
  const startTimestamp = { seconds: 1_700_000_000, nanos: 1 };
  expect(families.map(({ metric }) => metric[0])).toMatchObject([
    { counter: { exemplar: shown(2, 20), startTimestamp } },
    { histogram: { bucket: [{ exemplar: shown(1, 30) }, { exemplar: shown(9, 10) }], startTimestamp } },
    { histogram: { exemplars: [shown(1, 30), shown(2, 20)], startTimestamp } },
  ]);
});

test('[8.27] a series whose labels another one has is left out and told', () => {
  const { families, problems } = plain(
    counter('c', [
      [{ a: 1 }, 1],
      [{ a: '1' }, 2],
      [{ a: '2' }, 3],
    ]),
  );
  expect(families[0]!.metric).toMatchObject([{ counter: { value: 1 } }, { counter: { value: 3 } }]);
  expect(problems).toHaveLength(1);
});

test('chunks are bounded, whatever a family holds, and never far apart', () => {
  const points = Array.from({ length: 20_000 }, (_, i) => [{ id: `series ${i}` }, i] as const);
  const sizes: number[] = [];
  for (const chunk of encodePrometheusProtobuf(batchOf([[scope, [counter('c', points)]]])))
    sizes.push(chunk.length);
  // And one series, each of which takes less than 100 bytes.
  expect(Math.max(...sizes)).toBeLessThan(64 * 1024 + 100);
  expect(sizes.filter((size) => size === 0).length).toBeGreaterThan(50);
});

test('whatever labels and values are, they arrive', () => {
  const text = fc.string({ unit: 'grapheme' });
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(text, fc.double({ noNaN: true })), { selector: ([key]) => key, maxLength: 20 }),
      (points) => {
        const metric = gauge(
          'g',
          points.map(([value, number]) => [{ value }, number] as const),
        );
        const { families } = plain(metric);
        const found = (families[0]?.metric ?? []) as unknown as {
          label?: { value: string }[];
          gauge: { value: number };
        }[];
        expect(found.map(({ label, gauge: { value } }) => [label?.[0]?.value ?? '', value])).toEqual(points);
      },
    ),
  );
});
