import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { captureLogs } from '../../test/support/collected.ts';
import { counterBatch, exported } from './fixtures/exporting.ts';
import { type HttpJsonOptions, httpJson } from './http-json.ts';

interface Answer {
  status?: number;
  headers?: Record<string, string>;
}

/** Answers as told, then with 204; keeps what it took. */
async function backend(answers: Answer[] = []) {
  const requests: { headers: IncomingHttpHeaders; body: Buffer }[] = [];
  /** Of documents that were taken. */
  const values: unknown[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { status = 204, headers = {} } = answers[requests.length] ?? {};
    const body = Buffer.concat(chunks);
    requests.push({ headers: request.headers, body });
    if (status < 300) {
      const text = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
      const { metrics } = JSON.parse(text.toString());
      for (const { data_points } of metrics) values.push(...data_points.map(seriesOf));
    }
    response.writeHead(status, headers).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`;
  return { url, requests, values };
}

const seriesOf = ({ attributes }: { attributes: { series: number } }) => attributes.series;

function made(options: HttpJsonOptions) {
  const exporter = httpJson(options);
  onTestFinished(() => exporter.shutdown());
  return exporter;
}

const QUICK = { initialIntervalMillis: 1, maxIntervalMillis: 1 };

describe('httpJson', () => {
  captureLogs();

  test('posts a document, with API key, headers and token', async () => {
    const { url, requests, values } = await backend();
    const exporter = made({ url, apiKey: 'k-1', headers: { 'X-Tenant': 'shop' }, bearerToken: 't' });
    expect(await exported(exporter, counterBatch(5, 2))).toBeUndefined();
    expect(values).toEqual([0, 1]);
    expect(requests[0]!.headers).toMatchObject({
      'content-type': 'application/json',
      'x-api-key': 'k-1',
      'x-tenant': 'shop',
      authorization: 'Bearer t',
      'user-agent': expect.stringMatching(/^Meterline\//),
    });
  });

  test.each([408, 429, 500, 502, 503, 504])('tries again after %d', async (status) => {
    const { url, requests, values } = await backend([{ status }, { status }]);
    expect(await exported(made({ url, retry: QUICK }), counterBatch(1))).toBeUndefined();
    expect(requests).toHaveLength(3);
    expect(values).toEqual([0]);
  });

  test.each([
    [400, 'REJECTED'],
    [401, 'UNAUTHENTICATED'],
    [404, 'PROTOCOL'],
  ])('does not try again after %d', async (status, code) => {
    const { url, requests } = await backend([{ status }]);
    expect(await exported(made({ url }), counterBatch(1))).toMatchObject({ code, retryable: false });
    expect(requests).toHaveLength(1);
  });

  test('says what it could not deliver in time, and how long the backend wants to be left alone', async () => {
    const { url } = await backend([{ status: 500, headers: { 'retry-after': '60' } }]);
    expect(await exported(made({ url }), counterBatch(1))).toMatchObject({
      code: 'UNAVAILABLE',
      retryable: true,
      retryAfterMs: 60_000,
    });
  });

  test('a large batch goes in documents that keep to the size; only the owed points are told', async () => {
    const { url, requests, values } = await backend([{}, { status: 503 }]);
    const exporter = made({ url, maxRequestBytes: 2_000, retry: false });
    const error = await exported(exporter, counterBatch(1, 40));
    expect(requests.length).toBeGreaterThanOrEqual(3);
    for (const { body } of requests) expect(body.length).toBeLessThanOrEqual(2_000);
    expect(error!.undelivered!.pointCount + values.length).toBe(40);
    expect(await exported(exporter, error!.undelivered!)).toBeUndefined();
    expect(values.toSorted((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 40 }, (_, i) => i));
  });

  test('a document that is too large goes in halves', async () => {
    const { url, requests, values } = await backend([{ status: 413 }]);
    expect(await exported(made({ url }), counterBatch(1, 20))).toBeUndefined();
    expect(requests.length).toBeGreaterThanOrEqual(3);
    expect(values).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  test('compresses when asked', async () => {
    const { url, requests, values } = await backend();
    expect(await exported(made({ url, compression: 'gzip' }), counterBatch(1, 3))).toBeUndefined();
    expect(requests[0]!.headers['content-encoding']).toBe('gzip');
    expect(values).toEqual([0, 1, 2]);
  });

  test('asks for headers anew after a 401', async () => {
    const { url, requests } = await backend([{ status: 401 }]);
    let asked = 0;
    const exporter = made({ url, headers: () => ({ 'x-token': String(++asked) }) });
    expect(await exported(exporter, counterBatch(1))).toBeUndefined();
    expect(requests.map(({ headers }) => headers['x-token'])).toEqual(['1', '2']);
  });

  test('an address where nobody answers is UNAVAILABLE, without secrets in the message', async () => {
    const url = 'http://user:hunter2@127.0.0.1:1/metrics?key=4711';
    const error = await exported(made({ url, apiKey: 'k-secret', retry: false }), counterBatch(1));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(error!.message).not.toMatch(/hunter2|4711|secret/);
  });

  test.each<[object, string]>([
    [{ url: undefined }, 'httpJson: url cannot work; it must be an http: or https: URL'],
    [{ url: 'ftp://x' }, 'httpJson: url cannot work'],
    [{ apiKey: 'two words' }, 'httpJson: apiKey cannot work; it must be'],
    [{ headers: 5 }, 'httpJson: headers cannot work'],
    [{ compression: 'br' }, "httpJson: compression is 'br'"],
    [{ timeoutMillis: -1 }, 'httpJson: timeoutMillis is -1'],
    [{ maxRequestBytes: 0 }, 'httpJson: maxRequestBytes is 0'],
    [{ retry: { maxRetries: -1 } }, 'maxRetries is -1'],
    [{ apikey: 'x' }, 'httpJson: there is no setting apikey'],
  ])('refuses options that cannot work: %o', (options, message) => {
    expect(() => httpJson({ url: 'http://localhost/', ...options } as HttpJsonOptions)).toThrow(message);
  });
});
