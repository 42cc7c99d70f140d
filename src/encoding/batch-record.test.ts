import { types } from 'node:util';
import type { Attributes } from '@opentelemetry/api';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AttributeSet } from '../data/attribute-set.ts';
import { MetricBatch, type MetricColumns, sumColumns } from '../data/metric-batch.ts';
import { resourceFromAttributes } from '../data/resource.ts';
import { sliceBatch } from '../data/slice-batch.ts';
import { encodeBatchRecord } from './batch-record.ts';
import { decodeBatchRecord } from './batch-record-decoder.ts';
import { RecordError } from './batch-record-error.ts';
import { RECORD_VERSION } from './batch-record-format.ts';
import { KnownSets } from './batch-record-known-sets.ts';
import { everyKind } from './fixtures/every-kind.ts';
import { batchOf, counter, histogram } from './fixtures/metrics.ts';
import { randomBatch } from './fixtures/random-batch.ts';

const encoded = (batch: MetricBatch) => Buffer.concat([...encodeBatchRecord(batch)]);

function decoded(bytes: Uint8Array, known?: KnownSets): MetricBatch {
  const steps = decodeBatchRecord(bytes, known);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** All that a batch holds, typed arrays as their bits. */
function bitsOf({ resource, scopeMetrics }: MetricBatch) {
  return {
    resource: [Object.entries(resource.attributes), resource.schemaUrl],
    scopes: scopeMetrics.map(({ scope, metrics }) => ({ scope, metrics: metrics.map(metricBits) })),
  };
}

function metricBits(metric: MetricColumns): unknown {
  const { dataPoints, ...columns } = metric;
  return bits({ ...columns, attributes: metric.attributes.map(({ keys, values }) => [keys, values]) });
}

function bits(value: unknown): unknown {
  if (types.isTypedArray(value)) {
    return [
      value.constructor.name,
      Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex'),
    ];
  }
  if (typeof value === 'number') return Buffer.from(Float64Array.of(value).buffer).toString('hex');
  if (Array.isArray(value)) return value.map(bits);
  if (typeof value !== 'object' || value === null) return value;
  // A column that there is not may be absent or undefined.
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, member]) => (member === undefined ? [] : [[key, bits(member)]])),
  );
}

describe('a batch as a record', () => {
  test('every field of every kind comes back', () => {
    const batch = everyKind();
    const copy = decoded(encoded(batch));
    expect(bitsOf(copy)).toEqual(bitsOf(batch));
    expect(JSON.parse(JSON.stringify(copy))).toEqual(JSON.parse(JSON.stringify(batch)));
    expect(copy.pointCount).toBe(batch.pointCount);
  });

  test('any batch comes back bit by bit', () => {
    fc.assert(
      fc.property(randomBatch, (batch) => {
        expect(bitsOf(decoded(encoded(batch)))).toEqual(bitsOf(batch));
      }),
      { numRuns: 300 },
    );
  });

  test('a piece of a batch comes back, though its columns are views', () => {
    fc.assert(
      fc.property(randomBatch, fc.nat(10), fc.nat(10), (batch, from, length) => {
        const piece = sliceBatch(batch, from, from + length);
        expect(bitsOf(decoded(encoded(piece)))).toEqual(bitsOf(piece));
      }),
    );
  });

  test('values that comparisons do not tell apart stay apart: -0, the bits of NaN, infinities', () => {
    const values = new Float64Array(4);
    new BigUint64Array(values.buffer).set([
      1n << 63n,
      0x7ff8_dead_beef_0001n,
      0x7ff0n << 48n,
      0xfff0n << 48n,
    ]);
    const same = new Float64Array(4);
    new BigUint64Array(same.buffer).fill(0xfff8_0000_0000_0007n);
    const sums = [values, same].map((column) =>
      sumColumns(
        {
          ...counter(
            'c',
            ['a', 'b', 'c', 'd'].map((k) => [{ k }, 0] as const),
          ),
          values: column,
        },
        true,
      ),
    );
    const batch = batchOf([[{ name: 's' }, sums]]);
    expect(bitsOf(decoded(encoded(batch)))).toEqual(bitsOf(batch));
  });

  test('every type of attribute comes back, those of other makers too', () => {
    const attributes = {
      text: 'ü🙂',
      lone: '\ud800x',
      number: 1.5,
      zero: -0,
      flag: false,
      list: ['a', null, undefined],
      nested: { a: [1, { b: true }] },
      big: 2n ** 70n,
      bytes: Uint8Array.of(1, 2, 3),
      nothing: null,
      ['__proto__']: 'own',
    };
    const batch = new MetricBatch(resourceFromAttributes(attributes as never), []);
    const { resource } = decoded(encoded(batch));
    expect(Object.entries(resource.attributes)).toEqual(Object.entries(batch.resource.attributes));
    expect(Object.is(resource.attributes.zero, -0)).toBe(true);
    expect(Object.keys(resource.attributes)).toContain('__proto__');
  });

  test('an object that contains itself ends', () => {
    const endless: Record<string, unknown> = {};
    endless.self = endless;
    const batch = new MetricBatch(resourceFromAttributes({ endless } as never), []);
    expect(decoded(encoded(batch)).resource.attributes).toHaveProperty('endless.self.self');
  });

  test('series that share an attribute set share it afterwards', () => {
    const set = AttributeSet.from({ a: 'b' });
    const shared = (name: string) => sumColumns({ ...counter(name, [[{}, 1]]), attributes: [set] }, true);
    const { scopeMetrics } = decoded(encoded(batchOf([[{ name: 's' }, [shared('x'), shared('y')]]])));
    const [x, y] = scopeMetrics[0]!.metrics;
    expect(x!.attributes[0]).toBe(y!.attributes[0]);
  });

  test('times that are the same for all points, and texts that repeat, are written once', () => {
    const points = Array.from(
      { length: 1_000 },
      (_, i) => [{ route: '/orders', method: 'GET', i }, i] as const,
    );
    const bytes = encoded(batchOf([[{ name: 's' }, [counter('requests', points)]]])).length;
    // A value of 8 bytes, and a set: its number, three keys, two texts, two tags and a number.
    expect(bytes / points.length).toBeLessThan(30);
  });

  test('a long batch comes in chunks that are quick to make, and is read in steps', () => {
    const boundaries = Array.from({ length: 50 }, (_, i) => i);
    const counts = [...boundaries, 0].fill(1);
    const points = Array.from(
      { length: 5_000 },
      (_, i) => [{ i: `series ${i}` }, { boundaries, counts }] as const,
    );
    const batch = batchOf([[{ name: 's' }, [histogram('h', points)]]]);
    const chunks = [...encodeBatchRecord(batch)];
    expect(Math.max(...chunks.map(({ length }) => length))).toBeLessThanOrEqual(64 * 1024);
    expect([...decodeBatchRecord(Buffer.concat(chunks))].length).toBeGreaterThan(20);
  });
});

describe('records one after the other', () => {
  const setsOf = (batch: MetricBatch) =>
    batch.scopeMetrics.flatMap(({ metrics }) => metrics.flatMap(({ attributes }) => attributes));
  /** As a provider makes them: sets with the same keys share the list. */
  const series = (...all: Attributes[]) => {
    const lists = new Map<string, readonly string[]>();
    const sets = all.map((one) => {
      const { keys, values } = AttributeSet.from(one);
      const list = lists.get(keys.join()) ?? keys;
      lists.set(keys.join(), list);
      return new AttributeSet(list, values);
    });
    const { dataPoints, ...columns } = counter(
      'c',
      all.map((one) => [one, 1] as const),
    );
    return batchOf([[{ name: 's' }, [sumColumns({ ...columns, attributes: sets }, true)]]]);
  };

  test('the same series have the same sets, wherever in a record they come', () => {
    const known = new KnownSets();
    const all = [{ a: 'x', n: 1.5 }, { a: 'y', n: 2 }, { b: true }, { a: 'x', b: 'ü' }];
    const first = setsOf(decoded(encoded(series(...all)), known));
    const second = setsOf(decoded(encoded(series({ z: 'new' }, ...all.toReversed())), known));
    expect(second.length).toBe(5);
    second
      .slice(1)
      .toReversed()
      .forEach((set, i) => void expect(set).toBe(first[i]));
  });

  test('any batches come back bit by bit', () => {
    fc.assert(
      fc.property(fc.array(randomBatch, { minLength: 2, maxLength: 4 }), (batches) => {
        const known = new KnownSets();
        for (const batch of [...batches, ...batches]) {
          expect(bitsOf(decoded(encoded(batch), known))).toEqual(bitsOf(batch));
        }
      }),
    );
  });

  test.each([
    ['texts whose bytes look like those of others', { k: '\u00c3\u00a9' }, { k: 'é' }],
    ['a number and its text', { k: 1 }, { k: '1' }],
    ['0 and -0', { k: 0 }, { k: -0 }],
    ['true and false', { k: true }, { k: false }],
    ['a value under another key', { k: 'x' }, { l: 'x' }],
    ['an attribute more', { k: 'x' }, { k: 'x', l: 'x' }],
    ['texts swapped', { k: 'x', l: 'y' }, { k: 'y', l: 'x' }],
    [
      'long texts that differ in the middle',
      { k: `${'x'.repeat(500)}1${'x'.repeat(500)}` },
      { k: 'x'.repeat(1_001) },
    ],
  ])('%s are told apart', (_, one, other) => {
    const known = new KnownSets();
    for (const attributes of [one, other, one]) {
      const [set] = setsOf(decoded(encoded(series(attributes)), known));
      expect(set!.attributes).toEqual(attributes);
    }
  });

  test('sets with the same hash are told apart', () => {
    const known = new KnownSets();
    const one = known.set(7, ['k'], ['x']);
    expect(known.set(7, ['k'], ['x'])).toBe(one);
    expect(known.set(7, ['k'], ['y']).values).toEqual(['y']);
    expect(known.set(7, ['l'], ['y']).keys).toEqual(['l']);
    known.addText(7, 'x');
    expect(known.text(7, Buffer.from('x'), 0, 1)).toBe('x');
    expect(known.text(7, Buffer.from('y'), 0, 1)).toBeUndefined();
    expect(known.text(7, Buffer.from('xy'), 0, 2)).toBeUndefined();
    // Its characters have the numbers of the other one's bytes.
    known.addText(8, Buffer.from('é').toString('latin1'));
    expect(known.text(8, Buffer.from('é'), 0, 2)).toBeUndefined();
  });

  test('series that are over are forgotten once they are many', () => {
    const known = new KnownSets();
    const many = (from: number) => series(...Array.from({ length: 900 }, (_, i) => ({ i: `${from + i}` })));
    const [first] = setsOf(decoded(encoded(many(0)), known));
    expect(setsOf(decoded(encoded(many(0)), known))[0]).toBe(first);
    for (let i = 1; i < 5; i++) decoded(encoded(many(i * 1_000)), known);
    expect(setsOf(decoded(encoded(many(0)), known))[0]).not.toBe(first);
  });
});

describe('bytes that are no record', () => {
  test('any bytes at all end in a RecordError or a batch', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        fails(Uint8Array.of(RECORD_VERSION, ...bytes));
        fails(bytes);
      }),
      { numRuns: 2_000 },
    );
  });

  test('a record with bytes changed, cut off or added ends in a RecordError or a batch', () => {
    const record = encoded(everyKind());
    const change = fc.tuple(fc.nat(record.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 4 }), fc.nat(record.length), (changes, length) => {
        const damaged = Buffer.from(record);
        for (const [at, byte] of changes) damaged[at] = byte;
        fails(damaged);
        fails(damaged.subarray(0, length));
      }),
      { numRuns: 1_000 },
    );
  });

  test('every prefix of a record ends in a RecordError that says it is damaged', () => {
    const record = encoded(everyKind());
    for (let length = 0; length < record.length; length++) {
      expect(() => decoded(record.subarray(0, length))).toThrow(RecordError);
    }
    expect(() => decoded(Buffer.concat([record, Buffer.from([0])]))).toThrow('bytes follow the last scope');
  });

  test('lengths that the bytes cannot have take no memory', () => {
    const [record] = [...encodeBatchRecord(batchOf([]))];
    const huge = Buffer.from([
      ...record!.subarray(0, record!.length - 1),
      0xff,
      0xff,
      0xff,
      0xff,
      0xff,
      0x7f,
    ]);
    const before = process.memoryUsage().arrayBuffers;
    expect(() => decoded(huge)).toThrow('the record ends too early');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1e6);
  });

  // Version 1 had no metadata of metrics.
  test.each([1, RECORD_VERSION + 1])('a record of version %i says so', (version) => {
    const record = encoded(everyKind());
    record[0] = version;
    expect(() => decoded(record)).toThrow(expect.objectContaining({ reason: 'version' }));
  });
});

/** Bounded in memory, too: a record never becomes more than a small multiple of itself. */
function fails(bytes: Uint8Array): void {
  try {
    const batch = decoded(bytes);
    for (const { metrics } of batch.scopeMetrics) {
      for (const { length } of metrics) expect(length).toBeLessThanOrEqual(bytes.length);
    }
  } catch (error) {
    expect(error).toBeInstanceOf(RecordError);
  }
}
