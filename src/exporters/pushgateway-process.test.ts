import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { serveHttp } from '../net/fixtures/http-stub.ts';

const MODULE = new URL('../../dist/exporters/pushgateway.js', import.meta.url).href;
const FIXTURE = fileURLToPath(new URL('./fixtures/push-once.js', import.meta.url));

test('a batch job stays alive while it waits to push again, and ends when it has', async () => {
  // A wait keeps no process alive by itself, and a connection that was closed neither.
  const close = { connection: 'close' };
  const stub = await serveHttp({
    answer: (_, index) => ({
      status: index < 3 ? 503 : 200,
      headers: index < 3 ? close : { 'keep-alive': 'timeout=600' },
    }),
  });
  // Killed after that time, which rejects, as an exit with an open top-level await does.
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [FIXTURE, MODULE, new URL(stub.url).origin],
    {
      timeout: 15_000,
    },
  );
  expect(stdout).toBe('success');
  expect(stub.requests).toHaveLength(4);
});
