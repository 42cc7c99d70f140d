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
  { undelivered, rejectedDataPoints = 0 }: { undelivered?: MetricBatch; rejectedDataPoints?: number } = {},
): ExportError {
  const errors = failures.map(({ error }) => error);
  const main = errors.findLast(({ retryable }) => retryable) ?? errors.at(-1)!;
  return new ExportError(main.code, `${summary}: ${reasonsOf(failures)}`, {
    retryable: main.retryable,
    retryAfterMs: main.retryAfterMs,
    undelivered,
    rejectedDataPoints: rejectedDataPoints > 0 ? rejectedDataPoints : undefined,
    cause: errors.length === 1 ? main : new AggregateError(errors),
  });
}

/** Of receivers that took a batch but for some points: the worst of them counts. */
export function refusedTogether(receivers: number, refusals: readonly Failure[]): ExportError {
  const summary = `${refusals.length} of ${receivers} exporters delivered without some points`;
  return new ExportError('REJECTED', `${summary}: ${reasonsOf(refusals)}`, {
    rejectedDataPoints: mostRefused(refusals),
  });
}

/** By receivers that each had the whole batch. */
export function mostRefused(outcomes: readonly Failure[]): number {
  return Math.max(0, ...outcomes.map(({ error }) => error.rejectedDataPoints ?? 0));
}

/** What a receiver refused of the last part of a batch, with what was refused of the parts before. */
export function refusedInAll(refusal: ExportError | undefined, before: number): ExportError | undefined {
  if (before === 0) return refusal;
  const rejectedDataPoints = before + (refusal?.rejectedDataPoints ?? 0);
  const message = `${rejectedDataPoints} points were refused, ${before} of them in attempts that failed in part`;
  return new ExportError('REJECTED', message, { rejectedDataPoints, cause: refusal });
}

function reasonsOf(failures: readonly Failure[]): string {
  return failures.map(({ name, error }) => `${name}: ${error.message}`).join('; ');
}
