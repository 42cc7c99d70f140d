// Joins a delta batch that could not be delivered with the one after it, so that its counts are not lost.
import { AttributeSet, encodedForm } from './attribute-set.ts';
import { report } from './diagnostics.ts';
import { exemplarsOf, toExemplarColumns } from './exemplar-columns.ts';
import {
  gaugeColumns,
  type HistogramColumns,
  histogramColumns,
  MetricBatch,
  type MetricColumns,
  type PointColumns,
  type ScopeColumns,
  type SumColumns,
  sumColumns,
} from './metric-batch.ts';
import { AggregationTemporality, DataPointType, type InstrumentationScope } from './metric-data.ts';

/**
 * Points of a metric that are kept apart while a backend is down. It bounds the memory when each window has new series.
 */
const MAX_KEPT = 10_000;

/** Exemplars of a point that are kept while a backend is down: as many as the largest reservoir holds by default. */
const MAX_EXEMPLARS = 20;

const OVERFLOW = AttributeSet.from({ 'otel.metric.overflow': true });

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
    const target = scopes.find((known) => isSameScope(known.scope, scope));
    if (target !== undefined) mergeInto(target.metrics, deltas);
    else if (deltas.length > 0) scopes.push({ scope, metrics: deltas });
  }
  return new MetricBatch(newer.resource, scopes);
}

/** Producers that are not ours may make a new object each time. */
function isSameScope(a: InstrumentationScope, b: InstrumentationScope): boolean {
  if (a === b) return true;
  if (a.name !== b.name || a.version !== b.version || a.schemaUrl !== b.schemaUrl) return false;
  return (
    contentKey(AttributeSet.from(a.attributes ?? {})) === contentKey(AttributeSet.from(b.attributes ?? {}))
  );
}

/** Streams of one name and kind stand in the same order in both batches, so each is joined with the first one left. */
function mergeInto(metrics: MetricColumns[], older: readonly MetricColumns[]): void {
  const joined = new Set<number>();
  for (const metric of older) {
    const at = metrics.findIndex((newer, i) => !joined.has(i) && isSameStream(newer, metric));
    if (at >= 0) metrics[at] = merged(metric, metrics[at]!);
    joined.add(at < 0 ? metrics.push(metric) - 1 : at);
  }
}

/** Exponential histograms of one stream may differ in scale; they stay two metrics with two windows. */
function isSameStream(a: MetricColumns, b: MetricColumns): boolean {
  if (a.dataPointType !== b.dataPointType || a.aggregationTemporality !== b.aggregationTemporality) {
    return false;
  }
  const { name, unit, valueType } = a.descriptor;
  if (name !== b.descriptor.name || unit !== b.descriptor.unit || valueType !== b.descriptor.valueType) {
    return false;
  }
  switch (a.dataPointType) {
    case DataPointType.SUM:
      return a.isMonotonic === (b as SumColumns).isMonotonic;
    case DataPointType.HISTOGRAM:
      return a.boundaries.join() === (b as HistogramColumns).boundaries.join();
    default:
      return a.dataPointType === DataPointType.GAUGE;
  }
}

/** Where the points of the older metric go: those of the newer one keep their rows, further ones follow. */
interface Rows {
  readonly attributes: AttributeSet[];
  /** By older row. */
  readonly target: Uint32Array;
}

const contentKey = encodedForm((set: AttributeSet) =>
  JSON.stringify([set.keys, set.values.map((value) => (typeof value === 'number' ? `n${value}` : [value]))]),
);

function rowsFor(older: PointColumns, newer: PointColumns): Rows {
  const attributes = [...newer.attributes];
  const target = new Uint32Array(older.length);
  const rowOfSet = new Map(attributes.map((set, row) => [set, row]));
  let rowOfContent: Map<string, number> | undefined;
  older.attributes.forEach((set, olderRow) => {
    let row = rowOfSet.get(set);
    // Released since, or never interned: an equal set is then another object.
    if (row === undefined && set.id < 0) {
      rowOfContent ??= new Map(newer.attributes.map((other, i) => [contentKey(other), i]));
      row = rowOfContent.get(contentKey(set));
    }
    if (row === undefined && attributes.length >= MAX_KEPT) {
      row =
        rowOfSet.get(OVERFLOW) ?? attributes.findIndex((other) => contentKey(other) === contentKey(OVERFLOW));
      if (row < 0) row = undefined;
      else rowOfSet.set(OVERFLOW, row);
    }
    if (row === undefined) {
      const isFull = attributes.length >= MAX_KEPT;
      if (isFull) reportFull(newer.descriptor.name);
      row = attributes.push(isFull ? OVERFLOW : set) - 1;
      rowOfSet.set(attributes[row]!, row);
    }
    target[olderRow] = row;
  });
  return { attributes, target };
}

function reportFull(name: string): void {
  report(
    'warn',
    `delta-backlog:${name}`,
    `${name}: more than ${MAX_KEPT} series wait for a backend that fails; further ones are counted together ` +
      'under otel.metric.overflow=true',
  );
}

function merged(older: MetricColumns, newer: MetricColumns): MetricColumns {
  const rows = rowsFor(older, newer);
  const points = mergedPoints(older, newer, rows);
  if (newer.dataPointType === DataPointType.HISTOGRAM) {
    return mergedHistogram(older as HistogramColumns, newer, rows, points);
  }
  const [olderValues, newerValues] = [(older as SumColumns).values, (newer as SumColumns).values];
  if (newer.dataPointType === DataPointType.SUM) {
    const values = joined(olderValues, newerValues, rows, (a, b) => a + b);
    return sumColumns({ ...points, values }, newer.isMonotonic);
  }
  return gaugeColumns({ ...points, values: joined(olderValues, newerValues, rows, (_, b) => b) });
}

function mergedHistogram(older: HistogramColumns, newer: HistogramColumns, rows: Rows, points: PointColumns) {
  const add = (a: number, b: number) => a + b;
  const width = newer.boundaries.length + 1;
  const bucketCounts = new Float64Array(points.length * width);
  bucketCounts.set(newer.bucketCounts);
  older.bucketCounts.forEach((count, i) => {
    const row = rows.target[Math.floor(i / width)]!;
    bucketCounts[row * width + (i % width)]! += count;
  });
  return histogramColumns({
    ...points,
    boundaries: newer.boundaries,
    bucketCounts,
    counts: joined(older.counts, newer.counts, rows, add),
    sums: joined(older.sums, newer.sums, rows, add),
    mins: joined(older.mins, newer.mins, rows, Math.min),
    maxs: joined(older.maxs, newer.maxs, rows, Math.max),
  });
}

function mergedPoints(older: PointColumns, newer: PointColumns, { attributes, target }: Rows): PointColumns {
  const startTimes = new BigUint64Array(attributes.length);
  const endTimes = new BigUint64Array(attributes.length);
  startTimes.set(newer.startTimes);
  endTimes.set(newer.endTimes);
  target.forEach((row, olderRow) => {
    startTimes[row] = older.startTimes[olderRow]!;
    if (row >= newer.length) endTimes[row] = older.endTimes[olderRow]!;
  });
  return {
    descriptor: newer.descriptor,
    aggregationTemporality: newer.aggregationTemporality,
    length: attributes.length,
    attributes,
    startTimes,
    endTimes,
    ...((older.exemplars || newer.exemplars) && {
      exemplars: mergedExemplars(older, newer, attributes.length, target),
    }),
  };
}

function mergedExemplars(older: PointColumns, newer: PointColumns, length: number, target: Uint32Array) {
  const exemplars = Array.from({ length }, (_, row) =>
    row < newer.length ? exemplarsOf(newer.exemplars, row) : undefined,
  );
  target.forEach((row, olderRow) => {
    const earlier = exemplarsOf(older.exemplars, olderRow);
    if (earlier) exemplars[row] = [...(exemplars[row] ?? []), ...earlier].slice(0, MAX_EXEMPLARS);
  });
  return toExemplarColumns(exemplars);
}

function joined(
  older: Float64Array,
  newer: Float64Array,
  { attributes, target }: Rows,
  combine: (older: number, newer: number) => number,
): Float64Array {
  const values = new Float64Array(attributes.length);
  values.set(newer);
  let filled = newer.length;
  target.forEach((row, olderRow) => {
    // Further rows come in order, so the next unfilled one is the first of its series.
    if (row < filled) values[row] = combine(older[olderRow]!, values[row]!);
    else {
      values[row] = older[olderRow]!;
      filled = row + 1;
    }
  });
  return values;
}
