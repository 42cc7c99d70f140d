// The series of one stream: which attribute set has which row, since when, and how many there may be.
// Rows are dense, so that a collection goes through memory in order.
import type { Attributes, Context } from '@opentelemetry/api';
import type { AttributeSet } from '../data/attribute-set.ts';
import type { ColumnMemory } from '../data/column-memory.ts';
import { type Aggregator, resizedTimes } from './aggregation/aggregator.ts';
import type { AttributeInterner } from './attribute-interner.ts';
import { now, steadyTime } from './clock.ts';
import { CustomReservoirs } from './exemplars/custom-reservoirs.ts';
import { findRegistry } from './exemplars/exemplar-filter.ts';
import type { ExemplarReservoir } from './exemplars/exemplar-reservoir.ts';
import type { ExemplarCopier, ExemplarStore } from './exemplars/exemplar-store.ts';
import { SampledExemplars } from './exemplars/sampled-exemplars.ts';
import { IdIndex } from './id-index.ts';

/** The one attribute of the series that takes what is over the limit (OTel metrics SDK, "Overflow attribute"). */
const OVERFLOW = 'otel.metric.overflow';

/** Rows that a collection deals with before it may give the event loop back: some 100 µs. */
export const ROWS_PER_STEP = 1_024;

/** Rows up to which a table doubles. */
const SMALL = 4096;

export interface SeriesTableOptions {
  /** How many series there may be beside the overflow series. */
  limit: number;
  /** Whether series not written since the last collection make room for new ones: true for delta streams. */
  evictUntouched: boolean;
  /** Default: the one that the specification gives the aggregation. */
  exemplarReservoir?: () => ExemplarReservoir;
  /** Whether exemplars stay until later ones take their place. */
  keepsExemplars?: boolean;
  /** Called for each measurement that is looked up and ends in the overflow series. */
  onOverflow: () => void;
}

/** What a bound instrument holds: the row of its series, kept up to date by the table. */
export interface Cell {
  /** -1 when the series has been released. */
  row: number;
}

export class SeriesTable<A extends Aggregator = Aggregator> {
  readonly aggregator: A;
  readonly #interner: AttributeInterner;
  readonly #options: SeriesTableOptions;
  readonly #index = new IdIndex();
  sets: AttributeSet[] = [];
  #areSetsShared = false;
  /** By row; only bound series have one. */
  readonly #cells = new Map<number, Cell>();
  /** Made with the first measurement that is offered. */
  #exemplars: ExemplarStore | undefined;
  /** 1 for rows written since the last collection. */
  touched = new Uint8Array(4);
  /** By row; steady times, as `windowStart` is. */
  startTimes = new BigUint64Array(4);
  /** When the last of all series was made. */
  latestStart = 0n;
  /** When the last collection was, or when the table was made. */
  windowStart = steadyTime(now());
  #overflow: Cell | undefined;
  /** The rows below have been written since, as far as {@link #evictOne} is concerned. */
  #evicted = 0;
  #isClosed = false;

  constructor(aggregator: A, interner: AttributeInterner, options: SeriesTableOptions) {
    this.aggregator = aggregator;
    this.#interner = interner;
    this.#options = options;
    aggregator.resize(this.touched.length);
  }

  get size(): number {
    return this.sets.length;
  }

  /** The row of an interned set, or -1. */
  rowOf(set: AttributeSet): number {
    return this.#index.get(set.id);
  }

  /** No series is made any more; a collection may yet be under way. */
  close(): void {
    this.#isClosed = true;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The row that takes measurements with these attributes: found, made, or that of the overflow series. */
  open(attributes: Attributes): number {
    const canonical = this.#interner.canonical(attributes);
    const known = this.#interner.lookup(canonical);
    const row = known === undefined ? -1 : this.#index.get(known.id);
    if (row >= 0) return row;
    if (this.#isFull() && !this.#evictOne()) return this.#overflowed();
    return this.#append(known ?? this.#interner.intern(canonical));
  }

  /** The same for an interned set. */
  openSet(set: AttributeSet): number {
    const row = this.rowOf(set);
    if (row >= 0) return row;
    if (this.#isFull() && !this.#evictOne()) return this.#overflowed();
    return this.#append(set);
  }

  #overflowed(): number {
    this.#options.onOverflow();
    return this.#overflowRow();
  }

  /** The overflow series; one that the user made under the same attribute is the same series. */
  #overflowRow(): number {
    if (this.#overflow === undefined) {
      const set = this.#interner.intern(this.#interner.canonical({ [OVERFLOW]: true }));
      const row = this.#index.get(set.id);
      this.#overflow = this.cell(row < 0 ? this.#append(set) : row);
    }
    return this.#overflow.row;
  }

  /** Whether the row is that of the overflow series, or may become it: users may have made it. */
  isOverflow(row: number): boolean {
    const { keys, values } = this.sets[row]!;
    return keys.length === 1 && keys[0] === OVERFLOW && values[0] === true;
  }

  /** The row of the overflow series, or -1 when there is none. */
  get overflowRow(): number {
    return this.#overflow?.row ?? -1;
  }

  /** The sets by row; as long as no series begins or ends, all batches have the same array. */
  sharedSets(): readonly AttributeSet[] {
    this.#areSetsShared = true;
    return this.sets;
  }

  /** To be called before they change. */
  #keepShared(): void {
    if (!this.#areSetsShared) return;
    this.sets = this.sets.slice();
    this.#areSetsShared = false;
  }

  allRows(memory: ColumnMemory): Uint32Array {
    const rows = memory.uint32(this.size);
    for (let row = 0; row < rows.length; row++) rows[row] = row;
    return rows;
  }

  /** The rows written since they were last collected. */
  touchedRows(memory: ColumnMemory): Uint32Array {
    const rows = memory.uint32(this.size);
    let count = 0;
    for (let row = 0; row < this.size; row++) if (this.touched[row] === 1) rows[count++] = row;
    return rows.subarray(0, count);
  }

  /** Begins the next window for some rows. */
  resetRows(rows: Uint32Array): void {
    for (let i = 0; i < rows.length; i++) {
      this.aggregator.reset(rows[i]!);
      this.touched[rows[i]!] = 0;
    }
    this.#evicted = 0;
  }

  /** The cell of a row; the same one each time, for as long as the series lives. */
  cell(row: number): Cell {
    let cell = this.#cells.get(row);
    if (cell === undefined) this.#cells.set(row, (cell = { row }));
    return cell;
  }

  /** Keeps a measurement as an example, if the reservoir of its series wants it. */
  offer(row: number, value: number, attributes: Attributes, context: Context): void {
    if (this.#isClosed) return;
    const { exemplarReservoir: create, keepsExemplars } = this.#options;
    this.#exemplars ??= create
      ? new CustomReservoirs(create, keepsExemplars)
      : new SampledExemplars(this.aggregator.sampling, keepsExemplars);
    this.#exemplars.offer(row, this.sets[row]!, value, attributes, context);
  }

  /** Begins the columns of the exemplars of so many points at most; undefined when there are none at all. */
  exemplarCopier(capacity: number): ExemplarCopier | undefined {
    return this.#exemplars?.copier(capacity);
  }

  /**
   * Frees the rows that were not written since the last collection, in steps.
   *
   * @param keepsOverflow leaves the overflow series, which may yet be written
   */
  *releaseUntouched(keepsOverflow = false): Generator<void, void> {
    for (let row = this.size - 1; row >= 0; row--) {
      if (row % ROWS_PER_STEP === 0) yield;
      // The host may have ended series meanwhile.
      const isOver = row < this.size && this.touched[row] === 0;
      if (isOver && !(keepsOverflow && row === this.overflowRow)) this.release(row);
    }
    this.#evicted = 0;
  }

  /**
   * Frees one row that was not written since it was last collected. The search goes on where it last found one, since what
   * was written stays written until it is collected: all searches of a window together pass over the table once.
   */
  #evictOne(): boolean {
    if (!this.#options.evictUntouched) return false;
    for (; this.#evicted < this.size; this.#evicted++) {
      if (this.touched[this.#evicted] === 1 || this.#evicted === this.overflowRow) continue;
      this.release(this.#evicted);
      return true;
    }
    return false;
  }

  #isFull(): boolean {
    const ordinary = this.size - (this.#overflow === undefined ? 0 : 1);
    return ordinary >= this.#options.limit;
  }

  #append(set: AttributeSet): number {
    findRegistry();
    const row = this.size;
    if (row === this.touched.length) this.#grow();
    this.#keepShared();
    this.#interner.retain(set);
    this.#index.set(set.id, row);
    this.sets.push(set);
    this.touched[row] = 0;
    this.startTimes[row] = this.latestStart = steadyTime(now());
    this.aggregator.reset(row);
    return row;
  }

  /** Ends a series: its row is freed and the last one takes its place. */
  release(row: number): void {
    this.#keepShared();
    const last = this.size - 1;
    this.#index.delete(this.sets[row]!.id);
    this.#interner.release(this.sets[row]!);
    const cell = this.#cells.get(row);
    this.#cells.delete(row);
    if (cell !== undefined) cell.row = -1;
    if (cell !== undefined && cell === this.#overflow) this.#overflow = undefined;
    this.#exemplars?.clear(row);
    if (row !== last) {
      this.aggregator.move(last, row);
      this.sets[row] = this.sets[last]!;
      this.touched[row] = this.touched[last]!;
      this.startTimes[row] = this.startTimes[last]!;
      this.#index.set(this.sets[row]!.id, row);
      this.#exemplars?.move(last, row);
      const moved = this.#cells.get(last);
      if (moved !== undefined) {
        moved.row = row;
        this.#cells.set(row, moved);
        this.#cells.delete(last);
      }
    }
    this.sets.pop();
  }

  #grow(): void {
    // Large tables grow by a quarter: the half that doubling leaves empty on average would be most of their memory.
    const { length } = this.touched;
    const capacity = length < SMALL ? length * 2 : length + (length >> 2);
    const touched = new Uint8Array(capacity);
    touched.set(this.touched);
    this.touched = touched;
    this.startTimes = resizedTimes(this.startTimes, capacity);
    this.aggregator.resize(capacity);
  }
}
