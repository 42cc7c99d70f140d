// An export as a promise, whoever made the exporter.
import { report } from './diagnostics.ts';
import { ExportError } from './errors.ts';
import { type ExportResult, ExportResultCode, type PushMetricExporter } from './exporter.ts';
import type { MetricBatch } from './metric-batch.ts';
import { undeliveredPoints } from './owed-points.ts';

/**
 * Settles when the exporter answers; never, if it never does. Rejects with an {@link ExportError}, whatever the
 * exporter answered, threw, or rejected with where it is an async function.
 *
 * @returns what the receiver refused of a batch that it took, if anything
 */
export function exportTo(
  exporter: PushMetricExporter,
  batch: MetricBatch,
  signal?: AbortSignal,
): Promise<ExportError | undefined> {
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
        return;
      }
      isAnswered = true;
      try {
        if (result?.code === ExportResultCode.SUCCESS)
          resolve(result.error && ExportError.from(result.error));
        else fail(result?.error ?? new Error('the exporter gave no reason'));
      } catch (error) {
        // A getter of the result's threw, and whoever calls back catches nothing.
        fail(error);
      }
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
  return undeliveredPoints(error, batch.pointCount) ?? batch;
}
