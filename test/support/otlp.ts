// OTLP's messages by the public definitions and protobufjs: shares no code with what it checks.
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const definitions = fileURLToPath(new URL('../proto/', import.meta.url));
const root = new protobuf.Root();
root.resolvePath = (_origin, target) => definitions + target;
root.loadSync('opentelemetry/proto/collector/metrics/v1/metrics_service.proto', { keepCase: false });

export const ExportMetricsServiceRequest = root.lookupType(
  'opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest',
);
export const ExportMetricsServiceResponse = root.lookupType(
  'opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceResponse',
);

/** An `ExportMetricsServiceRequest` as a plain object: 64-bit integers as strings, bytes as hex, nothing that was not sent. */
export interface DecodedRequest {
  resourceMetrics: DecodedResourceMetrics[];
}

export interface DecodedResourceMetrics {
  resource?: { attributes?: unknown[] };
  scopeMetrics: DecodedScopeMetrics[];
  schemaUrl?: string;
}

export interface DecodedScopeMetrics {
  scope?: { name?: string; version?: string; attributes?: unknown[] };
  metrics: DecodedMetric[];
  schemaUrl?: string;
}

export type DecodedPoint = Record<string, unknown>;

export interface DecodedData {
  dataPoints: DecodedPoint[];
  aggregationTemporality?: number;
  isMonotonic?: boolean;
}

export interface DecodedMetric {
  name: string;
  description?: string;
  unit?: string;
  gauge?: DecodedData;
  sum?: DecodedData;
  histogram?: DecodedData;
  exponentialHistogram?: DecodedData;
}

export function decodeRequest(body: Uint8Array): DecodedRequest {
  const message = ExportMetricsServiceRequest.decode(body);
  const plain = ExportMetricsServiceRequest.toObject(message, { longs: String, enums: Number });
  return withHexIds(plain) as DecodedRequest;
}

function withHexIds(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(withHexIds);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, withHexIds(member)]));
}

/** The one message of a metric that holds its points. */
export function dataOf(metric: DecodedMetric): DecodedData {
  return (metric.gauge ?? metric.sum ?? metric.histogram ?? metric.exponentialHistogram)!;
}
