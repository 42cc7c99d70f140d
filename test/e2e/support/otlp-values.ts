// What a Collector wrote, as JavaScript values.
import type { OtlpAttribute, OtlpMetric, OtlpPoint, OtlpRequest } from './collector.ts';

/** A bigint where OTLP has an integer. */
export type Value = bigint | number | HistogramValue | ExponentialHistogramValue;

export interface HistogramValue {
  count: number;
  sum: number;
  min: number;
  max: number;
  bounds: number[];
  counts: number[];
}

export interface ExponentialHistogramValue {
  count: number;
  sum: number;
  min: number;
  max: number;
  scale: number;
  zeroCount: number;
  positive: { offset: number; counts: number[] };
  negative: { offset: number; counts: number[] };
}

export interface ReceivedPoint {
  attributes: Record<string, unknown>;
  value: Value;
  startTime: bigint;
  time: bigint;
  exemplars: unknown;
}

export interface ReceivedMetric {
  name: string;
  unit: string;
  description: string;
  type: 'gauge' | 'sum' | 'histogram' | 'exponentialHistogram';
  temporality: 'delta' | 'cumulative' | undefined;
  isMonotonic: boolean | undefined;
  points: ReceivedPoint[];
}

/** All metrics of one request, in order. */
export function metricsIn({ resourceMetrics }: OtlpRequest): ReceivedMetric[] {
  return resourceMetrics.flatMap(({ scopeMetrics }) =>
    scopeMetrics.flatMap(({ metrics }) => metrics.map(receivedMetric)),
  );
}

const TYPES = ['gauge', 'sum', 'histogram', 'exponentialHistogram'] as const;
const TEMPORALITIES = [undefined, 'delta', 'cumulative'] as const;

function receivedMetric(metric: OtlpMetric): ReceivedMetric {
  const type = TYPES.find((candidate) => metric[candidate] !== undefined)!;
  const data: { dataPoints: OtlpPoint[]; aggregationTemporality?: number; isMonotonic?: boolean } =
    metric[type]!;
  return {
    name: metric.name,
    unit: metric.unit ?? '',
    description: metric.description ?? '',
    type,
    temporality: TEMPORALITIES[data.aggregationTemporality ?? 0],
    isMonotonic: type === 'sum' ? data.isMonotonic === true : undefined,
    points: data.dataPoints.map((point) => ({
      attributes: attributesOf(point.attributes),
      value: VALUES[type](point),
      startTime: BigInt(point.startTimeUnixNano ?? 0),
      time: BigInt(point.timeUnixNano),
      exemplars: point.exemplars,
    })),
  };
}

/** JSON leaves out what is zero or empty. */
const VALUES = {
  gauge: numberOf,
  sum: numberOf,
  histogram: (point: OtlpPoint): HistogramValue => ({
    ...summaryOf(point),
    bounds: (point.explicitBounds as number[] | undefined) ?? [],
    counts: countsOf(point.bucketCounts),
  }),
  exponentialHistogram: (point: OtlpPoint): ExponentialHistogramValue => ({
    ...summaryOf(point),
    scale: Number(point.scale ?? 0),
    zeroCount: Number(point.zeroCount ?? 0),
    positive: bucketsOf(point.positive),
    negative: bucketsOf(point.negative),
  }),
};

function numberOf({ asInt, asDouble }: OtlpPoint): bigint | number {
  return asInt === undefined ? Number(asDouble) : BigInt(asInt as string);
}

function summaryOf({ count, sum, min, max }: OtlpPoint) {
  return { count: Number(count ?? 0), sum: Number(sum), min: Number(min), max: Number(max) };
}

function bucketsOf(buckets: unknown) {
  const { offset = 0, bucketCounts } = (buckets ?? {}) as { offset?: number; bucketCounts?: unknown };
  return { offset: Number(offset), counts: countsOf(bucketCounts) };
}

function countsOf(counts: unknown): number[] {
  return ((counts ?? []) as unknown[]).map(Number);
}

export function attributesOf(attributes: OtlpAttribute[] = []): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, attributeValue(value)]));
}

function attributeValue({ intValue, arrayValue, ...other }: Record<string, unknown>): unknown {
  if (intValue !== undefined) return BigInt(intValue as string);
  const list = arrayValue as { values?: Record<string, unknown>[] } | undefined;
  if (list !== undefined) return (list.values ?? []).map(attributeValue);
  return Object.values(other)[0];
}
