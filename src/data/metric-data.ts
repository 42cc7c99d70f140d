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
  readonly dataPointType: DataPointType;
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

export type MetricData =
  | SumMetricData
  | GaugeMetricData
  | HistogramMetricData
  | ExponentialHistogramMetricData;

export interface ScopeMetrics {
  scope: InstrumentationScope;
  metrics: MetricData[];
}

export interface ResourceMetrics {
  resource: Resource;
  scopeMetrics: ScopeMetrics[];
}
