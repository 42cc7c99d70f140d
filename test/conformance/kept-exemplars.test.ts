// Exemplars that stay until later ones take their place, as readers want them that several ask.
import { type Context, ROOT_CONTEXT, TraceFlags, trace } from '@opentelemetry/api';
import { afterEach, expect, test } from 'vitest';
import { PrometheusMetricReader } from '../../src/exporters/prometheus.ts';
import { AggregationType, MeterProvider, type ViewOptions } from '../../src/index.ts';
import type { ExemplarReservoir } from '../../src/sdk/exemplars/exemplar-reservoir.ts';

const SPAN_CONTEXT: Context = trace.setSpanContext(ROOT_CONTEXT, {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  traceFlags: TraceFlags.SAMPLED,
});

let provider: MeterProvider;
afterEach(() => provider.shutdown());

function setUp(view: Partial<ViewOptions> = {}) {
  const reader = new PrometheusMetricReader();
  const views = [{ instrumentName: 'it', ...view }];
  provider = new MeterProvider({ readers: [reader], views, selfMetrics: false });
  /** The values of the exemplars of each series, as one scrape has them. */
  const collected = async () => {
    const { resourceMetrics } = await reader.collect();
    const [metric] = resourceMetrics.scopeMetrics[0]?.metrics ?? [];
    return metric!.dataPoints.map(({ exemplars = [] }) => exemplars.map(({ value }) => value).sort());
  };
  return { meter: provider.getMeter('m'), collected };
}

test('[4.44][8.35] every scrape has the exemplar of a counter, until there is a later one', async () => {
  const { meter, collected } = setUp();
  const counter = meter.createCounter('it');
  counter.add(1, {}, SPAN_CONTEXT);
  for (let scrape = 0; scrape < 3; scrape++) expect(await collected()).toEqual([[1]]);
  counter.add(7);
  expect(await collected()).toEqual([[1]]);
  counter.add(2, {}, SPAN_CONTEXT);
  for (let scrape = 0; scrape < 3; scrape++)
    expect(await collected()).toContainEqual(expect.arrayContaining([2]));
});

test('[8.35] a bucket keeps its exemplar while others get later ones', async () => {
  const { meter, collected } = setUp();
  const histogram = meter.createHistogram('it', { advice: { explicitBucketBoundaries: [10] } });
  histogram.record(1, {}, SPAN_CONTEXT);
  histogram.record(11, {}, SPAN_CONTEXT);
  expect(await collected()).toEqual([[1, 11]]);
  histogram.record(12, {}, SPAN_CONTEXT);
  expect(await collected()).toEqual([[1, 12]]);
});

test('[8.35] where there is no room, those kept give way to those of the new window', async () => {
  const { meter, collected } = setUp({ aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } });
  const histogram = meter.createHistogram('it');
  for (let i = 0; i < 100; i++) histogram.record(1, {}, SPAN_CONTEXT);
  const [first] = await collected();
  expect(first!.every((value) => value === 1)).toBe(true);
  for (let i = 0; i < first!.length - 1; i++) histogram.record(2, {}, SPAN_CONTEXT);
  const [second] = await collected();
  expect(second).toHaveLength(first!.length);
  expect(second!.filter((value) => value === 2)).toHaveLength(first!.length - 1);
});

/** Keeps all that it is offered until it is asked. */
function keepAll(): ExemplarReservoir {
  const values: number[] = [];
  return {
    offer: (value) => void values.push(value),
    collect: () => values.splice(0).map((value) => ({ value, timestamp: [1, 0], filteredAttributes: {} })),
  };
}

test.each([
  ['the reservoirs of the specification', {}],
  ['a reservoir of a View', { exemplarReservoir: keepAll }],
])('with %s, exemplars stay with their series when another one ends', async (_, view) => {
  const { meter, collected } = setUp(view);
  const gauge = meter.createGauge('it');
  for (const id of [1, 2, 3]) gauge.record(id, { id }, SPAN_CONTEXT);
  expect(await collected()).toEqual([[1], [2], [3]]);
  gauge.remove({ id: 1 });
  expect((await collected()).sort()).toEqual([[2], [3]]);
  // In the row that has become free.
  gauge.record(4, { id: 4 });
  expect((await collected()).sort()).toEqual([[], [2], [3]]);
  gauge.remove({ id: 4 });
  gauge.record(5, { id: 5 }, SPAN_CONTEXT);
  expect((await collected()).sort()).toEqual([[2], [3], [5]]);
  gauge.remove({ id: 5 });
  gauge.record(6, { id: 6 });
  expect((await collected()).sort()).toEqual([[], [2], [3]]);
});

test('[3.10] what a reservoir of a View has given last is kept too', async () => {
  const { meter, collected } = setUp({ exemplarReservoir: keepAll });
  const counter = meter.createCounter('it');
  counter.add(1, { id: 1 }, SPAN_CONTEXT);
  counter.add(2, { id: 2 }, SPAN_CONTEXT);
  for (let scrape = 0; scrape < 2; scrape++) expect(await collected()).toEqual([[1], [2]]);
  counter.add(3, { id: 1 }, SPAN_CONTEXT);
  for (let scrape = 0; scrape < 2; scrape++) expect(await collected()).toEqual([[3], [2]]);
});
