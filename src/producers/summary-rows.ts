// The quantiles, `_sum` and `_count` of a summary as columns.
import { type MetricColumns, summaryColumns } from '../data/metric-batch.ts';
import { AggregationTemporality, type MetricDescriptor } from '../data/metric-data.ts';
import { QuantileGroups, type QuantileValue } from '../data/quantile-groups.ts';
import { type Gathered, GatheredSeries } from './gathered-series.ts';
import { startOf } from './number-rows.ts';
import type { Labels, ReadingTime, SeriesMemory } from './series.ts';

interface GatheredSummary extends Gathered {
  readonly quantiles: QuantileValue[];
}

export class SummaryRows {
  readonly #memory: SeriesMemory;
  readonly #read: ReadingTime;
  readonly gathered: GatheredSeries<GatheredSummary>;

  constructor(memory: SeriesMemory, read: ReadingTime) {
    this.#memory = memory;
    this.#read = read;
    this.gathered = new GatheredSeries(memory, 'quantile', (begun) => ({ ...begun, quantiles: [] }));
  }

  addQuantile(labels: Labels, value: number): void {
    this.gathered.of(labels).quantiles.push({ quantile: Number(labels.quantile), value });
  }

  /** Yields now and then. */
  *columns(descriptor: MetricDescriptor): Generator<void, MetricColumns[]> {
    const groups = new QuantileGroups<GatheredSummary>();
    let done = 0;
    for (const gathered of this.gathered.all()) {
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
