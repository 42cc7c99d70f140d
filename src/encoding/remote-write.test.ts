import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ValueType } from '@opentelemetry/api';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeWrite, seriesName } from '../../test/support/remote-write.ts';
import { AttributeSet } from '../data/attribute-set.ts';
import { toExemplarColumns } from '../data/exemplar-columns.ts';
import {
  exponentialHistogramColumns,
  gaugeColumns,
  histogramColumns,
  MetricBatch,
  type MetricColumns,
  sumColumns,
  summaryColumns,
} from '../data/metric-batch.ts';
import { AggregationTemporality, DataPointType } from '../data/metric-data.ts';
import { resourceFromAttributes } from '../data/resource.ts';
import { randomBatch } from './fixtures/random-batch.ts';
import { planOf } from './prometheus-options.ts';
import { type EncodedWrite, encodeRemoteWrite, floorMillis, type RemoteWriteBatch } from './remote-write.ts';
import { encodedOwnLabels, labelPlan, ownLabelValues } from './remote-write-labels.ts';
import type { RemoteWriteMessage } from './remote-write-message.ts';
import { WriteRequest } from './remote-write-message-1.ts';
import { Request } from './remote-write-message-2.ts';
import { prepareSeries } from './remote-write-series.ts';

function ended<T>(steps: Generator<unknown, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

function prepared(batch: MetricBatch, external: { name: string; value: string }[] = []): RemoteWriteBatch {
  const plan = planOf(batch, { scopeLabels: false, targetInfo: false });
  return {
    series: ended(prepareSeries(batch, plan, external)),
    resource: undefined,
    timeOf: floorMillis,
    isStale: false,
  };
}

type Limits = { maxBytes?: number; maxSamples?: number };

function requests(batch: MetricBatch, version: '1.0' | '2.0', limits: Limits = {}): EncodedWrite[] {
  const ready = prepared(batch);
  const all: EncodedWrite[] = [];
  for (let from = 0; from < batch.pointCount; from = all.at(-1)!.next) {
    const range = {
      from,
      to: batch.pointCount,
      maxBytes: Infinity,
      maxSamples: Infinity,
      version,
      ...limits,
    };
    all.push(ended(encodeRemoteWrite(ready, range)));
    expect(all.at(-1)!.next).toBeGreaterThan(from);
  }
  return all;
}

const common = (length: number) => ({
  aggregationTemporality: AggregationTemporality.CUMULATIVE,
  length,
  startTimes: new BigUint64Array(length).fill(1699999999000000000n),
  endTimes: new BigUint64Array(length).fill(1700000000000000000n),
  attributes: Array.from({ length }, () => AttributeSet.from({ job: 'a' })),
});
const descriptor = (name: string) => ({ name, unit: '', description: '', valueType: ValueType.DOUBLE });
const batchOf = (...metrics: MetricColumns[]) =>
  new MetricBatch(resourceFromAttributes({}), [{ scope: { name: 's' }, metrics }]);

describe('encodeRemoteWrite', () => {
  const up = gaugeColumns({ ...common(1), descriptor: descriptor('up'), values: Float64Array.of(1) });

  test('the bytes of a sample, which Prometheus and VictoriaMetrics take', () => {
    const [first] = requests(batchOf(up), '1.0');
    expect(Buffer.from(first!.body).toString('hex')).toBe(
      '0a2c0a0e0a085f5f6e616d655f5f120275700a080a036a6f62120161121009000000000000f03f1080d095ffbc31' +
        // And what it is: a gauge.
        '1a06080212027570',
    );
    const [second] = requests(batchOf(up), '2.0');
    expect(Buffer.from(second!.body).toString('hex')).toBe(
      '2200' +
        '22036a6f62220161' +
        '22085f5f6e616d655f5f22027570' +
        '2a1c0a04030401021210' +
        '09000000000000f03f1080d095ffbc31' +
        '2a020802',
    );
  });

  test.each<[number, number, number[], { offset?: number; length: number }[], number[]]>([
    [0, -1, [2, 1, 0, 2], [{ length: 2 }, { offset: 1, length: 1 }], [2, -1, 1]],
    [9, 3, [1, 1, 1, 1], [{ offset: 2, length: 3 }], [1, 1, -1]],
    [9, -1, [1], [{ length: 1 }], [1]],
    [20, 2 ** 30, [1, 1], [{ offset: 2 ** 18 + 1, length: 1 }], [2]],
  ])('scale %d, offset %d, counts %o', (scale, offset, counts, spans, deltas) => {
    const total = counts.reduce((sum, count) => sum + count);
    const histogram = exponentialHistogramColumns({
      ...common(1),
      descriptor: descriptor('h'),
      // Another SDK may have counted less than its buckets have, and receivers refuse that.
      counts: Float64Array.of(scale === 20 ? 1 : total + 1),
      sums: Float64Array.of(10),
      mins: Float64Array.of(0),
      maxs: Float64Array.of(9),
      scales: Int32Array.of(scale),
      zeroCounts: Float64Array.of(1),
      positive: {
        offsets: Int32Array.of(offset),
        starts: Uint32Array.of(0, counts.length),
        counts: Float64Array.from(counts),
      },
      negative: { offsets: Int32Array.of(0), starts: Uint32Array.of(0, 0), counts: new Float64Array(0) },
    });
    for (const version of ['1.0', '2.0'] as const) {
      const [{ body } = expect.fail()] = requests(batchOf(histogram), version);
      const [native] = decodeWrite(version, body).series[0]!.histograms;
      expect(native).toMatchObject({ count: total + 1, sum: 10, zeroCount: 1, timestamp: 1700000000000 });
      expect(native!.zeroThreshold).toBe(1e-128);
      expect(native!.schema ?? 0).toBe(Math.min(scale, 8));
      expect(native!.positiveSpans!.map((span) => ({ ...span }))).toEqual(spans);
      expect(native!.positiveDeltas).toEqual(deltas);
    }
  });

  test('[8.18] series that are too coarse for native histograms, or have no sum, are left out alone, and told', () => {
    const none = new Uint32Array(5);
    const histogram = exponentialHistogramColumns({
      ...common(4),
      attributes: ['a', 'b', 'c', 'd'].map((it) => AttributeSet.from({ it })),
      descriptor: descriptor('h'),
      counts: new Float64Array(4).fill(1),
      sums: Float64Array.of(1, 1, Number.NaN, 1),
      mins: new Float64Array(4),
      maxs: new Float64Array(4),
      scales: Int32Array.of(-4, -5, 0, 8),
      zeroCounts: new Float64Array(4).fill(1),
      positive: { offsets: new Int32Array(4), starts: none, counts: new Float64Array(0) },
      negative: { offsets: new Int32Array(4), starts: none, counts: new Float64Array(0) },
    });
    const told: string[] = [];
    const batch = batchOf(histogram);
    const onProblem = ({ message }: { message: string }) => told.push(message);
    const plan = planOf(batch, { scopeLabels: false, targetInfo: false, onProblem });
    ended(prepareSeries(batch, plan, []));
    expect(told).toEqual([
      expect.stringMatching(/^series of h .*scale below -4/),
      expect.stringMatching(/^series of h .*no sum/),
    ]);
    for (const version of ['1.0', '2.0'] as const) {
      const [{ body } = expect.fail()] = requests(batch, version);
      const { series } = decodeWrite(version, body);
      expect(series.map(({ labels }) => labels.it)).toEqual(['a', 'd']);
    }
  });

  test('labels that are added come in their place, and give way to those of the set', () => {
    const own = { ...common(1), attributes: [AttributeSet.from({ B: '1', cluster: 'mine', z: '2' })] };
    const gauge = gaugeColumns({ ...own, descriptor: descriptor('g'), values: Float64Array.of(0) });
    const external = ['A', 'a', 'cluster', 'zz'].map((name) => ({ name, value: 'x' }));
    const ready = prepared(batchOf(gauge), external);
    for (const version of ['1.0', '2.0'] as const) {
      const { body } = ended(
        encodeRemoteWrite(ready, { from: 0, to: 1, maxBytes: 1e6, maxSamples: 10, version }),
      );
      expect(seriesName(decodeWrite(version, body).series[0]!)).toBe(
        'g{A="x",B="1",a="x",cluster="mine",z="2",zz="x"}',
      );
    }
  });

  test('the bound of a bucket comes between labels of the set; exemplars come by bucket, in the order of time', () => {
    const exemplar = (value: number, second: number) => ({
      value,
      timestamp: [second, 0] as [number, number],
      filteredAttributes: {},
    });
    const histogram = histogramColumns({
      ...common(1),
      attributes: [AttributeSet.from({ k: '1', m: '2' })],
      descriptor: descriptor('h'),
      boundaries: [1],
      bucketCounts: Float64Array.of(2, 2),
      counts: Float64Array.of(4),
      sums: Float64Array.of(5),
      mins: Float64Array.of(0),
      maxs: Float64Array.of(3),
      exemplars: toExemplarColumns([[exemplar(3, 40), exemplar(0.5, 30), exemplar(2, 20), exemplar(1, 10)]])!,
    });
    for (const version of ['1.0', '2.0'] as const) {
      const { series } = decodeWrite(version, requests(batchOf(histogram), version)[0]!.body);
      expect(series.map((it) => [seriesName(it), it.exemplars.map(({ value }) => value)])).toEqual([
        ['h_bucket{k="1",le="1",m="2"}', [1, 0.5]],
        ['h_bucket{k="1",le="+Inf",m="2"}', [2, 3]],
        ['h_sum{k="1",m="2"}', []],
        ['h_count{k="1",m="2"}', []],
      ]);
    }
  });

  test('a bucket follows one of another set, and one of another metric, with labels of its own', () => {
    const sets = ['1', '2'].map((k) => AttributeSet.from({ a: k, z: k }));
    const plans = ['g_bucket', 'h_bucket'].map((value) =>
      labelPlan(['a', 'z'], [{ name: '__name__', value }], 'le'),
    );
    const bound = { name: 'le', value: '+Inf' };
    const family = { family: 'h', type: 'histogram' as const, help: '', unit: '' };
    const source = { encodedLabels: encodedOwnLabels, labelValues: ownLabelValues };
    for (const [version, Message] of [
      ['1.0', WriteRequest],
      ['2.0', Request],
    ] as const) {
      const message: RemoteWriteMessage = new Message({ isStale: false });
      message.at(1, 0);
      for (const [plan, set] of [
        [0, 0],
        [0, 1],
        [1, 1],
        [0, 1],
      ] as const) {
        message.begin(plans[plan]!, message.labelsOf(source, sets[set]!), bound);
        message.sample(1);
        message.end(family);
      }
      expect(decodeWrite(version, message.finish()).series.map(seriesName)).toEqual([
        'g_bucket{a="1",le="+Inf",z="1"}',
        'g_bucket{a="2",le="+Inf",z="2"}',
        'h_bucket{a="2",le="+Inf",z="2"}',
        'g_bucket{a="2",le="+Inf",z="2"}',
      ]);
    }
  });

  test('a histogram of which the buckets have less than its count: the last one has all', () => {
    const histogram = histogramColumns({
      ...common(1),
      descriptor: descriptor('h'),
      boundaries: [1],
      bucketCounts: Float64Array.of(2, 2),
      counts: Float64Array.of(7),
      sums: Float64Array.of(Number.NaN),
      mins: Float64Array.of(0),
      maxs: Float64Array.of(3),
    });
    const { series } = decodeWrite('1.0', requests(batchOf(histogram), '1.0')[0]!.body);
    expect(series.map((it) => [it.labels.__name__, it.labels.le, it.samples[0]!.value])).toEqual([
      ['h_bucket', '1', 2],
      ['h_bucket', '+Inf', 7],
      ['h_count', undefined, 7],
    ]);
  });

  describe('summaries', () => {
    const sets = [{ a: '1', z: '2' }, { quantile: 'mine' }].map((own) => AttributeSet.from(own));
    const latency = summaryColumns({
      ...common(2),
      attributes: sets,
      descriptor: { ...descriptor('latency'), unit: 's' },
      counts: Float64Array.of(3, Number.NaN),
      sums: Float64Array.of(7, Number.NaN),
      quantiles: [0.5, 1],
      quantileValues: Float64Array.of(1, -2, Number.NaN, 0),
    });
    const own = 'a="1"';
    const renamed = 'exported_quantile="mine"';

    test.each(['1.0', '2.0'] as const)(
      'version %s: a series for each quantile, one for the sum and one for the count, as far as they are known',
      (version) => {
        const [{ body, counts } = expect.fail()] = requests(batchOf(latency), version);
        const { series, metadata } = decodeWrite(version, body);
        expect(series.map((it) => [seriesName(it), it.samples[0]!.value])).toEqual([
          [`latency_seconds{${own},quantile="0.5",z="2"}`, 1],
          [`latency_seconds{${own},quantile="1",z="2"}`, -2],
          [`latency_seconds_sum{${own},z="2"}`, 7],
          [`latency_seconds_count{${own},z="2"}`, 3],
          [`latency_seconds{${renamed},quantile="0.5"}`, Number.NaN],
          [`latency_seconds{${renamed},quantile="1"}`, 0],
        ]);
        expect(counts).toEqual({ samples: 6, histograms: 0, exemplars: 0 });
        const described = { type: 5, help: '', unit: 'seconds' };
        if (version === '1.0') expect(metadata).toEqual({ latency_seconds: described });
        else for (const it of series) expect(it.metadata).toEqual(described);
      },
    );

    test('sums and counts have a beginning, and quantiles have none', () => {
      const { series } = decodeWrite('2.0', requests(batchOf(latency), '2.0')[0]!.body);
      const began = series.map(({ samples }) => samples[0]!.start);
      expect(began).toEqual([undefined, undefined, 1699999999000, 1699999999000, undefined, undefined]);
    });

    test.each(['1.0', '2.0'] as const)(
      'version %s: the mark of the end is on all series that it may have',
      (version) => {
        const stale = { ...prepared(batchOf(latency)), isStale: true };
        const { body } = ended(
          encodeRemoteWrite(stale, { from: 0, to: 2, maxBytes: 1e6, maxSamples: 100, version }),
        );
        const { series } = decodeWrite(version, body);
        expect(series.map(({ samples }) => samples[0]!.value)).toEqual(Array(8).fill('stale'));
        expect(new Set(series.map(seriesName)).size).toBe(8);
      },
    );
  });

  test.each([
    ['unknown', 0],
    ['info', 6],
    ['stateset', 7],
    ['summary', 2],
  ])('a gauge that was of the type %s is described as %d', (told, type) => {
    const gauge = gaugeColumns({
      ...common(1),
      descriptor: { ...descriptor('g'), metadata: { 'prometheus.type': told } },
      values: Float64Array.of(1),
    });
    const [first, second] = (['1.0', '2.0'] as const).map((version) =>
      decodeWrite(version, requests(batchOf(gauge), version)[0]!.body),
    );
    expect(first!.metadata).toEqual({ g: { type, help: '', unit: '' } });
    expect(second!.series[0]!.metadata?.type).toBe(type);
    expect(second!.series[0]!.samples[0]!.start).toBeUndefined();
  });

  test('a start that is not before the sample is none', () => {
    const nanos = 1_700_000_000_000_000_000n;
    const columns = { ...common(3), attributes: [1, 2, 3].map((k) => AttributeSet.from({ k })) };
    const counter = sumColumns(
      {
        ...columns,
        startTimes: BigUint64Array.of(nanos - 5_000_000n, nanos, nanos + 5_000_000n),
        descriptor: descriptor('c'),
        values: Float64Array.of(1, 2, 3),
      },
      true,
    );
    const { series } = decodeWrite('2.0', requests(batchOf(counter), '2.0')[0]!.body);
    expect(series.map(({ samples }) => samples[0]!.start)).toEqual([1699999999995, undefined, undefined]);
  });

  test('labels that are longer than what is set aside for a request', () => {
    const value = 'x'.repeat(100_000);
    const columns = { ...common(3), attributes: [1, 2, 3].map((k) => AttributeSet.from({ k, value })) };
    const gauge = gaugeColumns({
      ...columns,
      descriptor: descriptor('g'),
      values: Float64Array.of(1, 2, 3),
    });
    for (const version of ['1.0', '2.0'] as const) {
      const { series } = decodeWrite(version, requests(batchOf(gauge), version)[0]!.body);
      expect(series.map(({ labels, samples }) => [labels.k, labels.value, samples[0]!.value])).toEqual([
        ['1', value, 1],
        ['2', value, 2],
        ['3', value, 3],
      ]);
    }
  });

  test('nothing is kept of long labels when their series are over', () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const megabytes = () => {
      gc();
      return process.memoryUsage().heapUsed / 2 ** 20;
    };
    const before = megabytes();
    for (let i = 0; i < 1_000; i++) {
      const set = AttributeSet.from({ [`a_name_with_number_${i}`]: `${i}`, long: `${i}`.padEnd(1e5, 'x') });
      encodedOwnLabels(set);
      ownLabelValues(set);
    }
    expect(megabytes() - before).toBeLessThan(20);
  });

  test('families are described once, where several scopes have them too', () => {
    const gauge = (name: string, k: number) =>
      gaugeColumns({
        ...common(1),
        attributes: [AttributeSet.from({ k })],
        descriptor: { ...descriptor(name), description: `What ${name} is` },
        values: Float64Array.of(1),
      });
    const scopes = [1, 2].map((k) => ({
      scope: { name: `s${k}` },
      metrics: [gauge('a', k), gauge('b', k)],
    }));
    const batch = new MetricBatch(resourceFromAttributes({}), scopes);
    const { metadata } = decodeWrite('1.0', requests(batch, '1.0')[0]!.body);
    expect(metadata).toEqual({
      a: { type: 2, help: 'What a is', unit: '' },
      b: { type: 2, help: 'What b is', unit: '' },
    });
    const { series } = decodeWrite('2.0', requests(batch, '2.0')[0]!.body);
    expect(series.map((it) => it.metadata?.help)).toEqual([
      'What a is',
      'What b is',
      'What a is',
      'What b is',
    ]);
  });

  test('whatever a batch holds: both versions say the same, however it is cut, and what receivers take', () => {
    fc.assert(
      fc.property(
        randomBatch,
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 300, max: 5_000 }),
        (batch, maxSamples, maxBytes) => {
          const read = (version: '1.0' | '2.0', limits: Limits) =>
            requests(batch, version, limits).flatMap(({ body, counts, oversizedBytes }) => {
              if (body.length === 0) return [];
              expect(oversizedBytes).toBeUndefined();
              if (limits.maxBytes !== undefined) expect(body.length).toBeLessThanOrEqual(limits.maxBytes);
              const { series } = decodeWrite(version, body);
              expect(series.flatMap(({ samples }) => samples)).toHaveLength(counts.samples);
              expect(series.flatMap(({ histograms }) => histograms)).toHaveLength(counts.histograms);
              expect(series.flatMap(({ exemplars }) => exemplars)).toHaveLength(counts.exemplars);
              return series.map(({ metadata: _, samples, histograms, ...rest }) => ({
                ...rest,
                samples: samples.map(({ start: _, ...sample }) => sample),
                histograms: histograms.map(({ start: _, ...histogram }) => histogram),
              }));
            });
          const whole = read('1.0', {});
          expect(read('2.0', {})).toEqual(whole);
          expect(read('1.0', { maxSamples })).toEqual(whole);
          expect(read('2.0', { maxSamples })).toEqual(whole);
          for (const version of ['1.0', '2.0'] as const) {
            const kept = read(version, { maxBytes });
            // All but points that are too large by themselves.
            expect(whole).toEqual(expect.arrayContaining(kept));
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  test('each value arrives as it is', () => {
    fc.assert(
      fc.property(fc.array(fc.double(), { minLength: 1, maxLength: 20 }), (values) => {
        const attributes = values.map((_, i) => AttributeSet.from({ i }));
        const columns = { ...common(values.length), attributes };
        const gauge = gaugeColumns({
          ...columns,
          descriptor: descriptor('g'),
          values: Float64Array.from(values),
        });
        expect(gauge.dataPointType).toBe(DataPointType.GAUGE);
        for (const version of ['1.0', '2.0'] as const) {
          const found = requests(batchOf(gauge), version).flatMap(
            ({ body }) => decodeWrite(version, body).series,
          );
          expect(found.map(({ samples: [sample] }) => sample!.value)).toEqual(values);
        }
      }),
    );
  });
});
