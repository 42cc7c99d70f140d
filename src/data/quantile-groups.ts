// Summaries by their quantiles: the columns share one list of them, and points of a metric nearly always do too.

export interface QuantileValue {
  readonly quantile: number;
  readonly value: number;
}

export interface QuantileGroup<T> {
  /** Strictly increasing, from 0 to 1. */
  readonly quantiles: readonly number[];
  readonly members: T[];
  /** Row-major: each member's, in the order of the quantiles. */
  readonly values: number[];
}

export class QuantileGroups<T> {
  readonly #groups = new Map<string, QuantileGroup<T>>();

  /** @param given in any order; of two values for a quantile the first counts, and there are no quantiles beyond 0 and 1 */
  add(member: T, given: readonly QuantileValue[]): void {
    const own = given
      .map(({ quantile, value }) => ({ quantile: Number(quantile), value }))
      .filter(({ quantile }) => quantile >= 0 && quantile <= 1)
      .sort((a, b) => a.quantile - b.quantile)
      .filter(({ quantile }, i, all) => i === 0 || quantile !== all[i - 1]!.quantile);
    const quantiles = own.map(({ quantile }) => quantile);
    const key = quantiles.join();
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { quantiles, members: [], values: [] };
      this.#groups.set(key, group);
    }
    group.members.push(member);
    for (const { value } of own) group.values.push(value);
  }

  all(): IterableIterator<QuantileGroup<T>> {
    return this.#groups.values();
  }
}
