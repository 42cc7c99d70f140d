import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { loadConfig } from './load-config.ts';
import type { MetricsConfig } from './schema.ts';

const folder = mkdtempSync(join(tmpdir(), 'meterline-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

function yaml(content: string): string {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, content);
  return file;
}

function problem(config: unknown): string {
  try {
    loadConfig(undefined, config as MetricsConfig);
  } catch (error) {
    expect((error as Error).name).toBe('ConfigError');
    return (error as Error).message;
  }
  throw new Error('the configuration was accepted');
}

describe('loadConfig', () => {
  test('reads every YAML setting and fills in the defaults', () => {
    const file = yaml(`
metrics:
  service_name: sre
  service_version: v1.0.0
  environment: dev
  json_file_path: ./logs/metrics.jsonl
  resource_attributes: { team: payments, shard_id: 3 }
`);
    expect(loadConfig(file, {})).toEqual({
      serviceName: 'sre',
      serviceVersion: 'v1.0.0',
      environment: 'dev',
      jsonFilePath: './logs/metrics.jsonl',
      resourceAttributes: { team: 'payments', shard_id: 3 },
      exportInterval: 10_000,
      exportTimeout: 5_000,
      prometheus: false,
      exporters: [],
      readers: [],
      metricProducers: [],
      exemplarFilter: 'trace_based',
      selfMetrics: true,
      handleSignals: false,
      handleBeforeExit: false,
      handleUncaughtExceptions: false,
    });
  });

  test('code wins over the file, and undefined in code says nothing', () => {
    const file = yaml('metrics:\n  service_name: sre\n  export_interval: 30s\n');
    const config = loadConfig(file, { exportInterval: 500, serviceName: undefined });
    expect(config).toMatchObject({ serviceName: 'sre', exportInterval: 500 });
  });

  test('an interval of "never" is one without an end', () => {
    const file = yaml('metrics:\n  export_interval: never\n');
    expect(loadConfig(file, {}).exportInterval).toBe(Number.POSITIVE_INFINITY);
  });

  test('unknown settings are named with the nearest known one, in the spelling of their source', () => {
    expect(problem({ exportInterva: 1 })).toContain(
      'exportInterva is not a setting; did you mean exportInterval?',
    );
    expect(() => loadConfig(yaml('metrics:\n  export_intervall: 1s\n'), {})).toThrow(
      'export_intervall is not a setting; did you mean export_interval?',
    );
    expect(problem({ prometheus: { prot: 1 } })).toContain(
      'prometheus.prot is not a setting; did you mean prometheus.port?',
    );
  });

  test.each([
    [
      { exportInterval: '10 sec' },
      'exportInterval is "10 sec"; use a number of milliseconds or a duration such as',
    ],
    [{ exportInterval: -1 }, 'exportInterval is -1; use a number of milliseconds'],
    [{ exportInterval: '0s' }, 'exportInterval is "0s"; use a number of milliseconds'],
    [{ exportInterval: '30d' }, 'from 1 ms to 2147483647 ms'],
    [{ exportInterval: Number.NaN }, 'exportInterval is NaN; use a number of milliseconds'],
    [{ exportTimeout: 'never' }, 'exportTimeout is "never"; use a number of milliseconds'],
    [{ exportTimeout: true }, 'exportTimeout is true; use a number of milliseconds'],
    [{ serviceName: '' }, 'serviceName is ""; use a text that is not empty'],
    [{ serviceName: 7 }, 'serviceName is 7; use a text'],
    [{ jsonFilePath: ['a'] }, 'jsonFilePath is ["a"]; use a text'],
    [{ prometheus: 9464 }, 'prometheus is 9464; use true, false or a map with host, port and path'],
    [{ prometheus: { port: 70_000 } }, 'prometheus.port is 70000; use a port from 0 to 65535'],
    [{ prometheus: { path: 'metrics' } }, 'prometheus.path is "metrics"; use a path that starts with "/"'],
    [
      { prometheus: { path: '/m?a' } },
      'prometheus.path is "/m?a"; use a path that starts with "/", without a query',
    ],
    [
      { resourceAttributes: { a: {} } },
      'resourceAttributes.a is {}; use a text, a number, a boolean or a list of them',
    ],
    [{ exporters: [{}] }, 'exporters.0 is {}; use an exporter'],
    [{ readers: 'all' }, 'readers is "all"; use a list of readers'],
    [{ metricProducers: [{}] }, 'use a metric producer, which has the method collect'],
    [{ selfMetrics: 1 }, 'selfMetrics is 1; use true or false'],
    [
      { exportInterval: 'sometimes' },
      'exportInterval is "sometimes"; use a number of milliseconds or a duration',
    ],
    [
      { exportInterval: Number.POSITIVE_INFINITY },
      'exportInterval is Infinity; use a number of milliseconds',
    ],
    [{ handleSignals: 'yes' }, 'handleSignals is "yes"; use true or false'],
    [{ handleBeforeExit: 1 }, 'handleBeforeExit is 1; use true or false'],
    [{ handleUncaughtExceptions: null }, 'handleUncaughtExceptions is null; use true or false'],
  ])('%j is refused with the value and the remedy', (config, message) => {
    expect(problem(config)).toContain(message);
  });

  test('a setting that resembles none is answered with the list of settings', () => {
    expect(problem({ verbose: true })).toContain(
      'verbose is not a setting; the settings are serviceName, serviceVersion, environment',
    );
  });

  test.each([
    { exportInterval: 10n },
    { serviceName: Object.assign([], { self: {} }) },
    { serviceName: { a: 1n } },
  ])('a value without a JSON form is refused like any other (#%#)', (config) => {
    expect(problem(config)).toContain('; use');
  });

  test('everything that is wrong is said at once', () => {
    const message = problem({ exportInterval: 'x', serviceName: 1, nonsense: 1 });
    expect(message.match(/\n {2}- /g)).toHaveLength(3);
  });

  test.each([
    ['metrics: [1', 'is not valid YAML'],
    ['service_name: sre', 'has no "metrics" map'],
    ['', 'has no "metrics" map'],
    ['metrics: { service_name: *nope }', 'is not valid YAML'],
    ['metrics: &m { self: *m }', 'self is not a setting'],
  ])('the file %j is refused by name', (content, message) => {
    const file = yaml(content);
    expect(() => loadConfig(file, {})).toThrow(message);
    expect(() => loadConfig(file, {})).toThrow(file);
  });

  test('a file that cannot be read is named, with the reason', () => {
    expect(() => loadConfig('/nowhere/config.yaml', {})).toThrow(
      'configFile is "/nowhere/config.yaml", which cannot be read (ENOENT)',
    );
  });
});
