// Rate, errors and latency of each route, from scraped samples alone: what a dashboard would show.

/**
 * @typedef {import('./totals.js').Sample} Sample
 * @typedef {{ requests: number, errors: number, buckets: Map<number, number> }} Route
 * @typedef {{ route: string, rate: number, errorRate: number, p50: number, p95: number, p99: number }} RouteRow
 */

const ROUTE_NAMES = [
  { prefix: 'http_server', name: (/** @type {Sample['labels']} */ l) => `${l.http_method} ${l.http_route}` },
  { prefix: 'grpc_server', name: (/** @type {Sample['labels']} */ l) => `${l.rpc_service}/${l.rpc_method}` },
];

/** @param {Sample[]} samples @returns {Map<string, Route>} */
export function routesOf(samples) {
  /** @type {Map<string, Route>} */
  const routes = new Map();
  for (const { prefix, name } of ROUTE_NAMES) {
    for (const { name: metric, labels, value } of samples) {
      if (!metric.startsWith(prefix) || labels.status === undefined) continue;
      const key = name(labels);
      const route = routes.get(key) ?? { requests: 0, errors: 0, buckets: new Map() };
      routes.set(key, route);
      if (metric === `${prefix}_requests_total`) {
        route.requests += value;
        if (labels.status === 'error') route.errors += value;
      } else if (metric === `${prefix}_request_duration_seconds_bucket`) {
        const bound = labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le);
        route.buckets.set(bound, (route.buckets.get(bound) ?? 0) + value);
      }
    }
  }
  return routes;
}

/**
 * @param {Map<string, Route>} now @param {Map<string, Route>} before @param {number} seconds between the two
 * @returns {RouteRow[]} rates over that time, latencies over the whole run
 */
export function routeRows(now, before, seconds) {
  return [...now].map(([route, { requests, errors, buckets }]) => ({
    route,
    rate: (requests - (before.get(route)?.requests ?? 0)) / seconds,
    errorRate: (errors - (before.get(route)?.errors ?? 0)) / seconds,
    p50: quantile(buckets, 0.5),
    p95: quantile(buckets, 0.95),
    p99: quantile(buckets, 0.99),
  }));
}

/**
 * As PromQL's `histogram_quantile`: linear within the bucket that the quantile falls into.
 *
 * @param {Map<number, number>} buckets cumulative counts by upper bound @param {number} q
 */
function quantile(buckets, q) {
  const sorted = [...buckets].sort(([a], [b]) => a - b);
  const rank = q * (sorted.at(-1)?.[1] ?? 0);
  let [lower, below] = [0, 0];
  for (const [bound, count] of sorted) {
    if (count >= rank && count > below) {
      return bound === Number.POSITIVE_INFINITY
        ? lower
        : lower + ((bound - lower) * (rank - below)) / (count - below);
    }
    [lower, below] = [bound, count];
  }
  return Number.NaN;
}
