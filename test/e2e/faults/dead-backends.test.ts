// What a service notices of backends that are all dead for an hour: nothing that one beside it does not, whose backends live.
import { spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { serveStub } from '../../../src/net/fixtures/grpc-stub.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** An hour in 20 s. */
const FACTOR = 180;
const WINDOWS_OF_AN_HOUR = 6;
const HOST = fileURLToPath(new URL('host.js', import.meta.url));

/** Ten minutes of the host. */
interface Window {
  medianMillis: number;
  heapBytes: number;
  resources: number;
  /** Requests that reached a backend since the window before. */
  arrived: number;
}

/** One that refuses connections when it is dead, and one that takes them and never says anything. */
async function startBackends() {
  let isDead = false;
  let arrived = 0;
  const [http, hole] = await Promise.all(
    ['http', 'hole'].map(async () => {
      const server = createServer((request, response) => {
        request.resume().once('end', () => {
          arrived++;
          if (!isDead) response.end();
        });
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      onTestFinished(() => {
        server.close();
        server.closeAllConnections();
      });
      return server;
    }),
  );
  const portOf = (server: Server | undefined) => (server!.address() as AddressInfo).port;
  const grpc = await serveStub({
    answer() {
      arrived++;
      return new Uint8Array(0);
    },
  });
  return {
    ports: { http: portOf(http), grpc: grpc.port, hole: portOf(hole) },
    arrivals() {
      const since = arrived;
      arrived = 0;
      return since;
    },
    die() {
      isDead = true;
      http!.close();
      http!.closeAllConnections();
      grpc.stop();
    },
  };
}

type Backends = Awaited<ReturnType<typeof startBackends>>;

function startHost({ ports, arrivals }: Backends): () => Promise<Window> {
  const given = JSON.stringify({ factor: FACTOR, ports, dir: temporaryFolder() });
  const host = spawn(process.execPath, [HOST, given], { stdio: ['ignore', 'inherit', 'ignore', 'ipc'] });
  onTestFinished(() => void host.kill('SIGKILL'));
  const windows = on(host, 'message', { close: ['exit'] });
  return async () => ({ ...(await windows.next()).value[0], arrived: arrivals() });
}

test('with every backend dead for an hour, requests take as long as with all of them alive, and memory stays', async () => {
  const [backends, others] = await Promise.all([startBackends(), startBackends()]);
  const [host, control] = [startHost(backends), startHost(others)];
  const next = () => Promise.all([host(), control()]);
  await next();
  const before = await next();
  backends.die();
  // Ten minutes for queues and retries to fill up.
  const hour = [await next()];
  while (hour.length < WINDOWS_OF_AN_HOUR) hour.push(await next());

  console.table(
    [before, ...hour].map(([dead, alive]) => ({
      ...dead,
      'control median': alive.medianMillis,
      'control heap': alive.heapBytes,
      'control arrived': alive.arrived,
    })),
  );
  // Otherwise nothing would be compared.
  for (const window of before) expect(window.arrived).toBeGreaterThan(0);
  for (const [, alive] of hour) expect(alive.arrived).toBeGreaterThan(0);
  // Both run on the same machine at the same time, but in one window or the other one of them is pushed aside.
  const ratios = hour.map(([dead, alive]) => dead.medianMillis / alive.medianMillis);
  expect(Math.min(...ratios)).toBeLessThan(1.3);
  const [[first, firstControl], [last, lastControl]] = [hour[0]!, hour.at(-1)!];
  const growth = last.heapBytes - first.heapBytes;
  // Both get some more compiled code. One exporter that kept its batches would hold twice as much.
  expect(growth - (lastControl.heapBytes - firstControl.heapBytes)).toBeLessThan(10_000_000);
  // What is under way comes and goes.
  const [early, late] = [hour.slice(0, 3), hour.slice(3)].map((half) =>
    Math.min(...half.map(([dead]) => dead.resources)),
  );
  expect(late).toBeLessThanOrEqual(early! + 10);
  // What may wait in memory, and no more.
  expect(last.heapBytes - lastControl.heapBytes).toBeLessThan(12_000_000);
});
