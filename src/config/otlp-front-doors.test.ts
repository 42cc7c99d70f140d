// What users import: options over the environment, down to the wire.
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { Agent } from 'undici';
import { afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type CertificateAuthority, createAuthority } from '../../test/support/certificates.ts';
import { decodeRequest } from '../../test/support/otlp.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import type { PushMetricExporter } from '../data/exporter.ts';
import { AggregationTemporality, InstrumentType } from '../data/metric-data.ts';
import { serveStub } from '../net/fixtures/grpc-stub.ts';
import { MeterProvider } from '../sdk/meter-provider.ts';
import { PeriodicExportingMetricReader } from '../sdk/readers/periodic-exporting-metric-reader.ts';
import { otlpFile } from './otlp-file.ts';
import { otlpGrpc } from './otlp-grpc.ts';
import { otlpHttp } from './otlp-http.ts';

const set = (variables: Record<string, string>) => {
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
};
afterEach(() => vi.unstubAllEnvs());

/** One counter and one histogram, exported once. */
async function exportOnce(exporter: PushMetricExporter): Promise<void> {
  const reader = new PeriodicExportingMetricReader({ exporter });
  const provider = new MeterProvider({ readers: [reader], selfMetrics: false });
  const meter = provider.getMeter('shop');
  meter.createCounter('orders').add(3);
  meter.createHistogram('duration').record(3);
  await provider.shutdown();
}

async function serveHttp() {
  const seen: { path: string; headers: IncomingHttpHeaders; body: Buffer }[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    seen.push({ path: request.url!, headers: request.headers, body: Buffer.concat(chunks) });
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { seen, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

let authority: CertificateAuthority;
beforeAll(async () => {
  authority = await createAuthority();
});

describe('[7.01] [9.07] otlpHttp', () => {
  test('with nothing but the environment, read when it is made', async () => {
    const { seen, url } = await serveHttp();
    set({
      OTEL_EXPORTER_OTLP_ENDPOINT: `${url}/base/`,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-team=shop',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'GZIP',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    });
    await exportOnce(otlpHttp());
    expect(seen).toHaveLength(1);
    expect(seen[0]!.path).toBe('/base/v1/metrics');
    expect(seen[0]!.headers).toMatchObject({
      'x-team': 'shop',
      'content-encoding': 'gzip',
      'content-type': 'application/json',
    });
  });

  test('[7.03] an address for metrics without a path is asked at /', async () => {
    const { seen, url } = await serveHttp();
    set({ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: url });
    await exportOnce(otlpHttp());
    expect(seen[0]!.path).toBe('/');
  });

  test('[7.06] code comes first; its url is used as it is, its headers go over the environment’s', async () => {
    const { seen, url } = await serveHttp();
    set({
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://127.0.0.1:1',
      OTEL_EXPORTER_OTLP_METRICS_HEADERS: 'x-team=env,x-key=env',
      OTEL_EXPORTER_OTLP_METRICS_COMPRESSION: 'gzip',
      OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: 'http/json',
    });
    await exportOnce(
      otlpHttp({ url, headers: { 'X-Team': 'code' }, compression: 'none', encoding: 'protobuf' }),
    );
    expect(seen[0]!.path).toBe('/');
    expect(seen[0]!.headers).toMatchObject({
      'x-team': 'code',
      'x-key': 'env',
      'content-type': 'application/x-protobuf',
    });
    expect(seen[0]!.headers['content-encoding']).toBeUndefined();
    await exportOnce(otlpHttp({ url, headers: async () => ({ 'X-Team': 'asked' }) }));
    expect(seen[1]!.headers).toMatchObject({ 'x-team': 'asked', 'x-key': 'env' });
  });

  test('endpoints in code get neither address nor headers of the environment', async () => {
    const { seen, url } = await serveHttp();
    set({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
      OTEL_EXPORTER_OTLP_HEADERS: 'x-key=secret',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
    });
    await exportOnce(otlpHttp({ endpoints: [{ url }] }));
    expect(seen[0]!.headers['x-key']).toBeUndefined();
    expect(seen[0]!.headers['content-encoding']).toBe('gzip');
  });

  test('a dispatcher of the user’s own gets neither certificates nor proxies of the environment', async () => {
    const { seen, url } = await serveHttp();
    set({ http_proxy: 'http://127.0.0.1:1' });
    const dispatcher = new Agent();
    onTestFinished(() => dispatcher.destroy());
    await exportOnce(otlpHttp({ url, dispatcher }));
    expect(seen).toHaveLength(1);
  });

  test('[7.13] [12.38] temporality and histograms as the environment wants them', async () => {
    const { seen, url } = await serveHttp();
    set({
      OTEL_EXPORTER_OTLP_ENDPOINT: url,
      OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'delta',
      OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION: 'base2_exponential_bucket_histogram',
    });
    await exportOnce(otlpHttp());
    const [orders, duration] = decodeRequest(seen[0]!.body).resourceMetrics[0]!.scopeMetrics[0]!.metrics;
    // OTLP's numbers: 1 is delta.
    expect(orders!.sum!.aggregationTemporality).toBe(1);
    expect(duration!.exponentialHistogram!.aggregationTemporality).toBe(1);
    expect(
      otlpHttp({ temporality: 'cumulative' }).selectAggregationTemporality!(InstrumentType.COUNTER),
    ).toBe(AggregationTemporality.CUMULATIVE);
  });

  test.each([null, 7, 'http://c'])('%j in place of options is a ConfigError', (options) => {
    for (const make of [otlpHttp, otlpGrpc, otlpFile]) {
      expect(() => make(options as never)).toThrow(expect.objectContaining({ name: 'ConfigError' }));
    }
  });
});

describe('[7.01] [9.07] otlpGrpc', () => {
  test('with nothing but the environment', async () => {
    const stub = await serveStub();
    set({
      OTEL_EXPORTER_OTLP_ENDPOINT: `localhost:${stub.port}`,
      OTEL_EXPORTER_OTLP_INSECURE: 'true',
      OTEL_EXPORTER_OTLP_HEADERS: 'x-team=shop',
      OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'delta',
    });
    await exportOnce(otlpGrpc());
    expect(stub.calls[0]!.metadata).toMatchObject({ 'x-team': 'shop' });
    const [orders] = decodeRequest(stub.calls[0]!.body).resourceMetrics[0]!.scopeMetrics[0]!.metrics;
    expect(orders!.sum!.aggregationTemporality).toBe(1);
  });

  test('code comes first', async () => {
    const stub = await serveStub();
    set({ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: '127.0.0.1:1', OTEL_EXPORTER_OTLP_METRICS_INSECURE: 'false' });
    await exportOnce(otlpGrpc({ url: `localhost:${stub.port}`, insecure: true }));
    expect(stub.calls).toHaveLength(1);
  });

  test('[7.12] certificates of the environment, and with credentials in code none of them', async () => {
    const [server, client] = [await authority.issueServer(), await authority.issueClient()];
    const pair = { private_key: Buffer.from(server.key), cert_chain: Buffer.from(server.cert) };
    const ca = Buffer.from(authority.cert);
    const credentials = grpc.ServerCredentials.createSsl(ca, [pair], true);
    const stub = await serveStub({ credentials });
    const folder = temporaryFolder();
    const file = (name: string, content: string) => {
      const path = join(folder, name);
      writeFileSync(path, content);
      return path;
    };
    set({
      OTEL_EXPORTER_OTLP_ENDPOINT: `https://localhost:${stub.port}`,
      OTEL_EXPORTER_OTLP_CERTIFICATE: file('ca.pem', authority.cert),
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: file('cert.pem', client.cert),
      OTEL_EXPORTER_OTLP_CLIENT_KEY: file('key.pem', client.key),
      OTEL_EXPORTER_OTLP_INSECURE: 'true',
    });
    await exportOnce(otlpGrpc());
    // One's own authority beside the environment's client certificate.
    await exportOnce(otlpGrpc({ tls: { ca: authority.cert } }));
    const made = grpc.credentials.createSsl(ca, Buffer.from(client.key), Buffer.from(client.cert));
    await exportOnce(otlpGrpc({ credentials: made }));
    expect(stub.calls).toHaveLength(3);
    const other = await authority.issueClient({ name: 'other' });
    await exportOnce(otlpGrpc({ tls: { cert: other.cert, key: other.key } }));
    expect(stub.calls.map(({ peerName }) => peerName)).toEqual([
      'localhost',
      'localhost',
      'localhost',
      'other',
    ]);
  });

  test('[7.47] the proxy of the environment, not what grpc-js would make of it', async () => {
    const stub = await serveStub();
    // A proxy that nobody runs, for all but this host.
    set({ https_proxy: 'http://127.0.0.1:1', NO_PROXY: 'localhost:1' });
    await exportOnce(otlpGrpc({ url: `http://localhost:${stub.port}`, timeoutMillis: 200 })).catch(() => {});
    expect(stub.calls).toHaveLength(0);
    set({ NO_PROXY: `localhost:${stub.port}` });
    await exportOnce(otlpGrpc({ url: `http://localhost:${stub.port}` }));
    expect(stub.calls).toHaveLength(1);
  });
});

describe('[7.45] otlpFile', () => {
  test('temporality as the environment wants it, unless code says otherwise', async () => {
    const path = join(temporaryFolder(), 'metrics.jsonl');
    set({ OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'delta' });
    await exportOnce(otlpFile({ path }));
    await exportOnce(otlpFile({ path, temporality: 'cumulative' }));
    const lines = readFileSync(path, 'utf8').trim().split('\n');
    const temporality = (line: string) =>
      JSON.parse(line).resourceMetrics[0].scopeMetrics[0].metrics[0].sum.aggregationTemporality;
    expect(lines.map(temporality)).toEqual([1, 2]);
  });
});
