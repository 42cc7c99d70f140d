// A collection as plain data that reads well in a test and in the diff of a failed one.
import type { Attributes, HrTime } from '@opentelemetry/api';
import {
  AggregationTemporality,
  DataPointType,
  type Exemplar,
  type ExponentialHistogram,
  type Histogram,
  type MetricData,
  type ResourceMetrics,
  SUMMARY,
  type Summary,
  type SummaryMetricData,
} from '../data/metric-data.ts';

export const METRIC_KINDS = [
  'counter',
  'up-down counter',
  'gauge',
  'histogram',
  'exponential histogram',
  'summary',
] as const;

export type MetricKind = (typeof METRIC_KINDS)[number];

export interface ReadableMetric {
  name: string;
  kind: MetricKind;
  /** `''` when the instrument has none. */
  unit: string;
  description: string;
  /** The name of the meter. */
  scope: string;
  temporality: 'cumulative' | 'delta';
  points: ReadablePoint[];
}

export interface ReadablePoint {
  attributes: Attributes;
  value: number | ReadableDistribution;
  /** To the millisecond. */
  startTime: Date;
  endTime: Date;
  /** Absent when there are none. */
  exemplars?: Exemplar[];
}

/** The value of a histogram, or of a summary that a producer gave. What was not recorded is absent. */
export interface ReadableDistribution {
  count: number;
  sum?: number;
  min?: number;
  max?: number;
  /**
   * The count of each bucket that is not empty. The keys are inclusive upper bounds, `Infinity` for the last; those
   * of an exponential histogram are bucket indexes.
   */
  buckets: Record<string, number>;
  /** Of summaries only, which have no buckets: the values by quantile. */
  quantiles?: Record<string, number>;
  /** Of exponential histograms only. */
  exponential?: { scale: number; zeroCount: number; negativeBuckets: Record<string, number> };
}

/** Reads what any OpenTelemetry reader collected or exporter was given. */
export function readableMetrics({ scopeMetrics }: ResourceMetrics): ReadableMetric[] {
  return scopeMetrics.flatMap(({ scope, metrics }) => metrics.map((metric) => readable(scope.name, metric)));
}

function readable(scope: string, metric: MetricData | SummaryMetricData): ReadableMetric {
  const { name, unit, description } = metric.descriptor;
  return {
    name,
    kind: kindOf(metric),
    unit,
    description,
    scope,
    temporality: metric.aggregationTemporality === AggregationTemporality.DELTA ? 'delta' : 'cumulative',
    points: metric.dataPoints.map(({ attributes, value, startTime, endTime, exemplars }) => ({
      attributes: { ...attributes },
      value: typeof value === 'number' ? value : distribution(value),
      startTime: date(startTime),
      endTime: date(endTime),
      ...(exemplars?.length && { exemplars: [...exemplars] }),
    })),
  };
}

function kindOf(metric: MetricData | SummaryMetricData): MetricKind {
  switch (metric.dataPointType) {
    case DataPointType.SUM:
      return metric.isMonotonic ? 'counter' : 'up-down counter';
    case DataPointType.GAUGE:
      return 'gauge';
    case DataPointType.HISTOGRAM:
      return 'histogram';
    case DataPointType.EXPONENTIAL_HISTOGRAM:
      return 'exponential histogram';
    case SUMMARY:
      return 'summary';
  }
}

function distribution(value: Histogram | ExponentialHistogram | Summary): ReadableDistribution {
  if ('quantileValues' in value) {
    return {
      count: value.count,
      ...(!Number.isNaN(value.sum) && { sum: value.sum }),
      buckets: {},
      quantiles: Object.fromEntries(value.quantileValues.map((own) => [own.quantile, own.value])),
    };
  }
  const { count, sum, min, max } = value;
  const summary = {
    count,
    ...(sum !== undefined && { sum }),
    ...(min !== undefined && { min }),
    ...(max !== undefined && { max }),
  };
  if ('buckets' in value) {
    const { boundaries, counts } = value.buckets;
    return { ...summary, buckets: nonEmpty(counts, (i) => boundaries[i] ?? Number.POSITIVE_INFINITY) };
  }
  const { scale, zeroCount, positive, negative } = value;
  return {
    ...summary,
    buckets: nonEmpty(positive.bucketCounts, (i) => positive.offset + i),
    exponential: {
      scale,
      zeroCount,
      negativeBuckets: nonEmpty(negative.bucketCounts, (i) => negative.offset + i),
    },
  };
}

function nonEmpty(counts: readonly number[], keyOf: (i: number) => number): Record<string, number> {
  return Object.fromEntries(
    counts.flatMap((count, i) => (count === 0 ? [] : [[String(keyOf(i)), count] as const])),
  );
}

function date([seconds, nanos]: HrTime): Date {
  return new Date(seconds * 1e3 + Math.floor(nanos / 1e6));
}
