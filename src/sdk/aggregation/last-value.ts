// Last value: the most recent measurement (OTel metrics SDK, "Last Value Aggregation").
import { gaugeColumns, type PointColumns } from '../../data/metric-batch.ts';
import { type Aggregator, copyColumn, ONE_EXEMPLAR, resized } from './aggregator.ts';

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

  collect(points: PointColumns, rows: Uint32Array | undefined) {
    return gaugeColumns({ ...points, values: copyColumn(this.#values, points.length, rows) });
  }
}
