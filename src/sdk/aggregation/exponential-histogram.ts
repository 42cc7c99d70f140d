// Base-2 exponential histogram: buckets (base^i, base^(i+1)] with base = 2^(2^-scale), as fine as `maxSize` buckets per
// sign allow (OTel metrics SDK, "Base2 Exponential Bucket Histogram Aggregation", and data model).
import {
  type ExponentialBuckets,
  exponentialHistogramColumns,
  type PointColumns,
} from '../../data/metric-batch.ts';
import { type ExemplarReservoir, simpleFixedSizeReservoir } from '../exemplars/exemplar-reservoir.ts';
import type { Aggregator } from './aggregator.ts';
import { bucketIndex } from './exponential-index.ts';

export const DEFAULT_MAX_SIZE = 160;
export const DEFAULT_MAX_SCALE = 20;
/** At this scale two buckets of each sign hold every normal number, so that it is never left. */
export const MIN_SCALE = -10;

export interface ExponentialHistogramOptions {
  /** Buckets per sign, at least 2. */
  maxSize: number;
  /** The finest scale, from -10 to 20. */
  maxScale: number;
  recordSum: boolean;
  recordMinMax: boolean;
}

/** The counts of one sign: `counts[i]` is that of bucket `offset + i`. */
class Buckets {
  offset = 0;
  counts: number[] = [];

  increment(index: number): void {
    const { counts } = this;
    if (counts.length === 0) this.offset = index;
    while (index < this.offset) {
      counts.unshift(0);
      this.offset--;
    }
    while (index >= this.offset + counts.length) counts.push(0);
    counts[index - this.offset]!++;
  }

  /** Joins neighbours `shift` times: bucket `i` goes to `i >> shift`, and no count is lost. */
  downscale(shift: number): void {
    if (this.counts.length === 0) return;
    const offset = this.offset >> shift;
    const joined = new Array<number>(((this.offset + this.counts.length - 1) >> shift) - offset + 1).fill(0);
    this.counts.forEach((count, i) => void (joined[((this.offset + i) >> shift) - offset]! += count));
    this.offset = offset;
    this.counts = joined;
  }
}

class Series {
  scale: number;
  count = 0;
  zeroCount = 0;
  sum = 0;
  min = Number.POSITIVE_INFINITY;
  max = Number.NEGATIVE_INFINITY;
  readonly positive = new Buckets();
  readonly negative = new Buckets();

  constructor(scale: number) {
    this.scale = scale;
  }
}

export class ExponentialHistogramAggregator implements Aggregator {
  readonly #options: ExponentialHistogramOptions;
  readonly #series: Series[] = [];

  constructor(options: ExponentialHistogramOptions) {
    this.#options = options;
  }

  resize(): void {}

  reset(row: number): void {
    this.#series[row] = new Series(this.#options.maxScale);
  }

  move(from: number, to: number): void {
    this.#series[to] = this.#series[from]!;
  }

  record(row: number, value: number): void {
    const series = this.#series[row]!;
    series.count++;
    series.sum += value;
    if (value < series.min) series.min = value;
    if (value > series.max) series.max = value;
    if (value === 0) series.zeroCount++;
    else this.#count(series, value > 0 ? series.positive : series.negative, Math.abs(value));
  }

  #count(series: Series, buckets: Buckets, magnitude: number): void {
    let index = bucketIndex(magnitude, series.scale);
    let shift = 0;
    let low = buckets.counts.length === 0 ? index : Math.min(buckets.offset, index);
    let high =
      buckets.counts.length === 0 ? index : Math.max(buckets.offset + buckets.counts.length - 1, index);
    while (high - low >= this.#options.maxSize && series.scale - shift > MIN_SCALE) {
      low >>= 1;
      high >>= 1;
      shift++;
    }
    if (shift > 0) {
      series.positive.downscale(shift);
      series.negative.downscale(shift);
      series.scale -= shift;
      index >>= shift;
    }
    buckets.increment(index);
  }

  createReservoir(): ExemplarReservoir {
    return simpleFixedSizeReservoir(Math.min(20, this.#options.maxSize));
  }

  collect(points: PointColumns, rows: Uint32Array | undefined) {
    const { recordSum, recordMinMax } = this.#options;
    const series =
      rows === undefined
        ? this.#series.slice(0, points.length)
        : Array.from(rows, (row) => this.#series[row]!);
    return exponentialHistogramColumns({
      ...points,
      scales: Int32Array.from(series, (one) => one.scale),
      counts: Float64Array.from(series, (one) => one.count),
      zeroCounts: Float64Array.from(series, (one) => one.zeroCount),
      sums: Float64Array.from(series, (one) => (recordSum ? one.sum : Number.NaN)),
      mins: Float64Array.from(series, (one) => (recordMinMax ? one.min : Number.NaN)),
      maxs: Float64Array.from(series, (one) => (recordMinMax ? one.max : Number.NaN)),
      positive: bucketColumns(series.map((one) => one.positive)),
      negative: bucketColumns(series.map((one) => one.negative)),
    });
  }
}

function bucketColumns(all: readonly Buckets[]): ExponentialBuckets {
  const starts = new Uint32Array(all.length + 1);
  all.forEach((buckets, i) => void (starts[i + 1] = starts[i]! + buckets.counts.length));
  const counts = new Float64Array(starts[all.length]!);
  for (const [i, buckets] of all.entries()) counts.set(buckets.counts, starts[i]);
  return { offsets: Int32Array.from(all, (buckets) => buckets.offset), starts, counts };
}
