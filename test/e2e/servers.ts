// Real servers for end-to-end tests: each on a free loopback port, with a data folder of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

export interface RunningServer {
  readonly url: string;
  /** All that the server has logged. */
  logs(): string;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
}

const START_MILLIS = 15_000;
const STOP_MILLIS = 10_000;

/** @param targets `host:port` of what is scraped, once a second, at `/metrics` */
export async function startPrometheus(targets: string[] = []): Promise<RunningServer> {
  const folder = await mkdtemp(join(tmpdir(), 'meterline-prometheus-'));
  const config = join(folder, 'prometheus.yml');
  // JSON is YAML.
  await writeFile(
    config,
    JSON.stringify({
      global: { scrape_interval: '1s', scrape_timeout: '1s' },
      scrape_configs: [{ job_name: 'app', static_configs: [{ targets }] }],
    }),
  );
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  return start(folder, url, `${url}/-/ready`, 'prometheus', [
    `--config.file=${config}`,
    `--web.listen-address=127.0.0.1:${port}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
  ]);
}

/** Runs a command to its end with the given standard input. */
export async function runCommand(command: string, args: string[], input: Uint8Array) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  child.stdin.end(input);
  const [exitCode] = (await once(child, 'close')) as [number | null];
  return { exitCode, output };
}

async function start(folder: string, url: string, readyUrl: string, command: string, args: string[]) {
  const child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  let hasEnded = false;
  const ended = new Promise<void>((resolve) => {
    const end = () => {
      hasEnded = true;
      resolve();
    };
    child.once('close', end);
    child.once('error', (error) => {
      log += `${error.message}; "npm run test:e2e" installs the servers`;
      end();
    });
  });
  child.stderr.on('data', (data) => (log += data));

  async function stop(): Promise<void> {
    child.kill('SIGTERM');
    const impatience = new AbortController();
    const kill = setTimeout(STOP_MILLIS, undefined, { signal: impatience.signal }).then(
      () => child.kill('SIGKILL'),
      () => {},
    );
    await ended;
    impatience.abort();
    await kill;
    await rm(folder, { recursive: true, force: true });
  }

  const deadline = performance.now() + START_MILLIS;
  while (!(await isReady(readyUrl))) {
    if (hasEnded || performance.now() > deadline) {
      await stop();
      throw new Error(`${command} did not start:\n${log}`);
    }
    await setTimeout(25);
  }
  return { url, logs: () => log, stop };
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
