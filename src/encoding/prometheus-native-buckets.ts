// Buckets of exponential histograms as those of Prometheus's native ones: spans of buckets that have counts, and the
// counts as differences (OTel "Prometheus and OpenMetrics Compatibility", "Exponential Histograms").
import type { ExponentialBuckets } from '../data/metric-batch.ts';

/** Prometheus's finest and coarsest resolution. */
export const MAX_SCHEMA = 8;
export const MIN_SCHEMA = -4;

/** Values closer to zero are counted as zero: what the specification sets where none is given. */
export const ZERO_THRESHOLD = 1e-128;

/** Of one sign of one point; the arrays are used again for the next one. */
export interface NativeBuckets {
  /** By span: buckets left out since the span before; the index of its first bucket for the first one. */
  readonly offsets: number[];
  readonly lengths: number[];
  /** By bucket, the difference to the one before. */
  readonly deltas: number[];
}

/**
 * @param scale of the point; above 8 the buckets are merged until it is 8
 */
export function nativeBuckets(
  { offsets, starts, counts }: ExponentialBuckets,
  i: number,
  scale: number,
  into: NativeBuckets,
): void {
  into.offsets.length = 0;
  into.lengths.length = 0;
  into.deltas.length = 0;
  // A shift by 32 is one by 0; beyond 31, all indices of a sign are one bucket anyway.
  const shift = Math.min(31, Math.max(0, scale - MAX_SCHEMA));
  const end = starts[i + 1]!;
  let previousIndex: number | undefined;
  let previousCount = 0;
  for (let k = starts[i]!; k < end; ) {
    // OpenTelemetry's bucket k ends where Prometheus's bucket k + 1 ends.
    const index = ((offsets[i]! + k - starts[i]!) >> shift) + 1;
    let count = 0;
    do count += counts[k++]!;
    while (k < end && ((offsets[i]! + k - starts[i]!) >> shift) + 1 === index);
    if (count === 0) continue;
    if (index - 1 === previousIndex) into.lengths[into.lengths.length - 1]!++;
    else {
      into.offsets.push(previousIndex === undefined ? index : index - previousIndex - 1);
      into.lengths.push(1);
    }
    into.deltas.push(count - previousCount);
    previousIndex = index;
    previousCount = count;
  }
}
