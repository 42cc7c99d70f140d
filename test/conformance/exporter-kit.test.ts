// The kit over every exporter and every decorator.
import nodeConsole from 'node:console';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeEach, describe, vi } from 'vitest';
import { createExporter, type PushMetricExporter } from '../../src/data/exporter.ts';
import { AggregationTemporality } from '../../src/data/metric-data.ts';
import { diskQueue, fallback, filter, logging, multi, retry, timeout } from '../../src/decorators/index.ts';
import { ConsoleMetricExporter } from '../../src/exporters/console.ts';
import { httpJson } from '../../src/exporters/http-json.ts';
import { InMemoryMetricExporter } from '../../src/exporters/in-memory.ts';
import { jsonFile } from '../../src/exporters/json-file.ts';
import { otlpFile } from '../../src/exporters/otlp-file.ts';
import { otlpGrpc } from '../../src/exporters/otlp-grpc.ts';
import { otlpHttp } from '../../src/exporters/otlp-http.ts';
import { stdout } from '../../src/exporters/stdout.ts';
import { serveStub } from '../../src/net/fixtures/grpc-stub.ts';
import { serveHttp } from '../../src/net/fixtures/http-stub.ts';
import { captureLogs } from '../support/collected.ts';
import { decoratorContract, exporterContract } from './exporter-kit.ts';

captureLogs();

const folder = mkdtempSync(join(tmpdir(), 'meterline-'));
afterAll(() => rmSync(folder, { recursive: true }));

const silent = { debug() {}, info() {}, warn() {}, error() {} };

describe('exporters', () => {
  beforeEach(() => void vi.spyOn(nodeConsole, 'dir').mockReturnValue());
  let files = 0;

  exporterContract('createExporter', () => createExporter({ name: 'own', export: async () => {} }));
  exporterContract('InMemoryMetricExporter', () => new InMemoryMetricExporter(AggregationTemporality.DELTA));
  exporterContract('ConsoleMetricExporter', () => new ConsoleMetricExporter());
  const nowhere = () => new Writable({ write: (_, __, done) => done() });
  exporterContract('stdout', () => stdout({ stream: nowhere() }));
  exporterContract('stdout, pretty', () => stdout({ stream: nowhere(), pretty: true }));
  exporterContract('httpJson', async () => httpJson({ url: (await serveHttp()).url }));
  exporterContract('otlpHttp', async () => otlpHttp({ url: (await serveHttp()).url }));
  exporterContract('otlpHttp, failing over', async () =>
    otlpHttp({
      endpoints: [{ url: 'http://127.0.0.1:1' }, { url: (await serveHttp()).url }],
      encoding: 'json',
      compression: 'gzip',
    }),
  );
  exporterContract('otlpGrpc', async () => otlpGrpc({ url: `http://127.0.0.1:${(await serveStub()).port}` }));
  exporterContract('otlpFile', () => otlpFile({ path: join(folder, `${files++}.jsonl`) }));
  exporterContract('otlpFile, to a stream', () => otlpFile({ stream: nowhere() }));
  exporterContract('jsonFile', () => jsonFile({ path: join(folder, `${files++}.jsonl`) }));
});

describe('decorators', () => {
  decoratorContract('retry', (exporter) => retry(exporter, { initialIntervalMillis: 1_000 }));
  decoratorContract('timeout', (exporter) => timeout(exporter, 60_000));
  decoratorContract('logging', (exporter) => logging(exporter, { logger: silent }));
  let queues = 0;
  const queue = (exporter: PushMetricExporter) => diskQueue(exporter, { dir: folder, name: `q${queues++}` });
  decoratorContract('diskQueue', queue, { isQueue: true });
  decoratorContract('filter', (exporter) => filter(exporter, { exclude: { scope: 'runtime' } }));
  decoratorContract('multi of one', (exporter) => multi([exporter]), { isBorder: true });
  const other = ({ selectAggregationTemporality, selectAggregation }: PushMetricExporter) =>
    createExporter({
      name: 'other',
      export: async () => {},
      selectAggregationTemporality,
      selectAggregation,
    });
  decoratorContract('multi of two', (exporter) => multi([other(exporter), exporter]), { isBorder: true });
  decoratorContract('primary of fallback', (exporter) => fallback(exporter, other(exporter)), {
    isBorder: true,
  });
  const refusing = ({ selectAggregationTemporality, selectAggregation }: PushMetricExporter) =>
    createExporter({
      name: 'refusing',
      export: () => Promise.reject(new Error('refused')),
      selectAggregationTemporality,
      selectAggregation,
    });
  decoratorContract('secondary of fallback', (exporter) => fallback(refusing(exporter), exporter), {
    isBorder: true,
  });
  decoratorContract('a chain of five', (exporter) =>
    logging(
      filter(retry(timeout(logging(exporter, { logger: silent }), 10_000)), { include: { name: '*' } }),
      {
        logger: silent,
      },
    ),
  );
});
