// What an export that failed leaves to be sent again. One rule for the reader and for whoever else tries again.
import { isObject } from './checked-options.ts';
import type { ExportError } from './errors.ts';
import { MetricBatch } from './metric-batch.ts';
import { resourceFromAttributes } from './resource.ts';

/** For an export that failed after the receiver had taken it: whoever tries again, or elsewhere, would count it twice. */
export const NOTHING_OWED = new MetricBatch(resourceFromAttributes({}), []);

/**
 * The points of a batch that may still be delivered after its export failed; undefined when there are none.
 *
 * An error that says what is `undelivered` is taken at its word, `retryable` or not: the others were delivered, or refused for
 * good. Else all are owed, unless the error is one that cannot pass. Errors of other makers do not say; then sending
 * twice is better than losing.
 */
export function owedPoints(batch: MetricBatch, error: unknown): MetricBatch | undefined {
  const undelivered = undeliveredPoints(error, batch.pointCount);
  if (undelivered !== undefined) return undelivered.pointCount > 0 ? undelivered : undefined;
  return isForGood(error) ? undefined : batch;
}

/** What the error says is undelivered of so many points, if it can be believed: errors come from exporters of any maker. */
export function undeliveredPoints(error: unknown, points: number): MetricBatch | undefined {
  try {
    const { undelivered } = error as Partial<ExportError>;
    const isPart = isObject(undelivered) && MetricBatch.is(undelivered) && undelivered.pointCount <= points;
    return isPart ? undelivered : undefined;
  } catch {
    return undefined;
  }
}

function isForGood(error: unknown): boolean {
  try {
    return (error as Partial<ExportError>).retryable === false;
  } catch {
    return false;
  }
}

/** Whether no point is to blame: dropping them, and those that come next, would help nobody. */
export function isAboutConnection({ code }: ExportError): boolean {
  return code === 'TLS' || code === 'UNAUTHENTICATED';
}
