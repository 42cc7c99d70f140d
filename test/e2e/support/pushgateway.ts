import { freePort } from '../../support/free-port.ts';
import { answersOk, type ServerProcess, startServer } from './server-process.ts';

export interface Pushgateway extends ServerProcess {
  readonly url: string;
}

/** Debian's. What it was given is in its memory, and lost when it ends. */
export async function startPushgateway(): Promise<Pushgateway> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const server = await startServer({
    command: 'prometheus-pushgateway',
    // Debian's default persists to a folder of the system.
    args: () => [`--web.listen-address=127.0.0.1:${port}`, '--persistence.file=', '--web.enable-admin-api'],
    isReady: () => answersOk(`${url}/-/ready`),
  });
  return { ...server, url };
}
