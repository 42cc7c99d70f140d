import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { captureLogs } from '../../test/support/collected.ts';
import { decodeRequest } from '../../test/support/otlp.ts';
import { AggregationType } from '../data/aggregation-option.ts';
import { InstrumentType } from '../data/metric-data.ts';
import { serveStub } from '../net/fixtures/grpc-stub.ts';
import { deferredExporter } from './deferred-exporter.ts';
import { environmentExporter } from './environment-exporters.ts';
import { exportersOfEnvironment } from './metrics-environment.ts';
import { startMetrics } from './start-metrics.ts';

const logs = captureLogs();
beforeEach(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) vi.stubEnv(name, undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

/** Starts as the environment says, counts one order, and ends. */
async function runOnce(): Promise<void> {
  const metrics = startMetrics({ selfMetrics: false });
  metrics.meterProvider.getMeter('shop').createCounter('orders').add(3);
  await metrics.shutdown();
}

async function serveHttp() {
  const seen: { path: string; type: string | undefined; body: Buffer }[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    seen.push({ path: request.url!, type: request.headers['content-type'], body: Buffer.concat(chunks) });
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { seen, port: (server.address() as AddressInfo).port };
}

test.each(['grpc', 'http/protobuf'])(
  '[7.13] over %s, histograms are as the environment wants them',
  async (protocol) => {
    const exporter = environmentExporter('otlp', {
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION: 'base2_exponential_bucket_histogram',
    });
    expect(exporter.selectAggregation!(InstrumentType.HISTOGRAM)).toEqual({
      type: AggregationType.EXPONENTIAL_HISTOGRAM,
    });
    await exporter.shutdown();
  },
);

describe('startMetrics with OTEL_METRICS_EXPORTER=otlp', () => {
  test.each([
    [undefined, 'application/x-protobuf'],
    ['http/protobuf', 'application/x-protobuf'],
    ['http/json', 'application/json'],
  ])('[7.02] [9.13] protocol %s', async (protocol, type) => {
    const { seen, port } = await serveHttp();
    vi.stubEnv('OTEL_METRICS_EXPORTER', 'otlp');
    vi.stubEnv('OTEL_EXPORTER_OTLP_PROTOCOL', protocol);
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', `http://127.0.0.1:${port}`);
    await runOnce();
    expect(seen).toMatchObject([{ path: '/v1/metrics', type }]);
    expect(logs).toEqual([]);
  });

  test('[7.02] [7.13] protocol grpc, with the temporality of the environment', async () => {
    const stub = await serveStub();
    vi.stubEnv('OTEL_METRICS_EXPORTER', 'otlp');
    vi.stubEnv('OTEL_EXPORTER_OTLP_METRICS_PROTOCOL', 'grpc');
    vi.stubEnv('OTEL_EXPORTER_OTLP_METRICS_ENDPOINT', `http://127.0.0.1:${stub.port}`);
    vi.stubEnv('OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE', 'delta');
    await runOnce();
    const [metric] = decodeRequest(stub.calls[0]!.body).resourceMetrics[0]!.scopeMetrics[0]!.metrics;
    expect(metric!.sum).toMatchObject({ aggregationTemporality: 1, dataPoints: [{ asDouble: 3 }] });
    expect(logs).toEqual([]);
  });

  test('[7.02] an unknown protocol is told, and the default counts', async () => {
    const { seen, port } = await serveHttp();
    vi.stubEnv('OTEL_EXPORTER_OTLP_PROTOCOL', 'thrift');
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', `http://127.0.0.1:${port}`);
    await runOnce();
    expect(seen).toMatchObject([{ type: 'application/x-protobuf' }]);
    expect(logs).toEqual([expect.stringContaining('OTEL_EXPORTER_OTLP_PROTOCOL is "thrift"')]);
  });
});

test('[7.45] [12.46] otlp/stdout writes a line of OTLP JSON, in the temporality of the environment', async () => {
  const written: string[] = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((chunk: string | Uint8Array, ...rest: unknown[]) => {
    written.push(Buffer.from(chunk as Uint8Array).toString());
    const done = rest.at(-1);
    if (typeof done === 'function') done();
    return true;
  });
  vi.stubEnv('OTEL_METRICS_EXPORTER', 'otlp/stdout');
  vi.stubEnv('OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE', 'delta');
  await runOnce();
  vi.restoreAllMocks();
  const { resourceMetrics } = JSON.parse(written.join(''));
  expect(resourceMetrics[0].scopeMetrics[0].metrics[0].sum.aggregationTemporality).toBe(1);
});

test.each<[Record<string, string>, string[] | undefined]>([
  [{}, undefined],
  [{ OTEL_METRICS_EXPORTER: '' }, undefined],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c' }, ['otlp']],
  [{ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://c', OTEL_METRICS_EXPORTER: ' ' }, ['otlp']],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_METRICS_EXPORTER: 'none' }, []],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_METRICS_EXPORTER: 'console' }, ['console']],
  [{ OTEL_METRICS_EXPORTER: 'OTLP, ,otlp,prometheus' }, ['otlp', 'prometheus']],
])('[9.06] [9.13] %j selects %j', (env, names) => {
  expect(exportersOfEnvironment(env)).toEqual(names);
  expect(logs).toEqual([]);
});

test('a module that cannot be loaded fails each export, and no shutdown', async () => {
  const exporter = deferredExporter({ name: 'otlp' }, () => Promise.reject(new Error('no such module')));
  const { code, error } = await new Promise<{ code: number; error?: Error }>((resolve) =>
    exporter.export({ resource: { attributes: {} }, scopeMetrics: [] } as never, resolve),
  );
  expect([code, error!.message]).toEqual([1, expect.stringContaining('no such module')]);
  await exporter.shutdown();
});
