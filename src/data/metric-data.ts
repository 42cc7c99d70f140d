// The OpenTelemetry JS data model of one collection: what third-party exporters read.
// The enums carry the names and members of `@opentelemetry/sdk-metrics`, so that TypeScript lets the two mix.
import type { Attributes, HrTime, ValueType } from '@opentelemetry/api';
import type { Resource } from './resource.ts';

/** Whether a point covers the time since the series began or since the last collection (OTel data model). */
export enum AggregationTemporality {
  DELTA = 0,
  CUMULATIVE = 1,
}

/** The seven instrument kinds of the OpenTelemetry metrics API. */
export enum InstrumentType {
  COUNTER = 'COUNTER',
  GAUGE = 'GAUGE',
  HISTOGRAM = 'HISTOGRAM',
  UP_DOWN_COUNTER = 'UP_DOWN_COUNTER',
  OBSERVABLE_COUNTER = 'OBSERVABLE_COUNTER',
  OBSERVABLE_GAUGE = 'OBSERVABLE_GAUGE',
  OBSERVABLE_UP_DOWN_COUNTER = 'OBSERVABLE_UP_DOWN_COUNTER',
}

/** The kind of value that the points of a metric hold. */
export enum DataPointType {
  HISTOGRAM = 0,
  EXPONENTIAL_HISTOGRAM = 1,
  GAUGE = 2,
  SUM = 3,
}

/**
 * The kind of points that hold quantiles. OpenTelemetry's data model has it, its JavaScript SDK has not: so it is no member of
 * {@link DataPointType}, and no instrument makes any. Producers may, out of metrics that others have recorded: `toBatch` takes
 * them.
 */
export const SUMMARY = 4 as const;

/** What identifies the code that recorded: a Meter's name, version, schema URL and attributes. */
export interface InstrumentationScope {
  readonly name: string;
  readonly version?: string;
  readonly schemaUrl?: string;
  readonly attributes?: Attributes;
}

export interface MetricDescriptor {
  readonly name: string;
  readonly description: string;
  /** UCUM unit, `''` when the instrument has none. */
  readonly unit: string;
  readonly valueType: ValueType;
  /**
   * What else is known of the metric, for those who translate it back (OTLP, `Metric.metadata`). Instruments have none;
   * producers may give it. No part of what identifies the metric.
   */
  readonly metadata?: Attributes;
}

/** A single recorded measurement kept as an example, with the trace it was made in. */
export interface Exemplar {
  readonly value: number;
  readonly timestamp: HrTime;
  /** The attributes that a View removed from the point. */
  readonly filteredAttributes: Attributes;
  readonly traceId?: string;
  readonly spanId?: string;
}

/** Explicit-bucket histogram value. `counts` has one more element than `boundaries`; bounds are inclusive above. */
export interface Histogram {
  readonly buckets: { readonly boundaries: number[]; readonly counts: number[] };
  readonly sum?: number;
  readonly count: number;
  readonly min?: number;
  readonly max?: number;
}

/** Base-2 exponential histogram value (OTel data model, "ExponentialHistogram"). */
export interface ExponentialHistogram {
  readonly count: number;
  readonly sum?: number;
  readonly scale: number;
  readonly zeroCount: number;
  readonly positive: { readonly offset: number; readonly bucketCounts: number[] };
  readonly negative: { readonly offset: number; readonly bucketCounts: number[] };
  readonly min?: number;
  readonly max?: number;
}

/**
 * Quantiles that the client itself worked out, over a time that it knows alone (OTel data model, "Summary"). What is not known
 * is NaN.
 */
export interface Summary {
  readonly count: number;
  readonly sum: number;
  /** In ascending order of the quantiles, which are from 0 to 1. */
  readonly quantileValues: readonly { readonly quantile: number; readonly value: number }[];
}

export interface DataPoint<T> {
  readonly startTime: HrTime;
  readonly endTime: HrTime;
  readonly attributes: Attributes;
  readonly value: T;
  readonly exemplars?: readonly Exemplar[];
}

interface BaseMetricData {
  readonly descriptor: MetricDescriptor;
  readonly aggregationTemporality: AggregationTemporality;
}

export interface SumMetricData extends BaseMetricData {
  readonly dataPointType: DataPointType.SUM;
  readonly dataPoints: DataPoint<number>[];
  readonly isMonotonic: boolean;
}

export interface GaugeMetricData extends BaseMetricData {
  readonly dataPointType: DataPointType.GAUGE;
  readonly dataPoints: DataPoint<number>[];
}

export interface HistogramMetricData extends BaseMetricData {
  readonly dataPointType: DataPointType.HISTOGRAM;
  readonly dataPoints: DataPoint<Histogram>[];
}

export interface ExponentialHistogramMetricData extends BaseMetricData {
  readonly dataPointType: DataPointType.EXPONENTIAL_HISTOGRAM;
  readonly dataPoints: DataPoint<ExponentialHistogram>[];
}

/** Beside OpenTelemetry JS's kinds; always cumulative. */
export interface SummaryMetricData extends BaseMetricData {
  readonly dataPointType: typeof SUMMARY;
  readonly dataPoints: DataPoint<Summary>[];
}

export type MetricData =
  | SumMetricData
  | GaugeMetricData
  | HistogramMetricData
  | ExponentialHistogramMetricData;

export interface ScopeMetrics {
  scope: InstrumentationScope;
  metrics: MetricData[];
}

/** OpenTelemetry's objects, with summaries among them. */
export interface ProducedMetrics {
  resource: Resource;
  scopeMetrics: { scope: InstrumentationScope; metrics: (MetricData | SummaryMetricData)[] }[];
}

export interface ResourceMetrics {
  resource: Resource;
  scopeMetrics: ScopeMetrics[];
}
