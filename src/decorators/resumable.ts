// Exports that were given up on, and what became of them later.
import { ExportError } from '../data/errors.ts';
import { owedOf } from '../data/export-to.ts';
import { MetricBatch } from '../data/metric-batch.ts';

/** Resolves with what the receiver refused of a batch that it took, if anything. */
export type ExportThrough = (batch: MetricBatch, signal: AbortSignal) => Promise<ExportError | undefined>;

/**
 * An export whose caller gave up says too late what it delivered. Whoever then exports the same batch again means what is
 * still owed of it; this keeps what is until then.
 */
export class Resumable {
  readonly #export: ExportThrough;
  readonly #owed = new WeakMap<MetricBatch, MetricBatch>();

  constructor(exportThrough: ExportThrough) {
    this.#export = exportThrough;
  }

  /** What is owed of a batch that was given up on, as far as it is known, and forgets it. */
  takeOwed(batch: MetricBatch): MetricBatch {
    const owed = this.#owed.get(batch) ?? batch;
    this.#owed.delete(batch);
    return owed;
  }

  async export(batch: MetricBatch, signal: AbortSignal): Promise<ExportError | undefined> {
    const owed = this.takeOwed(batch);
    if (owed !== batch && owed.pointCount === 0) return undefined;
    try {
      const refusal = await this.#export(owed, signal);
      if (signal.aborted) this.#owed.set(batch, new MetricBatch(batch.resource, []));
      return refusal;
    } catch (cause) {
      const error = ExportError.from(cause);
      const rest = owedOf(error, owed);
      if (signal.aborted && rest !== batch) this.#owed.set(batch, rest);
      throw rest === batch || error.undelivered === rest ? error : owing(error, rest);
    }
  }
}

function owing(error: ExportError, undelivered: MetricBatch): ExportError {
  const { code, message, retryable, retryAfterMs, rejectedDataPoints, cause } = error;
  const text = message.replace(`[${code}] `, '');
  return new ExportError(code, text, { retryable, retryAfterMs, rejectedDataPoints, undelivered, cause });
}
