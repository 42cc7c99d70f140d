// Room for many small rings of counts in a few large arrays: an array for each ring would cost 100 bytes more and send a
// collection all over the heap. Chunks are never moved, so growing copies one ring, not the counts of all series.

const CHUNK_BITS = 14;
const CHUNK_LENGTH = 1 << CHUNK_BITS;

export class RingArena {
  readonly #chunks: Float64Array[] = [];
  /** How much of the last chunk is taken. */
  #taken = CHUNK_LENGTH;
  /** Addresses of rings that were given back, by the binary logarithm of their capacity. */
  readonly #free: number[][] = [];

  /**
   * The address of a ring of zeros.
   *
   * @param capacity a power of two
   */
  allocate(capacity: number): number {
    const address = this.#free[Math.log2(capacity)]?.pop();
    if (address !== undefined) return address;
    if (this.#taken + capacity > CHUNK_LENGTH) {
      this.#chunks.push(new Float64Array(Math.max(capacity, CHUNK_LENGTH)));
      this.#taken = 0;
    }
    const start = this.#taken;
    this.#taken += capacity;
    return (this.#chunks.length - 1) * CHUNK_LENGTH + start;
  }

  /** Takes a ring back, which must be all zeros. */
  release(address: number, capacity: number): void {
    (this.#free[Math.log2(capacity)] ??= []).push(address);
  }

  /** The array that a ring lies in, from `offsetOf(address)`. */
  chunkOf(address: number): Float64Array {
    return this.#chunks[address >> CHUNK_BITS]!;
  }

  offsetOf(address: number): number {
    return address & (CHUNK_LENGTH - 1);
  }
}
