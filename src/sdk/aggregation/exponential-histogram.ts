// Base-2 exponential histogram: buckets (base^i, base^(i+1)] with base = 2^(2^-scale), as fine as `maxSize` buckets per
// sign allow (OTel metrics SDK, "Base2 Exponential Bucket Histogram Aggregation", and data model).
import type { ColumnMemory } from '../../data/column-memory.ts';
import {
  type ExponentialColumns,
  type ExponentialHistogramColumns,
  exponentialHistogramColumns,
} from '../../data/metric-batch.ts';
import type { Sampling } from '../exemplars/sampled-exemplars.ts';
import { type Aggregator, type PointCopier, resized, resizedInts } from './aggregator.ts';
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

// A series is one run of numbers, so that a measurement touches neighbouring cache lines:
const SUM = 0;
const MIN = 1;
const MAX = 2;
const COUNT = 3;
const ZEROS = 4;
const STRIDE = 5;

type Columns = Pick<ExponentialColumns, 'counts' | 'sums' | 'mins' | 'maxs' | 'zeroCounts' | 'scales'>;

export class ExponentialHistogramAggregator implements Aggregator {
  readonly sampling: Sampling;
  readonly #options: ExponentialHistogramOptions;
  #data = new Float64Array(0);
  #scales = new Int32Array(0);
  readonly #positive = new ExponentialBuckets();
  readonly #negative = new ExponentialBuckets();

  constructor(options: ExponentialHistogramOptions) {
    this.#options = options;
    this.sampling = { size: Math.min(20, options.maxSize) };
  }

  resize(capacity: number): void {
    this.#data = resized(this.#data, capacity * STRIDE);
    this.#scales = resizedInts(this.#scales, capacity);
    this.#positive.resize(capacity);
    this.#negative.resize(capacity);
  }

  reset(row: number): void {
    const start = row * STRIDE;
    this.#data[start + SUM] = 0;
    this.#data[start + MIN] = Number.POSITIVE_INFINITY;
    this.#data[start + MAX] = Number.NEGATIVE_INFINITY;
    this.#data[start + COUNT] = 0;
    this.#data[start + ZEROS] = 0;
    this.#scales[row] = this.#options.maxScale;
    this.#positive.clear(row);
    this.#negative.clear(row);
  }

  move(from: number, to: number): void {
    this.#data.copyWithin(to * STRIDE, from * STRIDE, (from + 1) * STRIDE);
    this.#scales[to] = this.#scales[from]!;
    // The ring of the row that ended waits for the next series.
    this.#positive.swap(from, to);
    this.#negative.swap(from, to);
  }

  record(row: number, value: number): void {
    const data = this.#data;
    const start = row * STRIDE;
    data[start + COUNT]!++;
    data[start + SUM]! += value;
    if (value < data[start + MIN]!) data[start + MIN] = value;
    if (value > data[start + MAX]!) data[start + MAX] = value;
    if (value > 0) this.#count(row, this.#positive, value);
    else if (value < 0) this.#count(row, this.#negative, -value);
    else data[start + ZEROS]!++;
  }

  #count(row: number, buckets: ExponentialBuckets, magnitude: number): void {
    const index = bucketIndex(magnitude, this.#scales[row]!);
    if (!buckets.incrementUsed(row, index)) this.#widen(row, buckets, index);
  }

  #widen(row: number, buckets: ExponentialBuckets, index: number): void {
    const length = buckets.lengthOf(row);
    let low = index;
    let high = index;
    if (length > 0) {
      low = Math.min(buckets.lowOf(row), index);
      high = Math.max(buckets.lowOf(row) + length - 1, index);
    }
    let shift = 0;
    // Ends at scale -10 at the latest, where two buckets hold every number.
    while (high - low >= this.#options.maxSize) {
      low >>= 1;
      high >>= 1;
      shift++;
    }
    if (shift > 0) {
      this.#positive.downscale(row, shift);
      this.#negative.downscale(row, shift);
      this.#scales[row]! -= shift;
    }
    buckets.increment(row, index >> shift);
  }

  copier(rows: Uint32Array, memory: ColumnMemory): PointCopier<ExponentialHistogramColumns> {
    const capacity = rows.length;
    const columns = {
      counts: memory.float64(capacity),
      sums: memory.float64(capacity),
      mins: memory.float64(capacity),
      maxs: memory.float64(capacity),
      zeroCounts: memory.float64(capacity),
      scales: memory.int32(capacity),
    };
    const positive = this.#positive.copier(rows, memory);
    const negative = this.#negative.copier(rows, memory);
    let length = 0;
    return {
      copy: (some) => {
        for (let i = 0; i < some.length; i++) {
          const row = some[i]!;
          this.#copy(row, length++, columns);
          positive.copy(row);
          negative.copy(row);
        }
      },
      finish: (points) =>
        exponentialHistogramColumns({
          ...points,
          counts: columns.counts.subarray(0, length),
          sums: columns.sums.subarray(0, length),
          mins: columns.mins.subarray(0, length),
          maxs: columns.maxs.subarray(0, length),
          zeroCounts: columns.zeroCounts.subarray(0, length),
          scales: columns.scales.subarray(0, length),
          positive: positive.finish(),
          negative: negative.finish(),
        }),
    };
  }

  /** All but the buckets. */
  #copy(row: number, to: number, { counts, sums, mins, maxs, zeroCounts, scales }: Columns): void {
    const data = this.#data;
    const start = row * STRIDE;
    const count = data[start + COUNT]!;
    // A bound series that nothing was recorded to has neither.
    const isKnown = count > 0 && this.#options.recordMinMax;
    counts[to] = count;
    zeroCounts[to] = data[start + ZEROS]!;
    sums[to] = this.#options.recordSum ? data[start + SUM]! : Number.NaN;
    mins[to] = isKnown ? data[start + MIN]! : Number.NaN;
    maxs[to] = isKnown ? data[start + MAX]! : Number.NaN;
    scales[to] = this.#scales[row]!;
  }
}
