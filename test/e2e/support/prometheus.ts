import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binaryPath } from '../../../scripts/servers/go-servers.js';
import { freePort } from '../../support/free-port.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { answersOk, type ServerProcess, startServer } from './server-process.ts';

export interface PrometheusOptions {
  /** Debian's, or the one built from its Go module. Default 2, which is also what many still run. */
  version?: 2 | 3;
  /** `host:port` of what is scraped, once a second, at `/metrics`. */
  targets?: string[];
  /** More fields of each scrape configuration. */
  scrape?: Record<string, unknown>;
  /** Files of rules, which are evaluated once a second. */
  rules?: string[];
  /** Accepted this far back. Default 10 minutes. */
  outOfOrderWindow?: string;
}

export interface Prometheus extends ServerProcess {
  readonly url: string;
  /** Where remote writers send. */
  readonly writeUrl: string;
  /** Of the same version. */
  readonly promtool: string;
}

const FLAGS = {
  2: ['--enable-feature=exemplar-storage,native-histograms'],
  3: [
    '--enable-feature=exemplar-storage,created-timestamp-zero-ingestion,metadata-wal-records',
    '--web.enable-otlp-receiver',
  ],
};

export async function startPrometheus({
  version = 2,
  targets = [],
  scrape = {},
  rules = [],
  outOfOrderWindow = '10m',
}: PrometheusOptions = {}): Promise<Prometheus> {
  const [prometheus, promtool] =
    version === 2
      ? ['prometheus', 'promtool']
      : [binaryPath('prometheus'), binaryPath('prometheus', 'promtool')];
  const folder = temporaryFolder();
  const config = join(folder, 'prometheus.yml');
  // JSON is YAML.
  writeFileSync(
    config,
    JSON.stringify({
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      rule_files: rules,
      storage: {
        tsdb: { out_of_order_time_window: outOfOrderWindow },
        exemplars: { max_exemplars: 10_000 },
      },
      scrape_configs: [{ job_name: 'app', static_configs: [{ targets }], ...scrape }],
    }),
  );
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const server = await startServer({
    command: prometheus,
    args: () => [
      `--config.file=${config}`,
      `--web.listen-address=127.0.0.1:${port}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      '--web.enable-remote-write-receiver',
      '--web.enable-admin-api',
      ...FLAGS[version],
    ],
    isReady: () => answersOk(`${url}/-/ready`),
  });
  return { ...server, url, writeUrl: `${url}/api/v1/write`, promtool };
}
