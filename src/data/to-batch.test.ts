import { type Attributes, type HrTime, ValueType } from '@opentelemetry/api';
import * as sdk from '@opentelemetry/sdk-metrics';
import { describe, expect, test } from 'vitest';
import { MeterProvider } from '../sdk/meter-provider.ts';
import { ManualMetricReader } from '../sdk/readers/manual-metric-reader.ts';
import { AggregationType } from './aggregation-option.ts';
import { MetricBatch, type MetricColumns } from './metric-batch.ts';
import {
  AggregationTemporality,
  type DataPoint,
  type ResourceMetrics,
  SUMMARY,
  type Summary,
} from './metric-data.ts';
import { resourceFromAttributes } from './resource.ts';
import { toBatch } from './to-batch.ts';

class OfficialReader extends sdk.MetricReader {
  protected override async onForceFlush() {}
  protected override async onShutdown() {}
}

async function officialMetrics() {
  const reader = new OfficialReader({
    aggregationSelector: (type) =>
      type === sdk.InstrumentType.UP_DOWN_COUNTER
        ? { type: sdk.AggregationType.EXPONENTIAL_HISTOGRAM }
        : { type: sdk.AggregationType.DEFAULT },
  });
  const meter = new sdk.MeterProvider({ readers: [reader] }).getMeter('m', '1', { schemaUrl: 's' });
  const counter = meter.createCounter('c', { unit: 'By', description: 'd', valueType: ValueType.INT });
  counter.add(1, { b: 'x', a: 1 });
  counter.add(2, { tags: ['p', 'q'] });
  meter.createGauge('g').record(-1.5);
  const histogram = meter.createHistogram('h', { advice: { explicitBucketBoundaries: [1, 10] } });
  for (const value of [0.5, 5, 50]) histogram.record(value, { a: 1 });
  const exponential = meter.createUpDownCounter('e');
  for (const value of [0, 1, 2, -4]) exponential.add(value);
  return (await reader.collect()).resourceMetrics;
}

describe('toBatch', () => {
  test("the official SDK's points survive the way into columns and back", async () => {
    const given = await officialMetrics();
    const batch = toBatch(given);
    expect(batch.pointCount).toBe(5);
    expect(batch.resource).toBe(given.resource);
    const readable = (metrics: sdk.MetricData[]) =>
      metrics.map(({ descriptor, aggregationTemporality, dataPointType, dataPoints }) => ({
        descriptor,
        aggregationTemporality,
        dataPointType,
        dataPoints: dataPoints.map((point) => ({ ...point, attributes: { ...point.attributes } })),
      }));
    batch.scopeMetrics.forEach(({ scope, metrics }, i) => {
      expect(scope).toEqual(given.scopeMetrics[i]!.scope);
      expect(readable(metrics)).toEqual(readable(given.scopeMetrics[i]!.metrics));
    });
  });

  test("JSON of a batch has the metrics as the official SDK's has them", async () => {
    const given = await officialMetrics();
    const metricsOf = (metrics: sdk.ResourceMetrics) =>
      JSON.parse(JSON.stringify(metrics)).scopeMetrics[0].metrics as unknown[];
    expect(metricsOf(toBatch(given))).toEqual(metricsOf(given));
  });

  test('a batch of ours, of any copy of the package, is passed through', async () => {
    const batch = toBatch(await officialMetrics());
    expect(toBatch(batch)).toBe(batch);
    const ofAnotherCopy = Object.assign(Object.create(null), batch);
    expect(toBatch(ofAnotherCopy)).toBe(ofAnotherCopy);
  });

  test('histograms with other boundaries than their siblings become a metric of their own', async () => {
    const given = await officialMetrics();
    const histogram = given.scopeMetrics[0]!.metrics[2] as sdk.HistogramMetricData;
    const [point] = histogram.dataPoints;
    const other = { ...point!, value: { ...point!.value, buckets: { boundaries: [7], counts: [2, 1] } } };
    const mixed = { ...histogram, dataPoints: [point!, other] };
    const batch = toBatch({
      ...given,
      scopeMetrics: [{ ...given.scopeMetrics[0]!, metrics: [mixed] }],
    });
    expect(
      batch.scopeMetrics[0]!.metrics.map((metric) => metric.dataPoints.map(({ value }) => value)),
    ).toEqual([[point!.value], [other.value]]);
  });
});

describe('summaries of other makers', () => {
  const point = (attributes: Attributes, ...quantileValues: [quantile: number, value: number][]) => ({
    attributes,
    startTime: [1, 0] as HrTime,
    endTime: [2, 0] as HrTime,
    value: {
      count: 3,
      sum: 7,
      quantileValues: quantileValues.map(([quantile, value]) => ({ quantile, value })),
    },
  });

  function metricsOf(dataPoints: DataPoint<Summary>[]): MetricColumns[] {
    const descriptor = { name: 's', unit: '', description: '', valueType: ValueType.DOUBLE };
    const metric = { descriptor, aggregationTemporality: 0, dataPointType: SUMMARY, dataPoints };
    const scopeMetrics = [{ scope: { name: 'm' }, metrics: [metric] }];
    return toBatch({ resource: resourceFromAttributes({}), scopeMetrics }).scopeMetrics[0]!.metrics;
  }

  test('survive the way into columns and back, and are cumulative', () => {
    const dataPoints = [point({ a: 1 }, [0, 1], [0.5, 2]), point({ a: 2 }, [0, 3], [0.5, Number.NaN])];
    const [metric, ...others] = metricsOf(dataPoints);
    expect(others).toEqual([]);
    expect(metric!.dataPoints).toEqual(dataPoints);
    expect(metric!.aggregationTemporality).toBe(AggregationTemporality.CUMULATIVE);
  });

  test('with other quantiles than their siblings become a metric of their own', () => {
    const metrics = metricsOf([point({}, [0.5, 2]), point({ a: 1 }), point({ a: 2 }, [0.5, 4])]);
    expect(metrics).toMatchObject([
      { quantiles: [0.5], quantileValues: Float64Array.of(2, 4), length: 2 },
      { quantiles: [], quantileValues: new Float64Array(0), length: 1 },
    ]);
  });

  test('come in the order of the quantiles, each once, without what is none', () => {
    const given = point({}, [1, 5], [0.5, 2], [Number.NaN, 9], [1.1, 9], [0.5, 9], [-1, 9], [0, 1]);
    const [metric] = metricsOf([given]);
    expect(metric).toMatchObject({ quantiles: [0, 0.5, 1], quantileValues: Float64Array.of(1, 2, 5) });
  });

  test('are not known where they do not say it', () => {
    const [metric] = metricsOf([{ ...point({}), value: {} as never }]);
    expect(metric).toMatchObject({
      counts: Float64Array.of(Number.NaN),
      sums: Float64Array.of(Number.NaN),
      quantiles: [],
    });
  });
});

describe('toBatch of what no compiler has seen', () => {
  const time: [number, number] = [1, 0];
  const point = { startTime: time, endTime: time, attributes: {}, value: 1 };
  const metricOf = (descriptor: object, value: unknown = 1, dataPointType = sdk.DataPointType.GAUGE) => ({
    descriptor: { name: 'n', description: 'd', unit: 'u', valueType: ValueType.INT, ...descriptor },
    aggregationTemporality: sdk.AggregationTemporality.CUMULATIVE,
    dataPointType,
    dataPoints: [{ ...point, value }],
  });
  const batchOf = (metric: object, scope: object = { name: 's' }) =>
    toBatch({
      resource: resourceFromAttributes({}),
      scopeMetrics: [{ scope, metrics: [metric] }],
    } as unknown as ResourceMetrics);

  test.each([
    [undefined, ''],
    [null, ''],
    [5, '5'],
  ])('a description, a unit and the name of a scope that are %j are texts', (given, text) => {
    const batch = batchOf(metricOf({ description: given, unit: given }), { name: given, version: '1' });
    expect(batch.scopeMetrics[0]!.scope).toEqual({ name: text, version: '1' });
    expect(batch.scopeMetrics[0]!.metrics[0]!.descriptor).toMatchObject({ description: text, unit: text });
  });

  test.each([null, 5, 'x'])('metadata that are %j are none', (metadata) => {
    const [metric] = batchOf(metricOf({ metadata })).scopeMetrics[0]!.metrics;
    expect(metric!.descriptor).toEqual({ name: 'n', description: 'd', unit: 'u', valueType: ValueType.INT });
  });

  test('metadata are kept, and those that throw when they are read are refused', () => {
    const metadata = { 'prometheus.type': 'info' };
    const [metric] = batchOf(metricOf({ metadata })).scopeMetrics[0]!.metrics;
    expect(metric!.descriptor.metadata).toEqual(metadata);
    const throwing = {
      get a() {
        throw new Error('mine');
      },
    };
    expect(() => batchOf(metricOf({ metadata: throwing }))).toThrow('mine');
  });

  test('quantiles that are texts are numbers', () => {
    const value = { count: 1, sum: 1, quantileValues: [{ quantile: '0.5', value: '2' }] };
    const [metric] = batchOf(metricOf({}, value, SUMMARY as never)).scopeMetrics[0]!.metrics;
    expect(metric).toMatchObject({ quantiles: [0.5], quantileValues: Float64Array.of(2) });
  });

  test.each([undefined, null, 5])('a name that is %j is refused', (name) => {
    expect(() => batchOf(metricOf({ name }))).toThrow(`the name of a metric is ${name}, and not a text`);
  });

  test.each([[[]], [[1]], [[1, 2, 3]]])(
    'a histogram of one boundary with the counts %j is refused',
    (counts) => {
      const value = { count: 1, sum: 1, buckets: { boundaries: [1], counts } };
      expect(() => batchOf(metricOf({}, value, sdk.DataPointType.HISTOGRAM))).toThrow(
        `histogram n has ${counts.length} counts for 1 boundaries`,
      );
    },
  );
});

describe('MetricBatch', () => {
  test('is immutable: recording goes on without changing it', async () => {
    const reader = new ManualMetricReader({
      aggregationSelector: () => ({ type: AggregationType.DEFAULT }),
    });
    const counter = new MeterProvider({ readers: [reader] }).getMeter('m').createCounter('c');
    counter.add(1);
    const { resourceMetrics } = await reader.collect();
    counter.add(1);
    expect(resourceMetrics).toBeInstanceOf(MetricBatch);
    expect(resourceMetrics.scopeMetrics[0]!.metrics[0]!.dataPoints[0]!.value).toBe(1);
  });

  test('spreading a metric keeps its points, as exporters that split batches need', async () => {
    const reader = new ManualMetricReader();
    new MeterProvider({ readers: [reader] }).getMeter('m').createCounter('c').add(1);
    const [metric] = (await reader.collect()).resourceMetrics.scopeMetrics[0]!.metrics;
    expect({ ...metric! }.dataPoints).toHaveLength(1);
  });
});
