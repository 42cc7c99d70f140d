// The reservoirs that the specification gives the aggregations, for all series at once: columns in place of an object for
// each series and each exemplar, so that a collection of 100 k series copies numbers and the next window starts at once.
import { type Attributes, type Context, isSpanContextValid } from '@opentelemetry/api';
import type { AttributeSet } from '../../data/attribute-set.ts';
import { report } from '../../data/diagnostics.ts';
import { NO_FILTERED_ATTRIBUTES } from '../../data/exemplar-columns.ts';
import { resized, resizedInts, resizedTimes } from '../aggregation/aggregator.ts';
import { attributeValue } from '../attribute-value.ts';
import { now, steadyTime, toWallTimes } from '../clock.ts';
import { spanOf } from './exemplar-filter.ts';
import type { ExemplarCopier, ExemplarStore } from './exemplar-store.ts';

/** How a reservoir chooses: of each bucket it keeps a uniform sample. */
export interface Sampling {
  /** How many measurements of a bucket it keeps. */
  readonly size: number;
  /** For "AlignedHistogramBucketExemplarReservoir"; without it all are of one bucket: "SimpleFixedSizeExemplarReservoir". */
  readonly bucketOf?: (value: number) => number;
}

interface Columns {
  values: Float64Array;
  times: BigUint64Array;
  readonly filteredAttributes: Attributes[];
  readonly traceIds: (string | undefined)[];
  readonly spanIds: (string | undefined)[];
}

const NONE = -1;
const FIRST_CAPACITY = 16;

export class SampledExemplars implements ExemplarStore {
  readonly #size: number;
  readonly #bucketOf: ((value: number) => number) | undefined;
  readonly #keeps: boolean;
  /** By row: its first exemplar, whose `next` leads to the others, in the order of their buckets. */
  #heads = new Int32Array(0);

  // By exemplar.
  #next = new Int32Array(0);
  #buckets = new Int32Array(0);
  /** In the first exemplar of a bucket: how many measurements were offered to the bucket in this window. */
  #seen = new Float64Array(0);
  #values = new Float64Array(0);
  #times = new BigUint64Array(0);
  readonly #filteredAttributes: Attributes[] = [];
  // The ids alone: a context would keep alive all that a request has put into it.
  readonly #traceIds: (string | undefined)[] = [];
  readonly #spanIds: (string | undefined)[] = [];

  /** How many exemplars there are, how many places for them have been used, and the first of those that are free again. */
  #held = 0;
  #used = 0;
  #free = NONE;
  /** How often the exemplars of a row have been given up or to another row. */
  #changes = 0;

  constructor({ size, bucketOf }: Sampling, keeps = false) {
    this.#size = size;
    this.#bucketOf = bucketOf;
    this.#keeps = keeps;
  }

  /** Algorithm R of Vitter, as the specification has it. */
  offer(row: number, set: AttributeSet, value: number, attributes: Attributes, context: Context): void {
    if (row >= this.#heads.length) this.#growRows(row + 1);
    const bucket = this.#bucketOf === undefined ? 0 : this.#bucketOf(value);
    let before = NONE;
    let first = NONE;
    let kept = 0;
    for (
      let at = this.#heads[row]!;
      at !== NONE && this.#buckets[at]! <= bucket;
      before = at, at = this.#next[at]!
    ) {
      if (this.#buckets[at] !== bucket) continue;
      if (kept === 0) first = at;
      kept++;
    }
    let replaced = NONE;
    if (kept > 0) {
      const seen = ++this.#seen[first]!;
      if (kept === this.#size) {
        // Those kept from earlier windows give way first.
        const place = seen <= this.#size ? seen - 1 : Math.floor(Math.random() * seen);
        if (place >= this.#size) return;
        replaced = first;
        for (let i = 0; i < place; i++) replaced = this.#next[replaced]!;
      }
    }
    try {
      // Before anything is kept: the attributes are the caller's, and reading them may throw, or end the very series.
      const changes = this.#changes;
      const filtered = filteredAttributes(set, attributes);
      if (changes !== this.#changes) return;
      const at = replaced === NONE ? this.#insert(row, before, bucket) : replaced;
      const span = spanOf(context);
      const isTraced = span !== undefined && isSpanContextValid(span);
      this.#values[at] = value;
      this.#times[at] = steadyTime(now());
      this.#filteredAttributes[at] = filtered;
      this.#traceIds[at] = isTraced ? span.traceId.toLowerCase() : undefined;
      this.#spanIds[at] = isTraced ? span.spanId.toLowerCase() : undefined;
    } catch (error) {
      report(
        'error',
        'exemplar',
        'a measurement could not become an exemplar; it counts all the same',
        error,
      );
    }
  }

  copier(capacity: number): ExemplarCopier | undefined {
    if (this.#held === 0) return undefined;
    const starts = new Uint32Array(capacity + 1);
    const columns: Columns = {
      values: new Float64Array(this.#held),
      times: new BigUint64Array(this.#held),
      filteredAttributes: [],
      traceIds: [],
      spanIds: [],
    };
    let points = 0;
    return {
      copy: (rows) => {
        for (let i = 0; i < rows.length; i++) {
          this.#copy(rows[i]!, columns);
          starts[++points] = columns.traceIds.length;
        }
      },
      finish: () => {
        const length = columns.traceIds.length;
        if (length === 0) return undefined;
        const times = columns.times.subarray(0, length);
        toWallTimes(times);
        return {
          ...columns,
          starts: starts.subarray(0, points + 1),
          values: columns.values.subarray(0, length),
          times,
        };
      },
    };
  }

  /** Begins the next window of the row. */
  #copy(row: number, columns: Columns): void {
    if (row >= this.#heads.length) return;
    for (let at = this.#heads[row]!; at !== NONE; at = this.#next[at]!) {
      const to = columns.traceIds.length;
      // More may have been kept while other rows were being copied.
      if (to === columns.values.length) {
        const more = 2 * to;
        columns.values = resized(columns.values, more);
        columns.times = resizedTimes(columns.times, more);
      }
      columns.values[to] = this.#values[at]!;
      columns.times[to] = this.#times[at]!;
      columns.filteredAttributes.push(this.#filteredAttributes[at]!);
      columns.traceIds.push(this.#traceIds[at]);
      columns.spanIds.push(this.#spanIds[at]);
      this.#seen[at] = 0;
    }
    if (!this.#keeps) this.clear(row);
  }

  clear(row: number): void {
    this.#changes++;
    if (row >= this.#heads.length) return;
    let at = this.#heads[row]!;
    this.#heads[row] = NONE;
    while (at !== NONE) {
      const next = this.#next[at]!;
      // What a request gave must not stay in memory until the place is taken again.
      this.#filteredAttributes[at] = NO_FILTERED_ATTRIBUTES;
      this.#traceIds[at] = undefined;
      this.#spanIds[at] = undefined;
      this.#next[at] = this.#free;
      this.#free = at;
      this.#held--;
      at = next;
    }
  }

  move(from: number, to: number): void {
    if (from >= this.#heads.length) return;
    this.#heads[to] = this.#heads[from]!;
    this.#heads[from] = NONE;
  }

  /** A place for one more exemplar of a row, after the given one, or as its first. */
  #insert(row: number, before: number, bucket: number): number {
    let at = this.#free;
    if (at !== NONE) this.#free = this.#next[at]!;
    else {
      at = this.#used;
      if (at === this.#next.length) this.#grow();
      this.#used++;
    }
    this.#held++;
    this.#buckets[at] = bucket;
    this.#seen[at] = 1;
    if (before === NONE) {
      this.#next[at] = this.#heads[row]!;
      this.#heads[row] = at;
    } else {
      this.#next[at] = this.#next[before]!;
      this.#next[before] = at;
    }
    return at;
  }

  #grow(): void {
    const capacity = Math.max(FIRST_CAPACITY, this.#next.length * 2);
    this.#next = resizedInts(this.#next, capacity);
    this.#buckets = resizedInts(this.#buckets, capacity);
    this.#seen = resized(this.#seen, capacity);
    this.#values = resized(this.#values, capacity);
    this.#times = resizedTimes(this.#times, capacity);
  }

  #growRows(rows: number): void {
    const heads = new Int32Array(Math.max(FIRST_CAPACITY, this.#heads.length * 2, rows)).fill(NONE);
    heads.set(this.#heads);
    this.#heads = heads;
  }
}

/** What the series does not have, as it is now: the caller may change its object before the collection. */
function filteredAttributes(set: AttributeSet, attributes: Attributes): Attributes {
  let filtered: Attributes | undefined;
  for (const key in attributes) {
    if (key === '' || set.keys.includes(key)) continue;
    const value = attributeValue(key, attributes[key]);
    if (value === undefined) continue;
    filtered ??= {};
    // Assigning would call the setter of `__proto__`.
    Object.defineProperty(filtered, key, { value, enumerable: true });
  }
  return filtered === undefined ? NO_FILTERED_ATTRIBUTES : Object.freeze(filtered);
}
