// Exponential histograms of any two scales have a common one: the coarser. A step of the scale joins two neighbouring
// buckets, so no count is lost (OTel data model, "Exponential Histogram: Merging").
import type { JoinedRows } from './joined-rows.ts';
import type { ExponentialBuckets, ExponentialColumns } from './metric-batch.ts';

/** Buckets of one sign that a merged point may have, as aggregations have by default; more when a part has more already. */
const MAX_SIZE = 160;

type Merged = Pick<ExponentialColumns, 'scales' | 'positive' | 'negative'>;

/** One sign of all merged points: the buckets in use from `lows` to `highs`; none where `highs` is below. */
interface Ranges {
  readonly lows: Int32Array;
  readonly highs: Int32Array;
}

export function mergeExponentialBuckets(
  older: ExponentialColumns,
  newer: ExponentialColumns,
  { attributes, target, isFirst }: JoinedRows,
): Merged {
  const { length } = attributes;
  const scales = new Int32Array(length);
  scales.set(newer.scales);
  const positive: Ranges = { lows: new Int32Array(length), highs: new Int32Array(length).fill(-1) };
  const negative: Ranges = { lows: new Int32Array(length), highs: new Int32Array(length).fill(-1) };
  for (let point = 0; point < newer.length; point++) {
    widen(positive, newer.positive, point, point, 0);
    widen(negative, newer.negative, point, point, 0);
  }
  for (let point = 0; point < older.length; point++) {
    const row = target[point]!;
    const scale = older.scales[point]!;
    if (isFirst[point] === 1) scales[row] = scale;
    const common = Math.min(scale, scales[row]!);
    const longest = Math.max(
      MAX_SIZE,
      positive.highs[row]! - positive.lows[row]! + 1,
      negative.highs[row]! - negative.lows[row]! + 1,
      older.positive.starts[point + 1]! - older.positive.starts[point]!,
      older.negative.starts[point + 1]! - older.negative.starts[point]!,
    );
    coarsen(positive, row, scales[row]! - common);
    coarsen(negative, row, scales[row]! - common);
    widen(positive, older.positive, point, row, scale - common);
    widen(negative, older.negative, point, row, scale - common);
    scales[row] = common;
    while (isLonger(positive, row, longest) || isLonger(negative, row, longest)) {
      coarsen(positive, row, 1);
      coarsen(negative, row, 1);
      scales[row]!--;
    }
  }
  const filled = (ranges: Ranges, sign: 'positive' | 'negative') => {
    const buckets = empty(ranges);
    for (let point = 0; point < newer.length; point++) {
      addCounts(newer[sign], point, buckets, point, newer.scales[point]! - scales[point]!);
    }
    for (let point = 0; point < older.length; point++) {
      const row = target[point]!;
      addCounts(older[sign], point, buckets, row, older.scales[point]! - scales[row]!);
    }
    return buckets;
  };
  return { scales, positive: filled(positive, 'positive'), negative: filled(negative, 'negative') };
}

/** The bucket that takes in the given one when the scale is reduced; shifts look at five bits of the distance only. */
function joinedBucket(bucket: number, shift: number): number {
  return bucket >> Math.min(shift, 31);
}

/** Makes room for the buckets of a point, `shift` scales coarser. */
function widen(ranges: Ranges, buckets: ExponentialBuckets, point: number, row: number, shift: number): void {
  const { starts, counts, offsets } = buckets;
  let first = starts[point]!;
  let end = starts[point + 1]!;
  // Producers that are not ours may send empty buckets at either end, which would cost precision here.
  while (first < end && counts[first] === 0) first++;
  while (first < end && counts[end - 1] === 0) end--;
  if (first === end) return;
  const low = joinedBucket(offsets[point]! + first - starts[point]!, shift);
  const high = joinedBucket(offsets[point]! + end - 1 - starts[point]!, shift);
  const isEmpty = ranges.highs[row]! < ranges.lows[row]!;
  ranges.lows[row] = isEmpty ? low : Math.min(low, ranges.lows[row]!);
  ranges.highs[row] = isEmpty ? high : Math.max(high, ranges.highs[row]!);
}

function coarsen({ lows, highs }: Ranges, row: number, shift: number): void {
  if (highs[row]! < lows[row]!) return;
  lows[row] = joinedBucket(lows[row]!, shift);
  highs[row] = joinedBucket(highs[row]!, shift);
}

function isLonger({ lows, highs }: Ranges, row: number, length: number): boolean {
  return highs[row]! - lows[row]! >= length;
}

function empty({ lows, highs }: Ranges): ExponentialBuckets {
  const starts = new Uint32Array(lows.length + 1);
  for (let row = 0; row < lows.length; row++) starts[row + 1] = starts[row]! + highs[row]! - lows[row]! + 1;
  return { offsets: lows, starts, counts: new Float64Array(starts[lows.length]!) };
}

function addCounts(
  from: ExponentialBuckets,
  point: number,
  to: ExponentialBuckets,
  row: number,
  shift: number,
): void {
  const first = from.starts[point]!;
  for (let at = first; at < from.starts[point + 1]!; at++) {
    const count = from.counts[at]!;
    if (count === 0) continue;
    const bucket = joinedBucket(from.offsets[point]! + at - first, shift);
    to.counts[to.starts[row]! + bucket - to.offsets[row]!]! += count;
  }
}
