// One collection, as columns: an array per field instead of an object per point. Immutable, so that any
// number of exporters may hold it for as long as they like. It is also a `ResourceMetrics`: `dataPoints`
// come into being on first touch, for exporters that read OpenTelemetry's objects.
import type { AttributeSet } from './attribute-set.ts';
import { type ExemplarColumns, exemplarsOf } from './exemplar-columns.ts';
import { toHrTime } from './hr-time.ts';
import {
  AggregationTemporality,
  type DataPoint,
  DataPointType,
  type ExponentialHistogram,
  type ExponentialHistogramMetricData,
  type GaugeMetricData,
  type Histogram,
  type HistogramMetricData,
  type InstrumentationScope,
  type MetricDescriptor,
  type ProducedMetrics,
  type ResourceMetrics,
  SUMMARY,
  type SumMetricData,
  type Summary,
  type SummaryMetricData,
} from './metric-data.ts';
import type { Resource } from './resource.ts';

export type { ExemplarColumns } from './exemplar-columns.ts';

/** What every kind of point has. All columns have `length` elements. */
export interface PointColumns {
  readonly descriptor: MetricDescriptor;
  readonly aggregationTemporality: AggregationTemporality;
  readonly length: number;
  readonly attributes: readonly AttributeSet[];
  /** Nanoseconds since the Unix epoch. */
  readonly startTimes: BigUint64Array;
  readonly endTimes: BigUint64Array;
  /** Absent when no point has any. */
  readonly exemplars?: ExemplarColumns;
}

export interface NumberColumns extends PointColumns {
  readonly values: Float64Array;
}

/** Shared by both histogram kinds. NaN stands for "not recorded" in `sums`, `mins` and `maxs`. */
export interface DistributionColumns extends PointColumns {
  readonly counts: Float64Array;
  readonly sums: Float64Array;
  readonly mins: Float64Array;
  readonly maxs: Float64Array;
}

export interface ExplicitBucketColumns extends DistributionColumns {
  /** Strictly increasing, finite; inclusive upper bounds. */
  readonly boundaries: readonly number[];
  /** Row-major: point `i` owns `boundaries.length + 1` elements from `i * (boundaries.length + 1)`. */
  readonly bucketCounts: Float64Array;
}

/** Buckets of one sign for all points: point `i` owns `counts[starts[i]] … counts[starts[i + 1] - 1]`. */
export interface ExponentialBuckets {
  /** The bucket index of each point's first count. */
  readonly offsets: Int32Array;
  /** `length + 1` elements. */
  readonly starts: Uint32Array;
  readonly counts: Float64Array;
}

export interface ExponentialColumns extends DistributionColumns {
  readonly scales: Int32Array;
  readonly zeroCounts: Float64Array;
  readonly positive: ExponentialBuckets;
  readonly negative: ExponentialBuckets;
}

/** NaN stands for what is not known, in all of them. */
export interface QuantileColumns extends PointColumns {
  readonly counts: Float64Array;
  readonly sums: Float64Array;
  /** Strictly increasing, from 0 to 1; those of all points. */
  readonly quantiles: readonly number[];
  /** Row-major: point `i` owns `quantiles.length` elements from `i * quantiles.length`. */
  readonly quantileValues: Float64Array;
}

export interface SumColumns extends NumberColumns, SumMetricData {}
export interface GaugeColumns extends NumberColumns, GaugeMetricData {}
export interface HistogramColumns extends ExplicitBucketColumns, HistogramMetricData {}
export interface ExponentialHistogramColumns extends ExponentialColumns, ExponentialHistogramMetricData {}
export interface SummaryColumns extends QuantileColumns, SummaryMetricData {}

/** One metric of a batch; tell the kinds apart by `dataPointType`. */
export type MetricColumns =
  | SumColumns
  | GaugeColumns
  | HistogramColumns
  | ExponentialHistogramColumns
  | SummaryColumns;

export interface ScopeColumns<M extends MetricColumns = MetricColumns> {
  scope: InstrumentationScope;
  metrics: M[];
}

const BRAND = Symbol.for('meterline.MetricBatch');

export class MetricBatch implements ResourceMetrics {
  readonly resource: Resource;
  /**
   * Typed as the kinds of OpenTelemetry JS, so that a batch goes wherever a `ResourceMetrics` does. Where a producer gave
   * summaries they are here too: take a metric as {@link MetricColumns} to tell them.
   */
  readonly scopeMetrics: ScopeColumns<Exclude<MetricColumns, SummaryColumns>>[];
  /** How many points the batch holds, over all metrics. */
  readonly pointCount: number;
  readonly [BRAND] = true;

  constructor(resource: Resource, scopeMetrics: ScopeColumns[]) {
    this.resource = resource;
    this.scopeMetrics = scopeMetrics as typeof this.scopeMetrics;
    let count = 0;
    for (const { metrics } of scopeMetrics) for (const metric of metrics) count += metric.length;
    this.pointCount = count;
  }

  /** True for batches of any copy of this package, which `instanceof` would not recognise. */
  static is(value: ProducedMetrics): value is MetricBatch {
    return BRAND in value;
  }
}

export function sumColumns(columns: NumberColumns, isMonotonic: boolean): SumColumns {
  return withDataPoints(
    { ...columns, dataPointType: DataPointType.SUM as const, isMonotonic },
    numberAt(columns),
  );
}

export function gaugeColumns(columns: NumberColumns): GaugeColumns {
  return withDataPoints({ ...columns, dataPointType: DataPointType.GAUGE as const }, numberAt(columns));
}

export function histogramColumns(columns: ExplicitBucketColumns): HistogramColumns {
  return withDataPoints({ ...columns, dataPointType: DataPointType.HISTOGRAM as const }, (i): Histogram => {
    const width = columns.boundaries.length + 1;
    return {
      ...distributionAt(columns, i),
      buckets: {
        boundaries: [...columns.boundaries],
        counts: [...columns.bucketCounts.subarray(i * width, (i + 1) * width)],
      },
    };
  });
}

export function exponentialHistogramColumns(columns: ExponentialColumns): ExponentialHistogramColumns {
  return withDataPoints(
    { ...columns, dataPointType: DataPointType.EXPONENTIAL_HISTOGRAM as const },
    (i): ExponentialHistogram => ({
      ...distributionAt(columns, i),
      scale: columns.scales[i]!,
      zeroCount: columns.zeroCounts[i]!,
      positive: bucketsAt(columns.positive, i),
      negative: bucketsAt(columns.negative, i),
    }),
  );
}

/** Cumulative, whatever the columns say: there are no others. */
export function summaryColumns(columns: QuantileColumns): SummaryColumns {
  const { counts, sums, quantiles, quantileValues } = columns;
  return withDataPoints(
    {
      ...columns,
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
      dataPointType: SUMMARY,
    },
    (i): Summary => ({
      count: counts[i]!,
      sum: sums[i]!,
      quantileValues: quantiles.map((quantile, q) => ({
        quantile,
        value: quantileValues[i * quantiles.length + q]!,
      })),
    }),
  );
}

const numberAt = (columns: NumberColumns) => (i: number) => columns.values[i]!;

function distributionAt({ counts, sums, mins, maxs }: DistributionColumns, i: number) {
  const recorded = (value: number) => (Number.isNaN(value) ? undefined : value);
  return {
    count: counts[i]!,
    sum: recorded(sums[i]!),
    min: recorded(mins[i]!),
    max: recorded(maxs[i]!),
  };
}

function bucketsAt({ offsets, starts, counts }: ExponentialBuckets, i: number) {
  return { offset: offsets[i]!, bucketCounts: [...counts.subarray(starts[i], starts[i + 1])] };
}

/**
 * Adds `dataPoints` as an own, enumerable getter: `{ ...metric }` in a foreign exporter must keep it. In JSON a metric is
 * what it is in OpenTelemetry's objects; columns have numbers that JSON has not.
 */
function withDataPoints<C extends PointColumns & { dataPointType: MetricColumns['dataPointType'] }, T>(
  columns: C,
  valueAt: (i: number) => T,
): C & { readonly dataPoints: DataPoint<T>[] } {
  let points: DataPoint<T>[] | undefined;
  const dataPoints = () => {
    points ??= columns.attributes.map((set, i) => {
      const exemplars = exemplarsOf(columns.exemplars, i);
      return {
        startTime: toHrTime(columns.startTimes[i]!),
        endTime: toHrTime(columns.endTimes[i]!),
        attributes: set.attributes,
        value: valueAt(i),
        ...(exemplars && { exemplars }),
      };
    });
    return points;
  };
  const { descriptor, aggregationTemporality, dataPointType } = columns;
  const isMonotonic = 'isMonotonic' in columns ? columns.isMonotonic : undefined;
  const toJSON = () => ({
    descriptor,
    aggregationTemporality,
    dataPointType,
    isMonotonic,
    dataPoints: dataPoints(),
  });
  return Object.defineProperties(columns, {
    dataPoints: { enumerable: true, get: dataPoints },
    toJSON: { value: toJSON },
  }) as C & { readonly dataPoints: DataPoint<T>[] };
}
