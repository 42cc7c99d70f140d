// Cardinality limits. Proven elsewhere: [4.33] to [4.37] for the plain cases and [4.39] in src/sdk/instruments.test.ts and
// src/sdk/observables.test.ts.
import type { Attributes } from '@opentelemetry/api';
import { describe, expect, test } from 'vitest';
import { AggregationTemporality, InstrumentType } from '../../src/data/metric-data.ts';
import { createAllowListAttributesProcessor } from '../../src/sdk/attribute-filter.ts';
import { MeterProvider } from '../../src/sdk/meter-provider.ts';
import { ManualMetricReader } from '../../src/sdk/readers/manual-metric-reader.ts';
import type { ViewOptions } from '../../src/sdk/view.ts';
import { captureLogs, pointsOf } from '../support/collected.ts';

const { CUMULATIVE, DELTA } = AggregationTemporality;
const OVERFLOW = { 'otel.metric.overflow': true };

function setUp(limit: number | undefined, temporality = CUMULATIVE, views: ViewOptions[] = []) {
  const reader = new ManualMetricReader({
    aggregationTemporalitySelector: () => temporality,
    cardinalitySelector: limit === undefined ? undefined : () => limit,
  });
  return { reader, meter: new MeterProvider({ readers: [reader], views }).getMeter('test') };
}

async function seriesCount(reader: ManualMetricReader): Promise<number> {
  return (await pointsOf(reader)).length;
}

describe('cardinality limits', () => {
  const logs = captureLogs();

  test("[4.31] a View's limit comes first, then that of the reader for the kind, then 2000", async () => {
    const add = (counter: { add(value: number, attributes: Attributes): void }) => {
      for (let i = 0; i < 2100; i++) counter.add(1, { i });
    };
    const plain = setUp(undefined);
    add(plain.meter.createCounter('c'));
    expect(await seriesCount(plain.reader)).toBe(2001);

    const reader = new ManualMetricReader({
      cardinalitySelector: (type) => (type === InstrumentType.COUNTER ? 5 : 7),
    });
    const views = [{ instrumentName: 'viewed', aggregationCardinalityLimit: 3 }];
    const meter = new MeterProvider({ readers: [reader], views }).getMeter('test');
    for (const name of ['c', 'viewed']) add(meter.createCounter(name));
    add(meter.createUpDownCounter('u'));
    const { resourceMetrics } = await reader.collect();
    const counts = resourceMetrics.scopeMetrics[0]!.metrics.map((metric) => metric.dataPoints.length);
    expect(counts).toEqual([6, 4, 8]);
  });

  test('[4.32] the overflow series has one attribute, and it is a boolean', async () => {
    const { reader, meter } = setUp(1);
    const counter = meter.createCounter('c');
    for (const i of [1, 2, 3]) counter.add(1, { i, other: 'x' });
    const points = await pointsOf(reader);
    expect(points[1]).toEqual([OVERFLOW, 2]);
  });

  test('[4.33] so many sets as the limit says are no overflow; one more is', async () => {
    for (const limit of [1, 3, 64]) {
      const { reader, meter } = setUp(limit);
      const counter = meter.createCounter('c');
      for (let i = 0; i < limit; i++) counter.add(1, { i });
      expect(await seriesCount(reader)).toBe(limit);
      counter.add(1, { i: limit });
      expect((await pointsOf(reader)).at(-1)).toEqual([OVERFLOW, 1]);
    }
  });

  test.each([CUMULATIVE, DELTA])(
    '[4.33][4.37] observed series that left make room in the same round (temporality %i)',
    async (temporality) => {
      const { reader, meter } = setUp(2, temporality);
      let observed = ['a', 'b'];
      meter.createObservableCounter('c').addCallback((result) => {
        for (const key of observed) result.observe(10, { key });
      });
      const seen = async () => (await pointsOf(reader)).map(([attributes]) => attributes);
      expect(await seen()).toEqual([{ key: 'a' }, { key: 'b' }]);
      observed = ['c', 'd'];
      expect(await seen()).toEqual([{ key: 'c' }, { key: 'd' }]);
      observed = ['e', 'd', 'f', 'g'];
      const points = await pointsOf(reader);
      expect(new Map(points.map(([attributes, value]) => [JSON.stringify(attributes), value]))).toEqual(
        new Map([
          ['{"key":"d"}', temporality === DELTA ? 0 : 10],
          ['{"key":"e"}', 10],
          [JSON.stringify(OVERFLOW), 20],
        ]),
      );
      expect(logs).toHaveLength(1);
    },
  );

  test('[4.36] what leaves the overflow series for the room of one that left is not counted again', async () => {
    const { reader, meter } = setUp(2, DELTA);
    let observed: [string, number][] = [
      ['a', 10],
      ['b', 10],
      ['c', 10],
      ['d', 10],
    ];
    meter.createObservableCounter('o').addCallback((result) => {
      for (const [key, value] of observed) result.observe(value, { key });
    });
    const total = async () => (await pointsOf(reader)).reduce((sum, [, value]) => sum + (value as number), 0);
    expect(await total()).toBe(40);
    observed = [
      ['c', 10],
      ['d', 30],
      ['b', 15],
    ];
    expect(await total()).toBe(25);
  });

  test('[4.38] attributes are filtered before series are counted, and no attributes are a series too', async () => {
    const views = [{ attributesProcessors: [createAllowListAttributesProcessor(['kept'])] }];
    const { reader, meter } = setUp(2, CUMULATIVE, views);
    const counter = meter.createCounter('c');
    for (let i = 0; i < 100; i++) counter.add(1, { kept: 'x', dropped: i });
    for (let i = 0; i < 100; i++) counter.add(1, { dropped: i });
    expect(await pointsOf(reader)).toEqual([
      [{ kept: 'x' }, 100],
      [{}, 100],
    ]);
    expect(logs).toEqual([]);
    counter.add(1, { kept: 'y' });
    expect((await pointsOf(reader)).at(-1)).toEqual([OVERFLOW, 1]);
  });

  test('[4.34] a set that is over the limit once is over it for good, until a series is removed', async () => {
    const { reader, meter } = setUp(2);
    const counter = meter.createCounter('c');
    for (const key of ['a', 'b', 'c']) counter.add(1, { key });
    await pointsOf(reader);
    counter.add(1, { key: 'c' });
    expect(await pointsOf(reader)).toEqual([
      [{ key: 'a' }, 1],
      [{ key: 'b' }, 1],
      [OVERFLOW, 2],
    ]);
    counter.remove({ key: 'a' });
    counter.add(1, { key: 'c' });
    const points = await pointsOf(reader);
    expect(points).toHaveLength(3);
    expect(points).toContainEqual([{ key: 'c' }, 1]);
    expect(points).toContainEqual([OVERFLOW, 2]);
  });

  test('[4.36] measurements under the attribute of the overflow series are counted with it, once', async () => {
    const { reader, meter } = setUp(2);
    const counter = meter.createCounter('c');
    counter.add(1, OVERFLOW);
    for (const key of ['a', 'b', 'c', 'd']) counter.add(1, { key });
    counter.add(1, OVERFLOW);
    const points = await pointsOf(reader);
    expect(new Set(points.map(([attributes]) => JSON.stringify(attributes))).size).toBe(points.length);
    expect(points.reduce((total, [, value]) => total + (value as number), 0)).toBe(6);
  });

  test('[4.39] ten thousand measurements over the limit are one message, and the next stream has its own', () => {
    const { meter } = setUp(2);
    for (const name of ['a', 'b']) {
      const counter = meter.createCounter(name);
      for (let i = 0; i < 10_000; i++) counter.add(1, { user: `u${i}` });
    }
    expect(logs).toEqual([
      expect.stringContaining(
        'a has reached its limit of 2 series; attribute "user" alone has 2 distinct values',
      ),
      expect.stringContaining('b has reached its limit of 2 series'),
    ]);
  });
});
