// One failure that tells of several.
import { ExportError } from '../data/errors.ts';
import type { MetricBatch } from '../data/metric-batch.ts';

export interface Failure {
  /** Which exporter. */
  name: string;
  error: ExportError;
}

/** @param undelivered left out: the whole batch is owed, if anything is */
export function failedTogether(
  summary: string,
  failures: readonly Failure[],
  undelivered?: MetricBatch,
): ExportError {
  const last = failures.at(-1)!.error;
  return new ExportError(
    last.code,
    `${summary}: ${failures.map(({ name, error }) => `${name}: ${error.message}`).join('; ')}`,
    {
      retryable: failures.some(({ error }) => error.retryable),
      retryAfterMs: last.retryAfterMs,
      undelivered,
      cause: failures.length === 1 ? last : new AggregateError(failures.map(({ error }) => error)),
    },
  );
}
