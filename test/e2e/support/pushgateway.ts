import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unpackedPath } from '../../../scripts/servers/debian-servers.js';
import { freePort } from '../../support/free-port.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { answersOk, type ServerProcess, startServer } from './server-process.ts';

export interface Pushgateway extends ServerProcess {
  readonly url: string;
}

/**
 * What it was given is in its memory, and lost when it ends.
 *
 * @param age `old` is what Debian 12 has, from 2022
 * @param user the one that it lets in; default everybody. The hash is of the password, by bcrypt
 */
export async function startPushgateway(
  age: 'old' | 'new' = 'old',
  user?: { username: string; password: string; hash: string },
): Promise<Pushgateway> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const web = join(temporaryFolder(), 'web.yml');
  if (user) writeFileSync(web, JSON.stringify({ basic_auth_users: { [user.username]: user.hash } }));
  const headers = user && { authorization: `Basic ${btoa(`${user.username}:${user.password}`)}` };
  const server = await startServer({
    command: age === 'old' ? 'prometheus-pushgateway' : unpackedPath('prometheus-pushgateway'),
    // Debian's default persists to a folder of the system.
    args: () => [
      `--web.listen-address=127.0.0.1:${port}`,
      '--persistence.file=',
      '--web.enable-admin-api',
      ...(user ? [`--web.config.file=${web}`] : []),
    ],
    isReady: () => answersOk(`${url}/-/ready`, headers && { headers }),
  });
  return { ...server, url };
}
