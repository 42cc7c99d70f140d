// The base of readers. A class to extend, unlike anything else here, because `@opentelemetry/sdk-metrics` has it
// so and readers in the field are written against it.
import {
  type AggregationOption,
  type AggregationSelector,
  type AggregationTemporalitySelector,
  AggregationType,
} from '../../data/aggregation-option.ts';
import { bounded } from '../../data/bounded.ts';
import { ExportError } from '../../data/errors.ts';
import { MetricBatch, type ScopeColumns } from '../../data/metric-batch.ts';
import { AggregationTemporality, type InstrumentType } from '../../data/metric-data.ts';
import {
  type CollectionResult,
  type ComponentMetrics,
  DEFAULT_CARDINALITY_LIMIT,
  type IMetricReader,
  type MetricCollectOptions,
  type MetricProducer,
  type ReaderCallOptions,
} from '../../data/reader.ts';
import { toBatch } from '../../data/to-batch.ts';

/** That of observable callbacks. */
const PRODUCER_TIMEOUT_MILLIS = 30_000;

export interface MetricReaderOptions {
  /** Default: the aggregation that the specification gives each instrument kind. */
  aggregationSelector?: AggregationSelector;
  /** Default: cumulative for all kinds. */
  aggregationTemporalitySelector?: AggregationTemporalitySelector;
  /** Series per stream before the overflow series takes the rest. Default 2000 for all kinds. */
  cardinalitySelector?: (instrumentType: InstrumentType) => number;
  /** Further sources, collected with the SDK's own metrics and exported under its resource. */
  metricProducers?: MetricProducer[];
  /** Whether the provider's metrics about itself are collected too. Default false: they would surprise tests. */
  selfMetrics?: boolean;
}

export abstract class MetricReader implements IMetricReader {
  readonly componentType?: string;
  readonly receivesSelfMetrics: boolean;
  readonly #options: MetricReaderOptions;
  #self: ComponentMetrics | undefined;
  #producer: MetricProducer | undefined;
  #shutdown: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: MetricReaderOptions = {}) {
    this.#options = options;
    this.receivesSelfMetrics = options.selfMetrics ?? false;
  }

  /** @throws Error when the reader already belongs to a provider */
  setMetricProducer(producer: MetricProducer): void {
    if (this.#producer !== undefined) {
      throw new Error('A reader belongs to one MeterProvider only; make a reader for each provider.');
    }
    this.#producer = producer;
    this.#self = producer.selfMetrics?.component(this);
    this.onInitialized();
  }

  selectAggregation(instrumentType: InstrumentType): AggregationOption {
    return this.#options.aggregationSelector?.(instrumentType) ?? { type: AggregationType.DEFAULT };
  }

  selectAggregationTemporality(instrumentType: InstrumentType): AggregationTemporality {
    return (
      this.#options.aggregationTemporalitySelector?.(instrumentType) ?? AggregationTemporality.CUMULATIVE
    );
  }

  selectCardinalityLimit(instrumentType: InstrumentType): number {
    return this.#options.cardinalitySelector?.(instrumentType) ?? DEFAULT_CARDINALITY_LIMIT;
  }

  /**
   * Collects the provider's metrics and those of further producers.
   *
   * @throws ExportError `SHUTDOWN` after shutdown; Error before the reader was given to a provider
   */
  async collect(options?: MetricCollectOptions): Promise<CollectionResult> {
    if (this.#producer === undefined)
      throw new Error('The reader has not been given to a MeterProvider yet.');
    if (this.#isClosed) throw new ExportError('SHUTDOWN', 'the reader has been shut down');
    const ended = this.#self?.collection();
    try {
      const result = await this.#collectAll(this.#producer, options);
      ended?.(result.errors[0]);
      return result;
    } catch (error) {
      ended?.(error);
      throw error;
    }
  }

  async #collectAll(
    producer: MetricProducer,
    options: MetricCollectOptions | undefined,
  ): Promise<CollectionResult> {
    const [own, ...foreign] = await Promise.all([
      producer.collect(options),
      ...(this.#options.metricProducers ?? []).map((other) => collectForeign(other, options)),
    ]);
    if (foreign.length === 0) return own;
    return {
      resourceMetrics: new MetricBatch(
        own.resourceMetrics.resource,
        [toBatch(own.resourceMetrics).scopeMetrics, ...foreign.map((result) => result.scopeMetrics)].flat(),
      ),
      errors: [own, ...foreign].flatMap((result) => result.errors),
    };
  }

  async forceFlush(options: ReaderCallOptions = {}): Promise<void> {
    if (this.#shutdown) throw new ExportError('SHUTDOWN', 'the reader has been shut down');
    await within('forceFlush', options, () => this.onForceFlush());
  }

  /** Only the first call does anything; later ones return its result. */
  shutdown(options: ReaderCallOptions = {}): Promise<void> {
    this.#shutdown ??= within('shutdown', options, () => this.onShutdown()).finally(() => {
      this.#isClosed = true;
    });
    return this.#shutdown;
  }

  /** Called once, when the reader has been given to a provider. */
  protected onInitialized(): void {}

  protected abstract onForceFlush(): Promise<void>;

  /** May still collect. */
  protected abstract onShutdown(): Promise<void>;
}

/** Whatever another producer does, throwing at once included, the SDK's own metrics are exported. */
async function collectForeign(
  producer: MetricProducer,
  options: MetricCollectOptions | undefined,
): Promise<{ scopeMetrics: ScopeColumns[]; errors: unknown[] }> {
  try {
    const { resourceMetrics, errors } = await bounded(
      'a metric producer',
      options?.timeoutMillis ?? PRODUCER_TIMEOUT_MILLIS,
      () => producer.collect(options),
    );
    // Envelopes without points are not worth sending (OTLP).
    const scopeMetrics = toBatch(resourceMetrics)
      .scopeMetrics.map(({ scope, metrics }) => ({
        scope,
        metrics: metrics.filter((metric) => metric.length > 0),
      }))
      .filter(({ metrics }) => metrics.length > 0);
    return { scopeMetrics, errors };
  } catch (error) {
    return { scopeMetrics: [], errors: [error] };
  }
}

function within(
  what: string,
  { timeoutMillis }: ReaderCallOptions,
  work: () => Promise<void>,
): Promise<void> {
  return timeoutMillis === undefined ? work() : bounded(what, timeoutMillis, work);
}
