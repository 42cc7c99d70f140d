// Sum: the arithmetic sum of the measurements (OTel metrics SDK, "Sum Aggregation").
import type { ColumnMemory } from '../../data/column-memory.ts';
import { sumColumns } from '../../data/metric-batch.ts';
import { type Aggregator, numberCopier, ONE_EXEMPLAR, type PointCopier, resized } from './aggregator.ts';

export class SumAggregator implements Aggregator {
  readonly sampling = ONE_EXEMPLAR;
  readonly #isMonotonic: boolean;
  /** Public for bound instruments, which add to it without a call. */
  values = new Float64Array(0);

  constructor(isMonotonic: boolean) {
    this.#isMonotonic = isMonotonic;
  }

  resize(capacity: number): void {
    this.values = resized(this.values, capacity);
  }

  reset(row: number): void {
    this.values[row] = 0;
  }

  move(from: number, to: number): void {
    this.values[to] = this.values[from]!;
  }

  record(row: number, value: number): void {
    this.values[row]! += value;
  }

  copier(rows: Uint32Array, memory: ColumnMemory): PointCopier {
    return numberCopier(
      rows,
      memory,
      (row) => this.values[row]!,
      (columns) => sumColumns(columns, this.#isMonotonic),
    );
  }
}
