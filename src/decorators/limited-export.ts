// An export that is told to stop, and then says what it still owes.
import { bounded } from '../data/bounded.ts';
import { ExportError } from '../data/errors.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { GRACE_MILLIS } from './decorate.ts';
import type { WrappedExporter } from './wrapped-exporter.ts';

/** Fails with `TIMEOUT` after so many milliseconds, and up to {@link GRACE_MILLIS} in which the exporter may say what is owed. */
export function limitedExport(
  exporter: WrappedExporter,
  millis: number,
  batch: MetricBatch,
  signal: AbortSignal,
): Promise<ExportError | undefined> {
  const work = (bound: AbortSignal) =>
    exporter.export(batch, bound).catch((error: unknown) => {
      throw ofTimeout(bound.reason, error);
    });
  return bounded(`export to ${exporter.name}`, millis, work, signal, { graceMillis: GRACE_MILLIS });
}

/** The exporter only knows that it was told to stop, and what it owes; `reason` says why. */
function ofTimeout(reason: unknown, cause: unknown): unknown {
  const { code, undelivered, rejectedDataPoints } = ExportError.from(cause);
  if (!(reason instanceof ExportError) || code !== 'ABORTED') return cause;
  const text = reason.message.replace(`[${reason.code}] `, '');
  return new ExportError(reason.code, text, { retryable: true, undelivered, rejectedDataPoints, cause });
}
