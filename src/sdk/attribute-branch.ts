// The tree of values under a key set: a level an attribute, the AttributeSets as leaves.
import type { AttributeValue } from '@opentelemetry/api';
import { AttributeSet } from '../data/attribute-set.ts';

type Child = Branch | AttributeSet;

/** From the values of one attribute to what lies below. Many attributes have one value, and need no Map to find it. */
export class Branch {
  #value: AttributeValue | undefined;
  #child: Child | undefined;
  #map: Map<AttributeValue, Child> | undefined;

  get isEmpty(): boolean {
    return this.#map === undefined ? this.#child === undefined : this.#map.size === 0;
  }

  get(value: AttributeValue): Child | undefined {
    if (this.#map !== undefined) return this.#map.get(value);
    return value === this.#value || isNaNTwice(value, this.#value) ? this.#child : undefined;
  }

  set(value: AttributeValue, child: Child): void {
    if (this.#map !== undefined) this.#map.set(value, child);
    else if (this.#child === undefined || this.get(value) !== undefined) {
      this.#value = value;
      this.#child = child;
    } else {
      this.#map = new Map<AttributeValue, Child>([
        [this.#value!, this.#child],
        [value, child],
      ]);
      this.#value = undefined;
      this.#child = undefined;
    }
  }

  delete(value: AttributeValue): void {
    if (this.#map !== undefined) this.#map.delete(value);
    else this.#child = undefined;
  }
}

/** Adds a leaf; one that stood alone in its place moves down to where the two part. */
export function insertPath(branch: Branch, set: AttributeSet, depth: number): void {
  const value = set.values[depth]!;
  const found = branch.get(value);
  if (found === undefined) branch.set(value, set);
  else if (found instanceof AttributeSet) {
    const parting = new Branch();
    branch.set(value, parting);
    insertPath(parting, found, depth + 1);
    insertPath(parting, set, depth + 1);
  } else insertPath(found, set, depth + 1);
}

/** Removes a leaf, and the branches that become empty by it. */
export function removePath(branch: Branch, set: AttributeSet, depth: number): void {
  const value = set.values[depth]!;
  const found = branch.get(value)!;
  if (!(found instanceof AttributeSet)) {
    removePath(found, set, depth + 1);
    if (!found.isEmpty) return;
  }
  branch.delete(value);
}

/** Equality as in Map for what `===` does not call equal. */
export function isNaNTwice(a: unknown, b: unknown): boolean {
  return Number.isNaN(a) && Number.isNaN(b);
}
