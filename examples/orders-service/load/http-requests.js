// The requests that the load sends over HTTP; each counts itself by what the service must count it as.
import { Agent, request } from 'node:http';

/**
 * @typedef {{ method?: string, body?: string, leave?: 'beforeAnswer' | 'afterFirstChunk' }} RequestOptions
 * @typedef {{ weight: number, run: () => Promise<unknown> }} Operation
 */

/** What the service records when the client leaves before there is an answer, as nginx does. */
const CLIENT_LEFT = 499;

/**
 * @param {string} url
 * @param {import('./tally.js').Tally} tally
 * @returns {Operation[]}
 */
export function httpRequests(url, tally) {
  // Idle connections end long before the service would close them, so no request is lost on a closing one.
  const agent = new Agent({ keepAlive: true, timeout: 30_000 });

  /** @param {string} path @param {string} route @param {RequestOptions} [options] */
  async function send(path, route, options = {}) {
    const status = await exchange(new URL(path, url), agent, options);
    tally.add(`${options.method ?? 'GET'} ${route} ${status} ${status >= 500 ? 'error' : 'success'}`);
    return status;
  }
  /** @param {string} body */
  async function create(body) {
    const status = await send('/orders', '/orders', { method: 'POST', body });
    if (status === 201) tally.add('orders created over http');
  }

  return [
    { weight: 4, run: () => create('{"item":"kettle","quantity":2}') },
    { weight: 1, run: () => create('{"item":"samovar","quantity":0}') },
    { weight: 6, run: () => send('/orders/7', '/orders/:id') },
    { weight: 1, run: () => send('/orders/none', '/orders/:id') },
    { weight: 3, run: () => send('/orders', '/orders') },
    { weight: 1, run: () => send('/orders/stream', '/orders/stream') },
    {
      weight: 1,
      run: () => send('/orders/stream?follow', '/orders/stream', { leave: 'afterFirstChunk' }),
    },
    {
      weight: 1,
      run: () => send('/orders/7/shipment', '/orders/:id/shipment', { leave: 'beforeAnswer' }),
    },
    { weight: 1, run: () => send('/wp-login.php', 'unmatched') },
  ];
}

/**
 * Settles with the status once the exchange is over on this side.
 *
 * @param {URL} url @param {Agent} agent @param {RequestOptions} options @returns {Promise<number>}
 */
function exchange(url, agent, { method = 'GET', body, leave }) {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, agent });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      const status = response.statusCode ?? 0;
      response.on('error', reject);
      response.on('end', () => resolve(status));
      response.on('data', () => {
        if (leave !== 'afterFirstChunk') return;
        resolve(status);
        response.destroy();
      });
    });
    if (leave === 'beforeAnswer') {
      // Once the request is out, the service will see it, however late; and it answers after half a minute only.
      outgoing.on('finish', () => {
        setTimeout(() => {
          resolve(CLIENT_LEFT);
          outgoing.destroy();
        }, 50);
      });
    }
    outgoing.end(body);
  });
}
