// The attributes of a series in canonical form: sorted, frozen, and the keeper of its own encoded forms.
import type { Attributes, AttributeValue } from '@opentelemetry/api';

/**
 * How many formats have a slot, counted for the process: encoders of one copy of this package write into the sets of
 * another, and two formats in one slot would be taken for each other.
 */
const SLOTS = Symbol.for('meterline.formSlots');
const slots = ((globalThis as { [SLOTS]?: { taken: number } })[SLOTS] ??= { taken: 0 });

export class AttributeSet {
  /** Sorted by UTF-16 code units; `values` runs parallel. */
  readonly keys: readonly string[];
  readonly values: readonly AttributeValue[];
  /** A small number, unique among the sets that a provider holds; -1 when no provider holds this one. */
  id = -1;
  // What {@link encodedForm} keeps: the first formats of a process in fields, because an array costs as much memory as
  // six of them and takes longer to reach, and it is asked for with every point of every export.
  #form0: unknown;
  #form1: unknown;
  #form2: unknown;
  #otherForms: unknown[] | undefined;

  /** @param keys must be sorted and unique; the arrays belong to the set from here on. */
  constructor(keys: readonly string[], values: readonly AttributeValue[]) {
    this.keys = keys;
    this.values = values;
  }

  /** Sorts the attributes of a plain object, dropping undefined and null values. */
  static from(attributes: Attributes): AttributeSet {
    const keys = Object.keys(attributes)
      .filter((key) => attributes[key] != null)
      .sort();
    return new AttributeSet(
      keys,
      keys.map((key) => attributes[key]!),
    );
  }

  /** The set as a frozen plain object, made on first touch and kept. */
  get attributes(): Attributes {
    return plainObject(this);
  }

  /** @internal */
  form(slot: number, encode: (set: AttributeSet) => unknown): unknown {
    if (slot === 0) return (this.#form0 ??= encode(this));
    if (slot === 1) return (this.#form1 ??= encode(this));
    if (slot === 2) return (this.#form2 ??= encode(this));
    // Writing beyond the end of an empty array would make V8 reserve 17 slots.
    this.#otherForms ??= new Array(slots.taken).fill(undefined);
    return (this.#otherForms[slot] ??= encode(this));
  }
}

/**
 * Turns an encoder of attribute sets into one that encodes each set once and then returns the kept form.
 * Call it once per format, at module level.
 */
export function encodedForm<T extends object | string>(
  encode: (set: AttributeSet) => T,
): (set: AttributeSet) => T {
  let slot = -1;
  return (set) => {
    // Given on first use: a format that is merely imported must not take a field from one in use.
    if (slot < 0) slot = slots.taken++;
    return set.form(slot, encode) as T;
  };
}

const plainObject = encodedForm(({ keys, values }) => {
  const attributes: Attributes = {};
  keys.forEach((key, i) => {
    // Assigning would call the setter of `__proto__` and lose the attribute.
    if (key === '__proto__') Object.defineProperty(attributes, key, { value: values[i], enumerable: true });
    else attributes[key] = values[i];
  });
  return Object.freeze(attributes);
});
