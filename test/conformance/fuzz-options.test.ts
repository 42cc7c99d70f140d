// Values of every kind as options of whatever is constructed: it works, or throws a ConfigError with one short message; and what was
// constructed serves its purpose all the same.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  AggregationTemporality,
  AggregationType,
  ConfigError,
  type IMetricReader,
  InstrumentType,
  ManualMetricReader,
  MeterProvider,
  PeriodicExportingMetricReader,
  resourceFromAttributes,
  temporalityPreference,
} from '../../src/index.ts';
import { captureLogs } from '../support/collected.ts';
import { hostile } from '../support/hostile-values.ts';

const exporter = { export() {}, forceFlush: async () => {}, shutdown: async () => {} };
const reader = (options: object = {}) => new ManualMetricReader(options);
const periodic = (options: object) => new PeriodicExportingMetricReader({ exporter, ...options });

/** One option, or a part of one, that is hostile; the others are sound. Returns the readers, where there is something to collect. */
const constructions: Record<string, (bad: never) => IMetricReader[]> = {
  'a provider': (bad) => [reader({}), new MeterProvider(bad)].slice(0, 0) as never,
  'an aggregation in a View': (bad) => withView({ aggregation: bad }),
  'the type of an aggregation': (bad) => withView({ aggregation: { type: bad } }),
  'the options of an aggregation': (bad) =>
    withView({ aggregation: { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM, options: bad } }),
  'the boundaries of an aggregation': (bad) =>
    withView({
      aggregation: { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM, options: { boundaries: bad } },
    }),
  'a processor in a View': (bad) => withView({ attributesProcessors: [bad] }),
  'a View': (bad) => withProvider({ views: [bad] }),
  'a reader': (bad) => withProvider({ readers: [bad] }),
  'the attributes of a resource': (bad) => withProvider({ resource: { attributes: bad } }),
  'a manual reader': (bad) => withReader(new ManualMetricReader(bad)),
  'a periodic reader': (bad) => withReader(new PeriodicExportingMetricReader(bad)),
  'a limit': (bad) => withReader(periodic({ cardinalityLimits: { counter: bad } })),
  'a producer': (bad) => withReader(periodic({ metricProducers: [bad] })),
  'what an aggregation selector gives': (bad) => withReader(reader({ aggregationSelector: () => bad })),
  'what a temporality selector gives': (bad) =>
    withReader(reader({ aggregationTemporalitySelector: () => bad })),
  'what a limit selector gives': (bad) => withReader(reader({ cardinalitySelector: () => bad })),
  'what a factory of reservoirs gives': (bad) => withView({ exemplarReservoir: () => bad }, 'always_on'),
  'a temporality preference': (bad) => [void temporalityPreference(bad)].slice(0, 0) as never,
};
for (const option of optionsOf('meter-provider.ts', 'MeterProviderOptions'))
  constructions[`${option} of a provider`] = (bad) => withProvider({ [option]: bad });
for (const option of optionsOf('view.ts', 'ViewOptions'))
  constructions[`${option} of a View`] = (bad) => withView({ [option]: bad });
for (const option of optionsOf('readers/metric-reader.ts', 'MetricReaderOptions'))
  constructions[`${option} of a reader`] = (bad) => withReader(reader({ [option]: bad }));
for (const option of optionsOf(
  'readers/periodic-exporting-metric-reader.ts',
  'PeriodicExportingMetricReaderOptions',
))
  constructions[`${option} of a periodic reader`] = (bad) => withReader(periodic({ [option]: bad }));
for (const method of [
  'export',
  'forceFlush',
  'shutdown',
  'selectAggregation',
  'selectAggregationTemporality',
])
  constructions[`${method} of an exporter`] = (bad) =>
    withReader(periodic({ exporter: { ...exporter, [method]: bad } }));

/** As the source declares them, so that none is forgotten. */
function optionsOf(file: string, name: string): string[] {
  const source = readFileSync(new URL(`../../src/sdk/${file}`, import.meta.url), 'utf8');
  const body = source.split(`export interface ${name} {`)[1]!.split('\n}')[0]!;
  const names = [...body.matchAll(/^ {2}(\w+)\??:/gm)].map(([, option]) => option!);
  expect(names.length).toBeGreaterThan(3);
  return names;
}

function withProvider(options: object, own: IMetricReader[] = [reader()]): IMetricReader[] {
  const provider = new MeterProvider({ readers: own, selfMetrics: false, ...options });
  const meter = provider.getMeter('m');
  for (let i = 0; i < 3; i++) {
    meter.createCounter('c').add(1, { a: 1 });
    meter.createHistogram('h').record(1);
    meter.createGauge('g').record(1);
  }
  meter.createObservableCounter('o').addCallback((result) => result.observe(3));
  return 'readers' in options ? [] : own;
}

const withView = (view: object, exemplarFilter: 'always_on' | 'always_off' = 'always_off') =>
  withProvider({ views: [view], exemplarFilter });

const withReader = (one: IMetricReader) => withProvider({}, [one]);

const names = Object.keys(hostile);

describe('[1.09] hostile options', () => {
  const logs = captureLogs();
  let unhandled = 0;
  const onUnhandled = () => void unhandled++;
  beforeAll(() => void process.on('unhandledRejection', onUnhandled));
  afterAll(() => void process.off('unhandledRejection', onUnhandled));

  /** Constructs, and collects what was; or the error. */
  async function attempt(construction: string, name: string): Promise<unknown> {
    let readers: IMetricReader[];
    try {
      readers = constructions[construction]!(hostile[name]!() as never);
    } catch (error) {
      return error;
    }
    for (const one of readers) {
      for (let round = 0; round < 2; round++) {
        const { resourceMetrics } = await one.collect({ timeoutMillis: 50 });
        for (const { metrics } of resourceMetrics.scopeMetrics)
          for (const { dataPoints } of metrics) expect(dataPoints.length).toBeGreaterThan(0);
      }
    }
    return undefined;
  }

  describe.each(Object.keys(constructions))('%s', (construction) => {
    test.each(names)('%s', async (name) => {
      const error = await attempt(construction, name);
      if (error !== undefined) {
        expect(error).toBeInstanceOf(ConfigError);
        expect((error as Error).message.length).toBeLessThan(500);
        expect(logs).toEqual([]);
      }
      expect(logs.length).toBeLessThanOrEqual(4);
      for (const message of logs) expect(message.length).toBeLessThan(1000);
    });
  });

  test('whole trees of options at random are taken, or refused by a ConfigError', async () => {
    const sound = fc.constantFrom<unknown>(
      undefined,
      'a',
      1,
      true,
      [],
      {},
      InstrumentType.COUNTER,
      AggregationTemporality.DELTA,
      { type: AggregationType.SUM },
      exporter,
      () => 1,
      resourceFromAttributes({}),
    );
    const options = [
      ...optionsOf('meter-provider.ts', 'MeterProviderOptions'),
      ...optionsOf('view.ts', 'ViewOptions'),
      ...optionsOf('readers/periodic-exporting-metric-reader.ts', 'PeriodicExportingMetricReaderOptions'),
      'type',
      'options',
    ];
    const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        sound,
        fc.dictionary(fc.constantFrom(...options), tie('tree'), { maxKeys: 4 }),
        fc.array(tie('tree'), { maxLength: 3 }),
      ),
    }));
    await fc.assert(
      fc.property(tree, (bad) => {
        for (const make of [MeterProvider, ManualMetricReader, PeriodicExportingMetricReader]) {
          try {
            new make(bad as never);
          } catch (error) {
            expect(error).toBeInstanceOf(ConfigError);
          }
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('no rejection stayed unhandled', async () => {
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toBe(0);
  });
});
