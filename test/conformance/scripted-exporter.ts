// An exporter that follows a script of faults and keeps a ledger of what it took.
import { ExportError } from '../../src/data/errors.ts';
import { createExporter, ExportResultCode, type PushMetricExporter } from '../../src/data/exporter.ts';
import type { MetricBatch } from '../../src/data/metric-batch.ts';
import { AggregationTemporality, type ResourceMetrics } from '../../src/data/metric-data.ts';
import { sliceBatch } from '../../src/data/slice-batch.ts';
import { toBatch } from '../../src/data/to-batch.ts';

/** What becomes of one export. Without a fault it is delivered. */
export type Fault =
  | { kind: 'unavailable' }
  | { kind: 'refused' }
  /** The first so many points are delivered, the others owed. */
  | { kind: 'partial'; delivered: number }
  /** Delivered, or unavailable, after so many milliseconds. */
  | { kind: 'slow'; millis: number; delivers: boolean }
  | { kind: 'throws' }
  /** Delivered, and said twice. */
  | { kind: 'twice' };

export interface ScriptedExporter {
  readonly exporter: PushMetricExporter;
  /** By series: how often it was counted. */
  readonly delivered: Map<string, number>;
  /** Series that were refused for good. */
  readonly refused: Set<string>;
}

const unavailable = (undelivered?: MetricBatch) =>
  new ExportError('UNAVAILABLE', 'not now', { retryable: true, undelivered });

/**
 * @param isOurs made with `createExporter`, which stops when it is told to; otherwise one of the plain kind, which goes on,
 *   throws and answers twice
 */
export function scriptedExporter(faults: readonly Fault[], isOurs: boolean): ScriptedExporter {
  const delivered = new Map<string, number>();
  const refused = new Set<string>();
  const script = faults.values();

  function take(batch: MetricBatch): void {
    for (const [series, value] of seriesOf(batch))
      delivered.set(series, (delivered.get(series) ?? 0) + value);
  }

  async function follow(batch: MetricBatch, fault: Fault | undefined, signal?: AbortSignal): Promise<void> {
    switch (fault?.kind) {
      case 'unavailable':
      case 'throws':
        throw unavailable();
      case 'refused':
        for (const [series] of seriesOf(batch)) refused.add(series);
        throw new ExportError('REJECTED', 'never');
      case 'partial':
        take(sliceBatch(batch, 0, fault.delivered));
        if (fault.delivered < batch.pointCount) {
          throw unavailable(sliceBatch(batch, fault.delivered, batch.pointCount));
        }
        return;
      case 'slow':
        await new Promise((resolve, reject) => {
          setTimeout(resolve, fault.millis);
          signal?.addEventListener('abort', reject);
        });
        if (!fault.delivers) throw unavailable();
        return take(batch);
      default:
        take(batch);
    }
  }

  const selectAggregationTemporality = () => AggregationTemporality.DELTA;
  const ours = () =>
    createExporter({
      name: 'ours',
      selectAggregationTemporality,
      export: (batch, { signal }) => follow(batch, script.next().value, signal),
    });
  const theirs = (): PushMetricExporter => ({
    selectAggregationTemporality,
    forceFlush: async () => {},
    shutdown: async () => {},
    export(metrics: ResourceMetrics, done) {
      const fault = script.next().value;
      if (fault?.kind === 'throws') throw new Error('thrown');
      follow(toBatch(metrics), fault).then(
        () => {
          done({ code: ExportResultCode.SUCCESS });
          if (fault?.kind === 'twice') done({ code: ExportResultCode.FAILED, error: new Error('again') });
        },
        (error) => done({ code: ExportResultCode.FAILED, error }),
      );
    },
  });
  return { exporter: isOurs ? ours() : theirs(), delivered, refused };
}

function seriesOf(batch: MetricBatch): [series: string, value: number][] {
  return batch.scopeMetrics.flatMap(({ metrics }) =>
    metrics.flatMap(({ dataPoints }) =>
      dataPoints.map(({ attributes, value }): [string, number] => [String(attributes.series), Number(value)]),
    ),
  );
}
