// Scrapes use the memory of earlier ones again: no scrape may show what another one collected.
import { setImmediate } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { AggregationType } from '../data/aggregation-option.ts';
import type { CollectionResult, MetricProducer } from '../data/reader.ts';
import { MeterProvider } from '../sdk/meter-provider.ts';
import { ManualMetricReader } from '../sdk/readers/manual-metric-reader.ts';
import { PrometheusMetricReader } from './prometheus.ts';

const SERIES = 3_000;

function service() {
  const reader = new PrometheusMetricReader({ cardinalitySelector: () => 10 * SERIES });
  const views = [
    {
      instrumentName: 'exponential',
      aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM as const, options: {} },
    },
  ];
  const meter = new MeterProvider({ readers: [reader], views }).getMeter('test');
  const counter = meter.createCounter('counter');
  const histograms = [meter.createHistogram('explicit'), meter.createHistogram('exponential')];
  return {
    reader,
    count(from: number, to: number, value: number) {
      for (let id = from; id < to; id++) {
        counter.add(value, { id });
        for (const histogram of histograms) histogram.record(value, { id });
      }
    },
    remove(from: number, to: number) {
      for (let id = from; id < to; id++) {
        counter.remove({ id });
        for (const histogram of histograms) histogram.remove({ id });
      }
    },
  };
}

const scrape = (reader: PrometheusMetricReader, signal?: AbortSignal) =>
  reader.handler(new Request('http://localhost/metrics', { signal: signal ?? null }));

/** By line, without what tells of the collections themselves. */
async function linesOf(response: Response | Promise<Response>): Promise<string[]> {
  const text = await (await response).text();
  return text
    .split('\n')
    .filter((line) => /^(counter|explicit|exponential)/.test(line))
    .sort();
}

/** What a scrape of a service says that has never been scraped before. */
async function expected(...steps: ((one: ReturnType<typeof service>) => void)[]) {
  const fresh = service();
  for (const step of steps) step(fresh);
  return linesOf(scrape(fresh.reader));
}

test('a scrape after another has its own values, series and buckets, whatever came and went between them', async () => {
  const used = service();
  const steps: ((one: ReturnType<typeof service>) => void)[] = [];
  for (const step of [
    (one: ReturnType<typeof service>) => one.count(0, SERIES, 1),
    (one: ReturnType<typeof service>) => one.count(0, SERIES, 900),
    (one: ReturnType<typeof service>) => one.count(SERIES, SERIES + 50, 3),
    (one: ReturnType<typeof service>) => one.remove(0, 2_900),
    (one: ReturnType<typeof service>) => one.count(0, 2 * SERIES, 20),
  ]) {
    steps.push(step);
    step(used);
    expect(await linesOf(scrape(used.reader))).toEqual(await expected(...steps));
  }
});

test('a scraper that reads slowly gets what was collected for it, though others are served meanwhile', async () => {
  const { reader, count } = service();
  count(0, SERIES, 1);
  const before = await linesOf(scrape(reader));
  const slow = (await scrape(reader)).body!.getReader();
  const chunks = [(await slow.read()).value!];
  for (const value of [5, 7]) {
    count(0, SERIES, value);
    await linesOf(scrape(reader));
  }
  for (let next = await slow.read(); !next.done; next = await slow.read()) chunks.push(next.value);
  expect(await linesOf(new Response(Buffer.concat(chunks)))).toEqual(before);
});

test('scrapers that share a collection all get it whole, also when the first of them goes', async () => {
  const { reader, count } = service();
  count(0, SERIES, 1);
  const before = await linesOf(scrape(reader));
  const [first, second] = await Promise.all([scrape(reader), scrape(reader)]);
  const slow = second.body!.getReader();
  const chunks = [(await slow.read()).value!];
  const other = first.body!.getReader();
  await other.read();
  await other.cancel();
  count(0, SERIES, 5);
  await linesOf(scrape(reader));
  for (let next = await slow.read(); !next.done; next = await slow.read()) chunks.push(next.value);
  expect(await linesOf(new Response(Buffer.concat(chunks)))).toEqual(before);
});

test("a collection that is asked for is nobody else's memory", async () => {
  const { reader, count } = service();
  count(0, 10, 1);
  const { resourceMetrics } = await reader.collect();
  const metric = resourceMetrics.scopeMetrics[0]!.metrics[0]!;
  count(0, 10, 5);
  await linesOf(scrape(reader));
  await linesOf(scrape(reader));
  expect(metric.dataPoints.map(({ value }) => value)).toEqual(Array(10).fill(1));
});

test('a scrape has the memory of the one before, and none that another still reads', async () => {
  const { reader, count } = service();
  count(0, SERIES, 1);
  const collect = vi.spyOn(reader, 'collect');
  const memories = () => collect.mock.calls.map(([options]) => options!.memory!);
  await linesOf(scrape(reader));
  const slow = (await scrape(reader)).body!.getReader();
  await slow.read();
  await linesOf(scrape(reader));
  await slow.cancel();
  await linesOf(scrape(reader));
  const [first, second, third, fourth] = memories();
  expect(second).toBe(first);
  expect(third).not.toBe(second);
  expect([second, third]).toContain(fourth);
});

test('a scraper whose request ends gives its memory back, though nobody cancels the answer', async () => {
  const { reader, count } = service();
  count(0, SERIES, 1);
  const collect = vi.spyOn(reader, 'collect');
  const gone = new AbortController();
  await (await scrape(reader, gone.signal)).body!.getReader().read();
  gone.abort();
  await setImmediate();
  await linesOf(scrape(reader));
  const [first, second] = collect.mock.calls.map(([options]) => options!.memory!);
  expect(second).toBe(first);
});

test('what a further producer gave stays what it was, however often it is shown', async () => {
  const source = new ManualMetricReader();
  const counter = new MeterProvider({ readers: [source] })
    .getMeter('other')
    .createCounter('counter_of_other');
  for (let id = 0; id < 100; id++) counter.add(1, { id });
  let kept: Promise<CollectionResult> | undefined;
  const producer: MetricProducer = { collect: (options) => (kept ??= source.collect(options)) };
  const reader = new PrometheusMetricReader({ metricProducers: [producer] });
  const meter = new MeterProvider({ readers: [reader] }).getMeter('test');
  const lines = async () => (await linesOf(scrape(reader))).filter((line) => /^counter_of_other/.test(line));
  const before = await lines();
  expect(before.length).toBe(100);
  for (let i = 0; i < 5; i++) {
    const own = meter.createCounter(`own${i}`);
    for (let id = 0; id < 100; id++) own.add(1_000, { id });
    expect(await lines()).toEqual(before);
  }
});
