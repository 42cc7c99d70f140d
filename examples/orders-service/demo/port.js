// The port of the scrape endpoint.
import { once } from 'node:events';
import { createServer } from 'node:net';

/** @param {number} port 0 for any that is free @returns {Promise<number | undefined>} undefined when it is taken */
export async function freePort(port) {
  const server = createServer();
  try {
    await once(server.listen(port, 'localhost'), 'listening');
  } catch {
    return undefined;
  }
  const { port: free } = /** @type {import('node:net').AddressInfo} */ (server.address());
  await once(server.close(), 'close');
  return free;
}
