// From the attributes object of a call to the one AttributeSet that stands for it, without building a key.
//
//   caller's key order          key set                values, outermost key first
//   Shape --- one step per key --> Schema --- Branch --- Branch --- … --- AttributeSet
//
// A shape is a key order that some call used; shapes of the same keys share a schema. Under the schema, values
// lead through nested branches to the set. A branch with a single set below it ends there at once, and the values
// not yet walked are compared instead; so a branch exists only where two sets part, however distinct the
// first attribute's values are. Map keeps `1`, `'1'` and `true` apart, so the key is injective by construction.
import type { Attributes, AttributeValue } from '@opentelemetry/api';
import { AttributeSet } from '../data/attribute-set.ts';
import { Branch, insertPath, isNaNTwice, removePath } from './attribute-branch.ts';
import { type Part, type Schema, Shape } from './attribute-shape.ts';
import { arrayKey, attributeValue } from './attribute-value.ts';

/** Attributes as they identify a series. */
export interface CanonicalAttributes {
  /** Sorted; `values` runs parallel. */
  readonly keys: readonly string[];
  readonly values: readonly AttributeValue[];
  /** The caller's key order, when a later call in this order needs no conversion. */
  readonly original: readonly string[] | undefined;
}

/** Key orders come from code, so they are few; this bounds the memory when they come from data. */
const MAX_SHAPES = 1024;

export class AttributeInterner {
  #root = new Shape('');
  #shapeCount = 0;
  readonly #schemas = new Map<string, Schema>();
  /** By the array that the sets of a schema share, so that releasing one needs no key. */
  readonly #schemaOfKeys = new WeakMap<readonly string[], Schema>();
  /** Equal arrays are one frozen array while a set uses them, so that they can be Map keys. */
  readonly #arrays = new Map<string, { array: AttributeValue; uses: number }>();
  #freeIds: number[] = [];
  #nextId = 0;
  #references = new Uint32Array(64);
  /**
   * Room for the values of a call from the fifth on, in the caller's order; kept to save an allocation per call. Taken
   * away while in use, because reading an attribute may run a getter, which may record too.
   */
  #scratch: unknown[] | undefined;

  /** How many key sets are known; bounded. */
  get schemaCount(): number {
    return this.#schemas.size;
  }

  /**
   * The set for these attributes if it is interned and the call needs no conversion; else undefined, and
   * {@link lookup} or {@link intern} will tell. Allocates nothing.
   *
   * @param keeps leaves out the attributes whose key it refuses
   */
  find(attributes: Attributes, keeps?: (key: string) => boolean): AttributeSet | undefined {
    let shape = this.#root;
    // Not in an array: to store an object in one that is older takes V8 more than a nanosecond for each.
    let first: unknown;
    let second: unknown;
    let third: unknown;
    let fourth: unknown;
    let others: unknown[] | undefined;
    let count = 0;
    for (const key in attributes) {
      if (keeps !== undefined && !keeps(key)) continue;
      const value = attributes[key];
      if (value === undefined) continue;
      const step = shape.step(key);
      if (step === undefined) return undefined;
      shape = step;
      if (count === 0) first = value;
      else if (count === 1) second = value;
      else if (count === 2) third = value;
      else if (count === 3) fourth = value;
      else {
        others ??= this.takeScratch();
        others[count] = value;
      }
      count++;
    }
    if (others !== undefined) this.#scratch = others;
    return setOf(shape, count, first, second, third, fourth, others);
  }

  /** Room for the values of a {@link read}; to be given back. */
  takeScratch(): unknown[] {
    const scratch = this.#scratch ?? [];
    this.#scratch = undefined;
    return scratch;
  }

  giveBack(scratch: unknown[]): void {
    this.#scratch = scratch;
  }

  /** Puts the values of attributes into `values`, in their order, which is returned unless it is new. */
  read(attributes: Attributes, values: unknown[]): Shape | undefined {
    let shape = this.#root;
    let count = 0;
    for (const key in attributes) {
      const value = attributes[key];
      if (value === undefined) continue;
      const step = shape.step(key);
      if (step === undefined) return undefined;
      shape = step;
      values[count++] = value;
    }
    return shape.schema === undefined ? undefined : shape;
  }

  /** Makes {@link read} know the order of these attributes, while there is room: orders in use are not forgotten for it. */
  learn(attributes: Attributes): void {
    if (this.#shapeCount >= MAX_SHAPES || this.#schemas.size >= MAX_SHAPES) return;
    const { keys, original } = this.canonical(attributes);
    if (original === undefined || this.#shapeCount + keys.length > MAX_SHAPES) return;
    this.#remember(original, this.#schemaOf(keys));
  }

  /** What a filter leaves of a shape that {@link read} returned; undefined while no set has just these keys. */
  partOf({ schema, order }: Shape, keeps: (key: string) => boolean): Part | undefined {
    const { keys } = schema!;
    const kept = [...keys.keys()].filter((i) => keeps(keys[i]!));
    const left = this.#schemas.get(schemaKey(kept.map((i) => keys[i]!)));
    return left && { schema: left, order: kept.map((i) => order[i]!) };
  }

  /** The set of the part, if it is interned and its values need no conversion. */
  findPart({ schema, order }: Part, values: readonly unknown[]): AttributeSet | undefined {
    const count = order.length;
    if (count === 0) return schema.empty;
    let branch: Branch = schema.root;
    for (let i = 0; i < count; i++) {
      const found = branch.get(values[order[i]!] as AttributeValue);
      if (found === undefined) return undefined;
      if (found instanceof AttributeSet) {
        for (let k = i + 1; k < count; k++) if (found.values[k] !== values[order[k]!]) return undefined;
        return found;
      }
      branch = found;
    }
    return undefined;
  }

  /** The set of these attributes if it is interned; then {@link find} knows the caller's key order from here on. */
  lookup({ keys, values, original }: CanonicalAttributes): AttributeSet | undefined {
    const schema = this.#schemas.get(schemaKey(keys));
    const set = schema && this.#walk(schema, values);
    if (set !== undefined && original !== undefined) this.#remember(original, schema!);
    return set;
  }

  /**
   * The set of these attributes, interned if it was not. It lives until {@link release} has been called as often as
   * {@link retain}.
   */
  intern({ keys, values, original }: CanonicalAttributes): AttributeSet {
    const schema = this.#schemaOf(keys);
    const set = this.#walk(schema, values) ?? this.#insert(schema, values);
    // Last, because it may drop the schemas that have no set.
    if (original) this.#remember(original, schema);
    return set;
  }

  retain(set: AttributeSet): void {
    this.#references[set.id]!++;
  }

  release(set: AttributeSet): void {
    if (--this.#references[set.id]! > 0) return;
    const schema = this.#schemaOfKeys.get(set.keys)!;
    if (set.keys.length === 0) schema.empty = undefined;
    else removePath(schema.root, set, 0);
    for (const value of set.values) if (Array.isArray(value)) this.#releaseArray(value);
    this.#freeIds.push(set.id);
    set.id = -1;
  }

  /** Reads each attribute once, sorts and converts. */
  canonical(attributes: Attributes): CanonicalAttributes {
    const original: string[] = [];
    const entries: [string, AttributeValue][] = [];
    // Own and inherited properties, like the `for…in` of `find`, or the two would disagree.
    for (const key in attributes) {
      const raw: unknown = attributes[key];
      const value = key === '' ? undefined : attributeValue(key, raw);
      if (raw !== undefined) original.push(key);
      if (value !== undefined) entries.push([key, value]);
    }
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    const keys = entries.map(([key]) => key);
    return {
      keys,
      values: entries.map(([, value]) => (Array.isArray(value) ? this.#sharedArray(value) : value)),
      original: original.length === keys.length ? original : undefined,
    };
  }

  #sharedArray(array: AttributeValue & object): AttributeValue {
    return this.#arrays.get(arrayKey(array))?.array ?? array;
  }

  #retainArray(array: AttributeValue & object): AttributeValue {
    const key = arrayKey(array);
    let entry = this.#arrays.get(key);
    if (entry === undefined) this.#arrays.set(key, (entry = { array, uses: 0 }));
    entry.uses++;
    return entry.array;
  }

  #releaseArray(array: AttributeValue & object): void {
    const key = arrayKey(array);
    const entry = this.#arrays.get(key)!;
    if (--entry.uses === 0) this.#arrays.delete(key);
  }

  #schemaOf(keys: readonly string[]): Schema {
    const key = schemaKey(keys);
    let schema = this.#schemas.get(key);
    if (schema === undefined) {
      if (this.#schemas.size >= MAX_SHAPES) this.#forgetShapes();
      schema = { keys, root: new Branch(), empty: undefined };
      this.#schemas.set(key, schema);
      this.#schemaOfKeys.set(keys, schema);
    }
    return schema;
  }

  #remember(original: readonly string[], schema: Schema): void {
    let shape = this.#root;
    for (const key of original) {
      let step = shape.step(key);
      if (step === undefined) {
        if (++this.#shapeCount > MAX_SHAPES) {
          this.#forgetShapes();
          return;
        }
        step = new Shape(key);
        shape.append(step);
      }
      shape = step;
    }
    if (shape.schema === schema) return;
    shape.schema = schema;
    shape.order = schema.keys.map((key) => original.indexOf(key));
  }

  #forgetShapes(): void {
    this.#root = new Shape('');
    this.#shapeCount = 0;
    for (const [key, { root, empty }] of this.#schemas) {
      if (root.isEmpty && empty === undefined) this.#schemas.delete(key);
    }
  }

  #walk(schema: Schema, values: readonly AttributeValue[]): AttributeSet | undefined {
    let found: Branch | AttributeSet | undefined = schema.root;
    for (const value of values) {
      found = found.get(value);
      if (found === undefined) return undefined;
      if (found instanceof AttributeSet) return sameValues(found.values, values) ? found : undefined;
    }
    return schema.empty;
  }

  #insert(schema: Schema, values: readonly AttributeValue[]): AttributeSet {
    const own = values.map((value) => (Array.isArray(value) ? this.#retainArray(value) : value));
    const set = new AttributeSet(schema.keys, own);
    set.id = this.#freeIds.pop() ?? this.#nextId++;
    if (set.id >= this.#references.length) {
      const longer = new Uint32Array(this.#references.length * 2);
      longer.set(this.#references);
      this.#references = longer;
    }
    if (own.length === 0) schema.empty = set;
    else insertPath(schema.root, set, 0);
    return set;
  }
}

function setOf(
  { schema, order }: Shape,
  count: number,
  first: unknown,
  second: unknown,
  third: unknown,
  fourth: unknown,
  others: readonly unknown[] | undefined,
): AttributeSet | undefined {
  if (schema === undefined) return undefined;
  if (count === 0) return schema.empty;
  let branch: Branch = schema.root;
  for (let i = 0; i < count; i++) {
    const at = order[i]!;
    const value = at === 0 ? first : at === 1 ? second : at === 2 ? third : at === 3 ? fourth : others![at];
    const found = branch.get(value as AttributeValue);
    if (found === undefined) return undefined;
    if (found instanceof AttributeSet) {
      for (let k = i + 1; k < count; k++) {
        const from = order[k]!;
        const rest =
          from === 0 ? first : from === 1 ? second : from === 2 ? third : from === 3 ? fourth : others![from];
        if (found.values[k] !== rest) return undefined;
      }
      return found;
    }
    branch = found;
  }
  return undefined;
}

function sameValues(a: readonly AttributeValue[], b: readonly AttributeValue[]): boolean {
  // Equality as in Map: NaN equals NaN, and 0 equals -0.
  return a.every((value, i) => value === b[i] || isNaNTwice(value, b[i]));
}

function schemaKey(keys: readonly string[]): string {
  return JSON.stringify(keys);
}
