// What a service notices of backends that are all dead for an hour: nothing.
import { type ChildProcess, spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../support/free-port.ts';
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
}

test('with every backend dead for an hour, requests take as long as before, and memory stays', async () => {
  const backend = createServer((request, response) => {
    request.resume().once('end', () => response.end());
  }).listen(0, '127.0.0.1');
  // Connects, and never says anything.
  const hole = createTcpServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
  await Promise.all([once(backend, 'listening'), once(hole, 'listening')]);
  const portOf = (server: typeof backend | typeof hole) => (server.address() as AddressInfo).port;
  const ports = { http: portOf(backend), grpc: await freePort(), hole: portOf(hole) };
  const given = JSON.stringify({ factor: FACTOR, ports, dir: temporaryFolder() });
  const host: ChildProcess = spawn(process.execPath, [HOST, given], {
    stdio: ['ignore', 'inherit', 'ignore', 'ipc'],
  });
  onTestFinished(() => {
    host.kill('SIGKILL');
    hole.close();
    backend.close();
  });
  const windows = on(host, 'message', { close: ['exit'] });
  const next = async (): Promise<Window> => (await windows.next()).value[0];

  await next();
  const before = await next();
  backend.close();
  backend.closeAllConnections();
  // Ten minutes for queues and retries to fill up.
  const dead = [await next()];
  while (dead.length < WINDOWS_OF_AN_HOUR) dead.push(await next());

  console.table([before, ...dead]);
  const [first, last] = [dead[0]!, dead.at(-1)!];
  expect(Math.min(...dead.map(({ medianMillis }) => medianMillis))).toBeLessThan(
    1.5 * before.medianMillis + 0.2,
  );
  // One exporter that kept its batches would hold more than ten times as much.
  expect(last.heapBytes - first.heapBytes).toBeLessThan(2_500_000);
  expect(last.resources).toBeLessThanOrEqual(first.resources + 10);
});
