// The columns of exponential histograms against a model that keeps every measurement and knows no rings, rows or arenas.
import { ValueType } from '@opentelemetry/api';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AttributeSet } from '../../data/attribute-set.ts';
import type { ColumnMemory } from '../../data/column-memory.ts';
import type { ExponentialHistogramColumns } from '../../data/metric-batch.ts';
import { AggregationTemporality } from '../../data/metric-data.ts';
import { ExponentialHistogramAggregator } from './exponential-histogram.ts';
import { bucketIndex } from './exponential-index.ts';

interface Options {
  maxSize: number;
  maxScale: number;
}

/** The range of buckets that values of one sign need at a scale. */
function rangeOf(magnitudes: readonly number[], maxScale: number, scale: number) {
  const indexes = magnitudes.map((magnitude) => bucketIndex(magnitude, maxScale) >> (maxScale - scale));
  return { indexes, low: Math.min(...indexes), high: Math.max(...indexes) };
}

function side(magnitudes: readonly number[], maxScale: number, scale: number) {
  if (magnitudes.length === 0) return { offset: 0, counts: [] };
  const { indexes, low, high } = rangeOf(magnitudes, maxScale, scale);
  const counts = new Array<number>(high - low + 1).fill(0);
  for (const index of indexes) counts[index - low]!++;
  return { offset: low, counts };
}

/** What a point must say: the finest scale at which both signs fit, then each measurement in its bucket. */
function model(values: readonly number[], { maxSize, maxScale }: Options) {
  const positive = values.filter((value) => value > 0);
  const negative = values.filter((value) => value < 0).map((value) => -value);
  const fits = (magnitudes: readonly number[], scale: number) => {
    if (magnitudes.length === 0) return true;
    const { low, high } = rangeOf(magnitudes, maxScale, scale);
    return high - low < maxSize;
  };
  let scale = maxScale;
  while (!fits(positive, scale) || !fits(negative, scale)) scale--;
  return {
    scale,
    count: values.length,
    zeroCount: values.filter((value) => value === 0).length,
    sum: values.reduce((sum, value) => sum + value, 0),
    min: values.length > 0 ? Math.min(...values) : Number.NaN,
    max: values.length > 0 ? Math.max(...values) : Number.NaN,
    positive: side(positive, maxScale, scale),
    negative: side(negative, maxScale, scale),
  };
}

/** A point of a model, read out of the columns. */
function pointAt(columns: ExponentialHistogramColumns, i: number): ReturnType<typeof model> {
  const sideAt = ({ offsets, starts, counts }: ExponentialHistogramColumns['positive']) => ({
    offset: offsets[i]!,
    counts: [...counts.subarray(starts[i], starts[i + 1])],
  });
  return {
    scale: columns.scales[i]!,
    count: columns.counts[i]!,
    zeroCount: columns.zeroCounts[i]!,
    sum: columns.sums[i]!,
    min: columns.mins[i]!,
    max: columns.maxs[i]!,
    positive: sideAt(columns.positive),
    negative: sideAt(columns.negative),
  };
}

/** As memory that has been used before. */
const memory: ColumnMemory = {
  float64: (length) => new Float64Array(length).fill(Number.NaN),
  bigUint64: (length) => new BigUint64Array(length).fill(7n),
  int32: (length) => new Int32Array(length).fill(7),
  uint32: (length) => new Uint32Array(length).fill(7),
};

function collect(aggregator: ExponentialHistogramAggregator, rows: Uint32Array): ExponentialHistogramColumns {
  const { length } = rows;
  const points = {
    descriptor: { name: 'h', description: '', unit: '', valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    length,
    attributes: new Array(length).fill(AttributeSet.from({})),
    startTimes: new BigUint64Array(length),
    endTimes: new BigUint64Array(length),
  };
  const copier = aggregator.copier(rows, memory);
  // In two steps, as a collection in slices does it.
  copier.copy(rows.subarray(0, length >> 1));
  copier.copy(rows.subarray(length >> 1));
  return copier.finish(points);
}

// Whole numbers of a power of two add up without rounding, in whatever order.
const magnitude = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: -10, max: 30 }).map((exponent) => 2 ** exponent),
  fc.integer({ min: 1, max: 1 << 20 }).map((step) => step / 1024),
);
// Subtracted from zero, because the smaller of 0 and -0 depends on who compares.
const measurement = fc
  .tuple(magnitude, fc.boolean())
  .map(([size, isNegative]) => (isNegative ? 0 - size : size));

const ROWS = 6;
const row = fc.nat(ROWS - 1);
const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('record' as const), row, value: measurement }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reset' as const), row }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('release' as const), row }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('open' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('collect' as const), isDelta: fc.boolean() }) },
);

test('[4.15][4.18] whatever is recorded, moved, reset and collected, the columns say what the measurements say', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 200, size: 'max' }),
      fc.record({ maxSize: fc.integer({ min: 2, max: 170 }), maxScale: fc.integer({ min: -10, max: 20 }) }),
      (steps, options) => {
        const aggregator = new ExponentialHistogramAggregator({
          ...options,
          recordSum: true,
          recordMinMax: true,
        });
        const rows: number[][] = [];
        let capacity = 0;
        const open = () => {
          // Grown one by one, so that every growth must keep what is there.
          if (rows.length === capacity) aggregator.resize(++capacity);
          aggregator.reset(rows.length);
          rows.push([]);
        };
        const check = () => {
          const all = collect(aggregator, Uint32Array.from(rows.keys()));
          rows.forEach((values, i) => void expect(pointAt(all, i)).toEqual(model(values, options)));
          const written = rows.flatMap((values, i) => (values.length > 0 ? [i] : []));
          const some = collect(aggregator, Uint32Array.from(written));
          written.forEach((from, i) => void expect(pointAt(some, i)).toEqual(pointAt(all, from)));
        };
        open();
        for (const one of steps) {
          if (one.kind === 'open') {
            if (rows.length < ROWS) open();
          } else if (one.kind === 'collect') {
            check();
            for (let i = 0; one.isDelta && i < rows.length; i++) {
              aggregator.reset(i);
              rows[i] = [];
            }
          } else if (one.row < rows.length) {
            if (one.kind === 'record') {
              aggregator.record(one.row, one.value);
              rows[one.row]!.push(one.value);
            } else if (one.kind === 'reset') {
              aggregator.reset(one.row);
              rows[one.row] = [];
            } else if (rows.length > 1) {
              const last = rows.pop()!;
              if (one.row < rows.length) {
                aggregator.move(rows.length, one.row);
                rows[one.row] = last;
              }
            }
          }
        }
        check();
      },
    ),
    { numRuns: 300 },
  );
});
