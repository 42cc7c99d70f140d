// What every aggregation does with the rows of a series table.
import type { MetricColumns, PointColumns } from '../../data/metric-batch.ts';
import type { Sampling } from '../exemplars/sampled-exemplars.ts';

export interface Aggregator {
  /** Makes room for `capacity` rows, keeping what is there. */
  resize(capacity: number): void;
  /** Empties a row for a new series or a new delta window. */
  reset(row: number): void;
  /** Copies a row over another. */
  move(from: number, to: number): void;
  record(row: number, value: number): void;
  /** Copies the given rows, all of them in order when `rows` is undefined, into the columns of a batch. */
  collect(points: PointColumns, rows: Uint32Array | undefined): MetricColumns;
  /** Which measurements become exemplars, as the specification has it for the aggregation. */
  readonly sampling: Sampling;
}

/** For aggregations without buckets. */
export const ONE_EXEMPLAR: Sampling = { size: 1 };

/** Copies a column's first `length` values, or those of `rows`. */
export function copyColumn(column: Float64Array, length: number, rows: Uint32Array | undefined) {
  if (rows === undefined) return column.slice(0, length);
  const copy = new Float64Array(length);
  for (let i = 0; i < length; i++) copy[i] = column[rows[i]!]!;
  return copy;
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
