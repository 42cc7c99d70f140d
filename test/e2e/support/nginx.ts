import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unpackedPath } from '../../../scripts/servers/debian-servers.js';
import { freePort } from '../../support/free-port.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { answersOk, type ServerProcess, startServer } from './server-process.ts';

export interface Nginx extends ServerProcess {
  readonly url: string;
  /** The status of each answer so far; the last ones may come a moment later. */
  statuses(): number[];
}

/**
 * @param http directives of the block `http`
 * @param server those of its one `server`
 */
export async function startNginx({ http = '', server }: { http?: string; server: string }): Promise<Nginx> {
  const folder = temporaryFolder();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const access = join(folder, 'access.log');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${join(folder, kind)};`,
  );
  writeFileSync(
    join(folder, 'nginx.conf'),
    // One process, so that it can be paused and killed.
    `daemon off;
    master_process off;
    pid ${join(folder, 'pid')};
    error_log stderr;
    events {}
    http {
      ${temporary.join('\n')}
      log_format status '$status $request_uri';
      access_log ${access} status;
      ${http}
      server {
        listen 127.0.0.1:${port};
        location = /ready { access_log off; return 200; }
        ${server}
      }
    }`,
  );
  const process = await startServer({
    command: unpackedPath('nginx'),
    args: () => ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'],
    isReady: () => answersOk(`${url}/ready`),
  });
  return {
    ...process,
    url,
    statuses: () =>
      existsSync(access)
        ? readFileSync(access, 'utf8')
            .split('\n')
            .filter(Boolean)
            .map((line) => Number.parseInt(line, 10))
        : [],
  };
}
