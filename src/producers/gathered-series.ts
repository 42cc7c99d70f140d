// The samples of series that have several: the buckets of a histogram or the quantiles of a summary, with sum and count.
import { areSameBeside, firstOf, type Labels, type Series, type SeriesMemory } from './series.ts';

/** The samples of a series. NaN stands for what has not come. */
export interface Gathered {
  readonly series: Series;
  sum: number;
  count: number;
}

export class GatheredSeries<T extends Gathered> {
  readonly #memory: SeriesMemory;
  readonly #label: string;
  readonly #begin: (gathered: Gathered) => T;
  readonly #gathered = new Map<Series, T>();
  #latest: { labels: Labels; gathered: T } | undefined;
  /** How many counts were of a series that had one already. */
  repeated = 0;

  /**
   * @param label that tells the samples of a series apart
   * @param begin adds what the kind of metric gathers beside
   */
  constructor(memory: SeriesMemory, label: string, begin: (gathered: Gathered) => T) {
    this.#memory = memory;
    this.#label = label;
    this.#begin = begin;
  }

  addSum(labels: Labels, value: number): void {
    const gathered = this.of(labels);
    gathered.sum = firstOf(gathered.sum, value);
  }

  addCount(labels: Labels, value: number): void {
    const gathered = this.of(labels);
    if (!Number.isNaN(gathered.count)) this.repeated++;
    gathered.count = firstOf(gathered.count, value);
  }

  /** The samples of a series mostly follow each other, which is cheaper to see than to look up. */
  of(labels: Labels): T {
    if (this.#latest !== undefined && areSameBeside(this.#label, labels, this.#latest.labels))
      return this.#latest.gathered;
    const series = this.#memory.at(labels, this.#label);
    let gathered = this.#gathered.get(series);
    if (gathered === undefined) {
      gathered = this.#begin({ series, sum: Number.NaN, count: Number.NaN });
      this.#gathered.set(series, gathered);
    }
    this.#latest = { labels, gathered };
    return gathered;
  }

  all(): IterableIterator<T> {
    return this.#gathered.values();
  }
}
