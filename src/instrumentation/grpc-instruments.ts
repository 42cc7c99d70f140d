// The three metrics of a gRPC server and the series they are recorded to.
import { type Attributes, type Meter, ValueType } from '@opentelemetry/api';
import { type BoundCounter, type BoundHistogram, bindCounter, bindHistogram } from './bound.ts';
import { DURATION_BOUNDARIES } from './boundaries.ts';

/** What the calls of one method that ended with one status are recorded to. */
export interface GrpcSeries {
  readonly requests: BoundCounter;
  readonly duration: BoundHistogram;
}

export interface GrpcInstruments {
  readonly active: BoundCounter;
  /** @param path a registered method, such as `/shop.Orders/Get`, since each is kept for good */
  series(path: string, status: GrpcStatusName): GrpcSeries;
}

/** Indexed by code; see "Status codes and their use in gRPC". */
const STATUS_NAMES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

export type GrpcStatusName = (typeof STATUS_NAMES)[number];

/** A handler can send any number; gRPC tells receivers to read those it does not define as UNKNOWN. */
export function statusName(code: number): GrpcStatusName {
  return STATUS_NAMES[code] ?? 'UNKNOWN';
}

export function createGrpcInstruments(meter: Meter): GrpcInstruments {
  const requests = meter.createCounter('grpc_server_requests_total', {
    description: 'gRPC calls that have ended, whatever their status.',
    unit: '1',
    valueType: ValueType.INT,
  });
  const duration = meter.createHistogram('grpc_server_request_duration_seconds', {
    description: 'Time from the call reaching the server until its stream closed.',
    unit: 's',
    advice: { explicitBucketBoundaries: DURATION_BOUNDARIES },
  });
  const active = meter.createUpDownCounter('grpc_server_active_requests', {
    description: 'gRPC calls whose stream has not closed yet.',
    unit: '1',
    valueType: ValueType.INT,
  });

  const kept = new Map<string, Partial<Record<GrpcStatusName, GrpcSeries>>>();
  return {
    active: bindCounter(active, {}),
    series(path, status) {
      let ofMethod = kept.get(path);
      if (ofMethod === undefined) kept.set(path, (ofMethod = {}));
      let series = ofMethod[status];
      if (series === undefined) {
        const slash = path.lastIndexOf('/');
        const attributes: Attributes = {
          'rpc.service': path.slice(1, slash),
          'rpc.method': path.slice(slash + 1),
          'rpc.status_code': status,
          status: status === 'OK' ? 'success' : 'error',
        };
        series = {
          requests: bindCounter(requests, attributes),
          duration: bindHistogram(duration, attributes),
        };
        ofMethod[status] = series;
      }
      return series;
    },
  };
}
