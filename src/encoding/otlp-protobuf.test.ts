import { ValueType } from '@opentelemetry/api';
import { ProtobufMetricsSerializer } from '@opentelemetry/otlp-transformer';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type DecodedRequest,
  decodeRequest,
  ExportMetricsServiceRequest,
  parseRequest,
  rowsOf,
} from '../../test/support/otlp.ts';
import { AttributeSet } from '../data/attribute-set.ts';
import { gaugeColumns, MetricBatch, type MetricColumns, sumColumns } from '../data/metric-batch.ts';
import { AggregationTemporality } from '../data/metric-data.ts';
import { resourceFromAttributes } from '../data/resource.ts';
import { everyKind } from './fixtures/every-kind.ts';
import { expectedRows, randomBatch } from './fixtures/random-batch.ts';
import { encodeOtlpJson, encodeOtlpJsonLine } from './otlp-json.ts';
import { encodeOtlpProtobuf } from './otlp-protobuf.ts';
import type { EncodedRequest, EncodeRequest, RequestRange } from './otlp-request.ts';

function encoded(
  encode: EncodeRequest,
  batch: MetricBatch,
  range: Partial<RequestRange> = {},
): EncodedRequest {
  const work = encode(batch, { from: 0, to: batch.pointCount, maxBytes: Infinity, ...range });
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

function gauge(values: number[], valueType: ValueType, attributes = {}): MetricColumns {
  return gaugeColumns({
    descriptor: { name: 'g', unit: '', description: '', valueType },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    length: values.length,
    attributes: values.map(() => AttributeSet.from(attributes)),
    startTimes: new BigUint64Array(values.length).fill(1n),
    endTimes: new BigUint64Array(values.length).fill(2n),
    values: Float64Array.from(values),
  });
}

const batchOf = (...metrics: MetricColumns[]) =>
  new MetricBatch(resourceFromAttributes({}), [{ scope: { name: 's' }, metrics }]);

const text = (body: Uint8Array) => Buffer.from(body).toString();

describe.each([
  ['protobuf', encodeOtlpProtobuf as EncodeRequest, decodeRequest],
  ['json', encodeOtlpJson as EncodeRequest, (body: Uint8Array) => parseRequest(text(body) || '{}')],
])('%s', (_, encode, decode) => {
  const rows = (batch: MetricBatch, range?: Partial<RequestRange>) =>
    rowsOf(decode(encoded(encode, batch, range).body));
  const points = (metric: MetricColumns) =>
    rows(batchOf(metric)).map((row) => (row as { point: object }).point);

  test('[7.35][7.36][7.38][7.39][7.40] an independent decoder finds every field of random batches', () => {
    fc.assert(
      fc.property(randomBatch, (batch) => {
        expect(rows(batch)).toEqual(expectedRows(batch));
      }),
      { numRuns: 300, interruptAfterTimeLimit: 10_000 },
    );
  });

  test('[7.22][7.33] requests hold all points in order, none is above the limit, none has empty envelopes', () => {
    fc.assert(
      fc.property(randomBatch, fc.integer({ min: 1, max: 4000 }), (batch, maxBytes) => {
        const expected = expectedRows(batch);
        for (let from = 0; from < batch.pointCount; ) {
          const { body, next, oversizedBytes } = encoded(encode, batch, { from, maxBytes });
          expect(next).toBeGreaterThan(from);
          if (oversizedBytes === undefined) {
            expect(body.length).toBeLessThanOrEqual(maxBytes);
            const decoded = decode(body);
            expect(rowsOf(decoded)).toEqual(expected.slice(from, next));
            const envelopes = decoded.resourceMetrics.flatMap((own) => [
              own.scopeMetrics,
              ...own.scopeMetrics.map((scope) => scope.metrics),
            ]);
            expect(envelopes.every((own) => own.length > 0)).toBe(true);
            // As many as fit: one more would not.
            if (next < batch.pointCount) {
              expect(encoded(encode, batch, { from, to: next + 1 }).body.length).toBeGreaterThan(maxBytes);
            }
          } else {
            expect(body).toHaveLength(0);
            expect(next).toBe(from + 1);
            expect(encoded(encode, batch, { from, to: next }).body).toHaveLength(oversizedBytes);
            expect(oversizedBytes).toBeGreaterThan(maxBytes);
          }
          from = next;
        }
      }),
      { numRuns: 300, interruptAfterTimeLimit: 10_000 },
    );
  });

  test('[7.22] whatever the limit, requests keep it to the byte and hold as much as it allows', () => {
    const batch = everyKind();
    const whole = encoded(encode, batch).body.length;
    for (let maxBytes = 1; maxBytes <= whole; maxBytes++) {
      for (let from = 0; from < batch.pointCount; ) {
        const { body, next, oversizedBytes } = encoded(encode, batch, { from, maxBytes });
        expect(body.length).toBeLessThanOrEqual(maxBytes);
        if (oversizedBytes !== undefined) expect(oversizedBytes).toBeGreaterThan(maxBytes);
        else if (next < batch.pointCount) {
          const withOneMore = encoded(encode, batch, { from, to: next + 1 }).body;
          expect(withOneMore.length).toBeGreaterThan(maxBytes);
        }
        from = next;
      }
    }
    expect(encoded(encode, batch, { maxBytes: whole }).next).toBe(batch.pointCount);
    expect(encoded(encode, batch, { maxBytes: whole - 1 }).next).toBe(batch.pointCount - 1);
  });

  test('[7.22] requests of many chunks keep the limit too, and hold as much as it allows', () => {
    const batch = batchOf(
      gauge(
        Array.from({ length: 20_000 }, (_, i) => i),
        ValueType.INT,
        { a: 'x'.repeat(50) },
      ),
    );
    const maxBytes = 700_000;
    let seen = 0;
    for (let from = 0; from < batch.pointCount; ) {
      const { body, next } = encoded(encode, batch, { from, maxBytes });
      expect(body.length).toBeLessThanOrEqual(maxBytes);
      if (next < batch.pointCount) expect(body.length).toBeGreaterThan(maxBytes - 300);
      seen += rowsOf(decode(body)).length;
      from = next;
    }
    expect(seen).toBe(20_000);
  });

  test('a range in the middle has its points only, and an empty one has nothing', () => {
    const all = expectedRows(everyKind());
    for (let from = 0; from < all.length; from++) {
      for (let to = from + 1; to <= all.length; to++)
        expect(rows(everyKind(), { from, to })).toEqual(all.slice(from, to));
      const { body, ...rest } = encoded(encode, everyKind(), { from, to: from });
      expect(body).toHaveLength(0);
      expect(rest).toEqual({ next: from });
    }
  });

  test('[7.37] integers are exact, negative and large ones too; what is no 64-bit integer is a double', () => {
    const integers = [0, -0, -1, 3, -(2 ** 31), -(2 ** 40), 2 ** 53 - 1, -(2 ** 53), 2 ** 62, -(2 ** 63)];
    expect(points(gauge(integers, ValueType.INT))).toMatchObject(
      integers.map((value) => ({ asInt: String(BigInt(value)) })),
    );
    const others = [1.5, 2 ** 63, Infinity, Number.NaN];
    expect(points(gauge(others, ValueType.INT))).toMatchObject(others.map((value) => ({ asDouble: value })));
  });

  test('[7.41] doubles that are no number arrive, and zero is written', () => {
    const values = [Number.NaN, Infinity, -Infinity, 0, -0];
    expect(points(gauge(values, ValueType.DOUBLE))).toMatchObject(
      values.map((value) => ({ asDouble: value })),
    );
  });

  test('times and counts of zero are zero', () => {
    const batch = everyKind();
    const [sum, histogram] = batch.scopeMetrics[0]!.metrics as unknown as {
      startTimes: BigUint64Array;
      counts: Float64Array;
    }[];
    sum!.startTimes.fill(0n);
    histogram!.counts.fill(0);
    const found = rows(batch) as { point: object }[];
    expect(found[0]!.point).toMatchObject({ startTimeUnixNano: '0', asInt: '1234' });
    expect(found[2]!.point).toMatchObject({ count: '0', sum: 5.234 });
  });

  test('strings are valid UTF-8, from empty to 10 MB, with NUL and with lone surrogates', () => {
    const large = 'ü'.repeat(5_000_000);
    const [point] = points(gauge([1], ValueType.INT, { a: '', b: 'x\0y', c: 'a\ud800b', d: large }));
    expect((point as { attributes: unknown }).attributes).toEqual([
      { key: 'a', value: { stringValue: '' } },
      { key: 'b', value: { stringValue: 'x\0y' } },
      { key: 'c', value: { stringValue: 'a\ufffdb' } },
      { key: 'd', value: { stringValue: large } },
    ]);
  });

  test('[7.39] bytes, nested objects and what OTLP has no type for; an object within itself ends', () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    const foreign = {
      bytes: Uint8Array.of(1, 255),
      big: 2n ** 62n,
      huge: 2n ** 64n,
      nested: { k: [1] },
      none: () => 1,
    };
    const [point] = points(gauge([1], ValueType.INT, foreign as never));
    const bytes = Buffer.of(1, 255).toString('hex');
    expect((point as { attributes: unknown }).attributes).toEqual([
      { key: 'big', value: { intValue: String(2n ** 62n) } },
      { key: 'bytes', value: { bytesValue: bytes } },
      { key: 'huge', value: { stringValue: String(2n ** 64n) } },
      {
        key: 'nested',
        value: {
          kvlistValue: { values: [{ key: 'k', value: { arrayValue: { values: [{ intValue: '1' }] } } }] },
        },
      },
      { key: 'none', value: {} },
    ]);
    expect(points(gauge([1], ValueType.INT, { cycle } as never))).toHaveLength(1);
  });

  test('counts from elsewhere that are none do not spoil the request', () => {
    const batch = everyKind();
    const [, histogram, exponential] = batch.scopeMetrics[0]!.metrics as unknown as {
      counts: Float64Array;
      positive: { counts: Float64Array };
    }[];
    histogram!.counts.set([-1, Infinity]);
    exponential!.positive.counts.set([-1, Number.NaN, Infinity]);
    const found = rows(batch) as { point: { count: string; positive?: { bucketCounts: string[] } } }[];
    expect(found[2]!.point.count).toBe('0');
    expect(found[3]!.point.count).toBe(String(2n ** 64n - 2n ** 11n));
    expect(found[4]!.point.positive!.bucketCounts).toEqual(['0', '0', String(2n ** 64n - 2n ** 11n)]);
  });

  test('gives the event loop its turn after a few hundred points', () => {
    const batch = batchOf(gauge(Array(5_000).fill(1), ValueType.INT));
    expect([...encode(batch, { from: 0, to: 5_000, maxBytes: Infinity })].length).toBeGreaterThanOrEqual(19);
  });
});

describe('protobuf', () => {
  test('[7.35] is what the golden file has', async () => {
    const lines = Buffer.from(encoded(encodeOtlpProtobuf, everyKind()).body)
      .toString('hex')
      .replaceAll(/.{80}/g, '$&\n');
    await expect(`${lines}\n`).toMatchFileSnapshot('../../test/golden/otlp-protobuf.hex');
  });

  test('is put into the memory given, over what is there, when it fits in with room to spare', () => {
    const { body } = encoded(encodeOtlpProtobuf, everyKind());
    const larger = Buffer.alloc(2 * body.length, 0xff);
    const into = encoded(encodeOtlpProtobuf, everyKind(), { memory: larger });
    expect(into.body).toEqual(body);
    expect(into.body.buffer).toBe(larger.buffer);
    const middle = larger.subarray(5);
    expect(encoded(encodeOtlpProtobuf, everyKind(), { memory: middle }).body).toEqual(body);
    expect(middle.subarray(0, body.length)).toEqual(body);
    const smaller = Buffer.alloc(body.length - 1);
    expect(encoded(encodeOtlpProtobuf, everyKind(), { memory: smaller }).body).toEqual(body);
  });

  test('has the fewest bytes: written anew by another encoder it is as long', () => {
    fc.assert(
      fc.property(
        randomBatch.filter(({ pointCount }) => pointCount > 0),
        (batch) => {
          const { body } = encoded(encodeOtlpProtobuf, batch);
          expect(
            ExportMetricsServiceRequest.encode(ExportMetricsServiceRequest.decode(body)).finish(),
          ).toHaveLength(body.length);
        },
      ),
    );
  });

  test('says what the official serializer says, which leaves out exemplars and scope attributes', () => {
    const withoutThose = (row: unknown) => {
      const { point, scope, ...rest } = row as { point: Record<string, unknown>; scope: object };
      return { ...rest, scope: { ...scope, attributes: [] }, point: { ...point, exemplars: [] } };
    };
    const official = decodeRequest(ProtobufMetricsSerializer.serializeRequest(everyKind() as never)!);
    const ours = decodeRequest(encoded(encodeOtlpProtobuf, everyKind()).body);
    // Of a summary it has the name alone.
    for (const request of [official, ours]) expect(leaveOut(request, 'gc_duration_seconds')).toHaveLength(1);
    expect(rowsOf(ours).map(withoutThose)).toEqual(rowsOf(official).map(withoutThose));
  });

  test('formats an attribute set once, however often it is exported', () => {
    let reads = 0;
    const set = new AttributeSet(
      ['k'],
      [
        new Proxy(['v'], {
          get: (own, key) => {
            if (key === 'length') reads++;
            return Reflect.get(own, key);
          },
        }),
      ],
    );
    const metric = { ...gauge([1], ValueType.INT), attributes: [set] };
    const { dataPoints: _, ...columns } = metric;
    const batch = batchOf(sumColumns(columns as never, true), gaugeColumns(columns as never));
    encoded(encodeOtlpProtobuf, batch);
    const readOnce = reads;
    encoded(encodeOtlpProtobuf, batch);
    expect(reads).toBe(readOnce);
  });
});

/** Takes a metric out of a request, and returns it. */
function leaveOut({ resourceMetrics }: DecodedRequest, name: string): object[] {
  return resourceMetrics.flatMap(({ scopeMetrics }) =>
    scopeMetrics.flatMap(({ metrics }) => {
      const at = metrics.findIndex((metric) => metric.name === name);
      return at < 0 ? [] : metrics.splice(at, 1);
    }),
  );
}

describe('JSON line', () => {
  const line = (batch: MetricBatch) => text(Buffer.concat([...encodeOtlpJsonLine(batch)]));

  test('[7.44] a batch is one line, whatever its strings hold; one without points is none', () => {
    fc.assert(
      fc.property(randomBatch, (batch) => {
        const written = line(batch);
        if (batch.pointCount === 0) {
          expect(written).toBe('');
          return;
        }
        expect(written.split(/[\n\r\u0085\u2028\u2029]/)).toHaveLength(2);
        expect(rowsOf(parseRequest(written))).toEqual(expectedRows(batch));
      }),
    );
  });

  test('[7.39][7.40][7.41][12.43] the text of every kind is what the golden file has', async () => {
    await expect(line(everyKind())).toMatchFileSnapshot('../../test/golden/otlp.jsonl');
  });
});
