import type { Attributes } from '@opentelemetry/api';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { captureLogs } from '../../test/support/collected.ts';
import { AttributeInterner } from './attribute-interner.ts';

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

describe('AttributeInterner', () => {
  captureLogs();

  test('[1.34] two objects share a set exactly when they have the same keys and values', () => {
    fc.assert(
      fc.property(fc.array(attributes, { maxLength: 30 }), fc.nat(3), (all, seed) => {
        const interner = new AttributeInterner();
        const byIdentity = new Map<string, unknown>();
        for (const one of all) {
          const set = interner.intern(one);
          interner.retain(set);
          const known = byIdentity.get(identity(one));
          if (known) expect(set).toBe(known);
          byIdentity.set(identity(one), set);
          expect(interner.lookup(shuffled(one, seed))).toBe(set);
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
          const sets = all.map((one) => interner.intern(one));
          for (const set of sets) interner.retain(set);
          const isReleased = (i: number) => (which >> (i % 8)) % 2 === 0;
          sets.forEach((set, i) => void (isReleased(i) && interner.release(set)));
          all.forEach((one, i) => {
            expect(interner.lookup(one)).toBe(isReleased(i) ? undefined : sets[i]);
            expect(interner.find(one)).toBe(isReleased(i) ? undefined : interner.find(one));
          });
        },
      ),
    );
  });

  test('a second call with the same key order needs no conversion', () => {
    const interner = new AttributeInterner();
    const set = interner.intern({ b: 'x', a: 1 });
    expect(interner.find({ b: 'x', a: 1 })).toBe(set);
    expect(interner.find({ b: 'x', a: 2 })).toBeUndefined();
    expect(interner.find({ b: 'x' })).toBeUndefined();
    expect(interner.find({ b: 'x', a: 1, c: 2 })).toBeUndefined();
  });

  test('undefined and null mean absent, and attributes are sorted and frozen', () => {
    const interner = new AttributeInterner();
    const set = interner.intern({ b: 'x', a: 1 });
    interner.retain(set);
    const nulls = { c: undefined, a: 1, d: null, b: 'x' } as unknown as Attributes;
    expect(interner.lookup(nulls)).toBe(set);
    expect(set.keys).toEqual(['a', 'b']);
    expect(Object.isFrozen(set.attributes)).toBe(true);
  });

  test('[1.35] the caller may change its object and its arrays afterwards', () => {
    const interner = new AttributeInterner();
    const given = { tags: ['a'], id: 1 };
    const set = interner.intern(given);
    given.tags.push('b');
    given.id = 2;
    expect(set.attributes).toEqual({ tags: ['a'], id: 1 });
  });

  test('an own __proto__ key is an attribute like any other', () => {
    const interner = new AttributeInterner();
    const set = interner.intern(JSON.parse('{"__proto__":"x","a":1}'));
    expect(Object.entries(set.attributes)).toEqual([
      ['__proto__', 'x'],
      ['a', 1],
    ]);
    expect(Object.getPrototypeOf(set.attributes)).toBe(Object.prototype);
  });

  test('key orders that come from data do not grow memory without bound', () => {
    const interner = new AttributeInterner();
    const kept = interner.intern({ a: 1 });
    interner.retain(kept);
    for (let i = 0; i < 10_000; i++) {
      const set = interner.intern({ [`k${i}`]: 1 });
      interner.retain(set);
      expect(interner.lookup({ [`k${i}`]: 1 })).toBe(set);
      interner.release(set);
    }
    expect(interner.lookup({ a: 1 })).toBe(kept);
    expect(interner.schemaCount).toBeLessThanOrEqual(4096);
  });
});
