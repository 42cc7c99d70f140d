// One stream of points: an instrument as one View shows it to one reader.
import { type Attributes, type Context, context } from '@opentelemetry/api';
import type { AttributeSet } from '../data/attribute-set.ts';
import { report } from '../data/diagnostics.ts';
import type { MetricColumns, PointColumns } from '../data/metric-batch.ts';
import { AggregationTemporality, type MetricDescriptor } from '../data/metric-data.ts';
import { LastValueAggregator } from './aggregation/last-value.ts';
import { ObservedSumAggregator } from './aggregation/observed-sum.ts';
import { SumAggregator } from './aggregation/sum.ts';
import { type AttributeFilter, keptAttributes } from './attribute-filter.ts';
import type { AttributeInterner } from './attribute-interner.ts';
import { canonicalAttributes } from './attribute-value.ts';
import { elapsedMillis, steadyTime, toWallTimes } from './clock.ts';
import type { SeriesTable } from './series-table.ts';

export interface StreamOptions {
  descriptor: MetricDescriptor;
  /** Whether the description is a View's, so that another instrument of the name cannot change it. */
  isDescribedByView: boolean;
  temporality: AggregationTemporality;
  table: SeriesTable;
  interner: AttributeInterner;
  filter: AttributeFilter | undefined;
  /** See `ViewOptions`; for cumulative streams, since delta ones forget after every window. */
  idleTimeoutMillis: number | undefined;
}

/** The points since the last collection, or undefined when there are none. Starts the next window. */
export type CollectStream = (end: bigint) => MetricColumns | undefined;

export interface Stream {
  descriptor: MetricDescriptor;
  readonly isDescribedByView: boolean;
  readonly table: SeriesTable;
  readonly collect: CollectStream;
}

export class SyncStream implements Stream {
  descriptor: MetricDescriptor;
  readonly isDescribedByView: boolean;
  readonly table: SeriesTable;
  readonly filter: AttributeFilter | undefined;
  /** The aggregation of most hot paths, so that V8 need not look up which one it is. */
  readonly #sum: SumAggregator | undefined;
  readonly #options: StreamOptions;
  /** When a series was last seen to be written, on the clock that nobody sets; kept only where idle series end. */
  readonly #writtenAt = new Map<AttributeSet, number>();

  constructor(options: StreamOptions) {
    this.descriptor = options.descriptor;
    this.isDescribedByView = options.isDescribedByView;
    this.table = options.table;
    this.filter = options.filter;
    const { aggregator } = options.table;
    this.#sum = aggregator instanceof SumAggregator ? aggregator : undefined;
    this.#options = options;
  }

  /**
   * @param set the interned set of `attributes` if there is one
   * @param sampled the context of a measurement that may become an exemplar
   */
  record(
    value: number,
    attributes: Attributes,
    set: AttributeSet | undefined,
    sampled: Context | undefined,
  ): void {
    const { table } = this;
    let row = set === undefined ? -1 : table.rowOf(set);
    if (row < 0) row = table.open(attributes);
    table.touched[row] = 1;
    if (this.#sum !== undefined) this.#sum.values[row]! += value;
    else table.aggregator.record(row, value);
    if (sampled !== undefined) table.offer(row, value, attributes, sampled);
  }

  /** The same for a stream with a filter; `attributes` are all that were given. */
  recordFiltered(
    value: number,
    attributes: Attributes,
    context: Context | undefined,
    sampled: Context | undefined,
  ): void {
    const { table } = this;
    const row = this.rowOf(attributes, context);
    table.touched[row] = 1;
    table.aggregator.record(row, value);
    if (sampled !== undefined) table.offer(row, value, attributes, sampled);
  }

  /** The row of the series that these attributes belong to, opened if need be. */
  rowOf(attributes: Attributes, context?: Context): number {
    return filteredRow(this.#options, attributes, context);
  }

  /**
   * Ends the series that these attributes belong to. What a delta window owes to the reader still goes with the next
   * collection; delta series end by themselves after it. A series that a View's filter makes of several stays.
   */
  remove(attributes: Attributes): void {
    const { interner, filter, table } = this.#options;
    const whole = interner.canonical(attributes);
    const kept = filter === undefined ? whole : interner.canonical(applied(filter, attributes, undefined));
    // Such a series also holds what was recorded with other values of the attributes left out.
    if (kept.keys.length < whole.keys.length) return;
    const set = interner.lookup(kept);
    const row = set === undefined ? -1 : table.rowOf(set);
    if (set === undefined || row < 0) return;
    const isDelta = this.#options.temporality === AggregationTemporality.DELTA;
    if (isDelta && table.touched[row] === 1 && !(table.aggregator instanceof LastValueAggregator)) return;
    table.release(row);
    this.#writtenAt.delete(set);
  }

  collect(end: bigint): MetricColumns | undefined {
    if (this.#options.temporality === AggregationTemporality.DELTA) return this.#collectDelta(end);
    if (this.#options.idleTimeoutMillis !== undefined) this.#endIdle(this.#options.idleTimeoutMillis);
    return this.#copy(end);
  }

  /** Only what was written in the window. A series that skipped a window is freed after it. */
  #collectDelta(end: bigint): MetricColumns | undefined {
    const { table } = this;
    const rows = table.touchedRows();
    const columns = this.#copy(end, rows, table.windowStart);
    table.windowStart = steadyTime(end);
    if (rows !== undefined) table.releaseUntouched();
    for (let row = 0; row < table.size; row++) table.aggregator.reset(row);
    table.touched.fill(0);
    return columns;
  }

  #endIdle(timeoutMillis: number): void {
    const { table } = this;
    const millis = elapsedMillis();
    for (let row = table.size - 1; row >= 0; row--) {
      const set = table.sets[row]!;
      const writtenAt = this.#writtenAt.get(set);
      if (table.touched[row] === 1 || writtenAt === undefined) this.#writtenAt.set(set, millis);
      else if (millis - writtenAt >= timeoutMillis) {
        this.#writtenAt.delete(set);
        table.release(row);
      }
    }
    table.touched.fill(0);
  }

  #copy(end: bigint, rows?: Uint32Array, start?: bigint): MetricColumns | undefined {
    const points = copyPoints(this.descriptor, this.#options, end, rows, start);
    return points && this.table.aggregator.collect(points, rows);
  }
}

export class AsyncStream implements Stream {
  descriptor: MetricDescriptor;
  readonly isDescribedByView: boolean;
  readonly table: SeriesTable;
  readonly #options: StreamOptions;
  readonly #sum: ObservedSumAggregator | undefined;
  /** Observed while series of the last round took up the room that they may leave in this one. */
  #waiting: [value: number, attributes: Attributes][] = [];
  /**
   * What a round observed for a distribution, which cannot take back what it counted should a callback fail. Sums and
   * last values are overwritten by the next round.
   */
  readonly #round: [value: number, attributes: Attributes][] | undefined;
  #failed = false;

  constructor(options: StreamOptions) {
    this.descriptor = options.descriptor;
    this.isDescribedByView = options.isDescribedByView;
    this.table = options.table;
    this.#options = options;
    const { aggregator } = options.table;
    this.#sum = aggregator instanceof ObservedSumAggregator ? aggregator : undefined;
    const isOverwritten = this.#sum !== undefined || aggregator instanceof LastValueAggregator;
    this.#round = isOverwritten ? undefined : [];
  }

  /**
   * The last observation of a series in a round counts. Those over the limit add up in the overflow series, and those
   * that a View's filter makes one series add up in it.
   */
  observe(value: number, attributes: Attributes): void {
    if (this.#round) this.#round.push([value, canonicalAttributes(attributes)]);
    else this.#observe(value, attributes);
  }

  #observe(value: number, attributes: Attributes): void {
    // At most as many wait as may find room.
    const canWait = this.#waiting.length < this.table.size;
    if (!this.#record(value, attributes, canWait)) {
      this.#waiting.push([value, canonicalAttributes(attributes)]);
    }
  }

  /** False when the observation has to wait for room. */
  #record(value: number, attributes: Attributes, canWait: boolean): boolean {
    const { table, filter } = this.#options;
    const { size } = table;
    const row = filteredRow(this.#options, attributes, undefined, canWait);
    if (row < 0) return false;
    // Started when the callback had last not reported it (OTel metrics SDK, "Start timestamps").
    if (table.size > size) table.startTimes[row] = table.windowStart;
    const isAdding = filter !== undefined || table.isOverflow(row);
    if (table.touched[row] === 0 || !isAdding) this.#sum?.clear(row);
    table.touched[row] = 1;
    table.aggregator.record(row, value);
    return true;
  }

  /** Says that a callback of this round failed: what it did report is not exported, what it knew is kept. */
  fail(): void {
    this.#failed = true;
  }

  collect(end: bigint): MetricColumns | undefined {
    const { table, temporality } = this.#options;
    const round = this.#round?.splice(0) ?? [];
    if (!this.#failed) for (const [value, attributes] of round) this.#observe(value, attributes);
    const waiting = this.#waiting;
    this.#waiting = [];
    if (this.#failed) {
      this.#failed = false;
      table.touched.fill(0);
      return undefined;
    }
    if (waiting.length > 0) {
      table.releaseUntouched(true);
      for (const [value, attributes] of waiting) this.#record(value, attributes, false);
    }
    const isDelta = temporality === AggregationTemporality.DELTA;
    const rows = table.touchedRows();
    const points = copyPoints(
      this.descriptor,
      this.#options,
      end,
      rows,
      isDelta ? table.windowStart : undefined,
    );
    const columns = points && table.aggregator.collect(points, rows);
    table.windowStart = steadyTime(end);
    // A series that a callback no longer reports is gone (OTel metrics SDK, "Asynchronous instruments").
    if (rows !== undefined) table.releaseUntouched();
    // An observed sum takes its own difference; everything else begins anew with the window.
    if (isDelta && this.#sum === undefined) {
      for (let row = 0; row < table.size; row++) table.aggregator.reset(row);
    }
    table.touched.fill(0);
    return columns;
  }
}

/**
 * A processor of the user's that fails costs the attributes of its own stream, not the measurement and not those of
 * other Views; attributes that it would have removed do not get out.
 */
function applied(filter: AttributeFilter, attributes: Attributes, given: Context | undefined): Attributes {
  if (filter.keeps) return keptAttributes(attributes, filter.keeps);
  try {
    const processed = filter.process(attributes, given ?? context.active());
    return keptAttributes(processed, () => true);
  } catch (error) {
    report(
      'error',
      'attributes-processor',
      'an attributes processor of a View failed; the measurement counts without attributes',
      error,
    );
    return {};
  }
}

function filteredRow(
  { table, interner, filter }: StreamOptions,
  attributes: Attributes,
  context: Context | undefined,
  canWait = false,
): number {
  if (filter?.keeps) {
    const set = interner.find(attributes, filter.keeps);
    const row = set === undefined ? -1 : table.rowOf(set);
    return row < 0 ? table.open(applied(filter, attributes, context), canWait) : row;
  }
  const kept = filter === undefined ? attributes : applied(filter, attributes, context);
  const set = interner.find(kept);
  const row = set === undefined ? -1 : table.rowOf(set);
  return row < 0 ? table.open(kept, canWait) : row;
}

function copyPoints(
  descriptor: MetricDescriptor,
  { table, temporality }: StreamOptions,
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
  toWallTimes(startTimes);
  const exemplars = table.collectExemplars(rows);
  return {
    descriptor,
    aggregationTemporality: temporality,
    length,
    attributes,
    startTimes,
    endTimes: new BigUint64Array(length).fill(end),
    ...(exemplars && { exemplars }),
  };
}
