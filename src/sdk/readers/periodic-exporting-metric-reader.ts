// Collects and exports at an interval, on forceFlush and on shutdown.
import { context, createContextKey } from '@opentelemetry/api';
import { report, textOf } from '../../data/diagnostics.ts';
import { ConfigError, ExportError } from '../../data/errors.ts';
import {
  bounded,
  type ExportResult,
  ExportResultCode,
  MAX_TIMER_MILLIS,
  type PushMetricExporter,
} from '../../data/exporter.ts';
import { mergeDeltas } from '../../data/merge-deltas.ts';
import type { MetricBatch } from '../../data/metric-batch.ts';
import { AggregationTemporality, InstrumentType } from '../../data/metric-data.ts';
import type { ComponentMetrics, MetricProducer } from '../../data/reader.ts';
import { toBatch } from '../../data/to-batch.ts';
import { MetricReader } from './metric-reader.ts';

export interface PeriodicExportingMetricReaderOptions {
  exporter: PushMetricExporter;
  /**
   * Milliseconds from the start of one collection to the start of the next. Default 60000, that of the OTel
   * specification.
   */
  exportIntervalMillis?: number;
  /**
   * Milliseconds that the observable callbacks and then the export may take; 0 for no limit. Default 30000, that
   * of the OTel specification. May be longer than the interval: no export starts while one is under way.
   */
  exportTimeoutMillis?: number;
  /** Further sources, exported with the SDK's own metrics. */
  metricProducers?: MetricProducer[];
  /**
   * Whether the provider's metrics about itself are exported too. Default true, except for exporters that keep
   * metrics for tests to look at, such as `InMemoryMetricExporter`.
   */
  selfMetrics?: boolean;
  /** Series per stream, by instrument kind; `default` for the kinds not named. Default 2000. */
  cardinalityLimits?: Partial<Record<'default' | keyof typeof LIMIT_KEYS, number>>;
}

const LIMIT_KEYS = {
  counter: InstrumentType.COUNTER,
  gauge: InstrumentType.GAUGE,
  histogram: InstrumentType.HISTOGRAM,
  upDownCounter: InstrumentType.UP_DOWN_COUNTER,
  observableCounter: InstrumentType.OBSERVABLE_COUNTER,
  observableGauge: InstrumentType.OBSERVABLE_GAUGE,
  observableUpDownCounter: InstrumentType.OBSERVABLE_UP_DOWN_COUNTER,
} as const;

/** What `suppressTracing` of `@opentelemetry/core` sets: exporting must not make spans of its own requests. */
const SUPPRESS_TRACING = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING');

let readers = 0;

export class PeriodicExportingMetricReader extends MetricReader {
  override readonly componentType = 'periodic_metric_reader';
  /** Tells the failures of one exporter from those of another, which are reported once a minute each. */
  readonly #number = readers++;
  readonly #exporter: PushMetricExporter;
  readonly #intervalMillis: number;
  readonly #timeoutMillis: number;
  #exports: ComponentMetrics | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** The run under way or queued last; runs follow one another. */
  #lastRun: Promise<void> = Promise.resolve();
  #pendingRuns = 0;
  /** The run that has not begun to collect; whoever asks for one meanwhile shares it. */
  #queuedRun: Promise<void> | undefined;
  /** Settles when the exporter has answered the last export, which may be long after we stopped waiting. */
  #answered: Promise<void> = Promise.resolve();
  /** A delta batch that failed and may yet be delivered, together with the next one. */
  #undelivered: MetricBatch | undefined;

  /** @throws ConfigError when the interval or the timeout is not a usable number */
  constructor(options: PeriodicExportingMetricReaderOptions) {
    const { exporter, exportIntervalMillis = 60_000, exportTimeoutMillis = 30_000 } = options;
    super({
      aggregationSelector: exporter.selectAggregation?.bind(exporter),
      aggregationTemporalitySelector: exporter.selectAggregationTemporality?.bind(exporter),
      cardinalitySelector: cardinalitySelector(options.cardinalityLimits),
      metricProducers: options.metricProducers,
      selfMetrics: options.selfMetrics ?? !('getMetrics' in exporter),
    });
    checkMillis('exportIntervalMillis', exportIntervalMillis, 1);
    checkMillis('exportTimeoutMillis', exportTimeoutMillis, 0);
    this.#exporter = exporter;
    this.#intervalMillis = exportIntervalMillis;
    this.#timeoutMillis = exportTimeoutMillis;
  }

  override setMetricProducer(producer: MetricProducer): void {
    super.setMetricProducer(producer);
    this.#exports = producer.selfMetrics?.component(this.#exporter);
  }

  protected override onInitialized(): void {
    this.#timer = setInterval(() => this.#tick(), this.#intervalMillis);
    // Metrics alone must not keep a process alive; `shutdown` exports what is left.
    this.#timer.unref();
  }

  protected override async onForceFlush(): Promise<void> {
    await allOf([this.#run(), this.#lastRun.then(() => this.#exporter.forceFlush())]);
  }

  protected override async onShutdown(): Promise<void> {
    clearInterval(this.#timer);
    const run = this.#run();
    await allOf([run, settled(run).then(() => this.#exporter.shutdown())]);
  }

  #tick(): void {
    // The window simply grows: what this tick would have exported goes with the next.
    if (this.#pendingRuns > 0) return;
    this.#run().catch((error: unknown) => {
      const cause = ExportError.from(error);
      report('error', `export:${this.#number}:${cause.code}`, `an export failed: ${cause.message}`, cause);
    });
  }

  #run(): Promise<void> {
    if (this.#queuedRun) return this.#queuedRun;
    this.#pendingRuns++;
    const run = this.#lastRun
      .then(() => {
        this.#queuedRun = undefined;
        return this.#collectAndExport();
      })
      .finally(() => {
        this.#pendingRuns--;
      });
    this.#queuedRun = run;
    this.#lastRun = settled(run);
    return run;
  }

  async #collectAndExport(): Promise<void> {
    await bounded(
      'the exporter, still busy with an earlier batch,',
      this.#timeoutMillis,
      () => this.#answered,
    );
    const { resourceMetrics, errors } = await this.collect({ timeoutMillis: this.#timeoutMillis });
    if (errors.length > 0) {
      const reasons = errors.slice(0, 3).map(textOf).join('; ');
      // One cause for all, because their texts may differ with each collection.
      report(
        'error',
        `callbacks:${this.#number}`,
        `${errors.length} observable callbacks failed: ${reasons}`,
        ...errors,
      );
    }
    const collected = toBatch(resourceMetrics);
    const batch = this.#undelivered ? mergeDeltas(this.#undelivered, collected) : collected;
    if (batch.pointCount === 0) return;
    try {
      await this.#export(batch);
      this.#undelivered = undefined;
    } catch (error) {
      const { retryable } = error as Partial<ExportError>;
      // Errors of other makers do not say; then losing counts is worse than the risk of sending them twice.
      this.#undelivered = retryable !== false && hasDeltas(batch) ? batch : undefined;
      throw error;
    }
  }

  #export(batch: MetricBatch): Promise<void> {
    return bounded('the export', this.#timeoutMillis, async (signal) => {
      const { promise: answer, resolve, reject } = withResolvers<void>();
      this.#answered = settled(answer);
      const ended = this.#exports?.operation(batch.pointCount);
      let isAnswered = false;
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
        if (result?.code === ExportResultCode.SUCCESS) {
          // Delivered after we gave up on it: nothing is owed any more.
          if (this.#undelivered === batch) this.#undelivered = undefined;
          ended?.();
          resolve();
        } else {
          const error = result?.error ?? new Error('the exporter gave no reason');
          ended?.(signal.aborted ? signal.reason : error);
          reject(error);
        }
      };
      const quiet = context.active().setValue(SUPPRESS_TRACING, true);
      try {
        context.with(quiet, () => this.#exporter.export(batch, onResult, { signal }));
      } catch (error) {
        if (!isAnswered) onResult({ code: ExportResultCode.FAILED, error: ExportError.from(error) });
      }
      await answer;
    });
  }
}

function hasDeltas(batch: MetricBatch): boolean {
  return batch.scopeMetrics.some(({ metrics }) =>
    metrics.some((metric) => metric.aggregationTemporality === AggregationTemporality.DELTA),
  );
}

function cardinalitySelector(limits: PeriodicExportingMetricReaderOptions['cardinalityLimits']) {
  if (limits === undefined) return undefined;
  const byType = new Map<InstrumentType, number | undefined>();
  for (const [key, type] of Object.entries(LIMIT_KEYS))
    byType.set(type, limits[key as keyof typeof LIMIT_KEYS]);
  return (type: InstrumentType) => byType.get(type) ?? limits.default ?? 2000;
}

function checkMillis(option: string, value: unknown, min: number): void {
  if (typeof value === 'number' && value >= min && value <= MAX_TIMER_MILLIS) return;
  throw new ConfigError(
    `${option} is ${textOf(value)}; use a number of milliseconds from ${min} to ${MAX_TIMER_MILLIS}`,
  );
}

const settled = (promise: Promise<unknown>): Promise<void> =>
  promise.then(
    () => {},
    () => {},
  );

/** Waits for all, then throws the first error. */
async function allOf(promises: Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises))
    if (result.status === 'rejected') throw result.reason;
}

function withResolvers<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
