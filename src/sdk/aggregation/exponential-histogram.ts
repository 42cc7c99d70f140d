// Base-2 exponential histogram: buckets (base^i, base^(i+1)] with base = 2^(2^-scale), as fine as `maxSize` buckets per
// sign allow (OTel metrics SDK, "Base2 Exponential Bucket Histogram Aggregation", and data model).
import {
  type ExponentialBuckets as BucketColumns,
  exponentialHistogramColumns,
  type PointColumns,
} from '../../data/metric-batch.ts';
import { type ExemplarReservoir, simpleFixedSizeReservoir } from '../exemplars/exemplar-reservoir.ts';
import type { Aggregator } from './aggregator.ts';
import { ExponentialBuckets } from './exponential-buckets.ts';
import { bucketIndex } from './exponential-index.ts';

export const DEFAULT_MAX_SIZE = 160;
export const DEFAULT_MAX_SCALE = 20;

export interface ExponentialHistogramOptions {
  /** Buckets per sign, at least 2. */
  maxSize: number;
  /** The finest scale, from -10 to 20. */
  maxScale: number;
  recordSum: boolean;
  recordMinMax: boolean;
}

class Series {
  scale = 0;
  count = 0;
  zeroCount = 0;
  sum = 0;
  min = Number.POSITIVE_INFINITY;
  max = Number.NEGATIVE_INFINITY;
  readonly positive = new ExponentialBuckets();
  readonly negative = new ExponentialBuckets();

  clear(scale: number): void {
    this.scale = scale;
    this.count = 0;
    this.zeroCount = 0;
    this.sum = 0;
    this.min = Number.POSITIVE_INFINITY;
    this.max = Number.NEGATIVE_INFINITY;
    this.positive.clear();
    this.negative.clear();
  }
}

export class ExponentialHistogramAggregator implements Aggregator {
  readonly #options: ExponentialHistogramOptions;
  /** By row. Those of rows that ended wait for the next series, so that their buckets need not grow again. */
  readonly #series: Series[] = [];

  constructor(options: ExponentialHistogramOptions) {
    this.#options = options;
  }

  resize(): void {}

  reset(row: number): void {
    (this.#series[row] ??= new Series()).clear(this.#options.maxScale);
  }

  move(from: number, to: number): void {
    const ended = this.#series[to]!;
    this.#series[to] = this.#series[from]!;
    this.#series[from] = ended;
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

  #count(series: Series, buckets: ExponentialBuckets, magnitude: number): void {
    const index = bucketIndex(magnitude, series.scale);
    if (index >= buckets.low && index <= buckets.high) {
      buckets.increment(index);
      return;
    }
    let low = buckets.length === 0 ? index : Math.min(buckets.low, index);
    let high = buckets.length === 0 ? index : Math.max(buckets.high, index);
    let shift = 0;
    // Ends at scale -10 at the latest, where two buckets hold every number.
    while (high - low >= this.#options.maxSize) {
      low >>= 1;
      high >>= 1;
      shift++;
    }
    if (shift > 0) {
      series.positive.downscale(shift);
      series.negative.downscale(shift);
      series.scale -= shift;
    }
    buckets.increment(index >> shift);
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
      mins: Float64Array.from(series, (one) => (recordMinMax && one.count > 0 ? one.min : Number.NaN)),
      maxs: Float64Array.from(series, (one) => (recordMinMax && one.count > 0 ? one.max : Number.NaN)),
      positive: bucketColumns(series.map((one) => one.positive)),
      negative: bucketColumns(series.map((one) => one.negative)),
    });
  }
}

function bucketColumns(all: readonly ExponentialBuckets[]): BucketColumns {
  const starts = new Uint32Array(all.length + 1);
  all.forEach((buckets, i) => void (starts[i + 1] = starts[i]! + buckets.length));
  const counts = new Float64Array(starts[all.length]!);
  for (const [i, buckets] of all.entries()) buckets.copyTo(counts, starts[i]!);
  return { offsets: Int32Array.from(all, (buckets) => buckets.low), starts, counts };
}
