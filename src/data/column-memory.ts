// Memory for the columns of batches. New memory is the rule: a batch may be held for as long as anybody likes. Who knows when
// its batches are no longer read can have the next one in the same memory, and spares the host what a collection of 100 k series
// costs otherwise: 17 MB of pages to be handed out, and the garbage collector's pauses, some 10 ms every fourth time.

/** Makes columns; their elements may be anything. */
export interface ColumnMemory {
  float64(length: number): Float64Array<ArrayBuffer>;
  bigUint64(length: number): BigUint64Array<ArrayBuffer>;
  int32(length: number): Int32Array<ArrayBuffer>;
  uint32(length: number): Uint32Array<ArrayBuffer>;
}

export const NEW_MEMORY: ColumnMemory = {
  float64: (length) => new Float64Array(length),
  bigUint64: (length) => new BigUint64Array(length),
  int32: (length) => new Int32Array(length),
  uint32: (length) => new Uint32Array(length),
};

/** A series more must not make a column move. */
const SLACK = 1.125;

/** Gives the same columns to each batch, by the order in which they are asked for, which is that of the streams. */
export class ReusedMemory implements ColumnMemory {
  readonly #buffers: ArrayBuffer[] = [];
  #used = 0;

  /** Begins the next batch: nobody reads the one before any more. */
  begin(): void {
    // What the batch before did not take: there are fewer columns now.
    this.#buffers.length = Math.min(this.#buffers.length, this.#used);
    this.#used = 0;
  }

  float64(length: number): Float64Array<ArrayBuffer> {
    return new Float64Array(this.#take(8 * length), 0, length);
  }

  bigUint64(length: number): BigUint64Array<ArrayBuffer> {
    return new BigUint64Array(this.#take(8 * length), 0, length);
  }

  int32(length: number): Int32Array<ArrayBuffer> {
    return new Int32Array(this.#take(4 * length), 0, length);
  }

  uint32(length: number): Uint32Array<ArrayBuffer> {
    return new Uint32Array(this.#take(4 * length), 0, length);
  }

  #take(bytes: number): ArrayBuffer {
    const at = this.#used++;
    const known = this.#buffers[at];
    if (known !== undefined && known.byteLength >= bytes && known.byteLength <= 2 * SLACK * bytes)
      return known;
    const fresh = new ArrayBuffer(Math.ceil(bytes * SLACK));
    this.#buffers[at] = fresh;
    return fresh;
  }
}

/**
 * Memory between two batches. Where the garbage collector comes by in between it may have it: an idle service holds nothing, and
 * one that makes garbage of its own loses nothing.
 */
export class SpareMemory {
  #memory: WeakRef<ReusedMemory> | undefined;

  /** For the caller alone, until it is given back. */
  take(): ReusedMemory {
    const memory = this.#memory?.deref() ?? new ReusedMemory();
    this.#memory = undefined;
    memory.begin();
    return memory;
  }

  /** Nobody reads the batch in it any more. Memory that is not given back is left to the garbage collector. */
  giveBack(memory: ReusedMemory): void {
    this.#memory = new WeakRef(memory);
  }
}
