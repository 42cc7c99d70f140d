// Observations that make up a row together with others, or that no row is theirs yet: one per attribute set, whichever
// of them was the last in the round. As many are held as one round of callbacks observes.
import type { AttributeSet } from '../data/attribute-set.ts';
import type { AttributeInterner } from './attribute-interner.ts';

export interface Member {
  /** What the stream keeps of the attributes: the set of the row, unless that is the overflow series. */
  target: AttributeSet;
  value: number;
  /** The value at the last collection; 0 when it was not observed then. */
  previous: number;
  isObserved: boolean;
}

export class ObservedMembers {
  readonly #interner: AttributeInterner;
  /** In the order of this round's observations, as far as that is new to the stream. */
  readonly #members = new Map<AttributeSet, Member>();

  constructor(interner: AttributeInterner) {
    this.#interner = interner;
  }

  /** @param set the interned set of all attributes observed; `target` may be the same */
  observe(set: AttributeSet, target: AttributeSet, value: number): void {
    const member = this.#members.get(set);
    if (member === undefined) {
      this.#interner.retain(set);
      this.#interner.retain(target);
      this.#members.set(set, { target, value, previous: 0, isObserved: true });
      return;
    }
    if (member.isObserved) {
      // Last in order as well, for where the last of several counts.
      this.#members.delete(set);
      this.#members.set(set, member);
    }
    if (member.target !== target) {
      this.#interner.retain(target);
      this.#interner.release(member.target);
      member.target = target;
    }
    member.value = value;
    member.isObserved = true;
  }

  get observed(): Member[] {
    return [...this.#members.values()].filter(({ isObserved }) => isObserved);
  }

  get unobserved(): Member[] {
    return [...this.#members.values()].filter(({ isObserved }) => !isObserved);
  }

  /** Makes the round the last one, and forgets the members that were not observed or that are not to be kept. */
  endRound(isKept: (member: Member) => boolean): void {
    for (const [set, member] of this.#members) {
      if (member.isObserved && isKept(member)) {
        member.previous = member.value;
        member.isObserved = false;
      } else this.#forget(set, member);
    }
  }

  /** Makes it as if nothing had been observed since the last round. */
  cancelRound(): void {
    for (const [set, member] of this.#members) {
      if (member.previous === 0) this.#forget(set, member);
      else member.isObserved = false;
    }
  }

  #forget(set: AttributeSet, { target }: Member): void {
    this.#members.delete(set);
    this.#interner.release(target);
    this.#interner.release(set);
  }
}
