// What comes out is what went in, whatever stands between: Views, limits, readers, temporalities, handles, removals.
import type { Attributes } from '@opentelemetry/api';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { captureLogs, metricsOf } from '../../test/support/collected.ts';
import { AggregationType } from '../data/aggregation-option.ts';
import {
  AggregationTemporality,
  type ExponentialHistogram,
  type Histogram,
  type MetricData,
} from '../data/metric-data.ts';
import { createAllowListAttributesProcessor, createDenyListAttributesProcessor } from './attribute-filter.ts';
import { MeterProvider } from './meter-provider.ts';
import { ManualMetricReader } from './readers/manual-metric-reader.ts';
import type { ViewOptions } from './view.ts';

const { CUMULATIVE, DELTA } = AggregationTemporality;

const NAMES = ['counter', 'updown', 'histogram'] as const;
type Name = (typeof NAMES)[number];

/** What a View may make of an instrument; the stream's name tells the instrument by its first word. */
const shapes: ((name: Name) => ViewOptions)[] = [
  () => ({ attributesProcessors: [createAllowListAttributesProcessor(['a'])] }),
  () => ({ attributesProcessors: [createDenyListAttributesProcessor(['a', 'missing'])] }),
  () => ({ attributesProcessors: [createAllowListAttributesProcessor([])] }),
  () => ({ attributesProcessors: [{ process: ({ a, b }) => ({ merged: `${a}${b}`.slice(0, 2) }) }] }),
  (name) => ({ name: `${name} renamed` }),
  () => ({ aggregationCardinalityLimit: 2 }),
  () => ({ idleTimeoutMillis: 1e9 }),
  (name) => ({
    aggregation: name === 'histogram' ? { type: AggregationType.EXPONENTIAL_HISTOGRAM } : undefined,
  }),
  (name) => ({ aggregation: name === 'updown' ? undefined : { type: AggregationType.SUM } }),
];

const value = fc.constantFrom<Attributes[string]>(
  'x',
  'y',
  '',
  1,
  '1',
  true,
  'true',
  Number.NaN,
  ['x'],
  ['x', 1 as never],
);
const attributes = fc
  .tuple(fc.record({ a: value, b: value, c: value }, { requiredKeys: [] }), fc.boolean())
  .map(
    ([of, isReversed]): Attributes => (isReversed ? Object.fromEntries(Object.entries(of).reverse()) : of),
  );

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constantFrom('call' as const, 'bound' as const),
      name: fc.constantFrom(...NAMES),
      amount: fc.nat(100),
      attributes,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('collect' as const), reader: fc.nat(2) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('remove' as const),
      name: fc.constantFrom(...NAMES),
      attributes,
    }),
  },
);

const settings = fc.record({
  readers: fc.array(
    fc.record({ temporality: fc.constantFrom(CUMULATIVE, DELTA), limit: fc.integer({ min: 1, max: 12 }) }),
    { minLength: 1, maxLength: 3 },
  ),
  views: fc.array(fc.record({ name: fc.constantFrom(...NAMES), shape: fc.nat(shapes.length - 1) }), {
    maxLength: 4,
  }),
});

/** Sums, and how many measurements histograms counted, by the instrument that a stream's name tells. */
type Totals = Record<string, number>;

function addTotals(totals: Totals, metrics: readonly MetricData[], sign = 1): Totals {
  for (const { descriptor, dataPoints } of metrics) {
    const [instrument] = descriptor.name.split(' ');
    for (const { value } of dataPoints as { value: number | Histogram | ExponentialHistogram }[]) {
      const sum = typeof value === 'number' ? value : value.sum!;
      totals[instrument!] = (totals[instrument!] ?? 0) + sign * sum;
      if (typeof value !== 'number') {
        const count = 'buckets' in value ? bucketTotal(value.buckets.counts) : exponentialTotal(value);
        expect(value.count).toBe(count);
        totals.count = (totals.count ?? 0) + sign * count;
      }
    }
  }
  return totals;
}

const bucketTotal = (counts: readonly number[]) => counts.reduce((all, count) => all + count, 0);
const exponentialTotal = ({ zeroCount, positive, negative }: ExponentialHistogram) =>
  zeroCount + bucketTotal(positive.bucketCounts) + bucketTotal(negative.bucketCounts);

function setUp({
  readers,
  views,
}: {
  readers: { temporality: number; limit: number }[];
  views: ViewOptions[];
}) {
  const all = readers.map(
    ({ temporality, limit }) =>
      new ManualMetricReader({
        aggregationTemporalitySelector: () => temporality,
        cardinalitySelector: () => limit,
      }),
  );
  const meter = new MeterProvider({ readers: all, views }).getMeter('test');
  const instruments = {
    counter: meter.createCounter('counter'),
    updown: meter.createUpDownCounter('updown'),
    histogram: meter.createHistogram('histogram'),
  };
  return { readers: all, meter, instruments };
}

function keyOf(of: Attributes): string {
  const text = (it: unknown): unknown => (Array.isArray(it) ? it.map(text) : [typeof it, String(it)]);
  return JSON.stringify(Object.entries(of).map(([key, it]) => [key, text(it)]));
}

describe('[4.36] totals', () => {
  captureLogs();

  test('of all points equal those of all measurements, in every stream of every reader', async () => {
    await fc.assert(
      fc.asyncProperty(settings, fc.array(step, { maxLength: 150 }), async (chosen, steps) => {
        const views = chosen.views.map(({ name, shape }) => ({
          instrumentName: name,
          ...shapes[shape]!(name),
        }));
        const { readers, instruments } = setUp({ readers: chosen.readers, views });
        const streams = (name: Name) => Math.max(1, chosen.views.filter((view) => view.name === name).length);
        const isDistribution = ({ aggregation }: ViewOptions) => aggregation?.type !== AggregationType.SUM;
        const ofHistogram = views.filter((view) => view.instrumentName === 'histogram');
        const distributions = ofHistogram.length === 0 ? 1 : ofHistogram.filter(isDistribution).length;

        const expected: Totals = {};
        const exported: Totals[] = readers.map(() => ({}));
        const isDelta = (reader: number) => chosen.readers[reader]!.temporality === DELTA;
        const collect = async (reader: number) => {
          const metrics = await metricsOf(readers[reader]!);
          for (const { dataPoints } of metrics) {
            const keys = dataPoints.map((point) => keyOf(point.attributes));
            expect(new Set(keys).size).toBe(keys.length);
          }
          if (isDelta(reader)) addTotals(exported[reader]!, metrics);
          return metrics;
        };
        const bound = new Map<string, { add?(value: number): void; record?(value: number): void }>();
        for (const it of steps) {
          if (it.kind === 'collect') {
            if (it.reader < readers.length) await collect(it.reader);
          } else if (it.kind === 'remove') {
            // What a cumulative series had is gone with it, and nothing else is.
            const cumulative = readers.flatMap((_, i) => (isDelta(i) ? [] : [i]));
            for (const i of cumulative) addTotals(exported[i]!, await collect(i));
            instruments[it.name].remove(it.attributes);
            for (const i of cumulative) addTotals(exported[i]!, await collect(i), -1);
          } else {
            const { name, attributes: given, amount } = it;
            const recorded = name === 'updown' ? amount - 50 : amount;
            expected[name] = (expected[name] ?? 0) + recorded * streams(name);
            if (name === 'histogram') expected.count = (expected.count ?? 0) + distributions;
            const key = `${name} ${keyOf(given)}`;
            if (it.kind === 'call') {
              if (name === 'histogram') instruments.histogram.record(recorded, given);
              else instruments[name].add(recorded, given);
            } else {
              if (!bound.has(key)) bound.set(key, instruments[name].bind(given));
              const handle = bound.get(key)!;
              if (name === 'histogram') handle.record!(recorded);
              else handle.add!(recorded);
            }
          }
        }
        for (const [i, totals] of exported.entries()) {
          const metrics = await collect(i);
          if (!isDelta(i)) addTotals(totals, metrics);
          for (const [name, total] of Object.entries(expected))
            expect([name, totals[name] ?? 0]).toEqual([name, total]);
          for (const { descriptor, dataPoints } of metrics) {
            const limits = views.flatMap((view) =>
              descriptor.name.startsWith(view.instrumentName) ? [view.aggregationCardinalityLimit ?? 0] : [],
            );
            expect(dataPoints.length).toBeLessThanOrEqual(Math.max(chosen.readers[i]!.limit, ...limits) + 1);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test('of delta windows equal the cumulative points, series by series', async () => {
    await fc.assert(
      fc.asyncProperty(settings, fc.array(step, { maxLength: 150 }), async ({ views: chosen }, steps) => {
        // One View per instrument, since streams of one name cannot be told apart here; limits would mix the series.
        const views = NAMES.flatMap((name) => {
          const shape = chosen.find((view) => view.name === name)?.shape;
          return shape === undefined
            ? []
            : [{ instrumentName: name, ...shapes[shape]!(name), aggregationCardinalityLimit: 1000 }];
        });
        const limits = [CUMULATIVE, DELTA].map((temporality) => ({ temporality, limit: 1000 }));
        const { readers, instruments } = setUp({ readers: limits, views });
        const totals = async (reader: number, into: Map<string, number>) => {
          for (const { descriptor, dataPoints } of await metricsOf(readers[reader]!)) {
            for (const { attributes: of, value } of dataPoints) {
              const key = `${descriptor.name} ${keyOf(of)}`;
              into.set(key, (into.get(key) ?? 0) + (typeof value === 'number' ? value : value.sum!));
            }
          }
          return into;
        };
        const windows = new Map<string, number>();
        for (const it of steps) {
          if (it.kind === 'collect') await totals(1, windows);
          else if (it.kind === 'call' && it.name === 'histogram')
            instruments.histogram.record(it.amount, it.attributes);
          else if (it.kind === 'call' && it.name !== 'histogram')
            instruments[it.name].add(it.amount, it.attributes);
        }
        await totals(1, windows);
        expect(windows).toEqual(await totals(0, new Map()));
      }),
      { numRuns: 200 },
    );
  });

  test('of observed deltas equal what was observed last', async () => {
    const sets = fc.uniqueArray(fc.nat(20), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(
        sets,
        fc.array(fc.tuple(fc.nat(1), fc.nat(50)), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1, max: 15 }),
        fc.boolean(),
        async (observed, rounds, limit, isFiltered) => {
          const views = isFiltered
            ? [{ attributesProcessors: [createAllowListAttributesProcessor(['even'])] }]
            : [];
          const limits = [CUMULATIVE, DELTA].map((temporality) => ({ temporality, limit }));
          const { readers, meter } = setUp({ readers: limits, views });
          let current = 0;
          meter.createObservableCounter('observed').addCallback((result) => {
            for (const i of observed) result.observe(current + i, { i, even: i % 2 === 0 });
          });
          const total = async (reader: number) => {
            const totals = addTotals({}, await metricsOf(readers[reader]!));
            return totals.observed!;
          };
          let deltas = 0;
          for (const [reader, growth] of rounds) {
            current += growth;
            const seen = await total(reader);
            if (reader === 1) deltas += seen;
          }
          deltas += await total(1);
          const expected = observed.reduce((all, i) => all + current + i, 0);
          expect([deltas, await total(0)]).toEqual([expected, expected]);
        },
      ),
    );
  });

  test('of observed deltas are what each attribute set grew by, whatever Views and limits make of them', async () => {
    // A user may well observe the overflow series itself.
    const setsOfKey = (key: number): Attributes =>
      key === 0 ? { 'otel.metric.overflow': true } : { key, even: key % 2 === 0 };
    const observation = fc.tuple(fc.nat(9), fc.nat(100));
    const round = fc.record({
      observed: fc.array(observation, { maxLength: 14 }),
      grown: fc.nat(50),
      isFailing: fc.nat(4).map((it) => it === 0),
    });
    const processors = [
      undefined,
      createAllowListAttributesProcessor(['even', 'otel.metric.overflow']),
      createAllowListAttributesProcessor([]),
      { process: ({ key }: Attributes) => ({ third: Number(key ?? 0) % 3 }) },
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.array(round, { minLength: 1, maxLength: 15 }),
        fc.integer({ min: 1, max: 8 }),
        fc.constantFrom(...processors),
        async (rounds, limit, processor) => {
          const views = processor === undefined ? [] : [{ attributesProcessors: [processor] }];
          const limits = [DELTA, CUMULATIVE].map((temporality) => ({ temporality, limit }));
          const { readers, meter } = setUp({ readers: limits, views });
          let base = 0;
          let current: (typeof rounds)[number];
          meter.createObservableCounter('observed').addCallback((result) => {
            for (const [key, value] of current.observed) result.observe(base + value, setsOfKey(key));
            if (current.isFailing) throw new Error('not now');
          });
          let before = new Map<number, number>();
          for (current of rounds) {
            base += current.grown;
            const [deltas = 0, values = 0] = (
              await Promise.all(readers.map(async (reader) => addTotals({}, await metricsOf(reader))))
            ).map(({ observed }) => observed);
            if (current.isFailing) {
              expect([deltas, values]).toEqual([0, 0]);
              continue;
            }
            const now = new Map(current.observed.map(([key, value]) => [key, base + value]));
            let grown = 0;
            for (const [key, value] of now) {
              const previous = before.get(key) ?? 0;
              grown += value >= previous ? value - previous : value;
            }
            const total = [...now.values()].reduce((all, value) => all + value, 0);
            expect([deltas, values]).toEqual([grown, total]);
            before = now;
          }
        },
      ),
      { numRuns: 400 },
    );
  });
});
