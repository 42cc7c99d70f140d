// Registries that are not just those of the clients: of whole clusters, home-made, hostile, large, and read by several.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as prometheusIo from '@prometheus-io/client';
import * as promClient from 'prom-client';
import { describe, expect, test, vi } from 'vitest';
import { captureLogs } from '../../test/support/collected.ts';
import { hostile } from '../../test/support/hostile-values.ts';
import { ConfigError } from '../data/errors.ts';
import { samplesIn, textOf } from './fixtures/client-text.ts';
import { type PromClientRegistry, promClientProducer } from './prom-client.ts';

captureLogs();

const BRIDGE = new URL('../../dist/producers/prom-client.js', import.meta.url).href;
const CLUSTER = fileURLToPath(new URL('./fixtures/cluster.js', import.meta.url));

const messagesOf = (errors: readonly unknown[]) =>
  errors.map((error) => `${error} ${(error as Error).cause}`);

async function samplesOf(registry: PromClientRegistry) {
  const { resourceMetrics, errors } = await promClientProducer(registry).collect();
  return { samples: samplesIn(textOf(resourceMetrics)), errors: messagesOf(errors) };
}

const jsonOf = (...metrics: unknown[]) => ({ getMetricsAsJSON: async () => metrics as object[] });

describe('registries of several processes', () => {
  test.each(['prom-client', '@prometheus-io/client'])(
    'the AggregatorRegistry of %s shows what all workers have',
    async (name) => {
      const { stdout } = await promisify(execFile)(process.execPath, [CLUSTER, BRIDGE, name], {
        timeout: 60_000,
      });
      expect(JSON.parse(stdout)).toEqual({
        shown: [
          ['jobs_total', { kind: 'a "b"\n' }, 3],
          ['size', {}, [1, 1, 0]],
        ],
        errors: [],
      });
    },
    60_000,
  );

  test('the text of clusterMetrics, or workerMetrics, is read back to the same samples', async () => {
    for (const client of [promClient, prometheusIo as unknown as typeof promClient]) {
      const registry: promClient.Registry<promClient.RegistryContentType> = new client.Registry();
      const registers = [registry as promClient.Registry];
      const counter = new client.Counter({
        name: 'c_total',
        help: 'help \\ \n',
        labelNames: ['a', 'b'],
        registers,
      });
      for (const a of [
        '',
        '"',
        '\\',
        '\\n',
        '\n',
        '} 1\n# TYPE x counter\nx 1',
        ',b="',
        '💥',
        'x'.repeat(1e6),
      ])
        counter.inc({ a, b: 'y' });
      const gauge = new client.Gauge({ name: 'g', help: 'g', labelNames: ['a'], registers });
      for (const [i, value] of [Number.NaN, Infinity, -Infinity, -1.5e-9].entries())
        gauge.set({ a: i }, value);
      new client.Histogram({ name: 'h', help: 'h', labelNames: ['a'], registers }).observe({ a: 'x' }, 3);
      new client.Summary({ name: 's', help: 's', registers }).observe(3);
      new client.Counter({ name: 'never_total', help: 'Without samples.', labelNames: ['a'], registers });
      for (const type of [
        client.Registry.PROMETHEUS_CONTENT_TYPE,
        client.Registry.OPENMETRICS_CONTENT_TYPE,
      ] as const) {
        registry.setContentType(type);
        const text = await registry.metrics();
        for (const method of ['clusterMetrics', 'workerMetrics']) {
          const { samples, errors } = await samplesOf({ ...jsonOf(), [method]: async () => text });
          expect(samples).toEqual(samplesIn(text));
          expect(errors).toEqual([]);
        }
      }
    }
  });

  test('help and type come with it, and a cluster that does not answer is an error', async () => {
    const text = '# HELP c_total one\r\\ntwo\u2028\n# TYPE c_total counter\nc_total 1\n';
    const { resourceMetrics } = await promClientProducer({
      ...jsonOf(),
      clusterMetrics: async () => text,
    }).collect();
    expect(resourceMetrics.scopeMetrics[0]!.metrics).toMatchObject([
      { descriptor: { name: 'c_total', description: 'one\r\ntwo\u2028' }, isMonotonic: true },
    ]);
    const silent = { ...jsonOf(), clusterMetrics: () => Promise.reject(new Error('Operation timed out.')) };
    expect((await samplesOf(silent)).errors).toEqual([
      expect.stringMatching(/could not be collected.*timed out/),
    ]);
  });
});

describe('anything with getMetricsAsJSON', () => {
  const one = { name: 'g', help: 'g', type: 'gauge', values: [{ labels: { a: 'x' }, value: 1 }] };

  test('is read at once where it has nothing else', async () => {
    expect(await samplesOf(jsonOf(one))).toEqual({ samples: { 'g{a="x"}': 1 }, errors: [] });
  });

  test('is read at once where it cannot be read metric by metric', async () => {
    class Private implements PromClientRegistry {
      readonly #metrics = [one];
      getMetricsAsArray() {
        return this.#metrics;
      }
      async getMetricsAsJSON() {
        return this.#metrics;
      }
    }
    const deaf = { ...jsonOf(one), getMetricsAsArray: () => [{ name: 'never asked' }] };
    for (const registry of [new Private(), deaf])
      expect(await samplesOf(registry)).toEqual({ samples: { 'g{a="x"}': 1 }, errors: [] });
  });

  test('that fails, at once or later, is an error, and the other registries are there', async () => {
    const failing = [
      { getMetricsAsJSON: () => Promise.reject(new Error('mine')) },
      {
        getMetricsAsJSON: () => {
          throw new Error('mine');
        },
      },
      Object.defineProperty({ ...jsonOf() }, 'contentType', {
        get() {
          throw new Error('mine');
        },
      }),
    ];
    const { resourceMetrics, errors } = await promClientProducer([...failing, jsonOf(one)]).collect();
    expect(samplesIn(textOf(resourceMetrics))).toEqual({ 'g{a="x"}': 1 });
    expect(messagesOf(errors)).toEqual(
      failing.map(() => expect.stringMatching(/could not be collected.*mine/)),
    );
  });

  test('may have types and sample names of its own, of which nothing is lost', async () => {
    const values = [
      { labels: {}, value: 1 },
      { metricName: 'x_extra', labels: {}, value: 2 },
    ];
    for (const type of ['untyped', undefined, 'gauge', 'summary', 'histogram']) {
      const { samples } = await samplesOf(jsonOf({ name: 'x', help: 'x', type, values }));
      expect(samples, type).toEqual({ 'x{}': 1, 'x_extra{}': 2 });
    }
  });

  test('may have samples of a histogram in any order, and boundaries of its own in each series', async () => {
    const bucket = (a: string, le: number | string, value: number) => ({
      metricName: 'h_bucket',
      labels: { le, a },
      value,
    });
    const values = [
      bucket('x', '+Inf', 5),
      bucket('y', 10, 1),
      bucket('x', '2', 4),
      { metricName: 'h_count', labels: { a: 'y' }, value: 3 },
      bucket('x', 1, 1),
      { metricName: 'h_sum', labels: { a: 'x' }, value: 7 },
    ];
    const { resourceMetrics } = await promClientProducer(
      jsonOf({ name: 'h', help: 'h', type: 'histogram', values }),
    ).collect();
    const points = resourceMetrics.scopeMetrics[0]!.metrics.flatMap(
      ({ dataPoints }) => dataPoints as object[],
    );
    expect(points).toMatchObject([
      {
        attributes: { a: 'x' },
        value: { buckets: { boundaries: [1, 2], counts: [1, 3, 1] }, count: 5, sum: 7 },
      },
      {
        attributes: { a: 'y' },
        value: { buckets: { boundaries: [10], counts: [1, 2] }, count: 3, sum: undefined },
      },
    ]);
  });

  test('has an error where the buckets of a histogram fall, which can be told in no format, and the other series are there', async () => {
    const registry = new promClient.Registry();
    const labelNames = ['a'];
    const bad = new promClient.Histogram({
      name: 'bad',
      help: 'Not in order.',
      buckets: [10, 1],
      labelNames,
      registers: [registry],
    });
    for (const value of [5, 0]) bad.observe({ a: 'x' }, value);
    new promClient.Gauge({ name: 'g', help: 'g', registers: [registry] });
    const { samples, errors } = await samplesOf(
      jsonOf(...(await registry.getMetricsAsJSON()), {
        name: 'h',
        help: 'h',
        type: 'histogram',
        values: [
          { metricName: 'h_bucket', labels: { le: 1 }, value: 2 },
          { metricName: 'h_count', labels: {}, value: 1 },
        ],
      }),
    );
    expect(samples).toMatchObject({ 'g{}': 0 });
    expect(errors).toEqual([expect.stringMatching(/the metric h .*1 of its series are no histogram/)]);
  });

  test.each(Object.entries(hostile))(
    'may give %s anywhere: the collection resolves, and what is good is there',
    async (_, make) => {
      const registries = [
        { getMetricsAsJSON: async () => make() as object[] },
        { getMetricsAsJSON: () => make() as Promise<object[]> },
        { ...jsonOf(), getMetricsAsArray: make() as () => object[] },
        { ...jsonOf(one), contentType: make() as string },
        { ...jsonOf(), clusterMetrics: async () => make() as string },
        jsonOf(make()),
        ...['name', 'help', 'type', 'values'].map((field) => jsonOf({ ...one, [field]: make() })),
        ...['gauge', 'counter', 'histogram', 'summary'].flatMap((type) =>
          ['metricName', 'labels', 'value', 'exemplar'].map((field) =>
            jsonOf({ ...one, type, values: [{ ...one.values[0], [field]: make() }] }),
          ),
        ),
        jsonOf({
          ...one,
          values: [
            {
              labels: { a: make() },
              value: 1,
              exemplar: { labelSet: { a: make() }, value: make(), timestamp: make() },
            },
          ],
        }),
      ];
      const { resourceMetrics } = await promClientProducer([
        ...registries,
        jsonOf({ ...one, name: 'good' }),
      ]).collect({ timeoutMillis: 100 });
      expect(samplesIn(textOf(resourceMetrics))).toMatchObject({ 'good{a="x"}': 1 });
    },
  );
});

describe('large registries', () => {
  test('are converted in slices', async () => {
    const values = Array.from({ length: 5_000 }, (_, i) => ({ labels: { i: `${i}` }, value: i }));
    const producer = promClientProducer(jsonOf({ name: 'g', help: 'g', type: 'gauge', values }));
    // Each look at the clock takes half a slice.
    let now = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => ++now);
    let turns = 0;
    let isDone = false;
    const count = () => {
      turns++;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    await producer.collect().finally(() => {
      isDone = true;
      clock.mockRestore();
    });
    expect(turns).toBeGreaterThan(10);
  });

  test('give the event loop back between metrics too', async () => {
    const registry = new promClient.Registry();
    const turns: number[] = [];
    let turn = 0;
    let isDone = false;
    const count = () => {
      turn++;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    for (let i = 0; i < 20; i++) {
      const gauge = new promClient.Gauge({ name: `g${i}`, help: 'g', registers: [registry] });
      const get = gauge.get.bind(gauge);
      gauge.get = () => {
        turns.push(turn);
        // What the client takes to make the samples.
        now += 3;
        return get();
      };
    }
    let now = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now);
    await promClientProducer(registry)
      .collect()
      .finally(() => {
        isDone = true;
        clock.mockRestore();
      });
    expect(new Set(turns).size).toBe(20);
  });
});

test('collections of several readers at the same time take no series for begun anew', async () => {
  const registry = new promClient.Registry();
  const labelNames = ['i'];
  const counter = new promClient.Counter({ name: 'c_total', help: 'c', labelNames, registers: [registry] });
  const histogram = new promClient.Histogram({ name: 'h', help: 'h', labelNames, registers: [registry] });
  const record = () => {
    for (let i = 0; i < 500; i++) {
      counter.inc({ i });
      histogram.observe({ i }, i);
    }
  };
  // Always time for a turn, so that they interleave as much as they can.
  let now = 0;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => (now += 5));
  const producer = promClientProducer(registry);
  record();
  const all = [];
  for (let round = 0; round < 20; round++) {
    all.push(producer.collect());
    for (let turn = 0; turn < round % 4; turn++) await new Promise(setImmediate);
    record();
  }
  const collections = await Promise.all(all);
  clock.mockRestore();
  const starts = new Set<number>();
  for (const { resourceMetrics, errors } of collections) {
    expect(errors).toEqual([]);
    for (const { dataPoints } of resourceMetrics.scopeMetrics[0]!.metrics) {
      expect(dataPoints).toHaveLength(500);
      for (const { startTime } of dataPoints) starts.add(startTime[0] * 1_000 + startTime[1] / 1e6);
    }
  }
  expect([...starts]).toEqual([Math.round(performance.timeOrigin)]);
});

test('the registries of both clients are taken as they are typed', async () => {
  const registries = [promClient.register, prometheusIo.register, new promClient.AggregatorRegistry()];
  promClientProducer(new prometheusIo.AggregatorRegistry());
  expect(await promClientProducer(registries).collect()).toMatchObject({ errors: [] });
  expect(await promClientProducer(prometheusIo.register).collect()).toMatchObject({ errors: [] });
});

test.each<[unknown, unknown, RegExp]>([
  [undefined, {}, /registries is undefined; it must be a registry of prom-client/],
  [{}, {}, /registries is {}/],
  [[], {}, /registries is \[\]/],
  [[jsonOf(), 'x'], {}, /registries is \[/],
  [jsonOf(), null, /options is null/],
  [jsonOf(), { prefix: 'x' }, /there is no setting prefix/],
  [jsonOf(), { summaries: 'drop' }, /summaries is 'drop'; it must be summaries or gauges/],
  [
    jsonOf(),
    { counterWithoutTotal: 'drop' },
    /counterWithoutTotal is 'drop'; it must be keep-name or keep-type/,
  ],
  [jsonOf(), { scopeName: 7 }, /scopeName is 7/],
])('promClientProducer(%j, %j) says what is wrong', (registry, options, message) => {
  const make = () => promClientProducer(registry as never, options as never);
  expect(make).toThrow(ConfigError);
  expect(make).toThrow(message);
});
