// Collects and exports at an interval, on forceFlush and on shutdown.
import { context, createContextKey } from '@opentelemetry/api';
import { bounded, MAX_TIMER_MILLIS } from '../../data/bounded.ts';
import {
  A_BOOLEAN,
  A_COUNT,
  checkedOptions,
  hasMethods,
  isObject,
  type OptionCheck,
  type OptionChecks,
} from '../../data/checked-options.ts';
import { SpareMemory } from '../../data/column-memory.ts';
import { report, textOf } from '../../data/diagnostics.ts';
import { ExportError } from '../../data/errors.ts';
import { exportTo } from '../../data/export-to.ts';
import { type PushMetricExporter, releasesBatches } from '../../data/exporter.ts';
import { mergeDeltas } from '../../data/merge-deltas.ts';
import type { MetricBatch } from '../../data/metric-batch.ts';
import { METRIC_PRODUCERS } from '../../data/metric-producers.ts';
import type { ComponentMetrics, MetricProducer } from '../../data/reader.ts';
import { sliceBatch } from '../../data/slice-batch.ts';
import { toBatch } from '../../data/to-batch.ts';
import { type CardinalityLimits, cardinalitySelector } from './cardinality-limits.ts';
import { DeltaBacklog } from './delta-backlog.ts';
import { MetricReader } from './metric-reader.ts';

export interface PeriodicExportingMetricReaderOptions {
  exporter: PushMetricExporter;
  /**
   * Milliseconds from the start of one collection to the start of the next; Infinity to export by `forceFlush` and `shutdown`
   * alone, without a timer. Default 60000, that of the OTel specification.
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
  cardinalityLimits?: CardinalityLimits;
}

const millis = (min: number): OptionCheck => ({
  holds: (value) => typeof value === 'number' && value >= min && value <= MAX_TIMER_MILLIS,
  remedy: `a number of milliseconds from ${min} to ${MAX_TIMER_MILLIS}`,
});

const INTERVAL = millis(1);

const CHECKS: OptionChecks<PeriodicExportingMetricReaderOptions> = {
  exporter: {
    holds: (value) =>
      isObject(value) &&
      hasMethods(value, 'export', 'forceFlush', 'shutdown') &&
      [value.selectAggregation, value.selectAggregationTemporality].every(isFunctionOrNone),
    remedy:
      'an exporter, with the methods export, forceFlush and shutdown; selectAggregation and selectAggregationTemporality are functions, or not there',
    required: true,
  },
  exportIntervalMillis: {
    holds: (value) => value === Number.POSITIVE_INFINITY || INTERVAL.holds(value),
    remedy: `${INTERVAL.remedy}, or Infinity for exports by forceFlush alone`,
  },
  exportTimeoutMillis: millis(0),
  maxExportBatchSize: {
    holds: (value) => value === Number.POSITIVE_INFINITY || A_COUNT.holds(value),
    remedy: 'an integer above 0, or Infinity',
  },
  metricProducers: METRIC_PRODUCERS,
  selfMetrics: A_BOOLEAN,
  // Its items are checked by cardinalitySelector.
  cardinalityLimits: { holds: isObject, remedy: 'an object, such as { counter: 5000, default: 1000 }' },
};

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
  readonly #backlog: DeltaBacklog;
  /** The memory of the last collection, once it has been delivered. */
  readonly #spare = new SpareMemory();

  /** @throws ConfigError when an option cannot work */
  constructor(given: PeriodicExportingMetricReaderOptions) {
    const isExtended = new.target !== PeriodicExportingMetricReader;
    const options = checkedOptions('a PeriodicExportingMetricReader', given, CHECKS, isExtended);
    const { exporter, cardinalityLimits, metricProducers } = options;
    super({
      aggregationSelector: exporter.selectAggregation && ((type) => exporter.selectAggregation!(type)),
      aggregationTemporalitySelector:
        exporter.selectAggregationTemporality && ((type) => exporter.selectAggregationTemporality!(type)),
      cardinalitySelector: cardinalityLimits && cardinalitySelector(cardinalityLimits),
      metricProducers,
      selfMetrics: options.selfMetrics ?? !('getMetrics' in exporter),
    });
    this.#exporter = exporter;
    this.#intervalMillis = options.exportIntervalMillis ?? 60_000;
    this.#timeoutMillis = options.exportTimeoutMillis ?? 30_000;
    this.#maxBatchSize = options.maxExportBatchSize ?? Number.POSITIVE_INFINITY;
    this.#backlog = new DeltaBacklog(this.#maxBatchSize);
  }

  override setMetricProducer(producer: MetricProducer): void {
    super.setMetricProducer(producer);
    this.#exports = producer.selfMetrics?.component(this.#exporter);
  }

  protected override onInitialized(): void {
    if (this.#intervalMillis === Number.POSITIVE_INFINITY) return;
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
    const memory = releasesBatches(this.#exporter) ? this.#spare.take() : undefined;
    const { resourceMetrics, errors } = await this.collect({ timeoutMillis: this.#timeoutMillis, memory });
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
    const batch = this.#backlog
      .take()
      .reduceRight((newer, older) => mergeDeltas(older, newer), toBatch(resourceMetrics));
    await this.#exportPieces(batch);
    // What failed, or was given up on, may still be read.
    if (memory !== undefined) this.#spare.giveBack(memory);
  }

  /** Tries every piece, then throws the first error. */
  async #exportPieces(batch: MetricBatch): Promise<void> {
    const size = this.#maxBatchSize;
    const errors: unknown[] = [];
    this.#backlog.begin(batch);
    // Once the exporter no longer answers, this stays rejected, and the pieces left do not each wait for it.
    let isFree = Promise.resolve();
    for (let from = 0; from < batch.pointCount; from += size) {
      const piece = sliceBatch(batch, from, from + size);
      let isAnswered = false;
      try {
        isFree = isFree.then(() => this.#exporterIsFree());
        await isFree;
        await this.#export(piece, (error) => {
          isAnswered = true;
          this.#backlog.settle(from, piece, error);
        });
      } catch (error) {
        errors.push(error);
        // An exporter may also answer while it is told to stop.
        if (!isAnswered) this.#backlog.settle(from, piece, error);
      }
    }
    this.#backlog.end();
    if (errors.length > 0) throw errors[0];
  }

  /** An exporter that was given up on may still be busy. */
  #exporterIsFree(): Promise<void> {
    return bounded(
      'the exporter, still busy with an earlier batch,',
      this.#timeoutMillis,
      () => this.#answered,
    );
  }

  /** @param onAnswer told why the export failed, if it did; also when the exporter answers after we gave up on it */
  #export(batch: MetricBatch, onAnswer: (error?: unknown) => void): Promise<void> {
    return bounded('the export', this.#timeoutMillis, (signal) => {
      const work = this.#answerTo(batch, signal, onAnswer);
      this.#answered = settled(work);
      return work;
    });
  }

  async #answerTo(
    batch: MetricBatch,
    signal: AbortSignal,
    onAnswer: (error?: unknown) => void,
  ): Promise<void> {
    const ended = this.#exports?.operation(batch.pointCount);
    const quiet = context.active().setValue(SUPPRESS_TRACING, true);
    try {
      const refusal = await context.with(quiet, () => exportTo(this.#exporter, batch, signal));
      onAnswer();
      // A receiver that took everything may have something to say all the same.
      ended?.(refusal?.rejectedDataPoints ? refusal : undefined);
    } catch (error) {
      onAnswer(error);
      ended?.(signal.aborted ? signal.reason : error);
      throw error;
    }
  }
}

const isFunctionOrNone = (value: unknown) =>
  (value ?? undefined) === undefined || typeof value === 'function';

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
