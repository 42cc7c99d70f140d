import { ValueType } from '@opentelemetry/api';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NEW_MEMORY } from '../../data/column-memory.ts';
import { AggregationTemporality, type ExponentialHistogram } from '../../data/metric-data.ts';
import { ExponentialHistogramAggregator } from './exponential-histogram.ts';
import { bucketIndex } from './exponential-index.ts';

const descriptor = { name: 'h', description: '', unit: '', valueType: ValueType.DOUBLE };

function collected(aggregator: ExponentialHistogramAggregator, rows: number): ExponentialHistogram[] {
  const all = Uint32Array.from({ length: rows }, (_, row) => row);
  const copier = aggregator.copier(all, NEW_MEMORY);
  copier.copy(all);
  const columns = copier.finish({
    descriptor,
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    length: rows,
    attributes: new Array(rows).fill({ attributes: {} }),
    startTimes: new BigUint64Array(rows),
    endTimes: new BigUint64Array(rows),
  });
  return columns.dataPoints.map(({ value }) => value);
}

function histogram(values: readonly number[], options: { maxSize?: number; maxScale?: number } = {}) {
  const aggregator = new ExponentialHistogramAggregator({
    maxSize: 160,
    maxScale: 20,
    recordSum: true,
    recordMinMax: true,
    ...options,
  });
  aggregator.resize(1);
  aggregator.reset(0);
  for (const value of values) aggregator.record(0, value);
  return collected(aggregator, 1)[0]!;
}

const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);

/** Counts by bucket index, of both signs, at a scale that is not finer than the point's. */
function buckets({ scale, zeroCount, positive, negative }: ExponentialHistogram, at: number) {
  const counts = new Map<string, number>(zeroCount > 0 ? [['zero', zeroCount]] : []);
  for (const [sign, { offset, bucketCounts }] of Object.entries({ positive, negative })) {
    bucketCounts.forEach((count, i) => {
      if (count === 0) return;
      const key = `${sign} ${(offset + i) >> (scale - at)}`;
      counts.set(key, (counts.get(key) ?? 0) + count);
    });
  }
  return counts;
}

const magnitude = fc.oneof(
  fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(Math.abs),
  fc.constantFrom(0, 1, 2, 4, 0.5, 5e-324, 2.2e-308, Number.MAX_VALUE),
);
const value = fc.tuple(magnitude, fc.boolean()).map(([size, isNegative]) => (isNegative ? -size : size));
const options = fc.record({
  maxSize: fc.integer({ min: 2, max: 200 }),
  maxScale: fc.integer({ min: -10, max: 20 }),
});

describe('ExponentialHistogramAggregator', () => {
  test('[4.10] positive, negative and zero values are counted apart, under one scale', () => {
    const point = histogram([4, -4, -4, 0, -0]);
    expect(point).toMatchObject({ count: 5, zeroCount: 2, scale: 20, min: -4, max: 4, sum: -4 });
    expect(point.positive).toEqual({ offset: 2_097_151, bucketCounts: [1] });
    expect(point.negative).toEqual({ offset: 2_097_151, bucketCounts: [2] });
  });

  test.each([
    [[0.001, 0.004], 6],
    [[0.001, 0.02], 5],
    [[0.001, 1], 4],
    [[0.001, 100], 3],
    [[1e-6, 10], 2],
    [[1, 1000], 3],
  ])('[4.15] of the values %j the scale is %d', (values, scale) => {
    expect(histogram(values).scale).toBe(scale);
    expect(histogram(values.map((it) => -it)).scale).toBe(scale);
  });

  test('[4.14] one distinct value keeps the finest scale', () => {
    expect(histogram(new Array(10).fill(7))).toMatchObject({ scale: 20, count: 10 });
    expect(histogram([7, -7, 0]).scale).toBe(20);
    expect(histogram([7], { maxScale: 3 }).scale).toBe(3);
  });

  test('[4.12][4.13] two buckets take everything from the smallest to the largest double', () => {
    const point = histogram([5e-324, 2.2e-308, 1, 1.79e308, Number.MAX_VALUE], { maxSize: 2 });
    expect(point).toMatchObject({ scale: -10, count: 5, zeroCount: 0 });
    expect(point.positive).toEqual({ offset: -1, bucketCounts: [3, 2] });
  });

  test('[4.15][4.18] the scale is the finest that fits, no count is lost, and each value is in its bucket', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 60 }), options, (values, { maxSize, maxScale }) => {
        const point = histogram(values, { maxSize, maxScale });
        const { positive, negative, scale } = point;
        expect(point.count).toBe(values.length);
        expect(point.zeroCount + sum(positive.bucketCounts) + sum(negative.bucketCounts)).toBe(values.length);
        const widths = [positive, negative].map(({ bucketCounts }) => bucketCounts.length);
        expect(Math.max(...widths)).toBeLessThanOrEqual(maxSize);
        expect(scale).toBeLessThanOrEqual(maxScale);
        if (scale < maxScale) expect(Math.max(...widths)).toBeGreaterThan(maxSize / 2);
        const expected = new Map<string, number>();
        for (const one of values) {
          const key =
            one === 0
              ? 'zero'
              : `${one > 0 ? 'positive' : 'negative'} ${bucketIndex(Math.abs(one), maxScale) >> (maxScale - scale)}`;
          expected.set(key, (expected.get(key) ?? 0) + 1);
        }
        expect(buckets(point, scale)).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  test('[4.16] parts brought to one scale add up to the whole, whatever the order of the values', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(value, fc.boolean()), { maxLength: 60 }),
        fc.integer({ min: 2, max: 40 }),
        (tagged, maxSize) => {
          const part = (isLeft: boolean) =>
            histogram(
              tagged.flatMap(([one, left]) => (left === isLeft ? [one] : [])),
              { maxSize },
            );
          const whole = histogram(
            tagged.map(([one]) => one),
            { maxSize },
          );
          const parts = [part(true), part(false)];
          for (const { scale } of parts) expect(whole.scale).toBeLessThanOrEqual(scale);
          const merged = new Map<string, number>();
          for (const counts of parts.map((it) => buckets(it, whole.scale))) {
            for (const [key, count] of counts) merged.set(key, (merged.get(key) ?? 0) + count);
          }
          expect(merged).toEqual(buckets(whole, whole.scale));
        },
      ),
      { numRuns: 300 },
    );
  });

  test('rows that move and rows that start anew do not share buckets', () => {
    const aggregator = new ExponentialHistogramAggregator({
      maxSize: 160,
      maxScale: 20,
      recordSum: true,
      recordMinMax: true,
    });
    aggregator.resize(2);
    for (const row of [0, 1]) aggregator.reset(row);
    aggregator.record(0, 1);
    aggregator.record(1, 2);
    aggregator.move(1, 0);
    aggregator.reset(1);
    aggregator.record(1, 1024);
    const [moved, fresh] = collected(aggregator, 2);
    expect(moved).toMatchObject({ count: 1, sum: 2, scale: 20, positive: { bucketCounts: [1] } });
    expect(fresh).toMatchObject({
      count: 1,
      sum: 1024,
      min: 1024,
      scale: 20,
      positive: { bucketCounts: [1] },
    });
  });
});
