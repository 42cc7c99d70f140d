// The five metrics of an HTTP server and the series they are recorded to.
import { type Attributes, type Meter, ValueType } from '@opentelemetry/api';
import { type BoundCounter, type BoundHistogram, bindCounter, bindHistogram } from './bound.ts';
import { DURATION_BOUNDARIES, SIZE_BOUNDARIES } from './boundaries.ts';

/** What one response is recorded to: the four metrics that share their attributes. */
export interface HttpSeries {
  readonly method: string;
  readonly statusCode: number;
  readonly isError: boolean;
  readonly requests: BoundCounter;
  readonly duration: BoundHistogram;
  readonly requestSize: BoundHistogram;
  readonly responseSize: BoundHistogram;
}

export interface HttpInstruments {
  readonly active: BoundCounter;
  series(method: string, route: string, statusCode: number, isError: boolean): HttpSeries;
}

/** The SDK's default cardinality limit; combinations past it are looked up per call, and the SDK folds them. */
const MAX_KEPT_SERIES = 2_000;

/** RFC 9110 section 9, RFC 5789 (PATCH) and the QUERY method; a client can send any other word. */
const KNOWN_METHODS = new Set([
  'CONNECT',
  'DELETE',
  'GET',
  'HEAD',
  'OPTIONS',
  'PATCH',
  'POST',
  'PUT',
  'QUERY',
  'TRACE',
]);

export function createHttpInstruments(meter: Meter): HttpInstruments {
  const requests = meter.createCounter('http_server_requests_total', {
    description: 'HTTP requests whose response has closed, whether complete or not.',
    unit: '1',
    valueType: ValueType.INT,
  });
  const duration = meter.createHistogram('http_server_request_duration_seconds', {
    description: 'Time from the end of the request headers until the response closed.',
    unit: 's',
    advice: { explicitBucketBoundaries: DURATION_BOUNDARIES },
  });
  const size = (direction: string, description: string) =>
    meter.createHistogram(`http_server_${direction}_size_bytes`, {
      description,
      unit: 'By',
      valueType: ValueType.INT,
      advice: { explicitBucketBoundaries: SIZE_BOUNDARIES },
    });
  const requestSize = size('request', 'Bytes of request bodies received, without framing.');
  const responseSize = size('response', 'Bytes of response bodies written, without framing.');
  const active = meter.createUpDownCounter('http_server_active_requests', {
    description: 'HTTP requests whose response has not closed yet.',
    unit: '1',
    valueType: ValueType.INT,
  });

  const bind = (method: string, route: string, statusCode: number, isError: boolean): HttpSeries => {
    const attributes: Attributes = {
      'http.method': method,
      'http.route': route,
      'http.status_code': statusCode,
      status: isError ? 'error' : 'success',
    };
    return {
      method,
      statusCode,
      isError,
      requests: bindCounter(requests, attributes),
      duration: bindHistogram(duration, attributes),
      requestSize: bindHistogram(requestSize, attributes),
      responseSize: bindHistogram(responseSize, attributes),
    };
  };

  // A route has a handful of series, so a scan of them beats building a key from all four parts.
  const kept = new Map<string, HttpSeries[]>();
  let keptCount = 0;
  return {
    active: bindCounter(active, {}),
    series(method, route, statusCode, isError) {
      const knownMethod = KNOWN_METHODS.has(method) ? method : '_OTHER';
      const ofRoute = kept.get(route);
      if (ofRoute !== undefined) {
        for (const one of ofRoute) {
          if (one.statusCode === statusCode && one.method === knownMethod && one.isError === isError)
            return one;
        }
      }
      const series = bind(knownMethod, route, statusCode, isError);
      if (keptCount < MAX_KEPT_SERIES) {
        keptCount++;
        if (ofRoute === undefined) kept.set(route, [series]);
        else ofRoute.push(series);
      }
      return series;
    },
  };
}
