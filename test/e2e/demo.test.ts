// The demo with a real Prometheus beside it: what PromQL says, what the file says and what was sent.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { METRICS_FILE, startDemo, totalsIn } from '../support/demo-process.ts';
import { freePort } from '../support/free-port.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { startPrometheus } from './support/prometheus.ts';
import { runCommand } from './support/run-command.ts';

/** The names that the summary of the demo gives to series, as label values joined. */
const HTTP = ['http_method', 'http_route', 'http_status_code', 'status'];
const GRPC = ['rpc_service', 'rpc_method', 'rpc_status_code', 'status'];
const named = {
  http: (label: (name: string) => unknown) => HTTP.map(label).join(' '),
  grpc: (label: (name: string) => unknown) => GRPC.map(label).join(' ').replace(' ', '/'),
};

test('PromQL totals, JSON Lines totals and the requests sent are equal', async () => {
  const port = await freePort();
  const prometheus = await startPrometheus({ targets: [`localhost:${port}`] });
  onTestFinished(() => prometheus.stop());
  const folder = temporaryFolder();
  const { printed, ended } = startDemo(folder, ['--duration=8s', '--linger=3s', `--port=${port}`]);

  await printed(/3 exports/);
  const endpoint = await fetch(`http://localhost:${port}/metrics`);
  const exposed = new Uint8Array(await endpoint.arrayBuffer());
  expect(await runCommand('promtool', ['check', 'metrics'], exposed)).toEqual({ exitCode: 0, output: '' });

  const { code, stdout, stderr } = await ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const sent = Object.fromEntries(
    totalsIn(stdout)
      .filter(({ name }) => / (success|error)$/.test(name))
      .map(({ name, sent }) => [name, sent]),
  );
  expect(Object.keys(sent).length).toBeGreaterThan(15);

  for (const metric of ['requests_total', 'request_duration_seconds_count']) {
    expect({
      ...(await queried(prometheus.url, `http_server_${metric}`, HTTP, named.http)),
      ...(await queried(prometheus.url, `grpc_server_${metric}`, GRPC, named.grpc)),
    }).toEqual(sent);
  }
  const file = readFileSync(join(folder, METRICS_FILE), 'utf8');
  expect({
    ...lastValues(file, 'http_server_requests_total', named.http),
    ...lastValues(file, 'grpc_server_requests_total', named.grpc),
  }).toEqual(sent);
});

test('when its port is taken, the demo listens on another one and says so', async () => {
  const other = createServer().on('error', () => {});
  other.listen(9464, 'localhost');
  onTestFinished(() => void other.close());
  const { code, stdout } = await startDemo(temporaryFolder(), ['--duration=1s', '--rps=50']).ended;
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Port 9464 is taken, so the scrape endpoint listens on \d+ instead\.$/m);
});

type Name = (label: (name: string) => unknown) => string;

async function queried(url: string, metric: string, labels: string[], name: Name) {
  // The service is gone by now, and its series with it, so the last sample of each is asked for.
  const query = `sum by (${labels}) (last_over_time(${metric}[5m]))`;
  const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(query)}`);
  const { data } = (await response.json()) as {
    data: { result: { metric: Record<string, string>; value: [number, string] }[] };
  };
  return Object.fromEntries(
    data.result.map(({ metric, value }) => [name((label) => metric[label]), Number(value[1])]),
  );
}

function lastValues(file: string, metric: string, name: Name) {
  const points = file
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { metric_name: string; value: number; attributes: Attributes })
    .filter((point) => point.metric_name === metric);
  // Cumulative: a later point of a series takes the place of the earlier ones.
  return Object.fromEntries(
    points.map(({ attributes, value }) => [name((label) => attributes[dotted(label)]), value]),
  );
}

type Attributes = Record<string, unknown>;

/** `http_status_code` is `http.status_code`. */
const dotted = (label: string) => label.replace('_', '.');
