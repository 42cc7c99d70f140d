// The counts of one sign of base-2 exponential histograms, of all series of a stream. Those of a series are a ring: the count
// of bucket `i` is at `i & mask`, so that the range grows at either end without moving anything.
import type { ColumnMemory } from '../../data/column-memory.ts';
import type { ExponentialBuckets as BucketColumns } from '../../data/metric-batch.ts';
import { resized, resizedInts } from './aggregator.ts';
import { RingArena } from './ring-arena.ts';

// A series is one run of numbers:
/** The lowest bucket in use, and how many there are from it to the highest one; the ring is zero elsewhere. */
const LOW = 0;
const LENGTH = 1;
/** Where the ring is, and its length, a power of two, less one; -1 when there is none yet. */
const ADDRESS = 2;
const MASK = 3;
const STRIDE = 4;

const FIRST_CAPACITY = 8;
const GROWTH = 1.25;

/** Fills the columns of a batch, a point after the other. */
export interface BucketCopier {
  copy(row: number): void;
  finish(): BucketColumns;
}

export class ExponentialBuckets {
  #series = new Int32Array(0);
  readonly #arena = new RingArena();
  /** Counts on their way from one scale to another. */
  #scratch = new Float64Array(FIRST_CAPACITY);

  /** Makes room for so many rows. */
  resize(capacity: number): void {
    const rows = this.#series.length / STRIDE;
    this.#series = resizedInts(this.#series, capacity * STRIDE);
    for (let row = rows; row < capacity; row++) this.#series[row * STRIDE + MASK] = -1;
  }

  lowOf(row: number): number {
    return this.#series[row * STRIDE + LOW]!;
  }

  lengthOf(row: number): number {
    return this.#series[row * STRIDE + LENGTH]!;
  }

  /** Counts in a bucket in use; false when it is none. */
  incrementUsed(row: number, index: number): boolean {
    const series = this.#series;
    const at = row * STRIDE;
    const from = index - series[at + LOW]!;
    if (from < 0 || from >= series[at + LENGTH]!) return false;
    const address = series[at + ADDRESS]!;
    this.#arena.chunkOf(address)[this.#arena.offsetOf(address) + (index & series[at + MASK]!)]!++;
    return true;
  }

  /** Counts in any bucket, which is in use from then on. */
  increment(row: number, index: number): void {
    const series = this.#series;
    const at = row * STRIDE;
    const length = series[at + LENGTH]!;
    const low = length === 0 ? index : Math.min(index, series[at + LOW]!);
    const high = length === 0 ? index : Math.max(index, series[at + LOW]! + length - 1);
    if (high - low > series[at + MASK]!) this.#grow(at, high - low + 1);
    series[at + LOW] = low;
    series[at + LENGTH] = high - low + 1;
    this.incrementUsed(row, index);
  }

  /** Joins neighbours: bucket `i` goes to `i >> shift`, and no count is lost. */
  downscale(row: number, shift: number): void {
    const at = row * STRIDE;
    if (this.#series[at + LENGTH]! > 0) this.#replace(at, this.#series[at + MASK]! + 1, shift);
  }

  /** Empties a row; it keeps its ring, so that the next series or window need not let it grow again. */
  clear(row: number): void {
    const at = row * STRIDE;
    if (this.#series[at + LENGTH] === 0) return;
    this.#zero(at);
    this.#series[at + LOW] = 0;
    this.#series[at + LENGTH] = 0;
  }

  /** Lets two rows change places. */
  swap(a: number, b: number): void {
    for (let field = 0; field < STRIDE; field++) {
      const value = this.#series[a * STRIDE + field]!;
      this.#series[a * STRIDE + field] = this.#series[b * STRIDE + field]!;
      this.#series[b * STRIDE + field] = value;
    }
  }

  /** Begins the columns of a batch with those rows. */
  copier(rows: Uint32Array, memory: ColumnMemory): BucketCopier {
    const offsets = memory.int32(rows.length);
    const starts = memory.uint32(rows.length + 1);
    starts[0] = 0;
    let used = 0;
    for (let i = 0; i < rows.length; i++) used += this.lengthOf(rows[i]!);
    let counts = memory.float64(used);
    let length = 0;
    return {
      copy: (row) => {
        const start = starts[length]!;
        const end = start + this.lengthOf(row);
        // Series may have come to use more buckets while others were being copied.
        if (end > counts.length) counts = resized(counts, Math.ceil(end * GROWTH));
        this.#copy(row * STRIDE, counts, start);
        offsets[length++] = this.lowOf(row);
        starts[length] = end;
      },
      finish: () => ({
        offsets: offsets.subarray(0, length),
        starts: starts.subarray(0, length + 1),
        counts: counts.subarray(0, starts[length]),
      }),
    };
  }

  /** Copies the buckets in use. */
  #copy(at: number, target: Float64Array, start: number): void {
    const series = this.#series;
    const length = series[at + LENGTH]!;
    if (length === 0) return;
    const address = series[at + ADDRESS]!;
    const ring = this.#arena.chunkOf(address);
    const first = this.#arena.offsetOf(address);
    const mask = series[at + MASK]!;
    const low = series[at + LOW]! & mask;
    const beforeEnd = Math.min(length, mask + 1 - low);
    for (let i = 0; i < beforeEnd; i++) target[start + i] = ring[first + low + i]!;
    for (let i = beforeEnd; i < length; i++) target[start + i] = ring[first + low + i - mask - 1]!;
  }

  #zero(at: number): void {
    const series = this.#series;
    const address = series[at + ADDRESS]!;
    const ring = this.#arena.chunkOf(address);
    const first = this.#arena.offsetOf(address);
    const mask = series[at + MASK]!;
    const low = series[at + LOW]!;
    const length = series[at + LENGTH]!;
    for (let i = 0; i < length; i++) ring[first + ((low + i) & mask)] = 0;
  }

  #grow(at: number, length: number): void {
    let capacity = Math.max(this.#series[at + MASK]! + 1, FIRST_CAPACITY);
    while (capacity < length) capacity *= 2;
    this.#replace(at, capacity, 0);
  }

  /** Puts the counts into a ring of the given length, bucket `i` to `i >> shift`. */
  #replace(at: number, capacity: number, shift: number): void {
    const series = this.#series;
    const low = series[at + LOW]!;
    const length = series[at + LENGTH]!;
    if (this.#scratch.length < length) this.#scratch = new Float64Array(capacity);
    const counts = this.#scratch;
    if (length > 0) {
      this.#copy(at, counts, 0);
      this.#zero(at);
    }
    const old = series[at + MASK]! + 1;
    if (capacity > old) {
      if (old > 0) this.#arena.release(series[at + ADDRESS]!, old);
      series[at + ADDRESS] = this.#arena.allocate(capacity);
      series[at + MASK] = capacity - 1;
    }
    if (length === 0) return;
    const ring = this.#arena.chunkOf(series[at + ADDRESS]!);
    const first = this.#arena.offsetOf(series[at + ADDRESS]!);
    for (let i = 0; i < length; i++) ring[first + (((low + i) >> shift) & (capacity - 1))]! += counts[i]!;
    series[at + LOW] = low >> shift;
    series[at + LENGTH] = ((low + length - 1) >> shift) - (low >> shift) + 1;
  }
}
