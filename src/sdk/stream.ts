// One stream of points: an instrument as one View shows it to one reader.
import type { Attributes, AttributeValue, Context } from '@opentelemetry/api';
import type { AttributeSet } from '../data/attribute-set.ts';
import type { ColumnMemory } from '../data/column-memory.ts';
import type { MetricColumns } from '../data/metric-batch.ts';
import { AggregationTemporality, type MetricDescriptor } from '../data/metric-data.ts';
import { LastValueAggregator } from './aggregation/last-value.ts';
import { SumAggregator } from './aggregation/sum.ts';
import { isNaNTwice } from './attribute-branch.ts';
import { type AttributeFilter, keptAttributes, processed } from './attribute-filter.ts';
import type { AttributeInterner, CanonicalAttributes } from './attribute-interner.ts';
import type { Part, Shape } from './attribute-shape.ts';
import { elapsedMillis } from './clock.ts';
import { copyPoints } from './copy-points.ts';
import { ROWS_PER_STEP, type SeriesTable } from './series-table.ts';

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

/** What all streams of a collection have in common. */
export interface Collection {
  /** When it is, on the wall clock. */
  readonly end: bigint;
  /** The same as a steady time: the clock may have been set by the time that it is a stream's turn. */
  readonly steadyEnd: bigint;
  readonly memory: ColumnMemory;
}

/** The points since the last collection, or undefined when there are none, in small steps. Starts the next window. */
export type CollectStream = (collection: Collection) => Generator<void, MetricColumns | undefined>;

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
  /** What the filter leaves of the key orders of calls, and of the one before. */
  readonly #parts = new WeakMap<Shape, Part>();
  #lastShape: Shape | undefined;
  #lastPart: Part | undefined;
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

  /** The same when the attributes have been read; `shape` and `values` are what the interner read. */
  recordRead(
    value: number,
    attributes: Attributes,
    shape: Shape,
    values: readonly unknown[],
    sampled: Context | undefined,
  ): void {
    const { table } = this;
    const part = this.#partOf(shape);
    const set = part && this.#options.interner.findPart(part, values);
    let row = set === undefined ? -1 : table.rowOf(set);
    if (row < 0) row = table.open(kept(this.#options, attributes));
    if (this.tracksWrites) table.touched[row] = 1;
    if (this.#sum !== undefined) this.#sum.values[row]! += value;
    else table.aggregator.record(row, value);
    if (sampled !== undefined) table.offer(row, value, attributes, sampled);
  }

  #partOf(shape: Shape): Part | undefined {
    if (shape === this.#lastShape) return this.#lastPart;
    let part = this.#parts.get(shape);
    if (part === undefined) {
      part = this.#options.interner.partOf(shape, this.filter!.keeps!);
      if (part === undefined) return undefined;
      this.#parts.set(shape, part);
    }
    this.#lastShape = shape;
    this.#lastPart = part;
    return part;
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
    // Such a series also holds what was recorded with other values of the attributes left out or changed.
    if (!whole.keys.every((key, i) => holds(left, key, whole.values[i]!))) return;
    const set = interner.lookup(left);
    const row = set === undefined ? -1 : table.rowOf(set);
    if (set === undefined || row < 0) return;
    const isDelta = this.#options.temporality === AggregationTemporality.DELTA;
    if (isDelta && table.touched[row] === 1 && !(table.aggregator instanceof LastValueAggregator)) return;
    table.release(row);
    this.#writtenAt.delete(set);
  }

  *collect(collection: Collection): Generator<void, MetricColumns | undefined> {
    const { temporality, idleTimeoutMillis } = this.#options;
    if (temporality === AggregationTemporality.DELTA) return yield* this.#collectDelta(collection);
    if (idleTimeoutMillis !== undefined) yield* this.#endIdle(idleTimeoutMillis);
    const rows = this.table.allRows(collection.memory);
    return yield* copyPoints(this.descriptor, this.#options, rows, collection);
  }

  /** Only what was written in the window. A series that skipped it is freed. */
  *#collectDelta(collection: Collection): Generator<void, MetricColumns | undefined> {
    const { table } = this;
    yield* table.releaseUntouched();
    const start = table.windowStart;
    table.windowStart = collection.steadyEnd;
    return yield* copyPoints(this.descriptor, this.#options, table.touchedRows(collection.memory), {
      ...collection,
      start,
      // At once: what is recorded from here on is of the next window.
      copied: (rows) => table.resetRows(rows),
    });
  }

  *#endIdle(timeoutMillis: number): Generator<void, void> {
    const { table } = this;
    const millis = elapsedMillis();
    for (let row = table.size - 1; row >= 0; row--) {
      if (row % ROWS_PER_STEP === 0) yield;
      const set = table.sets[row];
      // The host may have ended series meanwhile.
      if (set === undefined) continue;
      const writtenAt = this.#writtenAt.get(set);
      if (table.touched[row] === 1 || writtenAt === undefined) this.#writtenAt.set(set, millis);
      else if (millis - writtenAt >= timeoutMillis) {
        this.#writtenAt.delete(set);
        table.release(row);
        continue;
      }
      table.touched[row] = 0;
    }
  }
}

function holds({ keys, values }: CanonicalAttributes, key: string, value: AttributeValue): boolean {
  const own = values[keys.indexOf(key)];
  return own === value || isNaNTwice(own, value);
}

/** What a processor of the user's makes of the attributes. */
export function own({ filter }: StreamOptions, attributes: Attributes, context?: Context): Attributes {
  return filter?.process === undefined ? attributes : processed(filter.process, attributes, context);
}

export function kept({ filter }: StreamOptions, own: Attributes): Attributes {
  return filter?.keeps === undefined ? own : keptAttributes(own, filter.keeps);
}
