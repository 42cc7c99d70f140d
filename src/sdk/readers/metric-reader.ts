// The base of readers. A class to extend, unlike anything else here, because `@opentelemetry/sdk-metrics` has it
// so and readers in the field are written against it.
import {
  type AggregationOption,
  type AggregationSelector,
  type AggregationTemporalitySelector,
  AggregationType,
} from '../../data/aggregation-option.ts';
import { bounded } from '../../data/bounded.ts';
import { callTimeout } from '../../data/call-timeout.ts';
import { A_BOOLEAN, aFunction, checkedOptions, type OptionChecks } from '../../data/checked-options.ts';
import { ConfigError, ExportError } from '../../data/errors.ts';
import { AggregationTemporality, type InstrumentType } from '../../data/metric-data.ts';
import { collectAll, METRIC_PRODUCERS } from '../../data/metric-producers.ts';
import {
  type CollectionResult,
  type ComponentMetrics,
  DEFAULT_CARDINALITY_LIMIT,
  type IMetricReader,
  type MetricCollectOptions,
  type MetricProducer,
  type ReaderCallOptions,
} from '../../data/reader.ts';

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
  /**
   * `otel.component.type` in the provider's metrics about itself, under the official SDK's name. Default: the name of the class, or
   * what a class of ours calls itself.
   */
  otelComponentType?: string;
}

const A_SELECTOR = aFunction('a function of the instrument type');

export const METRIC_READER_OPTIONS: OptionChecks<MetricReaderOptions> = {
  aggregationSelector: A_SELECTOR,
  aggregationTemporalitySelector: A_SELECTOR,
  cardinalitySelector: A_SELECTOR,
  metricProducers: METRIC_PRODUCERS,
  selfMetrics: A_BOOLEAN,
  otelComponentType: {
    holds: (value) => typeof value === 'string' && value !== '',
    remedy: 'a text that is not empty',
  },
};

export abstract class MetricReader implements IMetricReader {
  readonly componentType?: string;
  readonly receivesSelfMetrics: boolean;
  readonly #options: MetricReaderOptions;
  #self: ComponentMetrics | undefined;
  #producer: MetricProducer | undefined;
  #shutdown: Promise<void> | undefined;
  #isClosed = false;

  /**
   * @param options may have others beside those of every reader, for a class that extends this one
   * @throws ConfigError when one of them cannot work
   */
  constructor(options: MetricReaderOptions = {}) {
    const owner = `a ${new.target.name || 'MetricReader'}`;
    this.#options = checkedOptions(owner, options, METRIC_READER_OPTIONS, true);
    this.receivesSelfMetrics = this.#options.selfMetrics ?? false;
    this.componentType = this.#options.otelComponentType;
  }

  /** @throws ConfigError when the reader already belongs to a provider */
  setMetricProducer(producer: MetricProducer): void {
    if (this.#producer !== undefined) {
      throw new ConfigError('A reader belongs to one MeterProvider only; make a reader for each provider.');
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
      const result = await collectAll(this.#producer, this.#options.metricProducers, options);
      ended?.(result.errors[0]);
      return result;
    } catch (error) {
      ended?.(error);
      throw error;
    }
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

function within(call: string, options: ReaderCallOptions, work: () => Promise<void>): Promise<void> {
  const timeoutMillis = callTimeout(call, options, undefined);
  return timeoutMillis === undefined ? work() : bounded(call, timeoutMillis, work);
}
