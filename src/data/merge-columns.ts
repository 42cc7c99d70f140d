// One metric out of two that are successive windows of a stream.
import { mergeExemplars } from './exemplar-columns.ts';
import { type JoinedRows, joinRows } from './joined-rows.ts';
import { mergeExponentialBuckets } from './merge-exponential-buckets.ts';
import {
  type DistributionColumns,
  type ExponentialHistogramColumns,
  exponentialHistogramColumns,
  gaugeColumns,
  type HistogramColumns,
  histogramColumns,
  type MetricColumns,
  type PointColumns,
  type SumColumns,
  sumColumns,
} from './metric-batch.ts';
import { DataPointType, SUMMARY } from './metric-data.ts';

/** Both must be of the same kind, and histograms have the same boundaries. */
export function mergeColumns(older: MetricColumns, newer: MetricColumns): MetricColumns {
  const rows = joinRows(older, newer);
  const points = mergePoints(older, newer, rows);
  switch (newer.dataPointType) {
    case DataPointType.SUM: {
      const values = merged((older as SumColumns).values, newer.values, rows, add);
      return sumColumns({ ...points, values }, newer.isMonotonic);
    }
    case DataPointType.GAUGE: {
      const values = merged((older as SumColumns).values, newer.values, rows, (_, later) => later);
      return gaugeColumns({ ...points, values });
    }
    case DataPointType.HISTOGRAM:
      return histogramColumns({
        ...points,
        ...mergeDistributions(older as HistogramColumns, newer, rows),
        boundaries: newer.boundaries,
        bucketCounts: mergeBuckets(older as HistogramColumns, newer, rows),
      });
    case DataPointType.EXPONENTIAL_HISTOGRAM: {
      const earlier = older as ExponentialHistogramColumns;
      return exponentialHistogramColumns({
        ...points,
        ...mergeDistributions(earlier, newer, rows),
        zeroCounts: merged(earlier.zeroCounts, newer.zeroCounts, rows, add),
        ...mergeExponentialBuckets(earlier, newer, rows),
      });
    }
    case SUMMARY:
      // They are cumulative, so the later one says all.
      return newer;
  }
}

const add = (a: number, b: number) => a + b;

function merged(
  older: Float64Array,
  newer: Float64Array,
  { attributes, target, isFirst }: JoinedRows,
  combine: (older: number, newer: number) => number,
): Float64Array {
  const values = new Float64Array(attributes.length);
  values.set(newer);
  for (let point = 0; point < older.length; point++) {
    const row = target[point]!;
    values[row] = isFirst[point] === 1 ? older[point]! : combine(older[point]!, values[row]!);
  }
  return values;
}

function mergeDistributions(older: DistributionColumns, newer: DistributionColumns, rows: JoinedRows) {
  return {
    counts: merged(older.counts, newer.counts, rows, add),
    sums: merged(older.sums, newer.sums, rows, add),
    mins: merged(extremes(older, 'mins'), extremes(newer, 'mins'), rows, Math.min).map(known),
    maxs: merged(extremes(older, 'maxs'), extremes(newer, 'maxs'), rows, Math.max).map(known),
  };
}

/** A point without measurements has no extremes, which says nothing about those of the other; elsewhere NaN is "unknown". */
function extremes(columns: DistributionColumns, column: 'mins' | 'maxs'): Float64Array {
  const none = column === 'mins' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  return columns[column].map((value, i) => (columns.counts[i] === 0 ? none : value));
}

const known = (extreme: number) => (Number.isFinite(extreme) ? extreme : Number.NaN);

function mergeBuckets(
  older: HistogramColumns,
  newer: HistogramColumns,
  { attributes, target }: JoinedRows,
): Float64Array {
  const width = newer.boundaries.length + 1;
  const counts = new Float64Array(attributes.length * width);
  counts.set(newer.bucketCounts);
  for (let point = 0; point < older.length; point++) {
    const to = target[point]! * width;
    const from = point * width;
    for (let i = 0; i < width; i++) counts[to + i]! += older.bucketCounts[from + i]!;
  }
  return counts;
}

function mergePoints(older: PointColumns, newer: PointColumns, rows: JoinedRows): PointColumns {
  const { attributes, target, isFirst } = rows;
  const startTimes = new BigUint64Array(attributes.length);
  const endTimes = new BigUint64Array(attributes.length);
  startTimes.set(newer.startTimes);
  endTimes.set(newer.endTimes);
  for (let point = 0; point < older.length; point++) {
    const row = target[point]!;
    const [start, end] = [older.startTimes[point]!, older.endTimes[point]!];
    if (isFirst[point] === 1 || start < startTimes[row]!) startTimes[row] = start;
    if (isFirst[point] === 1 || end > endTimes[row]!) endTimes[row] = end;
  }
  const exemplars = mergeExemplars(older.exemplars, newer.exemplars, attributes.length, target);
  return {
    descriptor: newer.descriptor,
    aggregationTemporality: newer.aggregationTemporality,
    length: attributes.length,
    attributes,
    startTimes,
    endTimes,
    ...(exemplars && { exemplars }),
  };
}
