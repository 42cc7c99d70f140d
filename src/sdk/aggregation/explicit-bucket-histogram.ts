// Explicit-bucket histogram (OTel metrics SDK, "Explicit Bucket Histogram Aggregation").
// A series is one run of numbers, so that a measurement touches neighbouring cache lines:
//   sum, min, max, bucket 0, …, bucket n
import type { ColumnMemory } from '../../data/column-memory.ts';
import { type ExplicitBucketColumns, histogramColumns } from '../../data/metric-batch.ts';
import type { Sampling } from '../exemplars/sampled-exemplars.ts';
import { type Aggregator, type PointCopier, resized } from './aggregator.ts';

const SUM = 0;
const MIN = 1;
const MAX = 2;
const BUCKETS = 3;

type Columns = Pick<ExplicitBucketColumns, 'counts' | 'sums' | 'mins' | 'maxs' | 'bucketCounts'>;

export class ExplicitBucketHistogramAggregator implements Aggregator {
  readonly sampling: Sampling;
  readonly #boundaries: Float64Array;
  readonly #stride: number;
  readonly #recordSum: boolean;
  readonly #recordMinMax: boolean;
  #data = new Float64Array(0);

  /**
   * @param boundaries inclusive upper bounds, strictly increasing and finite
   * @param options.recordSum false where measurements can be negative: the sum would not be monotonic
   */
  constructor(boundaries: readonly number[], options: { recordSum: boolean; recordMinMax: boolean }) {
    this.#boundaries = Float64Array.from(boundaries);
    this.#stride = BUCKETS + boundaries.length + 1;
    this.#recordSum = options.recordSum;
    this.#recordMinMax = options.recordMinMax;
    this.sampling = { size: 1, bucketOf: (value) => bucketOf(this.#boundaries, value) };
  }

  resize(capacity: number): void {
    this.#data = resized(this.#data, capacity * this.#stride);
  }

  reset(row: number): void {
    const start = row * this.#stride;
    this.#data.fill(0, start, start + this.#stride);
    this.#data[start + MIN] = Number.POSITIVE_INFINITY;
    this.#data[start + MAX] = Number.NEGATIVE_INFINITY;
  }

  move(from: number, to: number): void {
    this.#data.copyWithin(to * this.#stride, from * this.#stride, (from + 1) * this.#stride);
  }

  record(row: number, value: number): void {
    const data = this.#data;
    const boundaries = this.#boundaries;
    const start = row * this.#stride;
    data[start + SUM]! += value;
    if (value < data[start + MIN]!) data[start + MIN] = value;
    if (value > data[start + MAX]!) data[start + MAX] = value;
    data[start + BUCKETS + bucketOf(boundaries, value)]!++;
  }

  copier({ length: capacity }: Uint32Array, memory: ColumnMemory): PointCopier {
    const width = this.#boundaries.length + 1;
    const columns = {
      counts: memory.float64(capacity),
      sums: memory.float64(capacity),
      mins: memory.float64(capacity),
      maxs: memory.float64(capacity),
      bucketCounts: memory.float64(capacity * width),
    };
    let length = 0;
    return {
      copy: (rows) => {
        for (let i = 0; i < rows.length; i++) this.#copy(rows[i]!, length++, columns);
      },
      finish: (points) =>
        histogramColumns({
          ...points,
          boundaries: [...this.#boundaries],
          counts: columns.counts.subarray(0, length),
          sums: columns.sums.subarray(0, length),
          mins: columns.mins.subarray(0, length),
          maxs: columns.maxs.subarray(0, length),
          bucketCounts: columns.bucketCounts.subarray(0, length * width),
        }),
    };
  }

  /** It returns nothing, because a number would be boxed. */
  #copy(row: number, to: number, { counts, sums, mins, maxs, bucketCounts }: Columns): void {
    const data = this.#data;
    const start = row * this.#stride;
    const width = this.#boundaries.length + 1;
    let count = 0;
    for (let bucket = 0; bucket < width; bucket++) {
      const inBucket = data[start + BUCKETS + bucket]!;
      bucketCounts[to * width + bucket] = inBucket;
      count += inBucket;
    }
    counts[to] = count;
    sums[to] = this.#recordSum ? data[start + SUM]! : Number.NaN;
    // A bound series that nothing was recorded to has neither.
    const isKnown = count > 0 && this.#recordMinMax;
    mins[to] = isKnown ? data[start + MIN]! : Number.NaN;
    maxs[to] = isKnown ? data[start + MAX]! : Number.NaN;
  }
}

/** Linear: for the usual dozen of boundaries it is as fast as a binary search, and most values are small. */
function bucketOf(boundaries: Float64Array, value: number): number {
  let bucket = 0;
  while (bucket < boundaries.length && value > boundaries[bucket]!) bucket++;
  return bucket;
}
