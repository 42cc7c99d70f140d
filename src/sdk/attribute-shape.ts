// Key orders that calls have used, as a tree with a level per key, and the key sets that they lead to.
import type { AttributeSet } from '../data/attribute-set.ts';
import type { Branch } from './attribute-branch.ts';

export interface Schema {
  /** Sorted; shared by all sets of the schema. */
  readonly keys: readonly string[];
  readonly root: Branch;
  /** The set without attributes has no value to hang a branch on. */
  empty: AttributeSet | undefined;
}

export class Shape {
  readonly key: string;
  next: Shape | undefined;
  /** Shapes that go on with one more key: the first of them; the others follow through `next`. */
  longer: Shape | undefined;
  schema: Schema | undefined;
  /** Where in the caller's order each key of the schema stands. */
  order: readonly number[] = [];

  constructor(key: string) {
    this.key = key;
  }

  /** The shape that goes on with a key, if there is one. */
  step(key: string): Shape | undefined {
    let step = this.longer;
    while (step !== undefined && step.key !== key) step = step.next;
    return step;
  }

  /** Last, so that the orders that code has used from the start are found first, whatever comes from data later. */
  append(step: Shape): void {
    let last = this.longer;
    if (last === undefined) this.longer = step;
    else {
      while (last.next !== undefined) last = last.next;
      last.next = step;
    }
  }
}

/** What a filter leaves of a shape: where the values of a schema stand in the caller's order. */
export interface Part {
  readonly schema: Schema;
  readonly order: readonly number[];
}
