// Metrics of `@grpc/grpc-js` servers. Only types of that library are imported: the application brings it along.
import type { ServerHttp2Stream } from 'node:http2';
import type {
  Server,
  ServerInterceptingCall,
  ServerInterceptingCallInterface,
  ServerInterceptor,
} from '@grpc/grpc-js';
import type { MeterProvider } from '@opentelemetry/api';
import { createGrpcInstruments, statusName } from './grpc-instruments.ts';
import { lazyInstruments } from './lazy-instruments.ts';
import { type ReportOnce, reportOnce } from './report-once.ts';

export interface GrpcInstrumentationOptions {
  /**
   * Where to record. Default: the provider that is registered globally while a call starts, so that
   * instrumenting may come before registering.
   */
  meterProvider?: MeterProvider;
  /** Methods to leave out, by path, such as `/grpc.health.v1.Health/Check`. Default: none. */
  ignore?: (path: string) => boolean;
}

/** `rpc.service` and `rpc.method` of calls to methods that the server does not have, whatever clients call them. */
const UNKNOWN_METHOD = '/_OTHER/_OTHER';

/**
 * A client hangs up when its deadline passes. Ours is later by the time its headers took to arrive, so a client
 * that hangs up this shortly before ours did so because of its own. The protocol does not tell the two apart.
 */
const DEADLINE_SLACK_MS = 20;

/**
 * Measures the calls of the servers it is given to: `new Server({ interceptors: [grpcServerInterceptor()] })`.
 * Its place among other interceptors does not matter. Calls to unknown methods reach no interceptor; see
 * {@link countUnknownGrpcMethods}.
 */
export function grpcServerInterceptor(options: GrpcInstrumentationOptions = {}): ServerInterceptor {
  const { ignore } = options;
  const report = reportOnce();
  const observe = callObserver(options.meterProvider, report);
  const isIgnored = (path: string): boolean => {
    try {
      return ignore?.(path) === true;
    } catch (error) {
      report('the `ignore` function given to grpcServerInterceptor threw, so the call is measured', error);
      return false;
    }
  };
  return ({ path }, call) => {
    if (!isIgnored(path)) {
      const stream = streamOf(call);
      if (stream === undefined) {
        report('this version of @grpc/grpc-js hides the stream of a call, so gRPC calls are not measured');
      } else observe(path, stream, Number(call.getDeadline()));
    }
    // Nothing of the call is changed, so it passes on as it came; the type asks for the class that would wrap it.
    return call as ServerInterceptingCall;
  };
}

/**
 * Counts calls to methods that the server does not have, as `_OTHER` with status `UNIMPLEMENTED`. grpc-js
 * answers these before any interceptor and offers no hook, so this replaces a method of this one server.
 */
export function countUnknownGrpcMethods(
  server: Server,
  options: Pick<GrpcInstrumentationOptions, 'meterProvider'> = {},
): void {
  const report = reportOnce();
  const target = server as unknown as {
    _respondWithError?: (error: unknown, stream: ServerHttp2Stream, ...rest: unknown[]) => void;
  };
  if (COUNTED.has(server)) return;
  COUNTED.add(server);
  const respond = target._respondWithError;
  if (typeof respond !== 'function') {
    report('this version of @grpc/grpc-js has no known place to count calls to unknown methods');
    return;
  }
  const observe = callObserver(options.meterProvider, report);
  target._respondWithError = function (error, stream, ...rest) {
    observe(UNKNOWN_METHOD, stream, Number.POSITIVE_INFINITY);
    respond.call(this, error, stream, ...rest);
  };
}

/** Servers whose unknown methods are counted already; a second time would count each call twice. */
const COUNTED = new WeakSet<Server>();

/** Returns what follows one call until its stream closes; it never throws. */
function callObserver(meterProvider: MeterProvider | undefined, report: ReportOnce) {
  const instruments = lazyInstruments(meterProvider, 'meterline/grpc', createGrpcInstruments);
  return (path: string, stream: ServerHttp2Stream, deadline: number): void => {
    try {
      const startedAt = performance.now();
      const { active, series } = instruments();
      stream.once('close', () => {
        try {
          active.add(-1);
          const { requests, duration } = series(path, statusName(statusCodeOf(stream, deadline)));
          requests.add(1);
          duration.record((performance.now() - startedAt) / 1_000);
        } catch (error) {
          report('a gRPC call could not be recorded', error);
        }
      });
      active.add(1);
    } catch (error) {
      report('a gRPC call could not be observed', error);
    }
  };
}

/**
 * The HTTP/2 stream under a call. It is a private field, and the one place that knows how every call ends:
 * interceptors see neither the statuses that grpc-js sends by itself (deadline, malformed or oversized
 * message) nor the end of a call that another interceptor never let start.
 */
function streamOf(call: ServerInterceptingCallInterface): ServerHttp2Stream | undefined {
  type Layer = { stream?: ServerHttp2Stream; nextCall?: Layer };
  let layer = call as unknown as Layer | undefined;
  while (layer !== undefined && layer.stream === undefined) layer = layer.nextCall;
  return layer?.stream;
}

/** The status that went out; it travels in the headers when there was no message to send. */
function statusCodeOf(stream: ServerHttp2Stream, deadline: number): number {
  const sent = stream.sentTrailers?.['grpc-status'] ?? stream.sentHeaders?.['grpc-status'];
  if (sent !== undefined) return Number(sent);
  const DEADLINE_EXCEEDED = 4;
  const CANCELLED = 1;
  return Date.now() >= deadline - DEADLINE_SLACK_MS ? DEADLINE_EXCEEDED : CANCELLED;
}
