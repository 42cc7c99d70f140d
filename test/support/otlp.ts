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
  summary?: DecodedData;
  metadata?: unknown[];
}

export function decodeRequest(body: Uint8Array): DecodedRequest {
  const message = ExportMetricsServiceRequest.decode(body);
  const plain = ExportMetricsServiceRequest.toObject(message, { longs: String, enums: Number });
  return normal(plain) as DecodedRequest;
}

/** protobufjs leaves out what has its default, which is the same as when it was not sent. */
function normal(value: unknown, name = ''): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map((element) => normal(element));
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([key, member]) => [key, normal(member, key)]);
  const defaults =
    name === 'arrayValue' || name === 'kvlistValue'
      ? { values: [] }
      : name === 'positive' || name === 'negative'
        ? { offset: 0 }
        : 'value' in value && typeof value.value === 'object'
          ? { key: '' }
          : {};
  return { ...defaults, ...Object.fromEntries(members) };
}

/** The one message of a metric that holds its points. */
export function dataOf(metric: DecodedMetric): DecodedData {
  return (metric.gauge ?? metric.sum ?? metric.histogram ?? metric.exponentialHistogram ?? metric.summary)!;
}

/** Each point with all that surrounds it, with fields that were left out because of their default. */
export function rowsOf(request: DecodedRequest): unknown[] {
  return (request.resourceMetrics ?? []).flatMap(({ resource, schemaUrl = '', scopeMetrics }) =>
    scopeMetrics.flatMap(({ scope, schemaUrl: scopeSchemaUrl = '', metrics }) =>
      metrics.flatMap((metric) => {
        const kind = (['gauge', 'sum', 'histogram', 'exponentialHistogram', 'summary'] as const).find(
          (name) => metric[name],
        )!;
        const { dataPoints, aggregationTemporality, isMonotonic = false } = metric[kind]!;
        return dataPoints.map((point) => ({
          resource: resource?.attributes ?? [],
          resourceSchemaUrl: schemaUrl,
          scope: {
            name: scope?.name ?? '',
            version: scope?.version ?? '',
            attributes: scope?.attributes ?? [],
          },
          scopeSchemaUrl,
          name: metric.name ?? '',
          description: metric.description ?? '',
          unit: metric.unit ?? '',
          metadata: metric.metadata ?? [],
          kind,
          temporality: aggregationTemporality,
          isMonotonic,
          point: withDefaults(kind, point),
        }));
      }),
    ),
  );
}

function withDefaults(kind: string, point: DecodedPoint): DecodedPoint {
  const exemplars = (point.exemplars ?? []) as DecodedPoint[];
  const quantileValues = (point.quantileValues ?? []) as DecodedPoint[];
  return {
    attributes: [],
    startTimeUnixNano: '0',
    timeUnixNano: '0',
    ...(kind === 'histogram' && { count: '0', explicitBounds: [] }),
    ...(kind === 'summary' && { count: '0', sum: 0 }),
    ...(kind === 'exponentialHistogram' && { count: '0', scale: 0, zeroCount: '0' }),
    ...point,
    ...(kind === 'summary' && {
      quantileValues: quantileValues.map((own) => ({ quantile: 0, value: 0, ...own })),
    }),
    exemplars: exemplars.map((exemplar) => ({ filteredAttributes: [], timeUnixNano: '0', ...exemplar })),
  };
}

/** Reads OTLP's JSON as a receiver does: by the public definitions, with identifiers in hexadecimal. */
export function parseRequest(text: string): DecodedRequest {
  const json: unknown = JSON.parse(text, (key, value) =>
    key === 'traceId' || key === 'spanId' ? Buffer.from(value, 'hex').toString('base64') : value,
  );
  const message = ExportMetricsServiceRequest.fromObject(json as object);
  return decodeRequest(ExportMetricsServiceRequest.encode(message).finish());
}
