import { unpackedPath } from '../../../scripts/servers/debian-servers.js';
import { freePort } from '../../support/free-port.ts';
import { answersOk, type ServerProcess, startServer } from './server-process.ts';

export interface Pushgateway extends ServerProcess {
  readonly url: string;
}

/**
 * What it was given is in its memory, and lost when it ends.
 *
 * @param age `old` is what Debian 12 has, from 2022
 */
export async function startPushgateway(age: 'old' | 'new' = 'old'): Promise<Pushgateway> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const server = await startServer({
    command: age === 'old' ? 'prometheus-pushgateway' : unpackedPath('prometheus-pushgateway'),
    // Debian's default persists to a folder of the system.
    args: () => [`--web.listen-address=127.0.0.1:${port}`, '--persistence.file=', '--web.enable-admin-api'],
    isReady: () => answersOk(`${url}/-/ready`),
  });
  return { ...server, url };
}
