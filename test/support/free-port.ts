import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below those that systems give to connections and to servers that ask for any port, so that it is still free when the server
 * under test takes it.
 */
const [FIRST, LAST] = [15_000, 30_000];

let last = randomInt(FIRST, LAST);

/** @returns a loopback port that nobody listens on, another one each time */
export async function freePort(): Promise<number> {
  last = last === LAST ? FIRST : last + 1;
  const port = last;
  const server = createServer().listen(port, 'localhost');
  try {
    await once(server, 'listening');
  } catch {
    return freePort();
  }
  await once(server.close(), 'close');
  return port;
}
