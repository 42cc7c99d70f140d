// Sum of an observable counter: callbacks report absolute values, so a delta is the difference to the previous
// collection (OTel metrics API, "Asynchronous Counter"). A value that fell means that its source was restarted:
// then the value itself is the delta.
import type { ColumnMemory } from '../../data/column-memory.ts';
import { sumColumns } from '../../data/metric-batch.ts';
import { type Aggregator, numberCopier, ONE_EXEMPLAR, type PointCopier, resized } from './aggregator.ts';

export class ObservedSumAggregator implements Aggregator {
  readonly sampling = ONE_EXEMPLAR;
  readonly #isMonotonic: boolean;
  readonly #isDelta: boolean;
  #values = new Float64Array(0);
  /** What the last collection reported; kept for delta only. */
  #previous = new Float64Array(0);

  constructor(isMonotonic: boolean, isDelta: boolean) {
    this.#isMonotonic = isMonotonic;
    this.#isDelta = isDelta;
  }

  resize(capacity: number): void {
    this.#values = resized(this.#values, capacity);
    if (this.#isDelta) this.#previous = resized(this.#previous, capacity);
  }

  reset(row: number): void {
    this.#values[row] = 0;
    if (this.#isDelta) this.#previous[row] = 0;
  }

  move(from: number, to: number): void {
    this.#values[to] = this.#values[from]!;
    if (this.#isDelta) this.#previous[to] = this.#previous[from]!;
  }

  /** The last observation of a round counts. */
  record(row: number, value: number): void {
    this.#values[row] = value;
  }

  /**
   * Adds one of several series that make up a row, which begins each round empty.
   *
   * @param previous what it was observed to be at the last collection, wherever it was shown then; 0 for a new one
   */
  add(row: number, value: number, previous: number): void {
    this.#values[row]! += value;
    if (this.#isDelta && (!this.#isMonotonic || value >= previous)) this.#previous[row]! += previous;
  }

  copier(rows: Uint32Array, memory: ColumnMemory): PointCopier {
    return numberCopier(
      rows,
      memory,
      (row) => (this.#isDelta ? this.#takeDifference(row) : this.#values[row]!),
      (columns) => sumColumns(columns, this.#isMonotonic),
    );
  }

  #takeDifference(row: number): number {
    const value = this.#values[row]!;
    const previous = this.#previous[row]!;
    this.#previous[row] = value;
    // Sums of finite values may be infinite, and the difference of two such is no number.
    if (value === previous) return 0;
    return !this.#isMonotonic || value >= previous ? value - previous : value;
  }
}
