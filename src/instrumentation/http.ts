// Metrics of every `node:http` and `node:https` server in the process, whatever framework runs on top.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { MeterProvider } from '@opentelemetry/api';
import { Exchange } from './http-exchange.ts';
import { createHttpInstruments } from './http-instruments.ts';
import { routeOf, UNMATCHED_ROUTE } from './http-route.ts';
import { lazyInstruments } from './lazy-instruments.ts';
import { reportOnce } from './report-once.ts';

export { setHttpRoute, UNMATCHED_ROUTE } from './http-route.ts';

export interface HttpInstrumentationOptions {
  /**
   * Where to record. Default: the provider that is registered globally while a request starts, so that
   * instrumenting may come before registering.
   */
  meterProvider?: MeterProvider;
  /**
   * The route's template, such as `/orders/:id`, for requests whose route was not set by `setHttpRoute` or
   * found on an Express request. Called once, when the response has closed. Return undefined for an unmatched
   * path, never the path itself: each distinct value is a series. Default: every such request is unmatched.
   */
  route?: (request: IncomingMessage, response: ServerResponse) => string | undefined;
  /**
   * Requests to leave out, such as health checks. Called once per request, before any handler. Default: none.
   */
  ignore?: (request: IncomingMessage) => boolean;
}

export interface HttpInstrumentation {
  /** Stops observing. Requests in flight are still recorded when they close. */
  disable(): void;
}

/** On a server or on a request: do not measure. Our own scrape endpoints carry it. */
const UNINSTRUMENTED = Symbol.for('meterline.uninstrumented');

/** Global by name, because two copies of this package would otherwise count each request twice. */
const IN_FORCE = Symbol.for('meterline.http');
const globals = globalThis as { [IN_FORCE]?: HttpInstrumentation };

/**
 * Measures all HTTP/1 servers of the process, those that already listen included. Calling it again replaces the
 * options: a process is never measured twice.
 */
export function instrumentHttp(options: HttpInstrumentationOptions = {}): HttpInstrumentation {
  const report = reportOnce();
  const instruments = lazyInstruments(options.meterProvider, 'meterline/http', createHttpInstruments);

  // An exception in a channel's subscriber or in a `close` listener would end the process.
  const onStart = (message: unknown) => {
    const { request, response, socket, server } = message as RequestStart;
    try {
      if (isMarked(server) || Exchange.of(response) || isIgnored(request)) return;
      const current = instruments();
      new Exchange(request, response, socket, current, onClose);
      current.active.add(1);
    } catch (error) {
      report('an HTTP request could not be observed', error);
    }
  };

  const onClose = (exchange: Exchange, seconds: number) => {
    const { request, response, instruments } = exchange;
    try {
      instruments.active.add(-1);
      if (isMarked(request)) return;
      const method = request.method!;
      const { statusCode, isError } = exchange;
      const series = instruments.series(method, templateOf(request, response), statusCode, isError);
      series.requests.add(1);
      series.duration.record(seconds);
      series.requestSize.record(exchange.requestBytes);
      series.responseSize.record(hasBody(method, statusCode) ? exchange.responseBytes : 0);
    } catch (error) {
      report('an HTTP request could not be recorded', error);
    }
  };

  const isIgnored = (request: IncomingMessage): boolean => {
    if (options.ignore === undefined) return false;
    try {
      return options.ignore(request);
    } catch (error) {
      report('the `ignore` function given to instrumentHttp threw, so the request is measured', error);
      return false;
    }
  };

  const templateOf = (request: IncomingMessage, response: ServerResponse): string => {
    const template = routeOf(request);
    if (template !== undefined || options.route === undefined) return template ?? UNMATCHED_ROUTE;
    try {
      return options.route(request, response) ?? UNMATCHED_ROUTE;
    } catch (error) {
      report('the `route` function given to instrumentHttp threw, so the request is unmatched', error);
      return UNMATCHED_ROUTE;
    }
  };

  const instrumentation: HttpInstrumentation = {
    disable() {
      unsubscribe('http.server.request.start', onStart);
      if (globals[IN_FORCE] === instrumentation) delete globals[IN_FORCE];
    },
  };
  globals[IN_FORCE]?.disable();
  globals[IN_FORCE] = instrumentation;
  subscribe('http.server.request.start', onStart);
  // Stays when this one is disabled, for the requests that are in flight then; never there twice.
  unsubscribe('http.server.response.finish', onFinish);
  subscribe('http.server.response.finish', onFinish);
  return instrumentation;
}

function onFinish(message: unknown): void {
  Exchange.of((message as { response: ServerResponse }).response)?.finish();
}

/** What Node publishes; see "Built-in channels" of `node:diagnostics_channel`. */
interface RequestStart {
  request: IncomingMessage;
  response: ServerResponse;
  socket: Socket;
  server: Server;
}

function isMarked(target: object): boolean {
  return (target as { [UNINSTRUMENTED]?: unknown })[UNINSTRUMENTED] === true;
}

/** RFC 9110 sections 9.3.2 and 6.4.1: what a handler writes to these responses is not sent. */
function hasBody(method: string, statusCode: number): boolean {
  return method !== 'HEAD' && statusCode !== 204 && statusCode !== 304;
}
