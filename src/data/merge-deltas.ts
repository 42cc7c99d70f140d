// Joins a delta batch that could not be delivered with the one after it, so that its counts are not lost.

import { AttributeSet } from './attribute-set.ts';
import { contentKey } from './joined-rows.ts';
import { mergeColumns } from './merge-columns.ts';
import {
  type HistogramColumns,
  MetricBatch,
  type MetricColumns,
  type ScopeColumns,
  type SumColumns,
} from './metric-batch.ts';
import { AggregationTemporality, DataPointType, type InstrumentationScope, SUMMARY } from './metric-data.ts';

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

/** What tells that two metrics are one stream, the surest first. Each stream is matched by the surest that it has. */
const SIGNS: ((older: MetricColumns, newer: MetricColumns) => boolean)[] = [
  // Our streams keep theirs, so that two of the very same identity are told apart.
  (older, newer) => older.descriptor === newer.descriptor,
  (older, newer) => older.descriptor.description === newer.descriptor.description,
  // Only the order is left: nobody who receives them could tell them apart either.
  () => true,
];

function mergeInto(metrics: MetricColumns[], older: readonly MetricColumns[]): void {
  const joined = new Set<number>();
  let left = older;
  for (const isSame of SIGNS) {
    left = left.filter((metric) => {
      const at = metrics.findIndex(
        (newer, i) => !joined.has(i) && isSame(metric, newer) && haveOneIdentity(newer, metric),
      );
      if (at < 0) return true;
      metrics[at] = mergeColumns(metric, metrics[at]!);
      joined.add(at);
      return false;
    });
  }
  metrics.push(...left);
}

/** Whether two metrics of a scope are one to whoever receives them (OTel data model, "Timeseries Model"). */
function haveOneIdentity(a: MetricColumns, b: MetricColumns): boolean {
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
    case SUMMARY:
    case DataPointType.GAUGE:
    case DataPointType.EXPONENTIAL_HISTOGRAM:
      return true;
  }
}
