// What the parts of a queue hand to each other: a batch and its place in the queue.
import type { MetricBatch } from '../../data/metric-batch.ts';

/** A batch that a queue has accepted. */
export interface StoredBatch {
  /** Its number; rises from batch to batch. */
  sequence: number;
  /** Milliseconds since the Unix epoch. */
  acceptedAt: number;
  batch: MetricBatch;
}
