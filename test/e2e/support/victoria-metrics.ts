import { join } from 'node:path';
import { freePort } from '../../support/free-port.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { answersOk, type ServerProcess, startServer } from './server-process.ts';

export interface VictoriaMetrics extends ServerProcess {
  readonly url: string;
  /** Where remote writers send. */
  readonly writeUrl: string;
  /** Makes what was written visible to queries, which takes seconds otherwise; they need `&nocache=1` too. */
  flush(): Promise<void>;
}

/** Debian's. */
export async function startVictoriaMetrics(): Promise<VictoriaMetrics> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const data = join(temporaryFolder(), 'data');
  const server = await startServer({
    command: 'victoria-metrics',
    args: () => [
      `-httpListenAddr=127.0.0.1:${port}`,
      `-storageDataPath=${data}`,
      '-retentionPeriod=100y',
      '-search.latencyOffset=0s',
      '-search.disableCache',
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
