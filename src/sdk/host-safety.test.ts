// Whatever the host passes, throws or logs: no call of the API throws, and nothing else is lost.
import { DiagLogLevel, diag, type MetricOptions } from '@opentelemetry/api';
import { describe, expect, test } from 'vitest';
import { captureLogs, metricsOf, pointsOf } from '../../test/support/collected.ts';
import { AggregationTemporality } from '../data/metric-data.ts';
import { InMemoryMetricExporter } from '../exporters/in-memory.ts';
import { createAllowListAttributesProcessor } from './attribute-filter.ts';
import { MeterProvider } from './meter-provider.ts';
import { ManualMetricReader } from './readers/manual-metric-reader.ts';
import { PeriodicExportingMetricReader } from './readers/periodic-exporting-metric-reader.ts';

const noText = Object.create(null);
const throwing = {
  toString() {
    throw new Error('no text');
  },
};
const throwingGetter = (name: string) =>
  Object.defineProperty({}, name, {
    enumerable: true,
    get() {
      throw new Error('no value');
    },
  });

function setUp() {
  const reader = new ManualMetricReader();
  const provider = new MeterProvider({ readers: [reader] });
  return { reader, provider, meter: provider.getMeter('test') };
}

describe('[1.09] no call of the API throws', () => {
  const logs = captureLogs();

  test.each([noText, throwing, Symbol('s'), () => {}, new Proxy({}, {})])(
    'for the measurement #%#',
    async (value) => {
      const { reader, meter } = setUp();
      const counter = meter.createCounter('c');
      counter.add(value);
      counter.bind().add(value);
      counter.add(1);
      expect(await pointsOf(reader)).toEqual([[{}, 1]]);
      expect(logs).toHaveLength(1);
    },
  );

  test.each([noText, throwing, 7, null])('for the instrument name #%#', async (name) => {
    const { reader, meter } = setUp();
    meter.createCounter(name).add(1);
    expect(await pointsOf(reader)).toEqual([[{}, 1]]);
    expect(logs).toHaveLength(1);
  });

  test.each<[string, unknown]>([
    ['unit', { unit: 5 }],
    ['description', { description: {} }],
    ['options', throwingGetter('unit')],
  ])('for a bad %s of an instrument, which is reported and left out', async (what, options) => {
    const { reader, meter } = setUp();
    meter.createCounter('c', options as MetricOptions).add(1);
    expect((await metricsOf(reader))[0]!.descriptor).toMatchObject({ unit: '', description: '' });
    expect(logs).toEqual([expect.stringContaining(what)]);
  });

  test.each([{ a: 1n }, { a: { b: 1 } }, throwingGetter('a')])(
    'for the meter attributes #%#',
    async (attributes) => {
      const { reader, provider } = setUp();
      provider
        .getMeter('m', 1n as never, { attributes: attributes as never })
        .createCounter('c')
        .add(1);
      expect(await pointsOf(reader)).toEqual([[{}, 1]]);
    },
  );

  test('for selectors of a reader that throw', async () => {
    const fail = () => {
      throw new Error('selector');
    };
    const reader = new ManualMetricReader({
      aggregationSelector: fail,
      aggregationTemporalitySelector: fail,
      cardinalitySelector: fail,
    });
    new MeterProvider({ readers: [reader] }).getMeter('m').createCounter('c').add(1);
    expect(await pointsOf(reader)).toEqual([[{}, 1]]);
    expect(logs).toHaveLength(3);
  });

  test('for a logger that throws', async () => {
    const log = () => {
      throw new Error('logger');
    };
    diag.setLogger(
      { error: log, warn: log, info: log, debug: log, verbose: log },
      { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
    );
    const { reader, meter } = setUp();
    const counter = meter.createCounter('c');
    counter.add(-1);
    counter.add(1);
    expect(await pointsOf(reader)).toEqual([[{}, 1]]);
  });
});

describe('a getter of attributes that ends series while they are read', () => {
  captureLogs();

  test('sends the measurement to no other series, of whichever reader', async () => {
    const readers = [AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE].map(
      (temporality) => new ManualMetricReader({ aggregationTemporalitySelector: () => temporality }),
    );
    const counter = new MeterProvider({ readers }).getMeter('test').createCounter('c');
    const others = [0, 1, 2, 3, 4, 5].map((i) => ({ i }));
    for (const attributes of others) counter.add(1, attributes);
    counter.add(1, { z: 5 });
    // Twice, so that the delta reader no longer has the series.
    for (let i = 0; i < 2; i++) await readers[0]!.collect();
    let reads = 0;
    counter.add(1, {
      get z() {
        if (++reads === 2) counter.remove({ z: 5 });
        return 5;
      },
    });
    expect(await pointsOf(readers[0]!)).toEqual([[{ z: 5 }, 1]]);
    const points = await pointsOf(readers[1]!);
    expect(points).toEqual([...others, { z: 5 }].map((attributes) => [attributes, 1]));
  });

  test('leaves no exemplar for the series that comes after it', async () => {
    const reader = new ManualMetricReader();
    const views = [{ attributesProcessors: [createAllowListAttributesProcessor(['a'])] }];
    const provider = new MeterProvider({ readers: [reader], views, exemplarFilter: 'always_on' });
    // Of different buckets, so that neither takes the place of the other.
    const histogram = provider.getMeter('test').createHistogram('h');
    histogram.record(9, {
      a: 1,
      get b() {
        histogram.remove({ a: 1 });
        return 1;
      },
    });
    histogram.record(1, { a: 2 });
    const [metric] = await metricsOf(reader);
    const [point] = metric!.dataPoints;
    expect(point!.attributes).toEqual({ a: 2 });
    expect(point!.exemplars?.map(({ value }) => value)).toEqual([1]);
  });
});

describe('options of a call that cannot be used', () => {
  const logs = captureLogs();

  test.each([
    null,
    throwingGetter('timeoutMillis'),
    'text',
    { timeoutMillis: Number.NaN },
    { timeoutMillis: -1 },
    { timeoutMillis: 5n },
    { timeoutMillis: Symbol('s') },
  ])('do not keep it from its work: #%#', async (given) => {
    const options = given as object;
    const reader = new ManualMetricReader();
    const exporter = new InMemoryMetricExporter(AggregationTemporality.DELTA);
    const provider = new MeterProvider({
      readers: [reader, new PeriodicExportingMetricReader({ exporter })],
    });
    const meter = provider.getMeter('test');
    const counter = meter.createCounter('c');
    meter.createObservableGauge('g').addCallback(async (result) => result.observe(1));
    counter.add(1);
    expect((await reader.collect(options)).errors).toEqual([]);
    await provider.forceFlush(options);
    counter.add(1);
    await provider.shutdown(options);
    expect(exporter.getMetrics()).toHaveLength(2);
    await expect(reader.collect()).rejects.toThrow('shut down');
    const isTold = typeof given === 'object' && given !== null;
    const calls = isTold ? ['collect', 'forceFlush', 'shutdown'] : [];
    expect(logs).toEqual(calls.map((call) => expect.stringContaining(`timeoutMillis of ${call} `)));
  });
});
