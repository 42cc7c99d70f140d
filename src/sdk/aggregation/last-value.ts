// Last value: the most recent measurement (OTel metrics SDK, "Last Value Aggregation").
import type { ColumnMemory } from '../../data/column-memory.ts';
import { gaugeColumns } from '../../data/metric-batch.ts';
import { type Aggregator, numberCopier, ONE_EXEMPLAR, type PointCopier, resized } from './aggregator.ts';

export class LastValueAggregator implements Aggregator {
  readonly sampling = ONE_EXEMPLAR;
  #values = new Float64Array(0);

  resize(capacity: number): void {
    this.#values = resized(this.#values, capacity);
  }

  reset(row: number): void {
    this.#values[row] = 0;
  }

  move(from: number, to: number): void {
    this.#values[to] = this.#values[from]!;
  }

  record(row: number, value: number): void {
    this.#values[row] = value;
  }

  copier(rows: Uint32Array, memory: ColumnMemory): PointCopier {
    return numberCopier(rows, memory, (row) => this.#values[row]!, gaugeColumns);
  }
}
