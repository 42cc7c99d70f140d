import type { Attributes } from '@opentelemetry/api';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { captureLogs, pointsOf } from '../../test/support/collected.ts';
import { AttributeInterner } from './attribute-interner.ts';
import { MeterProvider } from './meter-provider.ts';
import { ManualMetricReader } from './readers/manual-metric-reader.ts';

const hostileText = fc.oneof(
  fc.constantFrom('', 'a', 'b', 'a|', '|a', '1', 'true', '__proto__', 'constructor', '\ud800', '["a"]', 'n1'),
  fc.string({ maxLength: 3 }),
);
const value = fc.oneof(
  hostileText,
  fc.constantFrom(1, 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, true, false),
  fc.array(fc.oneof(hostileText, fc.constantFrom(1, Number.NaN, true)), { maxLength: 2 }),
);
const attributes = fc
  .uniqueArray(fc.tuple(hostileText, value), { selector: ([key]) => key, maxLength: 4 })
  .map((entries) => Object.fromEntries(entries) as Attributes);

/** An independent identity: types spelled out, keys sorted, nothing joined without quotes. */
function identity(of: Attributes): string {
  const tagged = (it: unknown): unknown => (Array.isArray(it) ? it.map(tagged) : [typeof it, String(it)]);
  return JSON.stringify(
    Object.keys(of)
      .filter((key) => key !== '')
      .sort()
      .map((key) => [key, tagged(of[key])]),
  );
}

function shuffled(of: Attributes, seed: number): Attributes {
  const entries = Object.entries(of);
  return Object.fromEntries(entries.map((_, i) => entries[(i + seed) % entries.length]!).reverse());
}

const intern = (interner: AttributeInterner, of: Attributes) => interner.intern(interner.canonical(of));
const lookup = (interner: AttributeInterner, of: Attributes) => interner.lookup(interner.canonical(of));

describe('AttributeInterner', () => {
  captureLogs();

  test('[1.34] two objects share a set exactly when they have the same keys and values', () => {
    fc.assert(
      fc.property(fc.array(attributes, { maxLength: 30 }), fc.nat(3), (all, seed) => {
        const interner = new AttributeInterner();
        const byIdentity = new Map<string, unknown>();
        for (const one of all) {
          const set = intern(interner, one);
          interner.retain(set);
          const known = byIdentity.get(identity(one));
          if (known) expect(set).toBe(known);
          byIdentity.set(identity(one), set);
          expect(lookup(interner, shuffled(one, seed))).toBe(set);
          expect([undefined, set]).toContain(interner.find(one));
        }
        expect(new Set(byIdentity.values()).size).toBe(byIdentity.size);
      }),
    );
  });

  test('released sets are forgotten and the others stay', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(attributes, { selector: identity, maxLength: 30 }),
        fc.nat(),
        (all, which) => {
          const interner = new AttributeInterner();
          const sets = all.map((one) => intern(interner, one));
          for (const set of sets) interner.retain(set);
          const isReleased = (i: number) => (which >> (i % 8)) % 2 === 0;
          sets.forEach((set, i) => void (isReleased(i) && interner.release(set)));
          all.forEach((one, i) => {
            expect(lookup(interner, one)).toBe(isReleased(i) ? undefined : sets[i]);
            expect(interner.find(one)).toBe(isReleased(i) ? undefined : interner.find(one));
          });
        },
      ),
    );
  });

  test('a second call with the same key order needs no conversion', () => {
    const interner = new AttributeInterner();
    const set = intern(interner, { b: 'x', a: 1 });
    expect(interner.find({ b: 'x', a: 1 })).toBe(set);
    expect(interner.find({ b: 'x', a: 2 })).toBeUndefined();
    expect(interner.find({ b: 'x' })).toBeUndefined();
    expect(interner.find({ b: 'x', a: 1, c: 2 })).toBeUndefined();
  });

  test('undefined and null mean absent, and attributes are sorted and frozen', () => {
    const interner = new AttributeInterner();
    const set = intern(interner, { b: 'x', a: 1 });
    interner.retain(set);
    const nulls = { c: undefined, a: 1, d: null, b: 'x' } as unknown as Attributes;
    expect(lookup(interner, nulls)).toBe(set);
    expect(set.keys).toEqual(['a', 'b']);
    expect(Object.isFrozen(set.attributes)).toBe(true);
  });

  test('[1.35] the caller may change its object and its arrays afterwards', () => {
    const interner = new AttributeInterner();
    const given = { tags: ['a'], id: 1 };
    const set = intern(interner, given);
    given.tags.push('b');
    given.id = 2;
    expect(set.attributes).toEqual({ tags: ['a'], id: 1 });
  });

  test('an own __proto__ key is an attribute like any other', () => {
    const interner = new AttributeInterner();
    const set = intern(interner, JSON.parse('{"__proto__":"x","a":1}'));
    expect(Object.entries(set.attributes)).toEqual([
      ['__proto__', 'x'],
      ['a', 1],
    ]);
    expect(Object.getPrototypeOf(set.attributes)).toBe(Object.prototype);
  });

  test('a getter that records, or that changes its answer, puts no measurement on a wrong series', () => {
    const reader = new ManualMetricReader();
    const counter = new MeterProvider({ readers: [reader] }).getMeter('m').createCounter('c');
    counter.add(1, { k1: 'v', k2: 'w' });
    counter.add(1, { k1: 'n1', k2: 'n2' });
    const nested = {
      get k1() {
        counter.add(100, { k1: 'n1', k2: 'n2' });
        return 'v';
      },
      k2: 'w',
    };
    counter.add(1000, nested);
    const answers = ['first', 'second', 'third'];
    counter.add(
      1,
      Object.defineProperty({}, 'a', { enumerable: true, get: () => answers.shift() ?? 'last' }),
    );
    return pointsOf(reader).then((points) => {
      expect(new Set(points.map(([attributes]) => JSON.stringify(attributes))).size).toBe(points.length);
      expect(points.slice(0, 1)).toEqual([[{ k1: 'v', k2: 'w' }, 1001]]);
      expect(points.reduce((sum, [, value]) => sum + (value as number), 0) % 100).toBe(3);
    });
  });

  test('key orders that come from data do not grow memory without bound', () => {
    const interner = new AttributeInterner();
    const kept = intern(interner, { a: 1 });
    interner.retain(kept);
    for (let i = 0; i < 10_000; i++) {
      const set = intern(interner, { [`k${i}`]: 1 });
      interner.retain(set);
      expect(lookup(interner, { [`k${i}`]: 1 })).toBe(set);
      interner.release(set);
    }
    expect(lookup(interner, { a: 1 })).toBe(kept);
    expect(interner.schemaCount).toBeLessThanOrEqual(1024);
  });

  test('a second key order is known after it was looked up once', () => {
    const interner = new AttributeInterner();
    const set = interner.intern(interner.canonical({ a: 1, b: 2 }));
    expect(interner.find({ b: 2, a: 1 })).toBe(undefined);
    expect(interner.lookup(interner.canonical({ b: 2, a: 1 }))).toBe(set);
    expect(interner.find({ b: 2, a: 1 })).toBe(set);
  });

  test('a part of what was read leads to its own set, whatever the order and however many there are', () => {
    const interner = new AttributeInterner();
    const keeps = (key: string) => key !== 'b' && key !== 'f';
    const values: unknown[] = [];
    const read = (attributes: Attributes) => {
      const shape = interner.read(attributes, values);
      const part = shape && interner.partOf(shape, keeps);
      return part && interner.findPart(part, values);
    };
    const all = { f: 6, e: 5, d: 4, c: 3, b: 2, a: 1 };
    expect(read(all)).toBe(undefined);
    interner.learn(all);
    expect(read(all)).toBe(undefined);
    const sets = [1, 2].map((a) => {
      const set = interner.intern(interner.canonical({ a, c: 3, d: 4, e: 5 }));
      interner.retain(set);
      return set;
    });
    expect([1, 2, 3].map((a) => read({ ...all, a }))).toEqual([...sets, undefined]);
    expect(read({ ...all, d: 0 })).toBe(undefined);
    interner.learn({ b: 1, f: 1 });
    expect(read({ b: 1, f: 1 })).toBe(undefined);
    const none = interner.intern(interner.canonical({}));
    expect(read({ b: 7, f: 8 })).toBe(none);
  });

  test('orders that are merely read do not push out those that sets were made in', () => {
    const interner = new AttributeInterner();
    const set = interner.intern(interner.canonical({ a: 1 }));
    interner.retain(set);
    for (let i = 0; i < 10_000; i++) interner.learn({ [`k${i}`]: 1, [`l${i}`]: 1 });
    expect(interner.find({ a: 1 })).toBe(set);
    expect(interner.schemaCount).toBeLessThanOrEqual(1024);
  });
});
