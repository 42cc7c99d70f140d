// Sum of an observable counter: callbacks report absolute values, so a delta is the difference to the previous
// collection (OTel metrics API, "Asynchronous Counter"). A value that fell means that its source was restarted:
// then the value itself is the delta.
import { type PointColumns, sumColumns } from '../../data/metric-batch.ts';
import { type Aggregator, copyColumn, ONE_EXEMPLAR, resized } from './aggregator.ts';

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

  collect(points: PointColumns, rows: Uint32Array | undefined) {
    const values = copyColumn(this.#values, points.length, rows);
    if (this.#isDelta) {
      for (let i = 0; i < values.length; i++) {
        const row = rows === undefined ? i : rows[i]!;
        const value = values[i]!;
        const previous = this.#previous[row]!;
        this.#previous[row] = value;
        // Sums of finite values may be infinite, and the difference of two such is no number.
        if (value === previous) values[i] = 0;
        else if (!this.#isMonotonic || value >= previous) values[i] = value - previous;
      }
    }
    return sumColumns({ ...points, values }, this.#isMonotonic);
  }
}
