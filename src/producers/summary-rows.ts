// The quantiles, `_sum` and `_count` of a summary as columns.
import { type MetricColumns, summaryColumns } from '../data/metric-batch.ts';
import { AggregationTemporality, type MetricDescriptor } from '../data/metric-data.ts';
import { QuantileGroups, type QuantileValue } from '../data/quantile-groups.ts';
import { startOf } from './number-rows.ts';
import {
  areSameBeside,
  firstOf,
  type Labels,
  type ReadingTime,
  type Series,
  type SeriesMemory,
} from './series.ts';

/** The samples of a series. */
interface Gathered {
  readonly series: Series;
  readonly quantiles: QuantileValue[];
  sum: number;
  count: number;
}

export class SummaryRows {
  readonly #memory: SeriesMemory;
  readonly #read: ReadingTime;
  readonly #gathered = new Map<Series, Gathered>();
  #latest: { labels: Labels; gathered: Gathered } | undefined;
  /** How many counts were of a series that had one already. */
  repeated = 0;

  constructor(memory: SeriesMemory, read: ReadingTime) {
    this.#memory = memory;
    this.#read = read;
  }

  addQuantile(labels: Labels, value: number): void {
    this.#of(labels).quantiles.push({ quantile: Number(labels.quantile), value });
  }

  addSum(labels: Labels, value: number): void {
    const gathered = this.#of(labels);
    gathered.sum = firstOf(gathered.sum, value);
  }

  addCount(labels: Labels, value: number): void {
    const gathered = this.#of(labels);
    if (!Number.isNaN(gathered.count)) this.repeated++;
    gathered.count = firstOf(gathered.count, value);
  }

  /** The samples of a series mostly follow each other, which is cheaper to see than to look up. */
  #of(labels: Labels): Gathered {
    if (this.#latest !== undefined && areSameBeside('quantile', labels, this.#latest.labels))
      return this.#latest.gathered;
    const series = this.#memory.at(labels, 'quantile');
    let gathered = this.#gathered.get(series);
    if (gathered === undefined) {
      gathered = { series, quantiles: [], sum: Number.NaN, count: Number.NaN };
      this.#gathered.set(series, gathered);
    }
    this.#latest = { labels, gathered };
    return gathered;
  }

  /** Yields now and then. */
  *columns(descriptor: MetricDescriptor): Generator<void, MetricColumns[]> {
    const groups = new QuantileGroups<Gathered>();
    let done = 0;
    for (const gathered of this.#gathered.values()) {
      if (++done % 100 === 0) yield;
      this.#memory.note(gathered.series, gathered.count, this.#read);
      groups.add(gathered, gathered.quantiles);
    }
    const metrics: MetricColumns[] = [];
    for (const { quantiles, members, values } of groups.all()) {
      yield;
      metrics.push(
        summaryColumns({
          descriptor,
          aggregationTemporality: AggregationTemporality.CUMULATIVE,
          length: members.length,
          attributes: members.map(({ series }) => series.attributes),
          startTimes: BigUint64Array.from(members, ({ series }) => startOf(series.start, this.#read)),
          endTimes: new BigUint64Array(members.length).fill(this.#read.time),
          counts: Float64Array.from(members, ({ count }) => count),
          sums: Float64Array.from(members, ({ sum }) => sum),
          quantiles,
          quantileValues: Float64Array.from(values),
        }),
      );
    }
    return metrics;
  }
}

/** Whether a label says which quantile a value is. */
export function isQuantile(label: unknown): boolean {
  const quantile = typeof label === 'string' && label.trim() !== '' ? Number(label) : label;
  return typeof quantile === 'number' && quantile >= 0 && quantile <= 1;
}
