// Attribute sets of earlier records, found again by content. The batches of a queue have mostly the same series: made anew for
// each batch, their sets were what the garbage collector stopped the process for, and what encoders keep with them was lost.
import type { AttributeValue } from '@opentelemetry/api';
import { AttributeSet } from '../data/attribute-set.ts';

/** What is over may stay so many times longer, so that a few records of another kind between do not cost everything. */
const SLACK = 2;
/** Not worth forgetting. */
const FEW = 1_000;

export class KnownSets {
  // By hash. Of two with the same one, the later replaces the earlier, which is then made anew: that is rare, and right.
  readonly #texts = new Map<number, string>();
  readonly #sets = new Map<number, AttributeSet>();

  /** The text of so many bytes of ASCII, if it is known. */
  text(hash: number, bytes: Uint8Array, at: number, length: number): string | undefined {
    const text = this.#texts.get(hash);
    return text !== undefined && isTextOf(text, bytes, at, length) ? text : undefined;
  }

  addText(hash: number, text: string): void {
    this.#texts.set(hash, text);
  }

  /** The known set with these attributes, or a new one. */
  set(hash: number, keys: readonly string[], values: readonly unknown[]): AttributeSet {
    const known = this.#sets.get(hash);
    if (known !== undefined && isSame(known.keys, keys) && isSame(known.values, values)) return known;
    const set = new AttributeSet(keys, values as AttributeValue[]);
    this.#sets.set(hash, set);
    return set;
  }

  /** After a record with so many sets and texts. Series that are over must not stay for ever. */
  trim(sets: number, texts: number): void {
    if (this.#sets.size > SLACK * sets + FEW) this.#sets.clear();
    if (this.#texts.size > SLACK * texts + FEW) this.#texts.clear();
  }

  clear(): void {
    this.#sets.clear();
    this.#texts.clear();
  }
}

function isTextOf(text: string, bytes: Uint8Array, at: number, length: number): boolean {
  if (text.length !== length) return false;
  for (let i = 0; i < length; i++) {
    const byte = bytes[at + i]!;
    if (byte !== text.charCodeAt(i) || byte > 0x7f) return false;
  }
  return true;
}

/** Lists and objects are never the same: they are seldom, and no provider shares them. */
function isSame(some: readonly unknown[], others: readonly unknown[]): boolean {
  if (some === others) return true;
  if (some.length !== others.length) return false;
  for (let i = 0; i < some.length; i++) if (!Object.is(some[i], others[i])) return false;
  return true;
}
