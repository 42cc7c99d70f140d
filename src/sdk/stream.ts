// One stream of points: an instrument as one reader sees it.
import type { Attributes } from '@opentelemetry/api';
import type { AttributeSet } from '../data/attribute-set.ts';
import type { MetricColumns, PointColumns } from '../data/metric-batch.ts';
import { AggregationTemporality, type MetricDescriptor } from '../data/metric-data.ts';
import { ObservedSumAggregator } from './aggregation/observed-sum.ts';
import { now } from './clock.ts';
import type { SeriesTable } from './series-table.ts';

export interface Stream {
  descriptor: MetricDescriptor;
  /** The points since the last collection, or undefined when there are none. Starts the next window. */
  collect(end: bigint): MetricColumns | undefined;
}

export class SyncStream implements Stream {
  descriptor: MetricDescriptor;
  readonly table: SeriesTable;
  readonly #temporality: AggregationTemporality;
  #windowStart = now();

  constructor(descriptor: MetricDescriptor, temporality: AggregationTemporality, table: SeriesTable) {
    this.descriptor = descriptor;
    this.#temporality = temporality;
    this.table = table;
  }

  /** @param set the interned set of `attributes` if there is one */
  record(value: number, attributes: Attributes, set: AttributeSet | undefined): void {
    const { table } = this;
    let row = set === undefined ? -1 : table.rowOf(set);
    if (row < 0) row = table.open(attributes);
    table.touched[row] = 1;
    table.aggregator.record(row, value);
  }

  collect(end: bigint): MetricColumns | undefined {
    return this.#temporality === AggregationTemporality.DELTA ? this.#collectDelta(end) : this.#copy(end);
  }

  /** Only what was written in the window. A series that skipped a window is freed after it. */
  #collectDelta(end: bigint): MetricColumns | undefined {
    const { table } = this;
    const rows = table.touchedRows();
    const columns = this.#copy(end, rows, this.#windowStart);
    this.#windowStart = end;
    if (rows !== undefined) table.releaseUntouched();
    for (let row = 0; row < table.size; row++) table.aggregator.reset(row);
    table.touched.fill(0);
    return columns;
  }

  #copy(end: bigint, rows?: Uint32Array, start?: bigint): MetricColumns | undefined {
    const points = copyPoints(this.descriptor, this.#temporality, this.table, end, rows, start);
    return points && this.table.aggregator.collect(points, rows);
  }
}

export class AsyncStream implements Stream {
  descriptor: MetricDescriptor;
  readonly #table: SeriesTable;
  readonly #temporality: AggregationTemporality;
  readonly #sum: ObservedSumAggregator | undefined;
  #windowStart = now();
  #failed = false;

  constructor(descriptor: MetricDescriptor, temporality: AggregationTemporality, table: SeriesTable) {
    this.descriptor = descriptor;
    this.#temporality = temporality;
    this.#table = table;
    this.#sum = table.aggregator instanceof ObservedSumAggregator ? table.aggregator : undefined;
  }

  /** The last observation of a series in a round counts; those over the limit add up in the overflow series. */
  observe(value: number, attributes: Attributes, set: AttributeSet | undefined): void {
    const table = this.#table;
    let row = set === undefined ? -1 : table.rowOf(set);
    if (row < 0) {
      const { size } = table;
      row = table.open(attributes);
      // Started when the callback had last not reported it (OTel metrics SDK, "Start timestamps").
      if (table.size > size) table.startTimes[row] = this.#windowStart;
    }
    if (table.touched[row] === 0 || !table.isOverflow(row)) this.#sum?.clear(row);
    table.touched[row] = 1;
    table.aggregator.record(row, value);
  }

  /** Says that a callback of this round failed: what it did report is not exported, what it knew is kept. */
  fail(): void {
    this.#failed = true;
  }

  collect(end: bigint): MetricColumns | undefined {
    const table = this.#table;
    if (this.#failed) {
      this.#failed = false;
      table.touched.fill(0);
      return undefined;
    }
    const rows = table.touchedRows();
    const start = this.#temporality === AggregationTemporality.DELTA ? this.#windowStart : undefined;
    const points = copyPoints(this.descriptor, this.#temporality, table, end, rows, start);
    const columns = points && table.aggregator.collect(points, rows);
    this.#windowStart = end;
    // A series that a callback no longer reports is gone (OTel metrics SDK, "Asynchronous instruments").
    if (rows !== undefined) table.releaseUntouched();
    table.touched.fill(0);
    return columns;
  }
}

function copyPoints(
  descriptor: MetricDescriptor,
  aggregationTemporality: AggregationTemporality,
  table: SeriesTable,
  end: bigint,
  rows: Uint32Array | undefined,
  start: bigint | undefined,
): PointColumns | undefined {
  const length = rows?.length ?? table.size;
  if (length === 0) return undefined;
  const attributes = rows === undefined ? table.sets.slice() : Array.from(rows, (row) => table.sets[row]!);
  const startTimes = new BigUint64Array(length);
  if (start !== undefined) startTimes.fill(start);
  else if (rows === undefined) startTimes.set(table.startTimes.subarray(0, length));
  else rows.forEach((row, i) => void (startTimes[i] = table.startTimes[row]!));
  return {
    descriptor,
    aggregationTemporality,
    length,
    attributes,
    startTimes,
    endTimes: new BigUint64Array(length).fill(end),
  };
}
