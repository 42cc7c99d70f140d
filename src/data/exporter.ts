// The contract of push exporters, and the one implementation of its hard parts.
import { diag } from '@opentelemetry/api';
import type { AggregationSelector, AggregationTemporalitySelector } from './aggregation-option.ts';
import { bounded } from './bounded.ts';
import { ExportError } from './errors.ts';
import type { MetricBatch } from './metric-batch.ts';
import type { ResourceMetrics } from './metric-data.ts';
import { toBatch } from './to-batch.ts';

export enum ExportResultCode {
  SUCCESS = 0,
  FAILED = 1,
}

export interface ExportResult {
  code: ExportResultCode;
  /** Why it failed; with success, which points the receiver took the batch without. */
  error?: Error;
}

/**
 * OpenTelemetry JS's own exporter interface, so that ours run in the official SDK and theirs here. The one
 * addition is the third argument of `export`: `signal` tells that the caller no longer waits.
 */
export interface PushMetricExporter {
  export(
    metrics: ResourceMetrics,
    resultCallback: (result: ExportResult) => void,
    options?: { signal?: AbortSignal },
  ): void;
  /** Settles when every batch accepted so far has been delivered or has failed. */
  forceFlush(): Promise<void>;
  /** Ends in-flight work within its time bound and frees resources; later exports fail with `SHUTDOWN`. */
  shutdown(): Promise<void>;
  selectAggregationTemporality?: AggregationTemporalitySelector;
  selectAggregation?: AggregationSelector;
  /** See {@link ExporterDefinition.componentType}. */
  readonly componentType?: string;
}

/**
 * Where {@link createExporter} of any copy of this package puts the name of an exporter. Whoever has it answers once and
 * in bounded time.
 */
const NAME = Symbol.for('meterline.exporterName');

/** The name of an exporter made by {@link createExporter}; undefined for those of other makers. */
export function exporterName(exporter: PushMetricExporter): string | undefined {
  return (exporter as { [NAME]?: string })[NAME];
}

/** By the function and not the object: whoever puts a function of his own in its place may keep batches. */
const RELEASING = new WeakSet<PushMetricExporter['export']>();

/** See {@link ExporterDefinition.releasesBatches}. */
export function releasesBatches(exporter: PushMetricExporter): boolean {
  return RELEASING.has(exporter.export);
}

/** What you write to make an exporter; see {@link createExporter}. */
export interface ExporterDefinition {
  /** Appears in error messages, for instance `jsonFile(/var/log/metrics.jsonl)`. */
  name: string;
  /**
   * `otel.component.type` in the provider's metrics about itself, in snake_case and without an address. Default
   * `custom_metric_exporter`.
   */
  componentType?: string;
  /**
   * Says that a batch that was delivered is neither kept nor read any more, so that the next collection may have its memory:
   * 17 MB for 200,000 series, which otherwise make the garbage collector stop the host every few exports. Default false.
   */
  releasesBatches?: boolean;
  /**
   * Delivers one batch. Reject (best with an {@link ExportError}) when it was not delivered. The batch is
   * immutable, and may be kept unless `releasesBatches` says that it is not. Stop when `signal` aborts: unless there is
   * a `graceMillis`, the export has then already been reported as failed.
   *
   * Resolve with an {@link ExportError} that has `rejectedDataPoints` where the receiver took the batch but for some points:
   * OTLP calls that a success, and the provider's metrics about itself tell the two apart. Any other value means nothing.
   */
  export(batch: MetricBatch, options: { signal: AbortSignal }): Promise<unknown>;
  /** Called by `forceFlush()` once all exports in flight have ended. */
  forceFlush?(): Promise<void>;
  /** Called once, after all exports in flight have ended or run out of time. */
  shutdown?(): Promise<void>;
  selectAggregationTemporality?: AggregationTemporalitySelector;
  selectAggregation?: AggregationSelector;
  /**
   * Milliseconds after which an export, a flush or a shutdown that has not ended counts as failed with `TIMEOUT`;
   * 0 or Infinity for no limit. Default 30000, the export timeout of OpenTelemetry's periodic reader.
   */
  timeoutMillis?: number;
  /**
   * Milliseconds that `export` has, once its `signal` aborted, to say itself how it ended. For exporters that deliver a
   * batch in parts: the caller then learns which points are still `undelivered`, and does not send the others again.
   * Default 0: such an export is reported as failed at once, with all its points.
   */
  graceMillis?: number;
}

/**
 * Makes a {@link PushMetricExporter} that keeps the whole contract: the callback is called exactly once and
 * outside of your code's stack of errors, nothing throws, every call ends in bounded time, shutdown happens
 * once, exports after it fail with `SHUTDOWN`.
 */
export function createExporter(definition: ExporterDefinition): PushMetricExporter {
  const { name, timeoutMillis = 30_000, graceMillis } = definition;
  const inFlight = new Set<Promise<void>>();
  let shutdownResult: Promise<void> | undefined;

  async function run(metrics: ResourceMetrics, signal: AbortSignal | undefined): Promise<ExportResult> {
    try {
      if (shutdownResult !== undefined) throw new ExportError('SHUTDOWN', `${name} has been shut down`);
      const refusal = await bounded(
        `export to ${name}`,
        timeoutMillis,
        (bound) => definition.export(toBatch(metrics), { signal: bound }),
        signal,
        { graceMillis },
      );
      return { code: ExportResultCode.SUCCESS, ...(refusal instanceof Error && { error: refusal }) };
    } catch (error) {
      return { code: ExportResultCode.FAILED, error: ExportError.from(error) };
    }
  }

  async function drained(): Promise<void> {
    while (inFlight.size > 0) await Promise.all(inFlight);
  }

  const exporter: PushMetricExporter & { [NAME]: string } = {
    [NAME]: name,
    export(metrics, resultCallback, options) {
      const done = run(metrics, options?.signal).then((result) => {
        inFlight.delete(done);
        try {
          resultCallback(result);
        } catch (error) {
          diag.error(`meterline: the result callback given to ${name} threw`, error);
        }
      });
      inFlight.add(done);
    },
    async forceFlush() {
      await drained();
      const { forceFlush } = definition;
      if (forceFlush && shutdownResult === undefined) {
        await bounded(`flush of ${name}`, timeoutMillis, () => forceFlush.call(definition));
      }
    },
    shutdown() {
      shutdownResult ??= drained().then(async () => {
        if (definition.shutdown === undefined) return;
        await bounded(`shutdown of ${name}`, timeoutMillis, () => definition.shutdown!());
      });
      return shutdownResult;
    },
    selectAggregationTemporality: definition.selectAggregationTemporality,
    selectAggregation: definition.selectAggregation,
    componentType: definition.componentType,
  };
  if (definition.releasesBatches === true) RELEASING.add(exporter.export);
  return exporter;
}
