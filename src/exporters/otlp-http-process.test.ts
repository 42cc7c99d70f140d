import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { serveHttp } from '../net/fixtures/http-stub.ts';

const MODULE = new URL('../../dist/exporters/otlp-http.js', import.meta.url).href;
const FIXTURE = fileURLToPath(new URL('./fixtures/export-once.js', import.meta.url));

test('an idle exporter does not keep its process alive', async () => {
  const stub = await serveHttp({ answer: () => ({ headers: { 'keep-alive': 'timeout=600' } }) });
  // Killed after that time, which rejects.
  const { stdout } = await promisify(execFile)(process.execPath, [FIXTURE, MODULE, stub.url], {
    timeout: 10_000,
  });
  expect(stdout).toBe('success');
});
