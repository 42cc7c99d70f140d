// The orders over HTTP, with nothing but node:http.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { setHttpRoute } from 'meterline/http';
import { OrderError } from './orders.js';

/**
 * @typedef {{
 *   request: import('node:http').IncomingMessage,
 *   response: import('node:http').ServerResponse,
 *   url: URL,
 *   id: string,
 *   signal: AbortSignal,
 *   orders: import('./orders.js').Orders,
 * }} Exchange
 * @typedef {{ method: string, template: string, pattern: RegExp, handle: (exchange: Exchange) => Promise<void> }} Route
 */

const STATUS = { invalid: 400, notFound: 404, paymentFailed: 502, overloaded: 503 };

/** @type {Route[]} */
const ROUTES = [
  route('POST', '/orders', async ({ request, response, orders }) => {
    const [order] = await orders.create([await newOrder(request)], 'http');
    send(response, 201, order);
  }),
  route('GET', '/orders', async ({ response, orders }) => send(response, 200, await orders.list())),
  route('GET', '/orders/stream', async ({ response, url, signal, orders }) => {
    // Sent with the first order: until there is one, the request can still fail with a status.
    response.setHeader('content-type', 'application/x-ndjson');
    const follow = url.searchParams.has('follow');
    for await (const order of orders.stream({ follow, signal })) {
      if (!response.write(`${JSON.stringify(order)}\n`)) await once(response, 'drain', { signal });
    }
    response.end();
  }),
  route('GET', '/orders/:id', async ({ response, id, orders }) => send(response, 200, await orders.get(id))),
  route('GET', '/orders/:id/shipment', async ({ response, id, signal, orders }) => {
    await orders.shipment(id, signal);
    response.writeHead(204).end();
  }),
];

/** @param {import('./orders.js').Orders} orders */
export function createHttpApi(orders) {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://orders');
    const found = ROUTES.find(
      ({ method, pattern }) => method === request.method && pattern.test(url.pathname),
    );
    if (found === undefined) return send(response, 404, { error: 'there is no such page' });
    setHttpRoute(request, found.template);
    const id = found.pattern.exec(url.pathname)?.[1] ?? '';
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      await found.handle({ request, response, url, id, signal: gone.signal, orders });
    } catch (error) {
      if (gone.signal.aborted) return;
      if (response.headersSent) return response.destroy();
      if (error instanceof OrderError) send(response, STATUS[error.reason], { error: error.message });
      else {
        console.error(error);
        send(response, 500, { error: 'internal error' });
      }
    }
  });
  // Longer than clients keep idle connections: they close them, so no request meets a closing server.
  server.keepAliveTimeout = 65_000;
  return server;
}

/** @param {string} method @param {string} template @param {Route['handle']} handle @returns {Route} */
function route(method, template, handle) {
  return { method, template, pattern: new RegExp(`^${template.replace(':id', '([^/]+)')}$`), handle };
}

/** @param {import('node:http').IncomingMessage} request @returns {Promise<import('./orders.js').NewOrder>} */
async function newOrder(request) {
  try {
    const { item, quantity } = /** @type {import('./orders.js').NewOrder} */ (await json(request));
    return { item, quantity };
  } catch {
    throw new OrderError('invalid', 'the body is not an order in JSON');
  }
}

/** @param {import('node:http').ServerResponse} response @param {number} status @param {unknown} body */
function send(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
