import { ValueType } from '@opentelemetry/api';
import fc from 'fast-check';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { AttributeSet } from '../data/attribute-set.ts';
import {
  exponentialHistogramColumns,
  gaugeColumns,
  histogramColumns,
  MetricBatch,
  type MetricColumns,
  sumColumns,
} from '../data/metric-batch.ts';
import { AggregationTemporality } from '../data/metric-data.ts';
import { resourceFromAttributes } from '../data/resource.ts';
import { everyKind } from './fixtures/every-kind.ts';
import { encodeJsonLines, type JsonLinesOptions } from './json-lines.ts';

type Line = Record<string, unknown>;

function text(batch: MetricBatch, options?: JsonLinesOptions): string {
  return Buffer.concat([...encodeJsonLines(batch, options)]).toString('utf8');
}

function parsed(batch: MetricBatch): Line[] {
  const lines = text(batch).split('\n');
  expect(lines.pop()).toBe('');
  return lines.map((line) => JSON.parse(line) as Line);
}

function batchOf(...metrics: MetricColumns[]): MetricBatch {
  return new MetricBatch(resourceFromAttributes({}), [{ scope: { name: 's' }, metrics }]);
}

function gauges(values: number[], attributes = values.map(() => AttributeSet.from({}))): MetricColumns {
  return gaugeColumns({
    descriptor: { name: 'g', unit: '', description: '', valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    length: values.length,
    attributes,
    startTimes: new BigUint64Array(values.length),
    endTimes: new BigUint64Array(values.length),
    values: Float64Array.from(values),
  });
}

beforeEach(() => {
  vi.stubEnv('TZ', 'Asia/Shanghai');
  return () => vi.unstubAllEnvs();
});

describe('encodeJsonLines', () => {
  it('writes every kind of point as the golden file has it', async () => {
    await expect(text(everyKind())).toMatchFileSnapshot('../../test/golden/json-lines.jsonl');
  });

  it('writes the fields in the documented order', () => {
    const [counter] = parsed(everyKind());
    expect(Object.keys(counter!)).toEqual([
      'timestamp',
      'service_name',
      'metric_name',
      'metric_type',
      'value',
      'unit',
      'description',
      'attributes',
      'resource',
      'start_time_unix_nano',
      'time_unix_nano',
      'temporality',
      'monotonic',
      'value_type',
      'resource_schema_url',
      'scope',
    ]);
  });

  it('can leave the colon out of the offset', () => {
    expect(text(everyKind(), { timestampOffset: 'compact' })).toMatch(
      /^\{"timestamp":"2025-12-16T09:30:17\.594\+0800",/,
    );
  });

  it('ends every chunk with the end of a line, also where one line is larger than a chunk', () => {
    const huge = AttributeSet.from({ a: 'x'.repeat(1_000_000) });
    const values = Array.from({ length: 5_000 }, (_, i) => i);
    const sets = values.map((i) =>
      i % 2_000 === 999 ? huge : AttributeSet.from({ i, text: 'ü'.repeat(i % 97) }),
    );
    const chunks = [...encodeJsonLines(batchOf(gauges(values, sets)))];
    expect(chunks.length).toBeGreaterThan(5);
    for (const chunk of chunks) {
      const lines = Buffer.from(chunk).toString('utf8').split('\n');
      expect(lines.pop()).toBe('');
      for (const line of lines) JSON.parse(line);
    }
    expect(parsed(batchOf(gauges(values, sets))).map((line) => line.value)).toEqual(values);
  });

  it('keeps chunks that were handed out as they are', () => {
    const chunks: Uint8Array[] = [];
    const copies: Uint8Array[] = [];
    for (const chunk of encodeJsonLines(batchOf(gauges(Array(5_000).fill(1))))) {
      chunks.push(chunk);
      copies.push(chunk.slice());
    }
    expect(chunks.length).toBeGreaterThan(4);
    expect(chunks.every((chunk, i) => copies[i]!.every((byte, at) => chunk[at] === byte))).toBe(true);
  });

  it('leaves a chunk of reused buffers alone while the next one is made', () => {
    const huge = AttributeSet.from({ a: 'x'.repeat(1_000_000) });
    const values = Array.from({ length: 10_000 }, (_, i) => i);
    const sets = values.map((i) => (i % 4_000 === 999 ? huge : AttributeSet.from({ i })));
    let text = '';
    let last: Uint8Array | undefined;
    const buffers = new Set<ArrayBufferLike>();
    for (const chunk of encodeJsonLines(batchOf(gauges(values, sets)), { reuseBuffers: true })) {
      if (last) text += Buffer.from(last).toString();
      last = chunk;
      buffers.add(chunk.buffer);
    }
    text += Buffer.from(last!).toString();
    const lines = text.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line).value)).toEqual(values);
    // Two in turns; the huge line needs larger ones, once each.
    expect(buffers.size).toBeLessThanOrEqual(4);
  });

  it('writes nothing for an empty batch', () => {
    expect([...encodeJsonLines(batchOf())]).toEqual([]);
  });

  it('formats an attribute set once, however often it is exported', () => {
    const stringify = vi.spyOn(JSON, 'stringify');
    const batch = batchOf(
      gauges([1, 2], [AttributeSet.from({ unique1: 1 }), AttributeSet.from({ unique2: 2 })]),
    );
    text(batch);
    text(batch);
    const formatted = stringify.mock.calls.filter(([value]) => String(value).startsWith('unique'));
    stringify.mockRestore();
    expect(formatted.length).toBe(2);
  });

  it('keeps times of points apart, to the nanosecond', () => {
    const metric = gauges([1, 2, 3, 4]);
    metric.startTimes.set([1n, 1n, 2n, 2n ** 64n - 1n]);
    metric.endTimes.set([5n, 4_294_967_301n, 5n, 5n]);
    const lines = parsed(batchOf(metric));
    expect(lines.map((line) => line.start_time_unix_nano)).toEqual(['1', '1', '2', '18446744073709551615']);
    expect(lines.map((line) => line.time_unix_nano)).toEqual(['5', '4294967301', '5', '5']);
    expect(lines.map((line) => line.timestamp)).toEqual([
      '1970-01-01T08:00:00.000+08:00',
      '1970-01-01T08:00:04.294+08:00',
      '1970-01-01T08:00:00.000+08:00',
      '1970-01-01T08:00:00.000+08:00',
    ]);
  });

  it('names a service that has no name', () => {
    expect(parsed(batchOf(gauges([1])))[0]).toMatchObject({ service_name: 'unknown_service', resource: {} });
  });

  it.each([
    ['a bigint', 10n ** 20n, 1e20],
    ['undefined in a list', ['a', undefined], ['a', null]],
    ['a nested object', { a: [1] }, { a: [1] }],
    ['an object with a cycle', cycle(), '[object Object]'],
    ['an object without a prototype that holds a bigint', noPrototype(), '[object Object]'],
    ['a symbol', Symbol('x'), 'Symbol(x)'],
    ['NaN', Number.NaN, 'NaN'],
    ['infinities in a list', [Infinity, -Infinity], ['Infinity', '-Infinity']],
  ])('writes an attribute that is %s', (_, value, expected) => {
    const set = new AttributeSet(['a'], [value as unknown as string]);
    expect(parsed(batchOf(gauges([1], [set])))[0]!.attributes).toEqual({ a: expected });
  });

  it('escapes what some readers take for the end of a line', () => {
    const written = text(batchOf(gauges([1], [AttributeSet.from({ a: '\u2028\u2029\u0085\v\n' })])));
    expect(written).toContain('"\\u2028\\u2029\\u0085\\u000b\\n"');
  });
});

function cycle(): object {
  const object: Record<string, unknown> = {};
  object.self = object;
  return object;
}

function noPrototype(): object {
  return Object.assign(Object.create(null), { a: 1n });
}

describe('any batch', () => {
  const hostile = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({
      unit: fc.constantFrom('\ud800', '\udc00', '"', '\\', '\n', '\0', '\u2028', '__proto__', '\x7f', 'é'),
    }),
    fc.constantFrom('__proto__', 'constructor', ''),
  );
  const number = fc.oneof(
    fc.double(),
    fc.maxSafeInteger(),
    fc.nat(20),
    fc.integer().map((n) => n / 1e9),
    fc.tuple(fc.integer(), fc.nat(12)).map(([n, digits]) => n / 10 ** digits),
    fc.constantFrom(0, -0, 0.1 + 0.2, -1.2345678901234567e-6, 999999.999999999, 5e-324, 2 ** 31, 1e15, 1e21),
  );
  const count = fc.oneof(fc.nat(9), fc.maxSafeInteger().map(Math.abs));
  const value = fc.oneof(
    hostile,
    number,
    fc.boolean(),
    fc.array(hostile),
    fc.array(number),
    fc.array(fc.boolean()),
  );
  const attributes = fc.dictionary(hostile, value, { maxKeys: 4 }).map((a) => AttributeSet.from(a));
  const time = fc.bigInt({ min: 0n, max: 2n ** 63n });
  const point = fc.record({ attributes, start: time, end: time, value: number });
  const descriptor = fc.record({
    name: hostile,
    unit: hostile,
    description: hostile,
    valueType: fc.constantFrom(ValueType.INT, ValueType.DOUBLE),
  });
  const common = fc.record({
    descriptor,
    temporality: fc.constantFrom(AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE),
    points: fc.array(point, { maxLength: 5 }),
  });
  type Common = typeof common extends fc.Arbitrary<infer T> ? T : never;

  const columns = ({ descriptor, temporality, points }: Common) => ({
    descriptor,
    aggregationTemporality: temporality,
    length: points.length,
    attributes: points.map((p) => p.attributes),
    startTimes: BigUint64Array.from(points, (p) => p.start),
    endTimes: BigUint64Array.from(points, (p) => p.end),
    values: Float64Array.from(points, (p) => p.value),
  });
  const distribution = (c: Common, n: number[]) => ({
    ...columns(c),
    counts: Float64Array.from(c.points, (_, i) => n[i % n.length]!),
    sums: Float64Array.from(c.points, (p) => p.value),
    mins: Float64Array.from(c.points, (p) => -p.value),
    maxs: Float64Array.from(c.points, (p) => p.value / 3),
  });

  /** JSON has no way to write these; everything else must come back as it was. */
  const jsonNumber = (n: number) => (Number.isFinite(n) ? n : String(n));
  const jsonValue = (v: unknown): unknown =>
    typeof v === 'number' ? jsonNumber(v) : Array.isArray(v) ? v.map(jsonValue) : v;
  const optional = (name: string, n: number) => (Number.isNaN(n) ? {} : { [name]: jsonNumber(n) });

  function expectLines(
    c: Common,
    metric: MetricColumns,
    type: string,
    valueAt: (i: number) => unknown,
    more: Line,
  ) {
    const lines = parsed(batchOf(metric));
    expect(lines.length).toBe(c.points.length);
    c.points.forEach((p, i) => {
      const { timestamp, scope, attributes, ...line } = lines[i]!;
      expect(Date.parse(timestamp as string)).toBe(Number(p.end / 1_000_000n));
      expect(scope).toEqual({ name: 's' });
      expect(Object.entries(attributes as object)).toEqual(
        Object.entries(
          Object.fromEntries(p.attributes.keys.map((k, j) => [k, jsonValue(p.attributes.values[j])])),
        ),
      );
      expect(line).toEqual({
        service_name: 'unknown_service',
        metric_name: c.descriptor.name,
        metric_type: type,
        value: valueAt(i),
        unit: c.descriptor.unit,
        description: c.descriptor.description,
        resource: {},
        start_time_unix_nano: String(p.start),
        time_unix_nano: String(p.end),
        temporality: c.temporality === AggregationTemporality.DELTA ? 'delta' : 'cumulative',
        value_type: c.descriptor.valueType === ValueType.INT ? 'int' : 'double',
        ...more,
      });
    });
  }

  it('of numbers comes back from JSON.parse', () => {
    fc.assert(
      fc.property(common, fc.boolean(), fc.boolean(), (c, isGauge, monotonic) => {
        const metric = isGauge ? gaugeColumns(columns(c)) : sumColumns(columns(c), monotonic);
        const type = !isGauge && monotonic ? 'counter' : 'gauge';
        expectLines(c, metric, type, (i) => jsonNumber(c.points[i]!.value), isGauge ? {} : { monotonic });
      }),
    );
  });

  it('of histograms comes back from JSON.parse', () => {
    const bounds = fc.uniqueArray(fc.double({ noNaN: true, noDefaultInfinity: true }), { maxLength: 6 });
    fc.assert(
      fc.property(common, bounds, fc.array(count, { minLength: 1 }), (c, unsorted, n) => {
        const boundaries = unsorted.sort((a, b) => a - b);
        const width = boundaries.length + 1;
        const bucketCounts = Float64Array.from(
          { length: c.points.length * width },
          (_, k) => n[k % n.length]!,
        );
        const d = distribution(c, n);
        expectLines(
          c,
          histogramColumns({ ...d, boundaries, bucketCounts }),
          'histogram',
          (i) => ({
            count: d.counts[i],
            ...optional('sum', d.sums[i]!),
            ...optional('min', d.mins[i]!),
            ...optional('max', d.maxs[i]!),
            buckets: [...boundaries, '+Inf'].map((upper_bound, k) => ({
              upper_bound,
              count: bucketCounts[i * width + k],
            })),
          }),
          {},
        );
      }),
    );
  });

  it('of exponential histograms comes back from JSON.parse', () => {
    fc.assert(
      fc.property(
        common,
        fc.array(count, { minLength: 1 }),
        fc.integer({ min: -10, max: 20 }),
        (c, n, scale) => {
          const length = c.points.length;
          const d = distribution(c, n);
          const buckets = {
            offsets: Int32Array.from({ length }, (_, i) => scale * 7 - i),
            starts: Uint32Array.from({ length: length + 1 }, (_, i) => i * n.length),
            counts: Float64Array.from({ length: length * n.length }, (_, k) => n[k % n.length]!),
          };
          const metric = exponentialHistogramColumns({
            ...d,
            scales: new Int32Array(length).fill(scale),
            zeroCounts: new Float64Array(length).fill(n[0]!),
            positive: buckets,
            negative: { ...buckets, starts: new Uint32Array(length + 1), counts: new Float64Array() },
          });
          const lines = parsed(batchOf(metric));
          lines.forEach((line, i) => {
            expect(line.metric_type).toBe('histogram');
            expect(line.value).toEqual({
              count: d.counts[i],
              ...optional('sum', d.sums[i]!),
              ...optional('min', d.mins[i]!),
              ...optional('max', d.maxs[i]!),
              buckets: [],
            });
            expect(line.exponential_histogram).toEqual({
              scale,
              zero_count: n[0],
              positive: { offset: scale * 7 - i, counts: n },
              negative: { offset: scale * 7 - i, counts: [] },
            });
          });
          expect(lines.length).toBe(length);
        },
      ),
    );
  });
});
