// Collects and exports at an interval, on forceFlush and on shutdown.
import { context, createContextKey } from '@opentelemetry/api';
import { bounded, MAX_TIMER_MILLIS } from '../../data/bounded.ts';
import { report, textOf } from '../../data/diagnostics.ts';
import { ConfigError, ExportError } from '../../data/errors.ts';
import { type ExportResult, ExportResultCode, type PushMetricExporter } from '../../data/exporter.ts';
import { mergeDeltas } from '../../data/merge-deltas.ts';
import type { MetricBatch } from '../../data/metric-batch.ts';
import { AggregationTemporality, InstrumentType } from '../../data/metric-data.ts';
import { type ComponentMetrics, DEFAULT_CARDINALITY_LIMIT, type MetricProducer } from '../../data/reader.ts';
import { sliceBatch } from '../../data/slice-batch.ts';
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
  /**
   * How many points one export may have; default: no limit. A collection of more is exported in pieces, one after the
   * other, each with the whole of `exportTimeoutMillis`. A piece that fails does not keep the next from being exported.
   */
  maxExportBatchSize?: number;
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
  readonly #maxBatchSize: number;
  #exports: ComponentMetrics | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** The run under way or queued last; runs follow one another. */
  #lastRun: Promise<void> = Promise.resolve();
  #pendingRuns = 0;
  /** The run that has not begun to collect; whoever asks for one meanwhile shares it. */
  #queuedRun: Promise<void> | undefined;
  /** Settles when the exporter has answered the last export, which may be long after we stopped waiting. */
  #answered: Promise<void> = Promise.resolve();
  /** The last batch, while some of its pieces failed and may yet be delivered, together with the next one. */
  #batch: MetricBatch | undefined;
  /** Where those pieces begin. Only pieces with delta points, because cumulative ones are superseded. */
  readonly #owed = new Set<number>();

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
    const { maxExportBatchSize = Number.POSITIVE_INFINITY } = options;
    if (
      !(maxExportBatchSize === Number.POSITIVE_INFINITY || Number.isInteger(maxExportBatchSize)) ||
      maxExportBatchSize < 1
    ) {
      throw new ConfigError(`maxExportBatchSize is ${textOf(maxExportBatchSize)}; use an integer above 0`);
    }
    this.#maxBatchSize = maxExportBatchSize;
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
    await allOf([this.#run(), this.#lastRun.then(() => this.#call('forceFlush'))]);
  }

  protected override async onShutdown(): Promise<void> {
    clearInterval(this.#timer);
    const run = this.#run();
    await allOf([run, settled(run).then(() => this.#call('shutdown'))]);
  }

  #call(method: 'forceFlush' | 'shutdown'): Promise<void> {
    return bounded(`${method} of the exporter`, this.#timeoutMillis, () => this.#exporter[method]());
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
    await this.#exporterIsFree();
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
    const batch = this.#takeOwed().reduceRight(
      (newer, older) => mergeDeltas(older, newer),
      toBatch(resourceMetrics),
    );
    await this.#exportPieces(batch);
  }

  /** Tries every piece, then throws the first error. */
  async #exportPieces(batch: MetricBatch): Promise<void> {
    const size = this.#maxBatchSize;
    const errors: unknown[] = [];
    this.#batch = batch;
    // Once the exporter no longer answers, this stays rejected, and the pieces left do not each wait for it.
    let isFree = Promise.resolve();
    for (let from = 0; from < batch.pointCount; from += size) {
      const piece = sliceBatch(batch, from, from + size);
      let isDelivered = false;
      try {
        isFree = isFree.then(() => this.#exporterIsFree());
        await isFree;
        await this.#export(piece, () => {
          isDelivered = true;
          this.#owed.delete(from);
        });
      } catch (error) {
        errors.push(error);
        const { retryable } = error as Partial<ExportError>;
        // Errors of other makers do not say; then losing counts is worse than the risk of sending them twice.
        // An exporter may also succeed while it is told to stop.
        if (!isDelivered && retryable !== false && hasDeltas(piece)) this.#owed.add(from);
      }
    }
    if (this.#owed.size === 0) this.#batch = undefined;
    if (errors.length > 0) throw errors[0];
  }

  /** What is owed of the last batch. Pieces that lie side by side are one again, so that few are to be merged. */
  #takeOwed(): MetricBatch[] {
    const batch = this.#batch;
    const ranges: { from: number; to: number }[] = [];
    for (const from of this.#owed) {
      const last = ranges.at(-1);
      if (last?.to === from) last.to += this.#maxBatchSize;
      else ranges.push({ from, to: from + this.#maxBatchSize });
    }
    this.#owed.clear();
    this.#batch = undefined;
    return batch === undefined ? [] : ranges.map(({ from, to }) => sliceBatch(batch, from, to));
  }

  /** An exporter that was given up on may still be busy. */
  #exporterIsFree(): Promise<void> {
    return bounded(
      'the exporter, still busy with an earlier batch,',
      this.#timeoutMillis,
      () => this.#answered,
    );
  }

  /** @param onDelivered also called when the exporter succeeds after we gave up on it */
  #export(batch: MetricBatch, onDelivered: () => void): Promise<void> {
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
          onDelivered();
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
  return (type: InstrumentType) => byType.get(type) ?? limits.default ?? DEFAULT_CARDINALITY_LIMIT;
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
