// The declarations as an application with the strictest settings compiles them, from the packed tarball.
import { execFile } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const entries = Object.keys(exports).filter((entry) => entry !== './package.json');
const folder = mkdtempSync(join(tmpdir(), 'meterline-types-'));
const modules = join(folder, 'node_modules');

const settings = {
  compilerOptions: {
    target: 'es2023',
    module: 'nodenext',
    types: ['node'],
    noEmit: true,
    strict: true,
    skipLibCheck: false,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noPropertyAccessFromIndexSignature: true,
    verbatimModuleSyntax: true,
    isolatedModules: true,
  },
};

/** All that the compiler says about the program. */
async function compile(program: string): Promise<string> {
  const file = join(folder, 'program.ts');
  writeFileSync(file, program);
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ ...settings, files: ['program.ts'] }));
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  return run(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { cwd: folder }).then(
    ({ stdout }) => stdout,
    ({ stdout }: { stdout: string }) => stdout,
  );
}

beforeAll(async () => {
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const { stdout } = await run('npm', pack, { cwd: root });
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  await run('tar', ['-xzf', join(folder, filename), '-C', folder]);
  mkdirSync(modules);
  cpSync(join(folder, 'package'), join(modules, 'meterline'), { recursive: true });
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (!name.startsWith('.')) symlinkSync(join(root, 'node_modules', name), join(modules, name));
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true }));

test('every import of the package compiles with the strictest settings', async () => {
  const imports = entries.map(
    (entry, i) => `export * as entry${i} from '${entry.replace('.', 'meterline')}';`,
  );
  expect(await compile(imports.join('\n'))).toBe('');
}, 60_000);

test('a program that uses most of it does too, and its mistakes are seen', async () => {
  const program = `
    import type { HrTime } from '@opentelemetry/api';
    import {
      AggregationTemporality, AggregationType, type CardinalityLimits, createAllowListAttributesProcessor,
      type ExemplarReservoir, ExportError, type IMetricReader, type InstrumentAdvice, type InstrumentOptions,
      InstrumentType, ManualMetricReader, MeterProvider, type MetricProducer, MetricReader,
      PeriodicExportingMetricReader, type PushMetricExporter, resourceFromAttributes, startMetrics,
      temporalityPreference, type ViewOptions,
    } from 'meterline';
    import { createExporter } from 'meterline/decorators';
    import { jsonFile } from 'meterline/json-file';
    import { PrometheusMetricReader } from 'meterline/prometheus';
    import { assertMetric, testMetrics } from 'meterline/testing';

    const advice: InstrumentAdvice = { explicitBucketBoundaries: [1, 2], attributes: ['a'] };
    const options: InstrumentOptions = { unit: 's', advice };
    const reservoir = (): ExemplarReservoir => ({ offer(_value: number, _time: HrTime) {}, collect: () => [] });
    const views: ViewOptions[] = [
      { instrumentName: 'a.*', attributesProcessors: [createAllowListAttributesProcessor(['a'])] },
      { instrumentType: InstrumentType.GAUGE, aggregation: { type: AggregationType.DROP } },
      { exemplarReservoir: reservoir, aggregationCardinalityLimit: 5, idleTimeoutMillis: 1_000 },
    ];
    const mine: PushMetricExporter = {
      export: (metrics, done) => {
        const first = metrics.scopeMetrics[0]?.metrics[0]?.dataPoints[0];
        done(first ? { code: 0 } : { code: 1, error: new ExportError('IO', 'none', { retryable: true }) });
      },
      forceFlush: async () => {},
      shutdown: async () => {},
      selectAggregationTemporality: temporalityPreference('delta'),
    };
    class Mine extends MetricReader {
      protected async onForceFlush() {}
      protected async onShutdown() {}
    }
    const producer: MetricProducer = { collect: async () => new ManualMetricReader().collect() };
    const cardinalityLimits: CardinalityLimits = { counter: 5, default: 10 };
    const readers: IMetricReader[] = [
      new PeriodicExportingMetricReader({ exporter: mine, cardinalityLimits, metricProducers: [producer] }),
      new PeriodicExportingMetricReader({ exporter: jsonFile({ path: 'm.jsonl', rotate: { maxBytes: 1 } }) }),
      new PeriodicExportingMetricReader({ exporter: createExporter({ name: 'x', export: async () => {} }) }),
      new PrometheusMetricReader({ scopeLabels: false }),
      new ManualMetricReader({ aggregationTemporalitySelector: () => AggregationTemporality.DELTA }),
      new Mine({ otelComponentType: 'mine' }),
    ];
    const resource = resourceFromAttributes({ 'service.name': 'orders' });
    const meter = new MeterProvider({ resource, readers, views, sdkMetricsEnabled: false }).getMeter('m');
    meter.createHistogram('h', options).bind({ a: 1 }).record(1);
    meter.createCounter<{ method: 'GET' | 'POST' }>('c').add(1, { method: 'GET' });
    export const handle = startMetrics({ exporters: [mine], exemplarFilter: 'always_on' });
    const { collect } = testMetrics();
    assertMetric(await collect(), { name: 'c', value: 1 });
  `;
  expect(await compile(program)).toBe('');
  expect(await compile(program.replace("method: 'GET' }", "method: 'PUT' }"))).toContain(
    '\'"PUT"\' is not assignable',
  );
}, 60_000);
