import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { metrics } from '@opentelemetry/api';
import { Gauge, Registry } from 'prom-client';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { captureLogs } from '../../test/support/collected.ts';
import { promClientProducer } from '../producers/prom-client.ts';
import { MeterProvider } from '../sdk/meter-provider.ts';
import { type MetricsHandle, type StartMetricsOptions, startMetrics } from './start-metrics.ts';

const folder = mkdtempSync(join(tmpdir(), 'meterline-start-'));
let files = 0;
const newFile = () => join(folder, 'new', `${files++}.jsonl`);
afterAll(() => rmSync(folder, { recursive: true }));

const lines = (file: string) =>
  readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

async function scrape({ prometheus }: MetricsHandle): Promise<string> {
  const { url } = await vi.waitUntil(() => prometheus!.address);
  return (await fetch(url)).text();
}

describe('startMetrics', () => {
  const logs = captureLogs();
  let handle: MetricsHandle | undefined;
  const start = (options: StartMetricsOptions) => (handle = startMetrics(options));
  afterEach(async () => {
    await handle?.shutdown();
    handle = undefined;
    metrics.disable();
  });

  test('further producers go to every reader that it makes', async () => {
    const file = newFile();
    const registry = new Registry();
    new Gauge({ name: 'old', help: 'Old.', registers: [registry] }).set(7);
    start({ jsonFilePath: file, prometheus: { port: 0 }, metricProducers: [promClientProducer(registry)] });
    expect(await scrape(handle!)).toContain('\nold 7\n');
    await handle!.forceFlush();
    expect(lines(file)).toContainEqual(expect.objectContaining({ metric_name: 'old', value: 7 }));
  });

  test('what libraries record through the API arrives in the file and at the endpoint', async () => {
    const file = newFile();
    const { meterProvider } = start({
      serviceName: 'orders',
      serviceVersion: '1.2.3',
      environment: 'dev',
      resourceAttributes: { team: 'payments', 'host.name': 'given' },
      jsonFilePath: file,
      prometheus: { port: 0 },
    });
    expect(metrics.getMeterProvider()).toBe(meterProvider);
    metrics.getMeter('shop').createCounter('orders_total').add(3, { kind: 'book' });
    expect(await scrape(handle!)).toContain('orders_total{otel_scope_name="shop",kind="book"} 3');
    await handle!.forceFlush();
    const [line] = lines(file);
    expect(line).toMatchObject({
      service_name: 'orders',
      metric_name: 'orders_total',
      value: 3,
      attributes: { kind: 'book' },
      resource: {
        'service.name': 'orders',
        'service.version': '1.2.3',
        'deployment.environment.name': 'dev',
        team: 'payments',
        'host.name': 'given',
        'process.pid': process.pid,
        'process.runtime.name': 'nodejs',
        'telemetry.sdk.name': 'meterline',
      },
    });
    expect(logs).toEqual([]);
  });

  test('the settings may stand in a YAML file', async () => {
    const [file, configFile] = [newFile(), join(folder, 'config.yaml')];
    writeFileSync(
      configFile,
      `metrics:\n  service_name: sre\n  json_file_path: ${file}\n  export_interval: 10s\n`,
    );
    start({ configFile });
    metrics.getMeter('m').createGauge('g').record(1);
    await handle!.shutdown();
    expect(lines(file)).toMatchObject([{ service_name: 'sre', metric_name: 'g', value: 1 }]);
  });

  test.each([true, false])('the pipeline measures itself when selfMetrics is %s', async (selfMetrics) => {
    const file = newFile();
    start({ jsonFilePath: file, selfMetrics });
    metrics.getMeter('m').createCounter('c').add(1);
    await handle!.forceFlush();
    await handle!.forceFlush();
    expect(lines(file).some(({ scope }) => scope.name === 'meterline')).toBe(selfMetrics);
  });

  test('shutdown exports for the last time, once, and lets metrics be started again', async () => {
    const file = newFile();
    start({ jsonFilePath: file });
    metrics.getMeter('m').createCounter('c').add(1);
    await Promise.all([handle!.shutdown(), handle!.shutdown()]);
    expect(lines(file)).toHaveLength(1);
    const second = startMetrics({ jsonFilePath: file });
    expect(second).not.toBe(handle);
    metrics.getMeter('m').createCounter('c').add(2);
    await second[Symbol.asyncDispose]();
    expect(lines(file).map(({ value }) => value)).toEqual([1, 2]);
  });

  test('a second start in a process changes nothing, and says so', async () => {
    const file = newFile();
    start({ jsonFilePath: file });
    expect(startMetrics({ jsonFilePath: newFile() })).toBe(handle);
    expect(logs).toEqual([expect.stringContaining('startMetrics was called again')]);
    metrics.getMeter('m').createCounter('c').add(1);
    await handle!.shutdown();
    expect(lines(file)).toHaveLength(1);
  });

  test('a wrong setting throws before anything is registered', () => {
    expect(() => startMetrics({ exportInterval: -1, prometheus: true })).toThrow('exportInterval is -1');
    expect(metrics.getMeterProvider().constructor.name).toBe('NoopMeterProvider');
    start({ readers: [] });
    expect(logs).toEqual([expect.stringContaining('metrics go nowhere')]);
  });

  test.each([null, 'config.yaml', 7])('startMetrics(%j) is refused with the remedy', (options) => {
    expect(() => startMetrics(options as never)).toThrow(
      "pass an object, such as { configFile: 'config.yaml' }",
    );
  });

  test('a provider registered by others stays, and the message says what to do', () => {
    const other = new MeterProvider();
    metrics.setGlobalMeterProvider(other);
    start({ jsonFilePath: newFile() });
    expect(metrics.getMeterProvider()).toBe(other);
    expect(logs.at(-1)).toContain('another MeterProvider is already registered');
  });

  test('a taken port costs the endpoint only', async () => {
    const taken = createServer().listen(0, 'localhost');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as AddressInfo;
    const file = newFile();
    start({ jsonFilePath: file, prometheus: { port } });
    metrics.getMeter('m').createCounter('c').add(1);
    await vi.waitUntil(() => logs.length > 0);
    await handle!.shutdown();
    taken.close();
    expect(lines(file)).toHaveLength(1);
    expect(logs).toEqual([expect.stringMatching(new RegExp(`${port}.*trying again every 5 s`))]);
  });

  test('an unwritable path costs the file only', async () => {
    const notAFolder = join(folder, 'file');
    writeFileSync(notAFolder, '');
    start({ jsonFilePath: join(notAFolder, 'metrics.jsonl'), prometheus: { port: 0 } });
    metrics.getMeter('m').createCounter('c').add(1);
    await handle!.forceFlush();
    expect(await scrape(handle!)).toContain('c_total{otel_scope_name="m"} 1');
    expect(logs).toEqual([expect.stringContaining(notAFolder)]);
  });

  test('a full disk is said once a minute, costs the file only, and writing resumes by itself', async () => {
    const file = join(folder, 'full.jsonl');
    symlinkSync('/dev/full', file);
    start({ jsonFilePath: file, exportInterval: 20 });
    metrics.getMeter('m').createCounter('c').add(1);
    await vi.waitUntil(() => logs.length > 0);
    unlinkSync(file);
    await vi.waitUntil(() => existsSync(file) && readFileSync(file, 'utf8').split('\n').length > 3);
    await handle!.shutdown();
    expect(lines(file)[0]).toMatchObject({ metric_name: 'c', value: 1 });
    expect(logs).toEqual([
      `meterline: an export failed: [IO] cannot write ${file} (ENOSPC): free disk space; writing then resumes by itself`,
    ]);
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('boom');
      },
    ],
    ['hangs', () => {}],
    [
      'answers twice',
      (_: unknown, callback: (result: { code: number }) => void) => {
        callback({ code: 0 });
        callback({ code: 0 });
      },
    ],
  ])('an exporter that %s harms neither the host nor the other exporters', async (_, exporting) => {
    const file = newFile();
    const exporter = { export: exporting, forceFlush: async () => {}, shutdown: async () => {} };
    start({ jsonFilePath: file, exporters: [exporter], exportTimeout: 1_000 });
    metrics.getMeter('m').createCounter('c').add(1);
    await handle!.forceFlush();
    expect(lines(file)).toHaveLength(1);
    expect(logs).toHaveLength(1);
  });
});
