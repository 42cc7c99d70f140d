// What the exports of one collection still owe, to go out together with the next one. Only deltas: cumulative points
// are superseded by the next ones.
import type { MetricBatch } from '../../data/metric-batch.ts';
import { AggregationTemporality } from '../../data/metric-data.ts';
import { owedPoints } from '../../data/owed-points.ts';
import { sliceBatch } from '../../data/slice-batch.ts';

export class DeltaBacklog {
  readonly #pieceSize: number;
  /** The collection that the pieces are of, while any of them is owed. */
  #batch: MetricBatch | undefined;
  /** What is owed of each piece, by the point that it begins with. */
  readonly #owed = new Map<number, MetricBatch>();

  /** @param pieceSize how many points a collection is exported at a time */
  constructor(pieceSize: number) {
    this.#pieceSize = pieceSize;
  }

  /** Begins anew with a collection that is to be exported. */
  begin(batch: MetricBatch): void {
    this.#owed.clear();
    this.#batch = batch;
  }

  /** Says how the export of a piece ended. The last word counts: an exporter may answer after it was given up on. */
  settle(from: number, piece: MetricBatch, error?: unknown): void {
    const owed = error === undefined ? undefined : owedPoints(piece, error);
    if (owed !== undefined && hasDeltas(owed)) this.#owed.set(from, owed);
    else this.#owed.delete(from);
  }

  /** All pieces have been tried. */
  end(): void {
    if (this.#owed.size === 0) this.#batch = undefined;
  }

  /** What is owed, from then on by the caller. Whole pieces that lie side by side are one again, so that few are to be merged. */
  take(): MetricBatch[] {
    const batch = this.#batch;
    if (batch === undefined) return [];
    const size = this.#pieceSize;
    const parts: MetricBatch[] = [];
    let from: number | undefined;
    const endRange = (to: number) => {
      if (from !== undefined) parts.push(sliceBatch(batch, from, to));
      from = undefined;
    };
    for (let at = 0; at < batch.pointCount; at += size) {
      const owed = this.#owed.get(at);
      const isWhole = owed?.pointCount === Math.min(size, batch.pointCount - at);
      if (isWhole) {
        from ??= at;
        continue;
      }
      endRange(at);
      if (owed) parts.push(owed);
    }
    endRange(batch.pointCount);
    this.#batch = undefined;
    return parts;
  }
}

function hasDeltas(batch: MetricBatch): boolean {
  return batch.scopeMetrics.some(({ metrics }) =>
    metrics.some((metric) => metric.aggregationTemporality === AggregationTemporality.DELTA),
  );
}
