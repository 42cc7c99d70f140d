import { join } from 'node:path';
import { unpackedPath } from '../../../scripts/servers/debian-servers.js';
import { freePort } from '../../support/free-port.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import type { Volume } from '../faults/volume.ts';
import { answersOk, type ServerProcess, startServer } from './server-process.ts';

export interface VictoriaMetrics extends ServerProcess {
  readonly url: string;
  /** Where remote writers send. */
  readonly writeUrl: string;
  /** Makes what was written visible to queries, which takes seconds otherwise; they need `&nocache=1` too. */
  flush(): Promise<void>;
}

/**
 * @param age `old` is what Debian 12 has, from 2022, which is also what many still run
 * @param volume where the data is, on a disk of its own; default a folder
 * @param flags more of them
 */
export async function startVictoriaMetrics(
  age: 'old' | 'new' = 'old',
  { volume, flags = [] }: { volume?: Volume | undefined; flags?: string[] } = {},
): Promise<VictoriaMetrics> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const data = join(volume?.dir ?? temporaryFolder(), 'data');
  const server = await startServer({
    command: age === 'old' ? 'victoria-metrics' : unpackedPath('victoria-metrics'),
    volume,
    args: () => [
      `-httpListenAddr=127.0.0.1:${port}`,
      `-storageDataPath=${data}`,
      '-retentionPeriod=100y',
      '-search.latencyOffset=0s',
      '-search.disableCache',
      ...flags,
    ],
    isReady: () => answersOk(`${url}/health`),
  });
  return {
    ...server,
    url,
    writeUrl: `${url}/api/v1/write`,
    flush: async () => void (await fetch(`${url}/internal/force_flush`)),
  };
}
