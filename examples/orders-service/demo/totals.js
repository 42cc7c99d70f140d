// The three accounts of one run, side by side.

/**
 * @typedef {{ name: string, labels: Record<string, string>, value: number }} Sample
 * @typedef {{ name: string, sent: number, file: number, scraped: number }} Row
 */

/** What the load's own tally calls each series. @type {Record<string, (labels: Sample['labels']) => string>} */
const NAMES = {
  http_server_requests_total: (l) => `${l.http_method} ${l.http_route} ${l.http_status_code} ${l.status}`,
  grpc_server_requests_total: (l) => `${l.rpc_service}/${l.rpc_method} ${l.rpc_status_code} ${l.status}`,
  orders_created_total: (l) => `orders created over ${l.channel}`,
  // Up when a request comes and down when it has gone. The load knows of none that stays: one that does is a leak.
  http_server_active_requests: () => 'active requests over http',
  grpc_server_active_requests: () => 'active calls over grpc',
};

/** @param {Sample[]} samples @returns {Record<string, number>} */
function totalsOf(samples) {
  /** @type {Record<string, number>} */
  const totals = {};
  for (const { name, labels, value } of samples) {
    const key = NAMES[name]?.(labels);
    if (key !== undefined) totals[key] = (totals[key] ?? 0) + value;
  }
  return totals;
}

/**
 * @param {Record<string, number>} sent what the load process says it sent
 * @param {Sample[]} fileSamples
 * @param {Sample[]} scrapedSamples
 * @returns {Row[]}
 */
export function compare(sent, fileSamples, scrapedSamples) {
  const file = totalsOf(fileSamples);
  const scraped = totalsOf(scrapedSamples);
  const names = new Set([...Object.keys(sent), ...Object.keys(file), ...Object.keys(scraped)]);
  return [...names].sort().map((name) => ({
    name,
    sent: sent[name] ?? 0,
    file: file[name] ?? 0,
    scraped: scraped[name] ?? 0,
  }));
}

/** Requests and calls, without what they led to. @param {Row[]} rows */
export function requestCount(rows) {
  return rows
    .filter(({ name }) => / (success|error)$/.test(name))
    .reduce((total, { sent }) => total + sent, 0);
}

/** @param {Row} row */
export const isEqual = ({ sent, file, scraped }) => sent === file && sent === scraped;

/** @param {Record<string, number>} sent @param {Sample[]} scrapedSamples */
export function isSettled(sent, scrapedSamples) {
  return compare(sent, [], scrapedSamples).every((row) => row.sent === row.scraped);
}
