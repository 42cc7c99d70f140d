// The reservoirs that the specification gives the aggregations, for all series at once: columns in place of an object for
// each series and each exemplar, so that a collection of 100 k series copies numbers and the next window starts at once.
import { type Attributes, type Context, isSpanContextValid } from '@opentelemetry/api';
import type { AttributeSet } from '../../data/attribute-set.ts';
import { report } from '../../data/diagnostics.ts';
import { type ExemplarColumns, NO_FILTERED_ATTRIBUTES } from '../../data/exemplar-columns.ts';
import { resized, resizedInts } from '../aggregation/aggregator.ts';
import { attributeValue } from '../attribute-value.ts';
import { now, steadyTime, toWallTimes } from '../clock.ts';
import { spanOf } from './exemplar-filter.ts';
import type { ExemplarStore } from './exemplar-store.ts';

/** How a reservoir chooses: of each bucket it keeps a uniform sample. */
export interface Sampling {
  /** How many measurements of a bucket it keeps. */
  readonly size: number;
  /** For "AlignedHistogramBucketExemplarReservoir"; without it all are of one bucket: "SimpleFixedSizeExemplarReservoir". */
  readonly bucketOf?: (value: number) => number;
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
  #filteredAttributes: Attributes[] = [];
  // The ids alone: a context would keep alive all that a request has put into it.
  #traceIds: (string | undefined)[] = [];
  #spanIds: (string | undefined)[] = [];

  /** How many places for exemplars have been used, and the first of those that are free again. */
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

  collect(sets: readonly AttributeSet[], rows: Uint32Array | undefined): ExemplarColumns | undefined {
    if (this.#used === 0) return undefined;
    const length = rows?.length ?? sets.length;
    const starts = new Uint32Array(length + 1);
    const order = new Int32Array(this.#used);
    let count = 0;
    for (let i = 0; i < length; i++) {
      const row = rows === undefined ? i : rows[i]!;
      let at = row < this.#heads.length ? this.#heads[row]! : NONE;
      for (; at !== NONE; at = this.#next[at]!) order[count++] = at;
      starts[i + 1] = count;
    }
    const columns = count === 0 ? undefined : this.#copy(starts, order.subarray(0, count));
    if (this.#keeps) this.#seen.fill(0, 0, this.#used);
    else this.#startAnew();
    return columns;
  }

  clear(row: number): void {
    this.#changes++;
    if (row >= this.#heads.length) return;
    let at = this.#heads[row]!;
    this.#heads[row] = NONE;
    while (at !== NONE) {
      const next = this.#next[at]!;
      this.#next[at] = this.#free;
      this.#free = at;
      at = next;
    }
  }

  move(from: number, to: number): void {
    if (from >= this.#heads.length) return;
    this.#heads[to] = this.#heads[from]!;
    this.#heads[from] = NONE;
  }

  #copy(starts: Uint32Array, order: Int32Array): ExemplarColumns {
    const { length } = order;
    const values = new Float64Array(length);
    const times = new BigUint64Array(length);
    const filteredAttributes = new Array<Attributes>(length);
    const traceIds = new Array<string | undefined>(length);
    const spanIds = new Array<string | undefined>(length);
    for (let i = 0; i < length; i++) {
      const at = order[i]!;
      values[i] = this.#values[at]!;
      times[i] = this.#times[at]!;
      filteredAttributes[i] = this.#filteredAttributes[at]!;
      traceIds[i] = this.#traceIds[at];
      spanIds[i] = this.#spanIds[at];
    }
    toWallTimes(times);
    return { starts, values, times, filteredAttributes, traceIds, spanIds };
  }

  #startAnew(): void {
    this.#heads.fill(NONE);
    this.#filteredAttributes = [];
    this.#traceIds = [];
    this.#spanIds = [];
    this.#used = 0;
    this.#free = NONE;
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
    const times = new BigUint64Array(capacity);
    times.set(this.#times);
    this.#times = times;
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
