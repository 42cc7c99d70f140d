// Group 3: Views. All items are proven here, but for 3.17 (composable matching), which is not offered; options.test.ts has it.
import { readFileSync } from 'node:fs';
import { ROOT_CONTEXT, ValueType } from '@opentelemetry/api';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { type AggregationOption, AggregationType } from '../../src/data/aggregation-option.ts';
import {
  AggregationTemporality,
  DataPointType,
  type ExponentialHistogram,
  InstrumentType,
} from '../../src/data/metric-data.ts';
import {
  createAllowListAttributesProcessor as allow,
  createDenyListAttributesProcessor as deny,
} from '../../src/sdk/attribute-filter.ts';
import { MeterProvider, type MeterProviderOptions } from '../../src/sdk/meter-provider.ts';
import { ManualMetricReader } from '../../src/sdk/readers/manual-metric-reader.ts';
import type { MetricReaderOptions } from '../../src/sdk/readers/metric-reader.ts';
import type { ViewOptions } from '../../src/sdk/view.ts';
import { wildcard } from '../../src/sdk/wildcard.ts';
import { captureLogs, metricsOf } from '../support/collected.ts';
import { firstOf } from '../support/first-of.ts';

const { CUMULATIVE, DELTA } = AggregationTemporality;
const { DROP, SUM, LAST_VALUE, EXPLICIT_BUCKET_HISTOGRAM, EXPONENTIAL_HISTOGRAM } = AggregationType;

function setUp(
  views: ViewOptions[],
  readerOptions: MetricReaderOptions = {},
  options: MeterProviderOptions = {},
) {
  const reader = new ManualMetricReader(readerOptions);
  const provider = new MeterProvider({ readers: [reader], views, ...options });
  return { reader, provider, meter: provider.getMeter('app', '1', { schemaUrl: 'https://schema' }) };
}

/** Each metric of one collection as [name, [attributes, value][]]. */
async function streamsOf(reader: ManualMetricReader): Promise<[string, [unknown, unknown][]][]> {
  return (await metricsOf(reader)).map(({ descriptor, dataPoints }) => [
    descriptor.name,
    dataPoints.map(({ attributes, value }) => [{ ...attributes }, value]),
  ]);
}

const namesOf = async (reader: ManualMetricReader) => (await streamsOf(reader)).map(([name]) => name);

describe('selecting instruments', () => {
  const logs = captureLogs();

  test('[3.01] a View is an object given to a provider', async () => {
    const { reader, meter } = setUp([{ instrumentName: 'c', name: 'seen', description: 'why' }]);
    meter.createCounter('c').add(1);
    expect((await metricsOf(reader))[0]!.descriptor).toMatchObject({ name: 'seen', description: 'why' });
  });

  const matching: ViewOptions = {
    instrumentName: 'queue.length',
    instrumentType: InstrumentType.UP_DOWN_COUNTER,
    instrumentUnit: '{item}',
    meterName: 'app',
    meterVersion: '1',
    meterSchemaUrl: 'https://schema',
  };
  const isMatched = async (view: ViewOptions) => {
    const { reader, meter } = setUp([{ ...view, description: 'matched' }]);
    meter.createUpDownCounter('queue.Length', { unit: '{item}' }).add(1);
    return (await metricsOf(reader))[0]!.descriptor.description === 'matched';
  };

  test('[3.02][3.04] all criteria must hold, and any of them may be left out', async () => {
    expect(await isMatched(matching)).toBe(true);
    for (const criterion of Object.keys(matching) as (keyof ViewOptions)[]) {
      const wrong = criterion === 'instrumentType' ? InstrumentType.COUNTER : 'other';
      expect(await isMatched({ ...matching, [criterion]: wrong }), `${criterion} differs`).toBe(false);
      expect(await isMatched({ ...matching, [criterion]: undefined }), `no ${criterion}`).toBe(true);
      expect(await isMatched({ [criterion]: matching[criterion] }), `only ${criterion}`).toBe(true);
    }
  });

  test('[3.02][12.20] a View without criteria is for every instrument', async () => {
    expect(await isMatched({})).toBe(true);
  });

  test.each([
    ['*', ['a', 'a.b', 'Ä/-_'], []],
    ['a?c', ['abc', 'a?c'], ['ac', 'abbc']],
    ['a*b*', ['ab', 'axbx', 'a*b*'], ['ac', 'xab']],
    ['*.count', ['.count', 'http.count'], ['xcount', 'http.counts']],
    ['x.y', ['x.y'], ['xzy']],
    ['(a|b)[c]+\\d^$', ['(a|b)[c]+\\d^$'], ['ac1']],
    ['??', ['ab'], ['a', 'abc']],
  ] as const)('[3.03][12.18] the pattern %s', (pattern, matched, others) => {
    expect(matched.map(wildcard(pattern))).toEqual(matched.map(() => true));
    expect(others.map(wildcard(pattern))).toEqual(others.map(() => false));
  });

  test('[3.03] a pattern matches what it was made from, whatever the text', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), fc.constantFrom('*', '?'), (parts, joker) => {
        const literal = parts.map((part) => part.replace(/[*?]/g, ''));
        expect(wildcard(literal.join(joker))(literal.join('x'))).toBe(true);
        expect(wildcard(literal.join('*'))(literal.join('several\n'))).toBe(true);
      }),
    );
  });

  test('[3.03] letter case of instrument names does not matter', async () => {
    expect(await isMatched({ instrumentName: 'QUEUE.Length' })).toBe(true);
    expect(await isMatched({ instrumentName: 'QUEUE.*' })).toBe(true);
  });

  test('[3.04] everything but the name is compared to the letter', async () => {
    expect(await isMatched({ instrumentUnit: '{ITEM}' })).toBe(false);
    expect(await isMatched({ instrumentUnit: '{item*' })).toBe(false);
    expect(await isMatched({ meterName: 'APP' })).toBe(false);
    expect(await isMatched({ meterName: 'a*' })).toBe(false);
    expect(await isMatched({ meterSchemaUrl: 'HTTPS://schema' })).toBe(false);
  });

  test('[3.04][12.19] a meter without a version or schema URL matches no View that asks for one', async () => {
    for (const view of [{ meterVersion: '1' }, { meterSchemaUrl: 's' }] as ViewOptions[]) {
      const { reader, provider } = setUp([{ ...view, description: 'matched' }]);
      provider.getMeter('app').createCounter('c').add(1);
      expect((await metricsOf(reader))[0]!.descriptor.description).toBe('');
    }
  });

  test('[3.12][3.13] without a View that matches, the defaults hold', async () => {
    for (const views of [[], [{ instrumentName: 'other', aggregation: { type: DROP } }]] as ViewOptions[][]) {
      const { reader, meter } = setUp(views, {
        aggregationSelector: (type) =>
          type === InstrumentType.HISTOGRAM
            ? { type: EXPONENTIAL_HISTOGRAM }
            : { type: AggregationType.DEFAULT },
      });
      meter.createHistogram('h', { description: 'text', unit: 's' }).record(1, { a: 1 });
      meter.createCounter('c').add(1);
      expect(await metricsOf(reader)).toMatchObject([
        {
          descriptor: { name: 'h', description: 'text', unit: 's' },
          dataPointType: DataPointType.EXPONENTIAL_HISTOGRAM,
          dataPoints: [{ attributes: { a: 1 } }],
        },
        { descriptor: { name: 'c' }, dataPointType: DataPointType.SUM },
      ]);
    }
  });

  test('[3.13] a View that drops everything leaves what another View matches', async () => {
    const { reader, meter } = setUp([{ aggregation: { type: DROP } }, { instrumentName: 'keep' }]);
    for (const name of ['keep', 'other']) meter.createCounter(name).add(1);
    expect(await namesOf(reader)).toEqual(['keep']);
    expect(logs).toEqual([]);
  });
});

describe('shaping streams', () => {
  const logs = captureLogs();

  test('[3.05] a stream may have any name', async () => {
    const { reader, meter } = setUp([{ instrumentName: 'c', name: 'weird name!' }]);
    meter.createCounter('c').add(1);
    expect(await namesOf(reader)).toEqual(['weird name!']);
    expect(logs).toEqual([]);
  });

  test.each([undefined, '*', 'a?c'])('[3.05] a name for the instruments %s is refused', (instrumentName) => {
    expect(() => setUp([{ instrumentName, name: 'x' }])).toThrow(
      'give it an instrumentName without wildcards',
    );
  });

  test('[3.06] the description is the View’s, else the instrument’s', async () => {
    const { reader, meter } = setUp([{ instrumentName: 'a', description: 'View' }, { instrumentName: 'b' }]);
    for (const name of ['a', 'b']) meter.createCounter(name, { description: 'instrument' }).add(1);
    const descriptions = (await metricsOf(reader)).map(({ descriptor }) => descriptor.description);
    expect(descriptions).toEqual(['View', 'instrument']);
  });

  const kept = async (...attributesProcessors: NonNullable<ViewOptions['attributesProcessors']>) => {
    const { reader, meter } = setUp([{ attributesProcessors }]);
    const counter = meter.createCounter('c');
    const attributes = { 'foo.bar': 1, 'foo.baz': 2, Foo: 3, other: 4 };
    counter.add(1, attributes);
    counter.bind(attributes).add(1);
    const [[, points]] = (await streamsOf(reader)) as [[string, [object, number][]]];
    expect(points.map(([, value]) => value)).toEqual([2]);
    return Object.keys(points[0]![0]);
  };

  test('[3.07] an allow list keeps what it names; an empty one nothing; none everything', async () => {
    expect(await kept(allow(['foo.bar', 'absent']))).toEqual(['foo.bar']);
    expect(await kept(allow([]))).toEqual([]);
    expect(await kept()).toEqual(['Foo', 'foo.bar', 'foo.baz', 'other']);
  });

  test('[3.08][12.23] a deny list removes what it names; lists apply in order, with patterns', async () => {
    expect(await kept(deny(['foo.bar', 'absent']))).toEqual(['Foo', 'foo.baz', 'other']);
    expect(await kept(allow(['foo.*']), deny(['foo.bar']))).toEqual(['foo.baz']);
    expect(await kept(allow(['foo.ba?', 'Foo']))).toEqual(['Foo', 'foo.bar', 'foo.baz']);
    expect(await kept(deny(['*o*']))).toEqual([]);
  });

  test('[3.08] a processor of the user’s own sees what the ones before left, and may rename', async () => {
    const rename = { process: ({ other }: { other?: unknown }) => ({ renamed: other as number }) };
    expect(await kept(deny(['Foo']), rename)).toEqual(['renamed']);
  });

  test('[3.09][12.17] a View without an aggregation takes the reader’s', async () => {
    const { reader, meter } = setUp([{ attributesProcessors: [allow([])] }], {
      aggregationSelector: () => ({ type: EXPONENTIAL_HISTOGRAM }),
    });
    meter.createHistogram('h').record(1, { a: 1 });
    expect(await metricsOf(reader)).toMatchObject([
      { dataPointType: DataPointType.EXPONENTIAL_HISTOGRAM, dataPoints: [{ attributes: {} }] },
    ]);
  });

  test('[3.09][12.22] histograms have the bounds, size and scale that a View gives', async () => {
    const { reader, meter } = setUp([
      {
        instrumentName: 'exponential',
        aggregation: { type: EXPONENTIAL_HISTOGRAM, options: { maxSize: 4, maxScale: 1 } },
      },
      {
        instrumentName: 'explicit',
        aggregation: {
          type: EXPLICIT_BUCKET_HISTOGRAM,
          options: { boundaries: [1, 2], recordMinMax: false },
        },
      },
    ]);
    for (const name of ['exponential', 'explicit']) meter.createHistogram(name).record(1.5);
    expect((await metricsOf(reader)).map(({ dataPoints }) => dataPoints[0]!.value)).toMatchObject([
      { scale: 1, count: 1 },
      { buckets: { boundaries: [1, 2], counts: [0, 1, 0] }, min: undefined, max: undefined },
    ]);
  });

  test('[3.10][12.23] a View’s exemplar reservoir is made once a series, knowing the aggregation', async () => {
    const exemplarReservoir = vi.fn((_: AggregationOption) => firstOf(2));
    const view = { exemplarReservoir };
    const { reader, meter } = setUp([view], {}, { exemplarFilter: 'always_on' });
    const [counter, histogram] = [meter.createCounter('c'), meter.createHistogram('h')];
    for (let i = 0; i < 10; i++) counter.add(1, { i: i % 3 }, ROOT_CONTEXT);
    histogram.record(1);
    const [sums] = await metricsOf(reader);
    await reader.collect();
    expect(sums!.dataPoints.map(({ exemplars }) => exemplars!.length)).toEqual([2, 2, 2]);
    const types = exemplarReservoir.mock.calls.map(([{ type }]) => type);
    expect(types).toEqual([SUM, SUM, SUM, EXPLICIT_BUCKET_HISTOGRAM]);
  });

  test('[3.11][12.17] the cardinality limit is the View’s, else the reader’s for the kind', async () => {
    const { reader, meter } = setUp(
      [{ instrumentName: 'view', aggregationCardinalityLimit: 5 }, { instrumentName: 'plain-view' }],
      { cardinalitySelector: (type) => (type === InstrumentType.COUNTER ? 3 : 4) },
    );
    const instruments = [
      meter.createCounter('view'),
      meter.createCounter('plain-view'),
      meter.createCounter('none'),
      meter.createUpDownCounter('other-kind'),
    ];
    for (const instrument of instruments) for (let i = 0; i < 10; i++) instrument.add(1, { i });
    const counts = (await streamsOf(reader)).map(([name, points]) => [name, points.length - 1]);
    expect(counts).toEqual([
      ['view', 5],
      ['plain-view', 3],
      ['none', 3],
      ['other-kind', 4],
    ]);
  });

  test.each([0, -1, 2.5, Number.NaN, Number.POSITIVE_INFINITY, '5'])(
    '[3.11] a cardinality limit of %s is refused with the remedy',
    (limit) => {
      expect(() => setUp([{ aggregationCardinalityLimit: limit as number }])).toThrow(
        /^aggregationCardinalityLimit of views\[0\] is \S+; use an integer above 0$/,
      );
    },
  );

  test('[3.19][12.11] observations that a filter makes one series add up, of gauges the last stays', async () => {
    for (const temporality of [CUMULATIVE, DELTA]) {
      const { reader, meter } = setUp([{ attributesProcessors: [allow([])] }], {
        aggregationTemporalitySelector: () => temporality,
      });
      for (const create of [
        'createObservableCounter',
        'createObservableUpDownCounter',
        'createObservableGauge',
      ] as const) {
        meter[create](create).addCallback((result) => {
          result.observe(50, { pid: 1 });
          result.observe(30, { pid: 2 });
        });
      }
      const values = async () => (await streamsOf(reader)).map(([, points]) => points.map(([, v]) => v));
      expect(await values()).toEqual([[80], [80], [30]]);
      expect(await values()).toEqual(temporality === DELTA ? [[0], [0], [30]] : [[80], [80], [30]]);
    }
  });

  test('[3.20] attributes are filtered before series are counted', async () => {
    const { reader, meter } = setUp([{ attributesProcessors: [deny(['user'])] }], {
      cardinalitySelector: () => 2,
    });
    const counter = meter.createCounter('c');
    for (let user = 0; user < 100; user++) counter.add(1, { user, method: user % 2 ? 'GET' : 'PUT' });
    expect(await streamsOf(reader)).toEqual([
      [
        'c',
        [
          [{ method: 'PUT' }, 50],
          [{ method: 'GET' }, 50],
        ],
      ],
    ]);
    expect(logs).toEqual([]);
  });

  test('[3.20] what a filter removes can leave in exemplars, which the documentation tells how to prevent', async () => {
    const views = [{ attributesProcessors: [deny(['user'])] }];
    const exemplarsOf = async (exemplarFilter: 'always_on' | 'always_off') => {
      const { reader, meter } = setUp(views, {}, { exemplarFilter });
      meter.createCounter('c').add(1, { user: 'jo' });
      return (await metricsOf(reader))[0]!.dataPoints[0]!.exemplars;
    };
    expect(await exemplarsOf('always_on')).toMatchObject([{ filteredAttributes: { user: 'jo' } }]);
    expect(await exemplarsOf('always_off')).toBeUndefined();
    const page = readFileSync(new URL('../../docs/instruments-and-views.md', import.meta.url), 'utf8');
    expect(page).toMatch(
      /exemplars carry the attributes that a View removed.*`exemplarFilter: 'always_off'`/,
    );
  });

  test('[12.15] an observable as an exponential histogram has the extremes of its window', async () => {
    const { reader, meter } = setUp([{ aggregation: { type: EXPONENTIAL_HISTOGRAM } }], {
      aggregationTemporalitySelector: () => DELTA,
    });
    let value = 0;
    meter.createObservableCounter('c').addCallback((result) => result.observe(value));
    for (value of [4, 8]) {
      const point = (await metricsOf(reader))[0]!.dataPoints[0]!.value as ExponentialHistogram;
      expect(point).toMatchObject({ count: 1, sum: value, min: value, max: value });
    }
  });
});

describe('several Views and readers', () => {
  const logs = captureLogs();

  test('[3.14][12.16] several matching Views yield a stream each, never merged', async () => {
    const { reader, meter } = setUp([
      { instrumentName: 'x', aggregation: { type: SUM } },
      { attributesProcessors: [allow(['a'])] },
    ]);
    meter.createCounter('x').add(1, { a: 1, b: 2 });
    expect(await streamsOf(reader)).toEqual([
      ['x', [[{ a: 1, b: 2 }, 1]]],
      ['x', [[{ a: 1 }, 1]]],
    ]);
    expect(logs).toEqual([expect.stringContaining('two streams are named x')]);
  });

  test('[3.14] streams of other names are no conflict', async () => {
    const { reader, meter } = setUp([
      { instrumentName: 'x', name: 'x.by-a', attributesProcessors: [allow(['a'])] },
      { instrumentName: 'x', name: 'x.total', attributesProcessors: [allow([])] },
    ]);
    const counter = meter.createCounter('x');
    for (const a of [1, 2]) counter.bind({ a }).add(a);
    expect(await streamsOf(reader)).toEqual([
      [
        'x.by-a',
        [
          [{ a: 1 }, 1],
          [{ a: 2 }, 2],
        ],
      ],
      ['x.total', [[{}, 3]]],
    ]);
    expect(logs).toEqual([]);
  });

  test('[3.15] a second View that drops is no conflict', async () => {
    const { reader, meter } = setUp([{ instrumentName: 'x' }, { aggregation: { type: DROP } }]);
    meter.createCounter('x').add(1);
    expect(await namesOf(reader)).toEqual(['x']);
    expect(logs).toEqual([]);
  });

  const kinds = ['createCounter', 'createUpDownCounter', 'createHistogram', 'createGauge'] as const;
  const observableKinds = [
    'createObservableCounter',
    'createObservableUpDownCounter',
    'createObservableGauge',
  ] as const;

  test.each([...kinds, ...observableKinds])(
    '[3.16][12.21] %s: a View whose aggregation cannot be right is as if absent, and said',
    async (create) => {
      const isGauge = create.endsWith('Gauge');
      const bySetting = new Map([
        [SUM, isGauge ? undefined : DataPointType.SUM],
        [LAST_VALUE, isGauge ? DataPointType.GAUGE : undefined],
        [EXPLICIT_BUCKET_HISTOGRAM, DataPointType.HISTOGRAM],
        [EXPONENTIAL_HISTOGRAM, DataPointType.EXPONENTIAL_HISTOGRAM],
      ]);
      const typeWith = async (views: ViewOptions[]) => {
        const { reader, meter } = setUp(views);
        const instrument = meter[create]('x');
        if ('addCallback' in instrument) instrument.addCallback((result) => result.observe(1));
        else if ('add' in instrument) instrument.add(1);
        else instrument.record(1);
        const [metric, ...others] = await metricsOf(reader);
        expect(others).toEqual([]);
        return metric!;
      };
      const byDefault = await typeWith([]);
      for (const [type, expected] of bySetting) {
        logs.length = 0;
        const { dataPointType, descriptor } = await typeWith([
          { instrumentName: 'x', name: 'y', aggregation: { type } } as ViewOptions,
        ]);
        expect(dataPointType).toBe(expected ?? byDefault.dataPointType);
        expect(descriptor.name).toBe(expected === undefined ? 'x' : 'y');
        if (expected !== undefined) expect(logs).toEqual([]);
        else
          expect(logs).toEqual([
            expect.stringMatching(/x: a [A-Z_]+ cannot be aggregated as (SUM|LAST_VALUE)/),
          ]);
      }
    },
  );

  test("[3.16] so is a reader's whose options cannot be", async () => {
    const aggregation = { type: EXPLICIT_BUCKET_HISTOGRAM, options: { boundaries: [3, 1] } } as const;
    const { reader, meter } = setUp([], { aggregationSelector: () => aggregation as never });
    meter.createHistogram('h', { advice: { explicitBucketBoundaries: [7] } }).record(1);
    expect((await metricsOf(reader))[0]!.dataPoints[0]!.value).toMatchObject({
      buckets: { boundaries: [7] },
    });
    expect(logs).toEqual([expect.stringContaining('strictly increasing')]);
  });

  test("[3.16] so is a reader's that makes no sense for the kind", async () => {
    const { reader, meter } = setUp([], { aggregationSelector: () => ({ type: LAST_VALUE }) });
    for (const amount of [1, 2]) meter.createCounter('c').add(amount);
    meter.createHistogram('h').record(1);
    const metrics = await metricsOf(reader);
    expect(metrics.map(({ dataPointType }) => dataPointType)).toEqual([
      DataPointType.SUM,
      DataPointType.HISTOGRAM,
    ]);
    expect(metrics[0]!.dataPoints[0]!.value).toBe(3);
    expect(logs).toEqual([
      expect.stringContaining('a COUNTER cannot be aggregated as LAST_VALUE'),
      expect.stringContaining('a HISTOGRAM cannot be aggregated as LAST_VALUE'),
    ]);
  });

  test('[3.18] a View that takes the name of another stream is told like any conflict', async () => {
    const { reader, meter } = setUp([{ instrumentName: 'y', name: 'X' }]);
    meter.createCounter('x', { unit: 's' }).add(1);
    meter.createCounter('y', { unit: 'ms', valueType: ValueType.DOUBLE }).add(2);
    expect(await namesOf(reader)).toEqual(['x', 'X']);
    expect(logs).toEqual([
      expect.stringMatching(/COUNTER x of doubles in s, and COUNTER y of doubles in ms.*instrumentName: "y"/),
    ]);
  });

  test('[3.21] Views apply to every reader, whose own defaults stay', async () => {
    const readers = [
      new ManualMetricReader({ aggregationTemporalitySelector: () => DELTA, cardinalitySelector: () => 1 }),
      new ManualMetricReader({ aggregationSelector: () => ({ type: EXPONENTIAL_HISTOGRAM }) }),
    ];
    const views = [{ instrumentName: 'h', name: 'seen', attributesProcessors: [allow(['a'])] }];
    const histogram = new MeterProvider({ readers, views }).getMeter('m').createHistogram('h');
    for (const a of [1, 2, 3]) histogram.record(1, { a, b: 1 });
    const seen = await Promise.all(readers.map(metricsOf));
    expect(seen).toMatchObject([
      [
        {
          descriptor: { name: 'seen' },
          aggregationTemporality: DELTA,
          dataPointType: DataPointType.HISTOGRAM,
          dataPoints: [{ attributes: { a: 1 } }, { attributes: { 'otel.metric.overflow': true } }],
        },
      ],
      [
        {
          descriptor: { name: 'seen' },
          aggregationTemporality: CUMULATIVE,
          dataPointType: DataPointType.EXPONENTIAL_HISTOGRAM,
          dataPoints: [{ attributes: { a: 1 } }, { attributes: { a: 2 } }, { attributes: { a: 3 } }],
        },
      ],
    ]);
  });
});
