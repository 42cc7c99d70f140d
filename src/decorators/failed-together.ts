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
  const errors = failures.map(({ error }) => error);
  const main = errors.findLast(({ retryable }) => retryable) ?? errors.at(-1)!;
  return new ExportError(main.code, `${summary}: ${reasonsOf(failures)}`, {
    retryable: main.retryable,
    retryAfterMs: main.retryAfterMs,
    undelivered,
    cause: errors.length === 1 ? main : new AggregateError(errors),
  });
}

/** Of receivers that took a batch but for some points: the worst of them counts. */
export function refusedTogether(receivers: number, refusals: readonly Failure[]): ExportError {
  const summary = `${refusals.length} of ${receivers} exporters delivered without some points`;
  return new ExportError('REJECTED', `${summary}: ${reasonsOf(refusals)}`, {
    rejectedDataPoints: Math.max(...refusals.map(({ error }) => error.rejectedDataPoints ?? 0)),
  });
}

function reasonsOf(failures: readonly Failure[]): string {
  return failures.map(({ name, error }) => `${name}: ${error.message}`).join('; ');
}
