import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { serveStub } from '../net/fixtures/grpc-stub.ts';

const MODULE = new URL('../../dist/exporters/otlp-grpc.js', import.meta.url).href;
const FIXTURE = fileURLToPath(new URL('./fixtures/export-once.js', import.meta.url));

/** Killed after ten seconds, which rejects. */
const run = (...args: string[]) =>
  promisify(execFile)(process.execPath, [FIXTURE, MODULE, ...args], { timeout: 10_000 });

test('an idle exporter does not keep its process alive', async () => {
  const stub = await serveStub();
  expect((await run(`http://127.0.0.1:${stub.port}`)).stdout).toBe('success');
});

test('nor does one whose receiver accepts connections and says nothing', async () => {
  const mute = createServer(() => {}).listen(0, '127.0.0.1');
  await once(mute, 'listening');
  onTestFinished(() => void mute.close());
  expect((await run(`http://127.0.0.1:${(mute.address() as AddressInfo).port}`, '300')).stdout).toBe(
    'failure',
  );
});
