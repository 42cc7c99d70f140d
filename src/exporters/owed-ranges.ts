// Which points of a batch are still to be delivered, as ranges counted over its metrics in order.
import { MetricBatch, type ScopeColumns } from '../data/metric-batch.ts';
import { selectPoints } from '../data/select-points.ts';
import { sliceBatch } from '../data/slice-batch.ts';

interface Range {
  readonly from: number;
  to: number;
}

export class OwedRanges {
  readonly #ranges: Range[] = [];

  get isEmpty(): boolean {
    return this.#ranges.length === 0;
  }

  /** After those added before. */
  add(from: number, to: number): void {
    const last = this.#ranges.at(-1);
    if (last?.to === from) last.to = to;
    else if (from < to) this.#ranges.push({ from, to });
  }

  /** The points as a batch, in which each metric is one metric, also where a piece of it was delivered. */
  of(batch: MetricBatch): MetricBatch {
    const [only, second] = this.#ranges;
    if (only !== undefined && second === undefined) return sliceBatch(batch, only.from, only.to);
    const scopes: ScopeColumns[] = [];
    let before = 0;
    for (const { scope, metrics } of batch.scopeMetrics) {
      const owed = metrics.flatMap((metric) => {
        const rows = this.#rows(before, before + metric.length);
        before += metric.length;
        return rows.length === 0 ? [] : [selectPoints(metric, Uint32Array.from(rows))];
      });
      if (owed.length > 0) scopes.push({ scope, metrics: owed });
    }
    return new MetricBatch(batch.resource, scopes);
  }

  /** Of the points `from` to `to - 1`, those owed, counted from `from`. */
  #rows(from: number, to: number): number[] {
    const rows: number[] = [];
    for (const range of this.#ranges) {
      for (let i = Math.max(range.from, from); i < Math.min(range.to, to); i++) rows.push(i - from);
    }
    return rows;
  }
}
