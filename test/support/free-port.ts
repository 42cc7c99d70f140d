import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** @returns a loopback port that nobody listened on a moment ago */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, 'localhost');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await once(server.close(), 'close');
  return port;
}
