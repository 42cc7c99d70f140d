// The counts of one sign of a base-2 exponential histogram, as a ring: the count of bucket `i` is in slot `i & mask`, so that
// the range grows at either end without moving anything.

const FIRST_CAPACITY = 8;

export class ExponentialBuckets {
  /** The buckets in use, both inclusive; none when `high` is below `low`. */
  low = 0;
  high = -1;
  /** As long as a power of two, or empty; zero outside `low` to `high`. */
  #counts = new Float64Array(0);

  /** How many buckets there are from the first in use to the last. */
  get length(): number {
    return this.high - this.low + 1;
  }

  increment(index: number): void {
    const low = this.length > 0 ? Math.min(index, this.low) : index;
    const high = this.length > 0 ? Math.max(index, this.high) : index;
    if (high - low >= this.#counts.length) this.#grow(high - low + 1);
    this.low = low;
    this.high = high;
    this.#counts[index & (this.#counts.length - 1)]!++;
  }

  /** Joins neighbours: bucket `i` goes to `i >> shift`, and no count is lost. */
  downscale(shift: number): void {
    if (this.length === 0) return;
    this.#replace(this.#counts.length, shift);
    this.low >>= shift;
    this.high >>= shift;
  }

  clear(): void {
    this.#counts.fill(0);
    this.low = 0;
    this.high = -1;
  }

  copyTo(target: Float64Array, start: number): void {
    const mask = this.#counts.length - 1;
    for (let i = this.low; i <= this.high; i++) target[start + i - this.low] = this.#counts[i & mask]!;
  }

  #grow(length: number): void {
    let capacity = Math.max(this.#counts.length, FIRST_CAPACITY);
    while (capacity < length) capacity *= 2;
    this.#replace(capacity, 0);
  }

  #replace(capacity: number, shift: number): void {
    const counts = new Float64Array(capacity);
    const from = this.#counts.length - 1;
    for (let i = this.low; i <= this.high; i++) {
      counts[(i >> shift) & (capacity - 1)]! += this.#counts[i & from]!;
    }
    this.#counts = counts;
  }
}
