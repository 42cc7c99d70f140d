// Where the template of a request's route comes from.
import type { IncomingMessage } from 'node:http';

/**
 * The `http.route` of a request whose route nobody told, such as a scanner's. One value for all of them, so
 * that no client can make series.
 */
export const UNMATCHED_ROUTE = 'unmatched';

/** Shared by name: an application may hold two copies of this package. */
const ROUTE = Symbol.for('meterline.route');

interface RoutedRequest {
  [ROUTE]?: string;
  /** Express and those who follow it. */
  route?: { path?: unknown };
  baseUrl?: unknown;
}

/**
 * Tells the route of a request. The last call before the response closes holds.
 *
 * @param request the request that `node:http` made; frameworks that wrap it keep it under a name such as `raw`
 * @param template the route's pattern, such as `/orders/:id`; never the path that was asked for
 */
export function setHttpRoute(request: IncomingMessage, template: string): void {
  (request as RoutedRequest)[ROUTE] = template;
}

/** The route that was set on the request, by its handler or by a framework. */
export function routeOf(request: IncomingMessage): string | undefined {
  const { [ROUTE]: template, route, baseUrl } = request as RoutedRequest;
  if (template !== undefined) return template;
  // `baseUrl` is the prefix as the client wrote it, not the mount's pattern: with it, `/users/:id` mounted once
  // would be a route per user; without it, equal routes of two routers would be one.
  if (route?.path == null || baseUrl) return undefined;
  // An expression or a list of paths has no single template; its source is as constant.
  return String(route.path);
}
