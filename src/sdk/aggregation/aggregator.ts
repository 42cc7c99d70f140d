// What every aggregation does with the rows of a series table.
import type { ColumnMemory } from '../../data/column-memory.ts';
import type { MetricColumns, NumberColumns, PointColumns } from '../../data/metric-batch.ts';
import type { Sampling } from '../exemplars/sampled-exemplars.ts';

export interface Aggregator {
  /** Makes room for `capacity` rows, keeping what is there. */
  resize(capacity: number): void;
  /** Empties a row for a new series or a new delta window. */
  reset(row: number): void;
  /** Copies a row over another. */
  move(from: number, to: number): void;
  record(row: number, value: number): void;
  /** Begins the columns of a batch. @param rows those that will be copied, though some of them may have moved or ended by then */
  copier(rows: Uint32Array, memory: ColumnMemory): PointCopier;
  /** Which measurements become exemplars, as the specification has it for the aggregation. */
  readonly sampling: Sampling;
}

/** Fills the columns of a batch, a few points at a time. V8 compiles what is called often, so that the copying is soon fast. */
export interface PointCopier<M extends MetricColumns = MetricColumns> {
  /** Makes points of some rows; they are those after the points before. */
  copy(rows: Uint32Array): void;
  /** @param points as many as were copied */
  finish(points: PointColumns): M;
}

/** For aggregations without buckets. */
export const ONE_EXEMPLAR: Sampling = { size: 1 };

/** For aggregations that are one number. */
export function numberCopier(
  { length: capacity }: Uint32Array,
  memory: ColumnMemory,
  valueAt: (row: number) => number,
  finish: (columns: NumberColumns) => MetricColumns,
): PointCopier {
  const values = memory.float64(capacity);
  let length = 0;
  return {
    copy(rows) {
      for (let i = 0; i < rows.length; i++) values[length++] = valueAt(rows[i]!);
    },
    finish: (points) => finish({ ...points, values: values.subarray(0, points.length) }),
  };
}

export function resized(column: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const copy = new Float64Array(length);
  copy.set(column);
  return copy;
}

export function resizedInts(column: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const copy = new Int32Array(length);
  copy.set(column);
  return copy;
}

export function resizedTimes(column: BigUint64Array, length: number): BigUint64Array<ArrayBuffer> {
  const copy = new BigUint64Array(length);
  copy.set(column);
  return copy;
}
