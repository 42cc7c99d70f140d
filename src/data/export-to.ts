// An export as a promise, whoever made the exporter.
import { report } from './diagnostics.ts';
import { ExportError } from './errors.ts';
import { type ExportResult, ExportResultCode, type PushMetricExporter } from './exporter.ts';
import { MetricBatch } from './metric-batch.ts';

/**
 * Settles when the exporter answers; never, if it never does. Rejects with an {@link ExportError}, whatever the
 * exporter answered, threw, or rejected with where it is an async function.
 */
export function exportTo(
  exporter: PushMetricExporter,
  batch: MetricBatch,
  signal?: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let isAnswered = false;
    const fail = (error: unknown) => {
      isAnswered = true;
      reject(ExportError.from(error));
    };
    const onResult = (result: ExportResult) => {
      if (isAnswered) {
        report(
          'warn',
          'exporter-callback',
          'an exporter called its result callback twice; the second is ignored',
        );
      } else if (result?.code === ExportResultCode.SUCCESS) {
        isAnswered = true;
        resolve();
      } else fail(result?.error ?? new Error('the exporter gave no reason'));
    };
    try {
      const returned: unknown = exporter.export(batch, onResult, { signal });
      if (returned instanceof Promise) returned.catch((error) => void (isAnswered || fail(error)));
    } catch (error) {
      if (!isAnswered) fail(error);
    }
  });
}

/** What is still to be delivered of a batch whose export failed. */
export function owedOf(error: ExportError, batch: MetricBatch): MetricBatch {
  const { undelivered } = error;
  return typeof undelivered === 'object' && undelivered !== null && MetricBatch.is(undelivered)
    ? undelivered
    : batch;
}
