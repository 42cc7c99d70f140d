// The official SDK as an oracle: random programs must give the same points in both, wherever the official one is right.
// Where it is not is listed in docs/differences-from-opentelemetry-js.md; the programs keep clear of that: attribute values
// are finite and not null, streams stay below their limit, observables report the same series each time, and Views do not
// take attributes from observables or share a name.
import { readFileSync } from 'node:fs';
import type { Attributes, Meter } from '@opentelemetry/api';
import * as official from '@opentelemetry/sdk-metrics';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AggregationType } from '../../src/data/aggregation-option.ts';
import type { AggregationTemporality, MetricData } from '../../src/data/metric-data.ts';
import {
  createAllowListAttributesProcessor,
  createDenyListAttributesProcessor,
} from '../../src/sdk/attribute-filter.ts';
import { MeterProvider } from '../../src/sdk/meter-provider.ts';
import { ManualMetricReader } from '../../src/sdk/readers/manual-metric-reader.ts';
import { captureLogs } from '../support/collected.ts';

class OfficialReader extends official.MetricReader {
  protected async onForceFlush(): Promise<void> {}
  protected async onShutdown(): Promise<void> {}
}

const BOUNDARIES = [-5, 0, 1, 10, 100];

const viewsOf = (
  allow: typeof createAllowListAttributesProcessor,
  deny: typeof createDenyListAttributesProcessor,
) => [
  { instrumentName: 'filtered', attributesProcessors: [allow(['a', 'b'])] },
  { instrumentName: 'denied', attributesProcessors: [deny(['a'])] },
  { instrumentName: 'renamed', name: 'another', description: 'said by the View' },
  { instrumentName: 'dropped', aggregation: { type: AggregationType.DROP } as const },
  { instrumentName: 'summed', aggregation: { type: AggregationType.SUM } as const },
  {
    instrumentName: 'bucketed',
    aggregation: {
      type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM,
      options: { boundaries: BOUNDARIES, recordMinMax: false },
    } as const,
  },
  {
    instrumentName: 'exponential',
    aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM, options: { maxSize: 12 } } as const,
  },
];

/** The same program runs against both. */
function instrumentsOf(meter: Meter) {
  return {
    counter: meter.createCounter('counter', { unit: 'By', description: 'bytes' }),
    updown: meter.createUpDownCounter('updown'),
    gauge: meter.createGauge('gauge'),
    histogram: meter.createHistogram('histogram'),
    advised: meter.createHistogram('advised', { advice: { explicitBucketBoundaries: BOUNDARIES } }),
    filtered: meter.createCounter('filtered'),
    denied: meter.createHistogram('denied'),
    renamed: meter.createCounter('renamed', { description: 'said by the instrument' }),
    dropped: meter.createCounter('dropped'),
    summed: meter.createHistogram('summed'),
    bucketed: meter.createHistogram('bucketed'),
    exponential: meter.createHistogram('exponential'),
  };
}

type Name = keyof ReturnType<typeof instrumentsOf>;
const NAMES = Object.keys(instrumentsOf(new MeterProvider().getMeter('names'))) as Name[];

const value = fc.constantFrom<Attributes[string]>(
  '',
  'x',
  'y',
  1,
  '1',
  true,
  'true',
  0,
  ['x'],
  ['x', 'y'],
  'ключ',
  '"',
);
const attributes = fc
  .tuple(fc.record({ a: value, b: value, 'c.d': value }, { requiredKeys: [] }), fc.boolean())
  .map(
    ([of, isReversed]): Attributes => (isReversed ? Object.fromEntries(Object.entries(of).reverse()) : of),
  );

const step = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('record' as const),
      name: fc.constantFrom(...NAMES),
      // Sums of quarters are exact in any order.
      amount: fc.oneof(
        fc.nat(4000).map((quarters) => quarters / 4),
        fc.constantFrom(0, 1, 2, 4, 0.5, 100, 1e6),
      ),
      attributes,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('collect' as const), reader: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('observe' as const), growth: fc.nat(100) }) },
);

type Reader = { collect(): Promise<{ resourceMetrics: { scopeMetrics: { metrics: unknown[] }[] } }> };

/** A collection without what may differ: times, and the order of metrics and points. */
async function comparable(reader: Reader): Promise<Record<string, unknown>> {
  const { resourceMetrics } = await reader.collect();
  const metrics = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics) as MetricData[];
  return Object.fromEntries(
    metrics
      .filter(({ dataPoints }) => dataPoints.length > 0)
      .map((metric) => {
        const { name, unit, description, valueType } = metric.descriptor;
        const points = metric.dataPoints.map((point) => [
          keyOf(point.attributes),
          withoutPadding(point.value),
        ]);
        return [
          name,
          {
            descriptor: { name, unit, description, valueType },
            temporality: metric.aggregationTemporality,
            type: metric.dataPointType,
            isMonotonic: 'isMonotonic' in metric ? metric.isMonotonic : undefined,
            points: Object.fromEntries(points),
          },
        ];
      }),
  );
}

function keyOf(of: Attributes): string {
  return JSON.stringify(Object.entries(of).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * Empty buckets at the ends of an exponential histogram may be written or not; without any bucket in use the scale says nothing,
 * and the official SDK has 0 there.
 */
function withoutPadding(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('positive' in value)) return value;
  const { positive, negative, ...others } = value as Record<
    string,
    { offset: number; bucketCounts: number[] }
  >;
  const trimmed = [positive!, negative!].map(({ offset, bucketCounts }) =>
    bucketCounts.flatMap((count, i) => (count === 0 ? [] : [[offset + i, count]])),
  );
  const scale = trimmed.flat().length > 0 ? others.scale : undefined;
  return { ...others, scale, trimmed };
}

function setUp() {
  const temporalities = [0, 1] as AggregationTemporality[];
  const ours = temporalities.map(
    (it) => new ManualMetricReader({ aggregationTemporalitySelector: () => it }),
  );
  const theirs = temporalities.map((it) => new OfficialReader({ aggregationTemporalitySelector: () => it }));
  const providers = [
    new MeterProvider({
      readers: ours,
      views: viewsOf(createAllowListAttributesProcessor, createDenyListAttributesProcessor),
    }),
    new official.MeterProvider({
      readers: theirs,
      views: viewsOf(official.createAllowListAttributesProcessor, official.createDenyListAttributesProcessor),
    }),
  ];
  return { ours, theirs, meters: providers.map((provider) => provider.getMeter('m', '1')) };
}

describe('the official SDK', () => {
  captureLogs();

  test('gives the same points for random programs', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 120 }), async (steps) => {
        const { ours, theirs, meters } = setUp();
        const instruments = meters.map(instrumentsOf);
        let observed = 0;
        for (const meter of meters) {
          const [counter, updown, gauge] = [
            meter.createObservableCounter('observed'),
            meter.createObservableUpDownCounter('observed updown'),
            meter.createObservableGauge('observed gauge'),
          ];
          meter.addBatchObservableCallback(
            (result) => {
              for (const key of ['x', 'y']) {
                result.observe(counter, observed, { key });
                result.observe(updown, 50 - observed, { key });
                result.observe(gauge, -observed, { key });
              }
            },
            [counter, updown, gauge],
          );
        }
        for (const it of steps) {
          if (it.kind === 'collect') {
            expect(await comparable(ours[it.reader]!)).toEqual(await comparable(theirs[it.reader]!));
          } else if (it.kind === 'observe') observed += it.growth;
          else {
            for (const all of instruments) {
              const instrument = all[it.name];
              if ('record' in instrument) instrument.record(it.amount, it.attributes);
              else instrument.add(it.name === 'updown' ? it.amount - 500 : it.amount, it.attributes);
            }
          }
        }
        for (const reader of [0, 1]) {
          expect(await comparable(ours[reader]!)).toEqual(await comparable(theirs[reader]!));
        }
      }),
      { numRuns: 200 },
    );
  });

  test('puts values of all sizes into the same exponential buckets', async () => {
    const size = fc.double({ min: Number.MIN_VALUE, noNaN: true, noDefaultInfinity: true });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(size, fc.double({ min: 0, max: 1e4, noNaN: true })), { maxLength: 50 }),
        async (values) => {
          const { ours, theirs, meters } = setUp();
          for (const meter of meters) {
            const histogram = meter.createHistogram('exponential');
            for (const one of values) histogram.record(one);
          }
          // Sums of such values depend on the order of additions only, which is the same.
          expect(await comparable(ours[0]!)).toEqual(await comparable(theirs[0]!));
        },
      ),
      { numRuns: 200 },
    );
  });
});

interface Difference {
  program(meter: Meter, collect: () => Promise<unknown>): unknown;
  ours: unknown;
  theirs: unknown;
  temporality?: 0 | 1;
  limit?: number;
  views?: official.ViewOptions[];
}

/** One row of the document each; what the official SDK does is checked too, so that the document stays true. */
const differences: Record<string, Difference> = {
  '[12.03] Names that differ in letter case only': {
    program(meter) {
      meter.createCounter('requestCount').add(1);
      meter.createCounter('RequestCount').add(1);
    },
    ours: { requestCount: { '[]': 2 } },
    theirs: { requestCount: { '[]': 1 }, RequestCount: { '[]': 1 } },
  },
  '[12.06] NaN on a counter': {
    program(meter) {
      const counter = meter.createCounter('c');
      counter.add(1);
      counter.add(Number.NaN);
    },
    ours: { c: { '[]': 1 } },
    theirs: { c: { '[]': Number.NaN } },
  },
  '[12.07] NaN and null as attribute values': {
    program(meter) {
      const counter = meter.createCounter('c');
      counter.add(1, { a: Number.NaN });
      counter.add(1, { a: null } as never);
      counter.add(1, {});
    },
    ours: { c: { '[["a",null]]': 1, '[]': 2 } },
    theirs: { c: { '[["a",null]]': 2, '[]': 1 } },
  },
  '[12.09] A series that a callback no longer reports': {
    async program(meter, collect) {
      let keys = ['x', 'y'];
      meter.createObservableCounter('o').addCallback((result) => {
        for (const key of keys) result.observe(1, { key });
      });
      await collect();
      keys = ['y'];
    },
    ours: { o: { '[["key","y"]]': 1 } },
    theirs: { o: { '[["key","x"]]': 1, '[["key","y"]]': 1 } },
  },
  '[12.11] A View that takes attributes from an observable': {
    program(meter) {
      meter.createObservableCounter('o').addCallback((result) => {
        result.observe(50, { pid: 1 });
        result.observe(30, { pid: 2 });
      });
    },
    views: [{ instrumentName: 'o', attributesProcessors: [official.createAllowListAttributesProcessor([])] }],
    ours: { o: { '[]': 80 } },
    theirs: { o: { '[]': 30 } },
  },
  '[12.16] Two Views of one stream name': {
    program: (meter) => meter.createCounter('c').add(1, { a: 1, b: 1 }),
    views: [
      { instrumentName: 'c' },
      { instrumentName: 'c', attributesProcessors: [official.createAllowListAttributesProcessor(['a'])] },
    ],
    ours: { c: { '[["a",1],["b",1]]': 1 }, 'c 2': { '[["a",1]]': 1 } },
    theirs: { c: { '[["a",1],["b",1]]': 2 } },
  },
  '[12.24] So many series as the limit says': {
    program(meter) {
      const counter = meter.createCounter('c');
      for (const key of ['x', 'y']) counter.add(1, { key });
    },
    limit: 2,
    ours: { c: { '[["key","x"]]': 1, '[["key","y"]]': 1 } },
    theirs: { c: { '[["key","x"]]': 1, '[["otel.metric.overflow",true]]': 1 } },
  },
  '[12.25] Series over the limit, collection after collection': {
    async program(meter, collect) {
      const counter = meter.createCounter('c');
      for (const key of ['v', 'w', 'x', 'y']) {
        counter.add(1, { key });
        await collect();
      }
    },
    limit: 2,
    ours: { c: { '[["key","v"]]': 1, '[["key","w"]]': 1, '[["otel.metric.overflow",true]]': 2 } },
    theirs: { c: { '[["key","v"]]': 1, '[["key","w"]]': 1, '[["key","x"]]': 1, '[["key","y"]]': 1 } },
  },
};

describe('where the official SDK is wrong, docs/differences-from-opentelemetry-js.md says so', () => {
  captureLogs();

  test('which has these rows and those of the three tests below', () => {
    const path = new URL('../../docs/differences-from-opentelemetry-js.md', import.meta.url);
    const rows = [...readFileSync(path, 'utf8').matchAll(/^\| (.+) ✓ \|/gm)].map(([, title]) => title);
    expect(rows.sort()).toEqual(
      [
        ...Object.keys(differences).map((name) => name.slice(name.indexOf(' ') + 1)),
        'A delta series that is new in a window',
        'The first point of an observable',
        'Scale of an exponential histogram that only has zeros',
      ].sort(),
    );
  });

  test.each(Object.entries(differences))('%s', async (_, { program, ours, theirs, ...options }) => {
    const seen = [];
    for (const sdk of ['ours', 'theirs'] as const) {
      const settings = {
        aggregationTemporalitySelector: () => (options.temporality ?? 1) as AggregationTemporality,
        cardinalitySelector: () => options.limit ?? 2000,
      };
      const reader = sdk === 'ours' ? new ManualMetricReader(settings) : new OfficialReader(settings);
      const { views } = options;
      const provider =
        sdk === 'ours'
          ? new MeterProvider({ readers: [reader], views })
          : new official.MeterProvider({ readers: [reader as OfficialReader], views });
      await program(provider.getMeter('m'), () => reader.collect());
      const points: Record<string, unknown> = {};
      for (const { descriptor, dataPoints } of (await reader.collect()).resourceMetrics.scopeMetrics[0]!
        .metrics) {
        const name = descriptor.name in points ? `${descriptor.name} 2` : descriptor.name;
        points[name] = Object.fromEntries(dataPoints.map((point) => [keyOf(point.attributes), point.value]));
      }
      seen.push(points);
    }
    expect(seen).toEqual([ours, theirs]);
  });

  test('[12.28] A delta series that is new in a window starts with it', async () => {
    const { ours, theirs, meters } = setUp();
    const starts = [];
    for (const [i, reader] of [ours[0]!, theirs[0]!].entries()) {
      const counter = meters[i]!.createCounter('c');
      counter.add(1, { key: 'x' });
      const first = (await reader.collect()).resourceMetrics.scopeMetrics[0]!.metrics[0]!.dataPoints[0]!;
      await new Promise((resolve) => setTimeout(resolve, 5));
      counter.add(1, { key: 'y' });
      const next = (await reader.collect()).resourceMetrics.scopeMetrics[0]!.metrics[0]!.dataPoints[0]!;
      starts.push(String(next.startTime) === String(first.endTime));
    }
    expect(starts).toEqual([true, false]);
  });

  test('[12.14] the first point of an observable starts before it ends', async () => {
    const { ours, theirs, meters } = setUp();
    const isEmpty = [];
    for (const [i, reader] of [ours[1]!, theirs[1]!].entries()) {
      meters[i]!.createObservableCounter('o').addCallback((result) => result.observe(1));
      const { startTime, endTime } = (await reader.collect()).resourceMetrics.scopeMetrics[0]!.metrics[0]!
        .dataPoints[0]!;
      isEmpty.push(String(startTime) === String(endTime));
    }
    expect(isEmpty).toEqual([false, true]);
  });

  test('[4.14] the scale of an exponential histogram that only has zeros is the finest', async () => {
    const { ours, theirs, meters } = setUp();
    const scales = [];
    for (const [i, reader] of [ours[1]!, theirs[1]!].entries()) {
      meters[i]!.createHistogram('exponential').record(0);
      const [point] = (await reader.collect()).resourceMetrics.scopeMetrics[0]!.metrics[0]!.dataPoints;
      scales.push((point!.value as { scale: number }).scale);
    }
    expect(scales).toEqual([20, 0]);
  });
});
