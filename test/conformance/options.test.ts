// Options that cannot work: one ConfigError that names the option, its value and what would be accepted; and selectors,
// which show only when they run, are reported once and replaced by the default.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  AggregationTemporality,
  AggregationType,
  ConfigError,
  ManualMetricReader,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '../../src/index.ts';
import { captureLogs, metricsOf } from '../support/collected.ts';

const exporter = { export() {}, forceFlush: async () => {}, shutdown: async () => {} };
const reader = () => new ManualMetricReader();
const provider = (options: unknown) => () => new MeterProvider(options as never);
const view = (options: unknown) => provider({ views: [{}, options] });
const aggregation = (options: unknown) => view({ aggregation: options });
const periodic = (options: unknown) => () =>
  new PeriodicExportingMetricReader({ exporter, ...(options as object) } as never);
const manual = (options: unknown) => () => new ManualMetricReader(options as never);
const revoked = () => {
  const { proxy, revoke } = Proxy.revocable([], {});
  revoke();
  return proxy;
};
const throwing = {
  get views() {
    throw new Error('mine');
  },
};

const { SUM, EXPLICIT_BUCKET_HISTOGRAM, EXPONENTIAL_HISTOGRAM } = AggregationType;

const wrong: [string, () => unknown, string | RegExp][] = [
  ['a provider', provider(7), 'the options of a MeterProvider are 7; use an object'],
  ['a provider', provider(null), 'the options of a MeterProvider are null; use an object'],
  ['a provider', provider([]), 'the options of a MeterProvider are []; use an object'],
  ['a provider', provider(throwing), 'the options of a MeterProvider cannot be read; use a plain object'],
  [
    'a misspelt option',
    provider({ reader: [] }),
    /^'reader' is no option of a MeterProvider; the options are .*readers/,
  ],
  [
    'resource',
    provider({ resource: 'orders' }),
    /^resource of a MeterProvider is 'orders'; use a resource, such/,
  ],
  [
    'resource',
    provider({ resource: { 'service.name': 'orders', token: 'hidden' } }),
    "resource of a MeterProvider is { service.name, token }; use a resource, such as resourceFromAttributes({ 'service.name': 'orders' })",
  ],
  [
    'exemplarFilter',
    provider({ exemplarFilter: 'on' }),
    "exemplarFilter of a MeterProvider is 'on'; use one of trace_based, always_on, always_off",
  ],
  ['gaugeIdleTimeoutMillis', provider({ gaugeIdleTimeoutMillis: 0 }), /is 0; use a number above 0$/],
  ['selfMetrics', provider({ selfMetrics: 'no' }), /^selfMetrics .* is 'no'; use true or false$/],
  ['sdkMetricsEnabled', provider({ sdkMetricsEnabled: 1 }), /^sdkMetricsEnabled .* is 1; use true or false$/],
  [
    'readers',
    provider({ readers: reader() }),
    /^readers .* is an object of the class ManualMetricReader; use a list/,
  ],
  [
    'readers',
    provider({ readers: revoked() }),
    /^readers of a MeterProvider is .*cannot be shown; use a list/,
  ],
  [
    'a reader',
    provider({ readers: [reader(), {}] }),
    /^readers\[1\] of a MeterProvider is {}; use a reader, such as/,
  ],
  [
    'an exporter as a reader',
    provider({ readers: [exporter] }),
    /is { export, forceFlush, shutdown }; use a reader/,
  ],
  [
    'a reader given twice',
    () => {
      const one = reader();
      return new MeterProvider({ readers: [one, one] });
    },
    /^readers\[1\] of a MeterProvider cannot be used: A reader belongs to one/,
  ],
  ['views', provider({ views: {} }), /^views of a MeterProvider is {}; use a list/],
  ['a View', provider({ views: [{}, null] }), /^views\[1\] of a MeterProvider is null; use a View/],
  [
    'a misspelt option',
    view({ instrumentNames: 'x' }),
    /^'instrumentNames' is no option of views\[1\]; .*instrumentName,/,
  ],
  ['instrumentName', view({ instrumentName: 5 }), 'instrumentName of views[1] is 5; use a text'],
  [
    'instrumentType',
    view({ instrumentType: 'counter' }),
    /^instrumentType .* is 'counter'; use a member of InstrumentType$/,
  ],
  ['instrumentUnit', view({ instrumentUnit: {} }), /^instrumentUnit .* is {}; use a text$/],
  ['meterName', view({ meterName: /x/ }), /^meterName .* is an object of the class RegExp; use a text$/],
  ['meterVersion', view({ meterVersion: 1 }), /^meterVersion .* is 1; use a text$/],
  ['meterSchemaUrl', view({ meterSchemaUrl: 1n }), /^meterSchemaUrl .* is 1n; use a text$/],
  ['name', view({ instrumentName: 'x', name: 1 }), /^name .* is 1; use a text$/],
  ['description', view({ description: null }), /^description .* is null; use a text$/],
  ['attributesProcessors', view({ attributesProcessors: {} }), /^attributesProcessors .* is {}; use a list/],
  [
    'a processor',
    view({ attributesProcessors: [null] }),
    /^attributesProcessors\[0\] of views\[1\] is null; use an attributes processor, such as createAllow/,
  ],
  ['a processor', view({ attributesProcessors: [{}] }), /^attributesProcessors\[0\] .* is {}; use/],
  ['aggregation', aggregation(SUM), /^aggregation of views\[1\] is 2; use an object, such as { type/],
  [
    'aggregation',
    aggregation({ type: 99 }),
    'views[1]: aggregation.type is 99; use a member of AggregationType',
  ],
  ['aggregation', aggregation({ type: 'SUM' }), /aggregation.type is 'SUM'/],
  ['aggregation', aggregation({}), /aggregation.type is undefined/],
  [
    'a parameter that there is not',
    aggregation({ type: EXPLICIT_BUCKET_HISTOGRAM, options: { bounds: [1] } }),
    "views[1]: 'bounds' is no option of the aggregation EXPLICIT_BUCKET_HISTOGRAM; its options are recordMinMax, boundaries",
  ],
  [
    'a parameter of another',
    aggregation({ type: SUM, options: { maxSize: 2 } }),
    /SUM; its options are none$/,
  ],
  [
    'parameters',
    aggregation({ type: EXPONENTIAL_HISTOGRAM, options: 160 }),
    /aggregation.options is 160; use an object/,
  ],
  [
    'recordMinMax',
    aggregation({ type: EXPONENTIAL_HISTOGRAM, options: { recordMinMax: 'no' } }),
    /recordMinMax is 'no'; use true or false/,
  ],
  [
    'aggregationCardinalityLimit',
    view({ aggregationCardinalityLimit: 0 }),
    /Limit .* is 0; use an integer above 0$/,
  ],
  [
    'exemplarReservoir',
    view({ exemplarReservoir: {} }),
    /^exemplarReservoir .* is {}; use a function that makes/,
  ],
  [
    'idleTimeoutMillis',
    view({ idleTimeoutMillis: '10s' }),
    /^idleTimeoutMillis .* is '10s'; use a number above 0$/,
  ],
  [
    'a periodic reader',
    () => new (PeriodicExportingMetricReader as never as new () => unknown)(),
    /are undefined; use an object$/,
  ],
  [
    'a misspelt option',
    periodic({ exportInterval: 1 }),
    /^'exportInterval' is no option of a PeriodicExp.*exportIntervalMillis/,
  ],
  [
    'exporter',
    periodic({ exporter: undefined }),
    /^exporter of a PeriodicExportingMetricReader is undefined; use an exporter/,
  ],
  ['exporter', periodic({ exporter: {} }), /^exporter .* is {}; use an exporter, with the methods export/],
  [
    'exporter',
    periodic({ exporter: { ...exporter, forceFlush: 1 } }),
    /^exporter .* is { export, forceFlush, shutdown }/,
  ],
  [
    'exporter',
    periodic({ exporter: { ...exporter, selectAggregation: 1 } }),
    /selectAggregation .*functions, or not there$/,
  ],
  [
    'exportTimeoutMillis',
    periodic({ exportTimeoutMillis: -1 }),
    /^exportTimeoutMillis .* is -1; use a number of milliseconds from 0/,
  ],
  ['cardinalityLimits', periodic({ cardinalityLimits: 5 }), /^cardinalityLimits .* is 5; use an object/],
  [
    'cardinalityLimits',
    periodic({ cardinalityLimits: { counter: Number.NaN } }),
    /^counter of cardinalityLimits is NaN; use an integer/,
  ],
  [
    'cardinalityLimits',
    periodic({ cardinalityLimits: { default: 0 } }),
    /^default of cardinalityLimits is 0; use/,
  ],
  [
    'cardinalityLimits',
    periodic({ cardinalityLimits: { gauge: -5 } }),
    /^gauge of cardinalityLimits is -5; use/,
  ],
  [
    'cardinalityLimits',
    periodic({ cardinalityLimits: { updown: 5 } }),
    /^'updown' is no option of cardinalityLimits; .*upDownCounter/,
  ],
  ['metricProducers', periodic({ metricProducers: {} }), /^metricProducers .* is {}; use a list/],
  [
    'metricProducers',
    periodic({ metricProducers: [{}] }),
    /^metricProducers\[0\] .* is {}; use a metric producer/,
  ],
  [
    'aggregationSelector',
    manual({ aggregationSelector: {} }),
    /^aggregationSelector of a ManualMetricReader is {}; use a function/,
  ],
  [
    'aggregationTemporalitySelector',
    manual({ aggregationTemporalitySelector: 1 }),
    /is 1; use a function of the instrument type$/,
  ],
  [
    'cardinalitySelector',
    manual({ cardinalitySelector: 2000 }),
    /^cardinalitySelector .* is 2000; use a function/,
  ],
  [
    'otelComponentType',
    manual({ otelComponentType: '' }),
    /^otelComponentType .* is ''; use a text that is not empty$/,
  ],
  [
    'a misspelt option',
    manual({ temporalitySelector: () => 1 }),
    /^'temporalitySelector' is no option of a ManualMetricReader/,
  ],
];

describe('options that cannot work', () => {
  const logs = captureLogs();

  test.each(wrong)('%s', (_, make, message) => {
    expect(make).toThrow(ConfigError);
    expect(make).toThrow(message);
    expect(make).not.toThrow('hidden');
    expect(logs).toEqual([]);
  });

  test('[1.29][1.31][3.17][5.07] what is not offered is refused rather than left out in silence, and said in the docs', () => {
    const offered = 'the options are';
    for (const [name, make] of [
      ['meterConfigurator', provider({ meterConfigurator: () => ({ enabled: false }) })],
      ['viewMatchingMode', provider({ viewMatchingMode: 'composable' })],
      ['metricFilter', periodic({ metricFilter: {} })],
      ['metricFilter', manual({ metricFilter: {} })],
    ] as const) {
      expect(make).toThrow(`'${name}' is no option of`);
      expect(make).toThrow(offered);
    }
    const choices = readFileSync(new URL('../../docs/architecture.md', import.meta.url), 'utf8');
    for (const item of ['1.29', '1.31', '3.17', '5.07']) {
      expect(choices).toMatch(new RegExp(`^\\| .*\\(.*${item}.*\\) \\| .*not offered`, 'im'));
    }
  });

  test('undefined is not given, and inherited options are', () => {
    const options = Object.create({ exemplarFilter: 'nonsense' });
    expect(() => new MeterProvider(options)).toThrow('nonsense');
    new MeterProvider({ views: undefined, readers: undefined, exemplarFilter: undefined });
    new ManualMetricReader({ aggregationSelector: undefined });
  });

  test('a class that extends a reader may have options of its own', () => {
    class Mine extends ManualMetricReader {}
    expect(() => new Mine({ port: 1 } as never)).not.toThrow();
    expect(() => new Mine({ cardinalitySelector: 1 } as never)).toThrow('cardinalitySelector of a Mine is 1');
    class Pushing extends PeriodicExportingMetricReader {}
    expect(() => new Pushing({ exporter, port: 1 } as never)).not.toThrow();
  });

  const selectors: [string, object, string][] = [
    ['selectAggregation', { aggregationSelector: () => ({ type: 99 }) }, 'aggregation.type is 99'],
    ['selectAggregation', { aggregationSelector: () => 'sum' }, "aggregation is 'sum'"],
    ['selectAggregationTemporality', { aggregationTemporalitySelector: () => 'delta' }, "it gave 'delta'"],
    ['selectAggregationTemporality', { aggregationTemporalitySelector: () => Number.NaN }, 'it gave NaN'],
    ['selectCardinalityLimit', { cardinalitySelector: () => 0 }, 'it gave 0'],
    ['selectCardinalityLimit', { cardinalitySelector: () => Number.POSITIVE_INFINITY }, 'it gave Infinity'],
  ];
  test.each(selectors)(
    '%s that gives nonsense is reported once, and the default used',
    async (name, options, problem) => {
      const manual = new ManualMetricReader(options);
      const meter = new MeterProvider({ readers: [manual] }).getMeter('m');
      meter.createCounter('c').add(1);
      meter.createUpDownCounter('u').add(1);
      meter.createHistogram('h').record(1);
      const metrics = await metricsOf(manual);
      expect(metrics.map(({ descriptor }) => descriptor.name)).toEqual(['c', 'u', 'h']);
      for (const { aggregationTemporality } of metrics)
        expect(aggregationTemporality).toBe(AggregationTemporality.CUMULATIVE);
      expect(logs).toHaveLength(1);
      expect(logs[0]).toContain(`${name} of readers[0] failed for COUNTER: ${problem}`);
      expect(logs[0]).toContain('The default is used');
    },
  );

  test('an exporter whose selectors throw is one whose selectors give the default', async () => {
    const fails = () => {
      throw new Error('mine');
    };
    const bad = { ...exporter, selectAggregation: fails, selectAggregationTemporality: fails };
    const periodicReader = new PeriodicExportingMetricReader({ exporter: bad });
    const meter = new MeterProvider({ readers: [periodicReader], selfMetrics: false }).getMeter('m');
    meter.createCounter('c').add(1);
    expect(await metricsOf(periodicReader)).toHaveLength(1);
    expect(logs).toHaveLength(2);
    for (const message of logs) expect(message).toContain('mine. The default is used');
  });
});
