// Runs the program of docs/remote-write.md that signs requests for AWS, and verifies each signature by other code than made it.
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import aws4 from 'aws4';
import { uncompressSync } from 'snappy';
import { afterAll, expect, onTestFinished, test, vi } from 'vitest';
import type { PushMetricExporter } from '../src/data/exporter.ts';
import { counterBatch, exported } from '../src/exporters/fixtures/exporting.ts';
import { type StubRequest, serveHttp } from '../src/net/fixtures/http-stub.ts';
import { decodeWrite } from './support/remote-write.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = readFileSync(join(root, 'docs/remote-write.md'), 'utf8');
const programs = [...page.matchAll(/^```js\n(.*?)```/gms)].map(([, code]) => code!);

// Inside the package, so that it can be imported by its own name; ignored by git.
mkdirSync(join(root, 'logs'), { recursive: true });
const folder = mkdtempSync(join(root, 'logs', 'remote-write-'));
afterAll(() => rmSync(folder, { recursive: true }));

const CREDENTIALS = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
};

/** Signs what the receiver got with what its sender says that it signed, as AWS would. */
function signatureOf({ method, url, headers, raw }: StubRequest): string {
  const { authorization = '' } = headers;
  const signed = /SignedHeaders=([^,]+)/.exec(authorization)?.[1]?.split(';') ?? [];
  const request = {
    service: 'aps',
    region: 'eu-central-1',
    method,
    path: url,
    headers: Object.fromEntries(signed.map((name) => [name, String(headers[name])])),
    body: raw,
    // It adds one.
    extraHeadersToIgnore: { 'content-length': true },
  };
  const { headers: resigned } = aws4.sign(request, CREDENTIALS);
  return String(resigned?.Authorization);
}

test('what is signed for AWS is what is sent, by another implementation of the signature', async () => {
  const { url, requests } = await serveHttp({ answer: (_, i) => ({ status: i === 0 ? 503 : 204 }) });
  vi.stubEnv('AWS_ACCESS_KEY_ID', CREDENTIALS.accessKeyId);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', CREDENTIALS.secretAccessKey);
  vi.stubEnv('REMOTE_WRITE_URL', url.replace('/v1/metrics', '/workspaces/ws-1/api/v1/remote_write'));
  onTestFinished(() => void vi.unstubAllEnvs());
  const program = programs.find((code) => code.includes('SignatureV4'))!;
  const file = join(folder, 'signed.mjs');
  writeFileSync(file, program);
  const { exporter } = (await import(pathToFileURL(file).href)) as { exporter: PushMetricExporter };
  onTestFinished(() => exporter.shutdown());

  expect(await exported(exporter, counterBatch(7))).toBeUndefined();
  // The first one was refused.
  expect(requests.length).toBeGreaterThanOrEqual(2);
  for (const request of requests) {
    const { authorization, host } = request.headers;
    expect(host).toBe(new URL(url).host);
    for (const name of [
      'host',
      'x-amz-date',
      'x-amz-content-sha256',
      'content-encoding',
      'x-prometheus-remote-write-version',
    ])
      expect(authorization).toMatch(new RegExp(`SignedHeaders=[^,]*\\b${name}\\b`));
    // Of the signature it is only part.
    expect(request.headers['x-amz-content-sha256']).toBe(
      createHash('sha256').update(request.raw).digest('hex'),
    );
    expect(authorization).toBe(signatureOf(request));
  }
  const { series } = decodeWrite('1.0', uncompressSync(requests[1]!.raw) as Buffer);
  expect(series.map(({ samples }) => samples[0]!.value)).toContain(7);
  // The verification notices when something else came than was signed.
  const { headers } = requests[0]!;
  expect(signatureOf({ ...requests[0]!, url: '/elsewhere' })).not.toBe(headers.authorization);
});
