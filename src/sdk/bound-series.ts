// What `bind` returns: the rows of one attribute set in every stream of an instrument, resolved once.
import type { Attributes, Context } from '@opentelemetry/api';
import { ExplicitBucketHistogramAggregator } from './aggregation/explicit-bucket-histogram.ts';
import { LastValueAggregator } from './aggregation/last-value.ts';
import { SumAggregator } from './aggregation/sum.ts';
import { type ExemplarFilter, findRegistry, sampledContext } from './exemplars/exemplar-filter.ts';
import { NO_ATTRIBUTES, type Recorder } from './recorder.ts';
import type { Cell, SeriesTable } from './series-table.ts';
import type { SyncStream } from './stream.ts';

/** Serves counters and up-down counters by `add`, histograms and gauges by `record`. */
export class BoundSeries {
  readonly #recorder: Recorder;
  readonly #attributes: Attributes;
  /** Nearly always there is one reader and no View, and a loop would take as long as the addition. */
  readonly #first: BoundRow | undefined;
  readonly #others: readonly BoundRow[];
  /** What a processor of the user's keeps may depend on the context of the call, so that no row can be known before. */
  readonly #unbound: readonly SyncStream[];
  readonly #hasMore: boolean;
  /** That of the recorder. */
  readonly #min: number;
  readonly #exemplarFilter: ExemplarFilter;

  constructor(recorder: Recorder, attributes: Attributes) {
    this.#recorder = recorder;
    this.#attributes = attributes;
    const isBound = ({ filter }: SyncStream) => filter?.process === undefined;
    const { streams } = recorder;
    const [first, ...others] = streams.filter(isBound).map((stream) => new BoundRow(stream, attributes));
    const unbound = streams.filter((stream) => !isBound(stream));
    this.#first = first;
    this.#others = others;
    this.#unbound = unbound;
    this.#hasMore = others.length + unbound.length > 0;
    this.#min = recorder.min;
    this.#exemplarFilter = recorder.exemplarFilter;
    findRegistry();
  }

  add(value: number, context?: Context): void {
    this.record(value, context);
  }

  record(given: number, context?: Context): void {
    let value: number | undefined = given;
    if (typeof given !== 'number' || !(given >= this.#min && given <= Number.MAX_VALUE)) {
      value = this.#recorder.accept(given);
      if (value === undefined) return;
    }
    const sampled = sampledContext(this.#exemplarFilter, context);
    this.#first?.record(value, this.#attributes, sampled);
    if (this.#hasMore) this.#recordMore(value, context, sampled);
  }

  #recordMore(value: number, context: Context | undefined, sampled: Context | undefined): void {
    if (this.#recorder.isClosed) return;
    const others = this.#others;
    for (let i = 0; i < others.length; i++) others[i]!.record(value, this.#attributes, sampled);
    const unbound = this.#unbound;
    for (let i = 0; i < unbound.length; i++) {
      unbound[i]!.recordFiltered(value, this.#attributes, context, sampled);
    }
  }
}

class BoundRow {
  readonly #stream: SyncStream;
  readonly #table: SeriesTable;
  /** The two aggregations that hot paths have, so that V8 need not look up which one it is. */
  readonly #sum: SumAggregator | undefined;
  readonly #histogram: ExplicitBucketHistogramAggregator | undefined;
  readonly #tracksWrites: boolean;
  #cell: Cell;

  constructor(stream: SyncStream, attributes: Attributes) {
    const { aggregator } = stream.table;
    this.#stream = stream;
    this.#table = stream.table;
    this.#sum = aggregator instanceof SumAggregator ? aggregator : undefined;
    this.#histogram = aggregator instanceof ExplicitBucketHistogramAggregator ? aggregator : undefined;
    this.#tracksWrites = stream.tracksWrites;
    // Zero is true of a sum and of a distribution before the first measurement, and lets a first increment be seen as
    // one. A gauge has no value before its first.
    const isOpened = !(aggregator instanceof LastValueAggregator);
    this.#cell = isOpened ? stream.table.cell(stream.rowOf(attributes)) : { row: -1 };
  }

  record(value: number, attributes: Attributes, sampled: Context | undefined): void {
    const table = this.#table;
    let { row } = this.#cell;
    if (row < 0) {
      if (table.isClosed) return;
      // The series was released, such as after a delta window without data.
      this.#cell = table.cell(this.#stream.rowOf(attributes));
      row = this.#cell.row;
    }
    if (this.#tracksWrites) table.touched[row] = 1;
    if (this.#sum !== undefined) this.#sum.values[row]! += value;
    else if (this.#histogram !== undefined) this.#histogram.record(row, value);
    else table.aggregator.record(row, value);
    if (sampled !== undefined) table.offer(row, value, attributes, sampled);
  }
}

/** Copies the attributes: the caller may change its object, and a released series is opened again with them. */
export function bind(recorder: Recorder, attributes: Attributes = NO_ATTRIBUTES): BoundSeries {
  try {
    const own = typeof attributes === 'object' ? copied(attributes) : recorder.notAttributes(attributes);
    return new BoundSeries(recorder, own);
  } catch (error) {
    recorder.failed(error);
    return new BoundSeries(recorder, NO_ATTRIBUTES);
  }
}

/** With inherited attributes, as when recording, and arrays of its own. */
function copied(attributes: Attributes): Attributes {
  const copy: Attributes = {};
  for (const key in attributes) {
    const value = attributes[key];
    Object.defineProperty(copy, key, { value: Array.isArray(value) ? [...value] : value, enumerable: true });
  }
  return copy;
}
