// The points of an observable, as one View shows them to one reader.
import type { Attributes } from '@opentelemetry/api';
import type { AttributeSet } from '../data/attribute-set.ts';
import type { MetricColumns } from '../data/metric-batch.ts';
import { AggregationTemporality, type MetricDescriptor } from '../data/metric-data.ts';
import { LastValueAggregator } from './aggregation/last-value.ts';
import { ObservedSumAggregator } from './aggregation/observed-sum.ts';
import { copyPoints } from './copy-points.ts';
import { type Member, ObservedMembers } from './observed-members.ts';
import type { SeriesTable } from './series-table.ts';
import { type Collection, kept, own, type Stream, type StreamOptions } from './stream.ts';

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

  *collect(collection: Collection): Generator<void, MetricColumns | undefined> {
    const { table, temporality } = this.#options;
    const isDelta = temporality === AggregationTemporality.DELTA;
    if (this.#failed) {
      this.#failed = false;
      this.#members.cancelRound();
      table.touched.fill(0);
      return undefined;
    }
    yield* this.#place();
    // A delta needs the value before, and a row of several has only their sum.
    this.#members.endRound(
      ({ target }) => isDelta && this.#sum !== undefined && !(this.#isDirect && this.#ownRow(target) >= 0),
    );
    // A series that a callback no longer reports is gone (OTel metrics SDK, "Asynchronous instruments").
    yield* table.releaseUntouched();
    const start = isDelta ? table.windowStart : undefined;
    table.windowStart = collection.steadyEnd;
    // An observed sum takes its own difference; everything else begins anew with the window.
    const isAnew = isDelta && this.#sum === undefined;
    const copied = isAnew ? (rows: Uint32Array) => table.resetRows(rows) : undefined;
    const rows = table.touchedRows(collection.memory);
    const window = { ...collection, start, copied };
    const columns = yield* copyPoints(this.descriptor, this.#options, rows, window);
    table.touched.fill(0);
    return columns;
  }

  /** Gives members their rows: first those that have one, then, as far as series that have left make room, new ones. */
  *#place(): Generator<void, void> {
    const { table } = this;
    const homeless = this.#members.observed.filter((member) => {
      const row = table.rowOf(member.target);
      if (row >= 0) this.#add(row, member);
      return row < 0;
    });
    if (homeless.length > 0) yield* table.releaseUntouched(true);
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
