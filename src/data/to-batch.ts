// OpenTelemetry's objects to columns: the way in for batches collected by another SDK.
import { AttributeSet } from './attribute-set.ts';
import { isObject, shown } from './checked-options.ts';
import { toExemplarColumns } from './exemplar-columns.ts';
import { fromHrTime } from './hr-time.ts';
import {
  type ExponentialBuckets,
  exponentialHistogramColumns,
  gaugeColumns,
  histogramColumns,
  MetricBatch,
  type MetricColumns,
  sumColumns,
  summaryColumns,
} from './metric-batch.ts';
import {
  type DataPoint,
  DataPointType,
  type ExponentialHistogram,
  type Histogram,
  type HistogramMetricData,
  type MetricData,
  type MetricDescriptor,
  type ProducedMetrics,
  SUMMARY,
  type Summary,
  type SummaryMetricData,
} from './metric-data.ts';
import { QuantileGroups } from './quantile-groups.ts';

/**
 * Returns a {@link MetricBatch} as it is and turns OpenTelemetry's objects into one. What it gives has every field, of the
 * right type: encoders rely on it, and are in the middle of an answer when they fail.
 *
 * @throws when something is missing that has no default
 */
export function toBatch(metrics: ProducedMetrics): MetricBatch {
  if (MetricBatch.is(metrics)) return metrics;
  return new MetricBatch(
    metrics.resource,
    metrics.scopeMetrics.map(({ scope, metrics }) => ({
      scope: typeof scope.name === 'string' ? scope : { ...scope, name: textOf(scope.name) },
      metrics: metrics.flatMap(toColumns),
    })),
  );
}

function toColumns(metric: MetricData | SummaryMetricData): MetricColumns[] {
  switch (metric.dataPointType) {
    case DataPointType.SUM:
      return [sumColumns(numbers(metric, metric.dataPoints), metric.isMonotonic)];
    case DataPointType.GAUGE:
      return [gaugeColumns(numbers(metric, metric.dataPoints))];
    case DataPointType.HISTOGRAM:
      return groupByBoundaries(metric).map((points) => explicit(metric, points));
    case DataPointType.EXPONENTIAL_HISTOGRAM:
      return [exponential(metric, metric.dataPoints)];
    case SUMMARY:
      return summaries(metric);
  }
}

type Described = Pick<MetricData, 'descriptor' | 'aggregationTemporality'>;

function common<T>({ descriptor, aggregationTemporality }: Described, points: DataPoint<T>[]) {
  const exemplars = toExemplarColumns(points.map((point) => point.exemplars));
  return {
    descriptor: complete(descriptor),
    aggregationTemporality,
    length: points.length,
    attributes: points.map((point) => AttributeSet.from(point.attributes)),
    startTimes: BigUint64Array.from(points, (point) => fromHrTime(point.startTime)),
    endTimes: BigUint64Array.from(points, (point) => fromHrTime(point.endTime)),
    ...(exemplars && { exemplars }),
  };
}

/** Producers that no compiler has seen leave the description out, or the unit, or give metadata that are none. */
function complete(descriptor: MetricDescriptor): MetricDescriptor {
  const { name, description, unit, metadata } = descriptor;
  if (typeof name !== 'string') throw new TypeError(`the name of a metric is ${shown(name)}, and not a text`);
  if (typeof description === 'string' && typeof unit === 'string' && metadata === undefined)
    return descriptor;
  const { metadata: _, ...others } = descriptor;
  return {
    ...others,
    description: textOf(description),
    unit: textOf(unit),
    // Getters that throw must do so here.
    ...(isObject(metadata) && { metadata: { ...metadata } }),
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : String(value ?? '');
}

function numbers(metric: MetricData, points: DataPoint<number>[]) {
  return { ...common(metric, points), values: Float64Array.from(points, (point) => point.value) };
}

function distribution(metric: MetricData, points: DataPoint<Histogram | ExponentialHistogram>[]) {
  const column = (field: 'count' | 'sum' | 'min' | 'max') =>
    Float64Array.from(points, (point) => point.value[field] ?? Number.NaN);
  return {
    ...common(metric, points),
    counts: column('count'),
    sums: column('sum'),
    mins: column('min'),
    maxs: column('max'),
  };
}

/** The columns share one list of boundaries; points of a metric nearly always do too. */
function groupByBoundaries({ dataPoints }: HistogramMetricData): DataPoint<Histogram>[][] {
  const groups = new Map<string, DataPoint<Histogram>[]>();
  for (const point of dataPoints) {
    const key = point.value.buckets.boundaries.join();
    const group = groups.get(key);
    if (group) group.push(point);
    else groups.set(key, [point]);
  }
  return [...groups.values()];
}

function explicit(metric: MetricData, points: DataPoint<Histogram>[]) {
  for (const { value } of points) {
    const { boundaries, counts } = value.buckets;
    // The counts of the next point would count for this one.
    if (counts.length !== boundaries.length + 1) {
      const has = `${counts.length} counts for ${boundaries.length} boundaries`;
      throw new RangeError(`histogram ${metric.descriptor.name} has ${has}; it must be one more`);
    }
  }
  return histogramColumns({
    ...distribution(metric, points),
    boundaries: points[0]!.value.buckets.boundaries,
    bucketCounts: Float64Array.from(points.flatMap((point) => point.value.buckets.counts)),
  });
}

function exponential(metric: MetricData, points: DataPoint<ExponentialHistogram>[]) {
  return exponentialHistogramColumns({
    ...distribution(metric, points),
    scales: Int32Array.from(points, (point) => point.value.scale),
    zeroCounts: Float64Array.from(points, (point) => point.value.zeroCount),
    positive: exponentialBuckets(points, 'positive'),
    negative: exponentialBuckets(points, 'negative'),
  });
}

function exponentialBuckets(
  points: DataPoint<ExponentialHistogram>[],
  sign: 'positive' | 'negative',
): ExponentialBuckets {
  const starts = new Uint32Array(points.length + 1);
  points.forEach((point, i) => {
    starts[i + 1] = starts[i]! + point.value[sign].bucketCounts.length;
  });
  return {
    offsets: Int32Array.from(points, (point) => point.value[sign].offset),
    starts,
    counts: Float64Array.from(points.flatMap((point) => point.value[sign].bucketCounts)),
  };
}

function summaries(metric: SummaryMetricData): MetricColumns[] {
  const groups = new QuantileGroups<DataPoint<Summary>>();
  for (const point of metric.dataPoints) groups.add(point, point.value.quantileValues ?? []);
  return [...groups.all()].map(({ quantiles, members, values }) => {
    // A summary has none.
    const { exemplars: _, ...columns } = common(metric, members);
    return summaryColumns({
      ...columns,
      counts: Float64Array.from(members, ({ value }) => value.count ?? Number.NaN),
      sums: Float64Array.from(members, ({ value }) => value.sum ?? Number.NaN),
      quantiles,
      quantileValues: Float64Array.from(values),
    });
  });
}
