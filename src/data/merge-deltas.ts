// Joins a delta batch that could not be delivered with the one after it, so that its counts are not lost.
import { type AttributeSet, encodedForm } from './attribute-set.ts';
import {
  type DistributionColumns,
  gaugeColumns,
  type HistogramColumns,
  histogramColumns,
  MetricBatch,
  type MetricColumns,
  type NumberColumns,
  type PointColumns,
  type ScopeColumns,
  sumColumns,
} from './metric-batch.ts';
import { AggregationTemporality, DataPointType } from './metric-data.ts';

/**
 * The newer batch with the delta points of the older one merged in: sums and histograms add up over the joined window,
 * gauges keep the newer value. Cumulative points of the older batch are superseded and left out.
 */
export function mergeDeltas(older: MetricBatch, newer: MetricBatch): MetricBatch {
  const scopes: ScopeColumns[] = newer.scopeMetrics.map(({ scope, metrics }) => ({
    scope,
    metrics: [...metrics],
  }));
  for (const { scope, metrics } of older.scopeMetrics) {
    const deltas = metrics.filter((metric) => metric.aggregationTemporality === AggregationTemporality.DELTA);
    if (deltas.length === 0) continue;
    const target = scopes.find((known) => known.scope === scope);
    if (target === undefined) scopes.push({ scope, metrics: deltas });
    else for (const metric of deltas) mergeInto(target.metrics, metric);
  }
  return new MetricBatch(newer.resource, scopes);
}

function mergeInto(metrics: MetricColumns[], older: MetricColumns): void {
  const at = metrics.findIndex((newer) => isSameStream(newer, older));
  if (at < 0) metrics.push(older);
  else metrics[at] = merged(older, metrics[at]!);
}

/** Exponential histograms of one stream may differ in scale; they stay two metrics with two windows. */
function isSameStream(a: MetricColumns, b: MetricColumns): boolean {
  if (a.dataPointType !== b.dataPointType || a.aggregationTemporality !== b.aggregationTemporality)
    return false;
  if (a.descriptor.name !== b.descriptor.name || a.descriptor.unit !== b.descriptor.unit) return false;
  if (a.dataPointType === DataPointType.EXPONENTIAL_HISTOGRAM) return false;
  if (a.dataPointType !== DataPointType.HISTOGRAM) return true;
  return a.boundaries.join() === (b as HistogramColumns).boundaries.join();
}

const contentKey = encodedForm((set: AttributeSet) =>
  JSON.stringify([set.keys, set.values.map((value) => (typeof value === 'number' ? `n${value}` : [value]))]),
);

/** Where the points of a merged metric come from: a row of either batch, or -1. */
interface Rows {
  readonly older: number[];
  readonly newer: number[];
}

function pairRows(older: PointColumns, newer: PointColumns): Rows {
  const rowOf = new Map(newer.attributes.map((set, row) => [contentKey(set), row]));
  const rows: Rows = { older: new Array(newer.length).fill(-1), newer: [...newer.attributes.keys()] };
  older.attributes.forEach((set, row) => {
    const match = rowOf.get(contentKey(set));
    if (match !== undefined) rows.older[match] = row;
    else {
      rows.older.push(row);
      rows.newer.push(-1);
    }
  });
  return rows;
}

function merged(older: MetricColumns, newer: MetricColumns): MetricColumns {
  const rows = pairRows(older, newer);
  const points = mergedPoints(older, newer, rows);
  switch (newer.dataPointType) {
    case DataPointType.SUM:
      return sumColumns({ ...points, values: both(older, newer, rows, values, add) }, newer.isMonotonic);
    case DataPointType.GAUGE:
      return gaugeColumns({ ...points, values: both(older, newer, rows, values, (_, value) => value) });
    default:
      return mergedHistogram(older as HistogramColumns, newer as HistogramColumns, rows, points);
  }
}

function mergedHistogram(older: HistogramColumns, newer: HistogramColumns, rows: Rows, points: PointColumns) {
  const column = (name: 'counts' | 'sums' | 'mins' | 'maxs', combine: Combine) =>
    both(older, newer, rows, (metric) => (metric as DistributionColumns)[name], combine);
  const width = newer.boundaries.length + 1;
  const bucketCounts = new Float64Array(points.length * width);
  rows.newer.forEach((newerRow, i) => {
    for (let bucket = 0; bucket < width; bucket++) {
      bucketCounts[i * width + bucket] =
        (newer.bucketCounts[newerRow * width + bucket] ?? 0) +
        (older.bucketCounts[rows.older[i]! * width + bucket] ?? 0);
    }
  });
  return histogramColumns({
    ...points,
    boundaries: newer.boundaries,
    bucketCounts,
    counts: column('counts', add),
    sums: column('sums', add),
    mins: column('mins', Math.min),
    maxs: column('maxs', Math.max),
  });
}

function mergedPoints(older: PointColumns, newer: PointColumns, rows: Rows): PointColumns {
  const pick = <T>(column: (points: PointColumns) => ArrayLike<T>, i: number, first: PointColumns): T => {
    const row = (points: PointColumns) => (points === older ? rows.older[i]! : rows.newer[i]!);
    const second = first === older ? newer : older;
    return row(first) >= 0 ? column(first)[row(first)]! : column(second)[row(second)]!;
  };
  const all = rows.newer.map((_, i) => i);
  const exemplars = all.map((i) =>
    [older.exemplars?.[rows.older[i]!], newer.exemplars?.[rows.newer[i]!]].flatMap((list) => list ?? []),
  );
  return {
    descriptor: newer.descriptor,
    aggregationTemporality: newer.aggregationTemporality,
    length: all.length,
    attributes: all.map((i) => pick((points) => points.attributes, i, newer)),
    startTimes: BigUint64Array.from(all, (i) => pick((points) => points.startTimes, i, older)),
    endTimes: BigUint64Array.from(all, (i) => pick((points) => points.endTimes, i, newer)),
    ...(exemplars.some((list) => list.length > 0) && { exemplars }),
  };
}

type Combine = (older: number, newer: number) => number;

const add: Combine = (older, newer) => older + newer;
const values = (metric: PointColumns) => (metric as NumberColumns).values;

function both(
  older: PointColumns,
  newer: PointColumns,
  rows: Rows,
  column: (points: PointColumns) => Float64Array,
  combine: Combine,
): Float64Array {
  return Float64Array.from(rows.newer, (newerRow, i) => {
    const olderRow = rows.older[i]!;
    if (olderRow < 0) return column(newer)[newerRow]!;
    if (newerRow < 0) return column(older)[olderRow]!;
    return combine(column(older)[olderRow]!, column(newer)[newerRow]!);
  });
}
