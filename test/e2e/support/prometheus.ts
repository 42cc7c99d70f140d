import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binaryPath } from '../../../scripts/servers/go-servers.js';
import { freePort } from '../../support/free-port.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import type { Volume } from '../faults/volume.ts';
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
  /** Where the data is, on a disk of its own. Default a folder. */
  volume?: Volume;
  /** Who may connect, and how (`--web.config.file`). With certificates, `url` begins with https. */
  web?: { tls_server_config?: object; basic_auth_users?: Record<string, string> };
  /** Asked whether it is ready, where everybody else is refused. */
  isReady?: (url: string) => Promise<boolean>;
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
  volume,
  web,
  isReady = (url) => answersOk(`${url}/-/ready`),
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
  const url = `${web?.tls_server_config ? 'https' : 'http'}://127.0.0.1:${port}`;
  const webConfig = join(folder, 'web.yml');
  if (web) writeFileSync(webConfig, JSON.stringify(web));
  const server = await startServer({
    command: prometheus,
    volume,
    args: () => [
      `--config.file=${config}`,
      ...(web ? [`--web.config.file=${webConfig}`] : []),
      `--web.listen-address=127.0.0.1:${port}`,
      `--storage.tsdb.path=${join(volume?.dir ?? folder, 'data')}`,
      '--web.enable-remote-write-receiver',
      '--web.enable-admin-api',
      ...FLAGS[version],
    ],
    isReady: () => isReady(url),
  });
  return { ...server, url, writeUrl: `${url}/api/v1/write`, promtool };
}
