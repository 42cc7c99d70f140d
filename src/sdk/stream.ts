// One stream of points: an instrument as one View shows it to one reader.
import type { Attributes, Context } from '@opentelemetry/api';
import type { AttributeSet } from '../data/attribute-set.ts';
import type { MetricColumns, PointColumns } from '../data/metric-batch.ts';
import { AggregationTemporality, type MetricDescriptor } from '../data/metric-data.ts';
import { LastValueAggregator } from './aggregation/last-value.ts';
import { ObservedSumAggregator } from './aggregation/observed-sum.ts';
import { SumAggregator } from './aggregation/sum.ts';
import { type AttributeFilter, keptAttributes, processed } from './attribute-filter.ts';
import type { AttributeInterner } from './attribute-interner.ts';
import { elapsedMillis, steadyTime, toWallTimes } from './clock.ts';
import { type Member, ObservedMembers } from './observed-members.ts';
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
  /** Whether anybody asks which series were written since the last collection. */
  readonly tracksWrites: boolean;
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
    this.tracksWrites =
      options.temporality === AggregationTemporality.DELTA || options.idleTimeoutMillis !== undefined;
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
    if (this.tracksWrites) table.touched[row] = 1;
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
    if (this.tracksWrites) table.touched[row] = 1;
    table.aggregator.record(row, value);
    if (sampled !== undefined) table.offer(row, value, attributes, sampled);
  }

  /** The row of the series that these attributes belong to, opened if need be. */
  rowOf(attributes: Attributes, context?: Context): number {
    const { table, interner, filter } = this.#options;
    const given = own(this.#options, attributes, context);
    const set = interner.find(given, filter?.keeps);
    const row = set === undefined ? -1 : table.rowOf(set);
    return row < 0 ? table.open(kept(this.#options, given)) : row;
  }

  /**
   * Ends the series that these attributes belong to. What a delta window owes to the reader still goes with the next
   * collection; delta series end by themselves after it. A series that a View's filter makes of several stays.
   */
  remove(attributes: Attributes): void {
    const { interner, table } = this.#options;
    const whole = interner.canonical(attributes);
    const left = interner.canonical(kept(this.#options, own(this.#options, attributes)));
    // Such a series also holds what was recorded with other values of the attributes left out.
    if (left.keys.length < whole.keys.length) return;
    const set = interner.lookup(left);
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
    table.startWindow();
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
    table.startWindow();
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
  /** Whether an observation has its row to itself, or takes it over from the one before. */
  readonly #isDirect: boolean;
  /** Whether several attribute sets add up in a row, so that observations must be told apart by all attributes. */
  readonly #isMerging: boolean;
  readonly #members: ObservedMembers;
  #failed = false;

  constructor(options: StreamOptions) {
    const { table, filter, interner } = options;
    const { aggregator } = table;
    this.descriptor = options.descriptor;
    this.isDescribedByView = options.isDescribedByView;
    this.table = table;
    this.#options = options;
    this.#sum = aggregator instanceof ObservedSumAggregator ? aggregator : undefined;
    const isLastValue = aggregator instanceof LastValueAggregator;
    this.#isMerging = filter !== undefined && !isLastValue;
    // A distribution cannot take back what it counted, should a callback fail or observe the same again.
    this.#isDirect = isLastValue || (this.#sum !== undefined && filter === undefined);
    this.#members = new ObservedMembers(interner);
  }

  /** The last observation of an attribute set in a round counts. Those that share a row add up in it. */
  observe(value: number, attributes: Attributes): void {
    const { table, interner, filter } = this.#options;
    const given = own(this.#options, attributes);
    let target = interner.find(given, filter?.keeps);
    let set = this.#isMerging ? interner.find(attributes) : target;
    if (target === undefined || set === undefined) {
      // Both are read before either is interned, because reading may throw.
      const left = interner.canonical(kept(this.#options, given));
      const whole = this.#isMerging ? interner.canonical(attributes) : left;
      target = interner.intern(left);
      set = interner.intern(whole);
    }
    const row = this.#isDirect ? this.#ownRow(target) : -1;
    if (row < 0) this.#members.observe(set, target, value);
    else {
      table.aggregator.record(row, value);
      table.touched[row] = 1;
    }
  }

  /** The row of the set, or -1 when it has none to itself. */
  #ownRow(target: AttributeSet): number {
    const { table } = this;
    const row = table.rowOf(target);
    return row >= 0 && table.isOverflow(row) ? -1 : row;
  }

  /** Says that a callback of this round failed: what it did report is not exported, what it knew is kept. */
  fail(): void {
    this.#failed = true;
  }

  collect(end: bigint): MetricColumns | undefined {
    const { table, temporality } = this.#options;
    const isDelta = temporality === AggregationTemporality.DELTA;
    if (this.#failed) {
      this.#failed = false;
      this.#members.cancelRound();
      table.startWindow();
      return undefined;
    }
    this.#place();
    // A delta needs the value before, and a row of several has only their sum.
    this.#members.endRound(
      ({ target }) => isDelta && this.#sum !== undefined && !(this.#isDirect && this.#ownRow(target) >= 0),
    );
    const rows = table.touchedRows();
    const start = isDelta ? table.windowStart : undefined;
    const points = copyPoints(this.descriptor, this.#options, end, rows, start);
    const columns = points && table.aggregator.collect(points, rows);
    table.windowStart = steadyTime(end);
    // A series that a callback no longer reports is gone (OTel metrics SDK, "Asynchronous instruments").
    if (rows !== undefined) table.releaseUntouched();
    // An observed sum takes its own difference; everything else begins anew with the window.
    if (isDelta && this.#sum === undefined) {
      for (let row = 0; row < table.size; row++) table.aggregator.reset(row);
    }
    table.startWindow();
    return columns;
  }

  /** Gives members their rows: first those that have one, then, as far as series that have left make room, new ones. */
  #place(): void {
    const { table } = this;
    const homeless = this.#members.observed.filter((member) => {
      const row = table.rowOf(member.target);
      if (row >= 0) this.#add(row, member);
      return row < 0;
    });
    if (homeless.length > 0) table.releaseUntouched(true);
    for (const member of homeless) {
      const { size } = table;
      const row = table.openSet(member.target);
      // Started when the callback had last not reported it (OTel metrics SDK, "Start timestamps").
      if (table.size > size) table.startTimes[row] = table.windowStart;
      this.#add(row, member);
    }
    for (const { target, previous } of this.#members.unobserved) {
      const own = table.rowOf(target);
      const row = own < 0 ? table.overflowRow : own;
      if (row >= 0 && table.touched[row] === 1) this.#sum?.add(row, 0, previous);
    }
  }

  #add(row: number, { value, previous }: Member): void {
    const { table } = this;
    if (this.#sum === undefined) table.aggregator.record(row, value);
    else {
      if (table.touched[row] === 0) this.#sum.reset(row);
      this.#sum.add(row, value, previous);
    }
    table.touched[row] = 1;
  }
}

/** What a processor of the user's makes of the attributes. */
function own({ filter }: StreamOptions, attributes: Attributes, context?: Context): Attributes {
  return filter?.process === undefined ? attributes : processed(filter.process, attributes, context);
}

function kept({ filter }: StreamOptions, own: Attributes): Attributes {
  return filter?.keeps === undefined ? own : keptAttributes(own, filter.keeps);
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
