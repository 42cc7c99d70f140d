// The `_bucket`, `_sum` and `_count` samples of a histogram as columns.
import type { AttributeSet } from '../data/attribute-set.ts';
import { histogramColumns, type MetricColumns } from '../data/metric-batch.ts';
import { AggregationTemporality, type MetricDescriptor } from '../data/metric-data.ts';
import { ExemplarRows } from './exemplar-rows.ts';
import { type Gathered, GatheredSeries } from './gathered-series.ts';
import { startOf } from './number-rows.ts';
import { firstOf, type Labels, type ReadingTime, type SeriesMemory } from './series.ts';

interface GatheredHistogram extends Gathered {
  bounds: number[];
  cumulative: number[];
  infinite: number;
  exemplars: unknown[] | undefined;
}

/** Series that share their boundaries, as nearly all do. */
interface Group {
  readonly boundaries: readonly number[];
  readonly attributes: AttributeSet[];
  readonly startTimes: bigint[];
  readonly counts: number[];
  readonly sums: number[];
  readonly bucketCounts: number[];
  readonly exemplars: ExemplarRows;
}

export class HistogramRows {
  readonly #memory: SeriesMemory;
  readonly #read: ReadingTime;
  readonly gathered: GatheredSeries<GatheredHistogram>;

  constructor(memory: SeriesMemory, read: ReadingTime) {
    this.#memory = memory;
    this.#read = read;
    this.gathered = new GatheredSeries(memory, 'le', (begun) => ({
      ...begun,
      bounds: [],
      cumulative: [],
      infinite: Number.NaN,
      exemplars: undefined,
    }));
  }

  addBucket(labels: Labels, cumulative: number, exemplar: unknown): void {
    const gathered = this.gathered.of(labels);
    const bound = boundOf(labels.le);
    if (bound === Number.POSITIVE_INFINITY) gathered.infinite = firstOf(gathered.infinite, cumulative);
    else {
      gathered.bounds.push(bound);
      gathered.cumulative.push(cumulative);
    }
    if (exemplar != null) (gathered.exemplars ??= []).push(exemplar);
  }

  /** Yields now and then, and returns the columns, with how many series could not be shown as a histogram. */
  *columns(descriptor: MetricDescriptor): Generator<void, { metrics: MetricColumns[]; broken: number }> {
    const groups = new Map<string, Group>();
    let group: Group | undefined;
    let broken = 0;
    let done = 0;
    for (const gathered of this.gathered.all()) {
      if (++done % 100 === 0) yield;
      const { series, cumulative, sum } = inOrder(gathered);
      const { bounds } = gathered;
      // The format wants the last bucket to equal the count, so one of them stands for both.
      const total = Number.isNaN(gathered.count) ? gathered.infinite : gathered.count;
      this.#memory.note(series, total, this.#read);
      if (!isRising(cumulative, total)) {
        broken++;
        continue;
      }
      if (group === undefined || !areEqual(group.boundaries, bounds)) group = groupOf(groups, bounds);
      group.attributes.push(series.attributes);
      group.startTimes.push(startOf(series.start, this.#read));
      group.counts.push(total);
      group.sums.push(sum);
      let before = 0;
      for (const count of cumulative) {
        group.bucketCounts.push(count - before);
        before = count;
      }
      group.bucketCounts.push(total - before);
      for (const exemplar of gathered.exemplars ?? []) group.exemplars.add(exemplar);
      group.exemplars.endPoint();
    }
    const metrics: MetricColumns[] = [];
    for (const one of groups.values()) {
      yield;
      metrics.push(this.#columnsOf(one, descriptor));
    }
    return { metrics, broken };
  }

  #columnsOf(group: Group, descriptor: MetricDescriptor): MetricColumns {
    const { length } = group.attributes;
    const exemplars = group.exemplars.columns();
    return histogramColumns({
      descriptor,
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
      length,
      attributes: group.attributes,
      startTimes: new BigUint64Array(group.startTimes),
      endTimes: new BigUint64Array(length).fill(this.#read.time),
      counts: new Float64Array(group.counts),
      sums: new Float64Array(group.sums),
      mins: new Float64Array(length).fill(Number.NaN),
      maxs: new Float64Array(length).fill(Number.NaN),
      boundaries: group.boundaries,
      bucketCounts: new Float64Array(group.bucketCounts),
      ...(exemplars && { exemplars }),
    });
  }
}

function groupOf(groups: Map<string, Group>, boundaries: number[]): Group {
  const key = boundaries.join();
  let group = groups.get(key);
  if (group === undefined) {
    group = {
      boundaries,
      attributes: [],
      startTimes: [],
      counts: [],
      sums: [],
      bucketCounts: [],
      exemplars: new ExemplarRows(),
    };
    groups.set(key, group);
  }
  return group;
}

function boundOf(le: unknown): number {
  return le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le);
}

/** Puts the bounds in order, and leaves out doubles and those below all numbers, which no value is in. */
function inOrder(gathered: GatheredHistogram): GatheredHistogram {
  const { bounds, cumulative } = gathered;
  if (bounds.every((bound, i) => (i === 0 ? bound > Number.NEGATIVE_INFINITY : bound > bounds[i - 1]!)))
    return gathered;
  const order = bounds
    .map((bound, i) => ({ bound, count: cumulative[i]! }))
    .filter(({ bound }) => Number.isFinite(bound))
    .sort((a, b) => a.bound - b.bound)
    .filter(({ bound }, i, all) => i === 0 || bound !== all[i - 1]!.bound);
  gathered.bounds = order.map(({ bound }) => bound);
  gathered.cumulative = order.map(({ count }) => count);
  return gathered;
}

/** False for NaN as well. */
function isRising(cumulative: readonly number[], total: number): boolean {
  let before = 0;
  for (const count of cumulative) {
    if (!(count >= before)) return false;
    before = count;
  }
  return total >= before;
}

function areEqual(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
