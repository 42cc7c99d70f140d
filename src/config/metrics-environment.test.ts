import nodeConsole from 'node:console';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT_CONTEXT, TraceFlags, trace } from '@opentelemetry/api';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { captureLogs } from '../../test/support/collected.ts';
import type { ResourceMetrics } from '../data/metric-data.ts';
import { InMemoryMetricExporter } from '../exporters/in-memory.ts';
import { ManualMetricReader } from '../sdk/readers/manual-metric-reader.ts';
import { metricsEnvironment, prometheusEnvironment } from './metrics-environment.ts';
import { type MetricsHandle, type StartMetricsOptions, startMetrics } from './start-metrics.ts';

const INTERVAL = 'OTEL_METRIC_EXPORT_INTERVAL';
const TIMEOUT = 'OTEL_METRIC_EXPORT_TIMEOUT';
const FILTER = 'OTEL_METRICS_EXEMPLAR_FILTER';
const EXPORTER = 'OTEL_METRICS_EXPORTER';
const SCRAPE_HOST = 'OTEL_EXPORTER_PROMETHEUS_HOST';
const SCRAPE_PORT = 'OTEL_EXPORTER_PROMETHEUS_PORT';

const folder = mkdtempSync(join(tmpdir(), 'meterline-environment-'));
const configFile = join(folder, 'config.yaml');
afterAll(() => rmSync(folder, { recursive: true }));

const sampled = trace.setSpanContext(ROOT_CONTEXT, {
  traceId: 'a'.repeat(32),
  spanId: 'b'.repeat(16),
  traceFlags: TraceFlags.SAMPLED,
});

const exemplarsIn = ({ scopeMetrics }: ResourceMetrics) =>
  scopeMetrics.flatMap(({ metrics }) =>
    metrics.flatMap(({ dataPoints }) => dataPoints.flatMap(({ exemplars = [] }) => exemplars)),
  );

describe('the environment', () => {
  const logs = captureLogs();
  let handle: MetricsHandle | undefined;
  const start = (options: StartMetricsOptions = {}) =>
    (handle = startMetrics({ selfMetrics: false, ...options }));
  beforeEach(() => {
    for (const name of [INTERVAL, TIMEOUT, FILTER, EXPORTER, SCRAPE_HOST, SCRAPE_PORT])
      vi.stubEnv(name, undefined);
  });
  afterEach(async () => {
    vi.useRealTimers();
    await handle?.shutdown();
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  });

  test.each<[string, number | undefined, number | undefined]>([
    ['5000', 5000, 5000],
    [' 5000 ', 5000, 5000],
    ['0', undefined, 0],
    ['2147483647', 2147483647, 2147483647],
    ['', undefined, undefined],
    ['  ', undefined, undefined],
    ['abc', undefined, undefined],
    ['-1', undefined, undefined],
    ['1.5', undefined, undefined],
    ['1e3', undefined, undefined],
    ['0x10', undefined, undefined],
    ['10s', undefined, undefined],
    ['2147483648', undefined, undefined],
  ])(
    '[5.09] %j is an interval of %s ms and a timeout of %s ms; undefined is the default',
    (text, interval, timeout) => {
      const { exportInterval, exportTimeout } = metricsEnvironment({ [INTERVAL]: text, [TIMEOUT]: text });
      expect([exportInterval, exportTimeout]).toEqual([interval, timeout]);
      const ignored = [interval === undefined && INTERVAL, timeout === undefined && TIMEOUT].filter(Boolean);
      expect(logs).toHaveLength(text.trim() === '' ? 0 : ignored.length);
      logs.forEach((message, i) => {
        expect(message).toContain(
          `${ignored[i]} is ${JSON.stringify(text)}, which is ignored; use a whole number of`,
        );
      });
    },
  );

  /** When the first exports begin, in milliseconds after the start. */
  async function exportTimes(options: StartMetricsOptions): Promise<number[]> {
    vi.useFakeTimers();
    const times: number[] = [];
    const begin = Date.now();
    const exporter = new InMemoryMetricExporter(1);
    vi.spyOn(exporter, 'export').mockImplementation((_, done) => {
      times.push(Date.now() - begin);
      done({ code: 0 });
    });
    start({ exporters: [exporter], ...options });
    handle!.meterProvider.getMeter('m').createCounter('c').add(1);
    await vi.advanceTimersByTimeAsync(20_000);
    return times.slice(0, 2);
  }

  test('[5.09] code comes before the file, the file before the environment, the environment before the default', async () => {
    expect(await exportTimes({})).toEqual([10_000, 20_000]);
    await handle!.shutdown();
    vi.stubEnv(INTERVAL, '4000');
    expect(await exportTimes({})).toEqual([4_000, 8_000]);
    await handle!.shutdown();
    writeFileSync(configFile, 'metrics: { export_interval: 3s }');
    expect(await exportTimes({ configFile })).toEqual([3_000, 6_000]);
    await handle!.shutdown();
    expect(await exportTimes({ configFile, exportInterval: 2_000 })).toEqual([2_000, 4_000]);
  });

  test('[5.09] the timeout of an export, and 0 for none', async () => {
    const aborted: boolean[] = [];
    for (const [value, after] of [
      ['700', 699],
      ['700', 700],
      ['0', 100_000],
    ] as const) {
      vi.useFakeTimers();
      vi.stubEnv(TIMEOUT, value);
      const exporter = new InMemoryMetricExporter(1);
      const exported = vi.spyOn(exporter, 'export').mockImplementation(() => {});
      start({ exporters: [exporter], exportInterval: 1_000 });
      handle!.meterProvider.getMeter('m').createCounter('c').add(1);
      await vi.advanceTimersByTimeAsync(1_000 + after);
      const [, done, options] = exported.mock.calls[0]!;
      aborted.push(options!.signal!.aborted);
      exported.mockImplementation((_, answer) => answer({ code: 0 }));
      done({ code: 0 });
      await handle!.shutdown();
    }
    expect(aborted).toEqual([false, true, false]);
  });

  async function exemplars(options: StartMetricsOptions = {}): Promise<number> {
    const reader = new ManualMetricReader();
    const { meterProvider } = start({ readers: [reader], ...options });
    const counter = meterProvider.getMeter('m').createCounter('c');
    counter.add(1, { span: 'sampled' }, sampled);
    counter.add(1, { span: 'none' }, ROOT_CONTEXT);
    const { resourceMetrics } = await reader.collect();
    await handle!.shutdown();
    return exemplarsIn(resourceMetrics).length;
  }

  test.each<[string | undefined, number]>([
    [undefined, 1],
    ['trace_based', 1],
    ['always_on', 2],
    ['ALWAYS_ON', 2],
    ['Always_Off', 0],
    ['', 1],
  ])('[4.40][12.58] the exemplar filter %j', async (value, count) => {
    vi.stubEnv(FILTER, value);
    expect(await exemplars()).toBe(count);
    expect(logs).toEqual([]);
  });

  test('[4.40] an exemplar filter that there is not is told with its value; code and file come first', async () => {
    vi.stubEnv(FILTER, 'alwayson');
    expect(await exemplars()).toBe(1);
    expect(logs).toEqual([
      `meterline: ${FILTER} is "alwayson", which is ignored; use trace_based, always_on or always_off`,
    ]);
    vi.stubEnv(FILTER, 'always_off');
    writeFileSync(configFile, 'metrics: { exemplar_filter: always_on }');
    expect(await exemplars({ configFile })).toBe(2);
    expect(await exemplars({ configFile, exemplarFilter: 'trace_based' })).toBe(1);
  });

  test('[5.22][12.59] the console exporter exports every 10 s, or as the interval says', async () => {
    vi.stubEnv(EXPORTER, 'console');
    for (const [interval, first] of [
      [undefined, 10_000],
      ['3000', 3_000],
    ] as const) {
      vi.useFakeTimers();
      const printed = vi.spyOn(nodeConsole, 'dir').mockImplementation(() => {});
      vi.stubEnv(INTERVAL, interval);
      start();
      handle!.meterProvider.getMeter('m').createCounter('c').add(1);
      await vi.advanceTimersByTimeAsync(first - 1);
      expect(printed).not.toHaveBeenCalled();
      await vi.advanceTimersByTimeAsync(1);
      expect(printed).toHaveBeenCalledTimes(1);
      expect(printed.mock.calls[0]![0]).toMatchObject({ descriptor: { name: 'c' } });
      await handle!.shutdown();
      vi.restoreAllMocks();
    }
    expect(logs).toEqual([]);
  });

  test('[5.22] exporters of the environment are for those who name no destination themselves', async () => {
    vi.stubEnv(EXPORTER, 'console, bogus');
    const printed = vi.spyOn(nodeConsole, 'dir').mockImplementation(() => {});
    start({ readers: [new ManualMetricReader()] });
    handle!.meterProvider.getMeter('m').createCounter('c').add(1);
    await handle!.forceFlush();
    expect(printed).not.toHaveBeenCalled();
    expect(logs).toEqual([]);
  });

  test('prometheus is a scrape endpoint, none is none, and what is neither is told and left out', async () => {
    vi.stubEnv(EXPORTER, 'Prometheus');
    start();
    expect(handle!.prometheus).toBeDefined();
    await handle!.shutdown();
    for (const value of ['none', 'console,none']) {
      vi.stubEnv(EXPORTER, value);
      start();
      expect(handle!.prometheus).toBeUndefined();
      await handle!.shutdown();
    }
    expect(logs.filter((message) => !message.includes('9464'))).toEqual([]);
    vi.stubEnv(EXPORTER, 'zipkin');
    start();
    expect(logs).toEqual([
      expect.stringContaining(
        'OTEL_METRICS_EXPORTER is "zipkin"; of it nothing is used. Use otlp, otlp/stdout, console, prometheus or none',
      ),
      expect.stringContaining('metrics go nowhere'),
    ]);
  });

  test.each<[StartMetricsOptions['prometheus']]>([[undefined], [true], [{ path: '/m' }]])(
    '[8.02] says where the scrape endpoint of the setting %j listens, as far as that leaves it open',
    async (prometheus) => {
      vi.stubEnv(EXPORTER, 'prometheus');
      vi.stubEnv(SCRAPE_HOST, '127.0.0.2');
      vi.stubEnv(SCRAPE_PORT, '0');
      start({ prometheus });
      const { host, port, url } = await vi.waitUntil(() => handle!.prometheus!.address);
      expect(host).toBe('127.0.0.2');
      expect(port).not.toBe(9464);
      expect(new URL(url).pathname).toBe(typeof prometheus === 'object' ? '/m' : '/metrics');
      expect((await fetch(url)).status).toBe(200);
    },
  );

  test('[8.02] where settings say where it listens, the environment does not', async () => {
    vi.stubEnv(SCRAPE_HOST, '127.0.0.2');
    vi.stubEnv(SCRAPE_PORT, '1');
    start({ prometheus: { host: '127.0.0.1', port: 0 } });
    const { host, port } = await vi.waitUntil(() => handle!.prometheus!.address);
    expect(host).toBe('127.0.0.1');
    expect(port).toBeGreaterThan(1);
    expect(logs).toEqual([]);
  });

  test.each(['abc', '-1', '65536', '1e3', '0x10', '80.5'])(
    '[8.02][9.03] %j is no port of a scrape endpoint: it is told, and counts as not set',
    (value) => {
      expect(prometheusEnvironment({ [SCRAPE_HOST]: ' ', [SCRAPE_PORT]: value })).toEqual({});
      expect(logs).toEqual([
        expect.stringContaining(`${SCRAPE_PORT} is "${value}", which is ignored; use a port from 0 to 65535`),
      ]);
    },
  );
});
