// The batches accepted last, while they are in memory: those that are delivered soon need not be read back.
import type { StoredBatch } from './stored-batch.ts';

/** Some 3 MB. The first one is kept however large it is: its reader has just made it. */
const MAX_POINTS = 30_000;

export class RecentBatches {
  /** By number, in order. */
  readonly #batches = new Map<number, StoredBatch>();
  #points = 0;

  /** Those that come when there is no room are read back: they wait longer than those that are here. */
  add(stored: StoredBatch): void {
    const { pointCount } = stored.batch;
    if (this.#batches.size > 0 && this.#points + pointCount > MAX_POINTS) return;
    this.#batches.set(stored.sequence, stored);
    this.#points += pointCount;
  }

  get(sequence: number): StoredBatch | undefined {
    return this.#batches.get(sequence);
  }

  /** Up to and including this one. */
  forget(sequence: number): void {
    for (const [number, { batch }] of this.#batches) {
      if (number > sequence) return;
      this.#batches.delete(number);
      this.#points -= batch.pointCount;
    }
  }
}
