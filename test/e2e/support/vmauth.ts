import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { unpackedPath } from '../../../scripts/servers/debian-servers.js';
import { freePort } from '../../support/free-port.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { answersOk, type ServerProcess, startServer } from './server-process.ts';

/** Someone who is let in, and where to. */
export interface VmauthUser {
  bearer_token?: string;
  username?: string;
  password?: string;
  url_prefix?: string;
  max_concurrent_requests?: number;
  /** The one of 2022 knows `src_paths` only. */
  url_map?: { src_paths?: string[]; src_headers?: string[]; url_prefix: string }[];
}

export interface Vmauth extends ServerProcess {
  readonly url: string;
  /** Others are let in from now on. Asks until it is so: some read their configuration later than they answer. */
  admit(users: VmauthUser[], isSo: () => Promise<boolean>): Promise<void>;
}

/**
 * The gateway that VictoriaMetrics has for authorization.
 *
 * @param age `old` is what Debian 12 has, from 2022
 */
export async function startVmauth(
  age: 'old' | 'new',
  users: VmauthUser[],
  flags: string[] = [],
): Promise<Vmauth> {
  const config = join(temporaryFolder(), 'auth.yml');
  // JSON is YAML.
  const write = (present: VmauthUser[]) => writeFileSync(config, JSON.stringify({ users: present }));
  write(users);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const server = await startServer({
    command: age === 'old' ? 'vmauth' : unpackedPath('victoria-metrics', 'usr/bin/vmauth'),
    args: () => [`-httpListenAddr=127.0.0.1:${port}`, `-auth.config=${config}`, ...flags],
    isReady: () => answersOk(`${url}/health`),
  });
  return {
    ...server,
    url,
    async admit(present, isSo) {
      write(present);
      await fetch(`${url}/-/reload`);
      while (!(await isSo())) await setTimeout(10);
    },
  };
}
