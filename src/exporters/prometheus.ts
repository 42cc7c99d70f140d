// A reader that Prometheus scrapes.
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type AggregationOption,
  type AggregationSelector,
  AggregationType,
} from '../data/aggregation-option.ts';
import { report } from '../data/diagnostics.ts';
import { ConfigError, ExportError } from '../data/errors.ts';
import { MetricBatch } from '../data/metric-batch.ts';
import { AggregationTemporality, type InstrumentType } from '../data/metric-data.ts';
import {
  type CollectionResult,
  type ComponentMetrics,
  DEFAULT_CARDINALITY_LIMIT,
  type IMetricReader,
  type MetricCollectOptions,
  type MetricProducer,
  type ReaderCallOptions,
} from '../data/reader.ts';
import { awaitAttributes } from '../data/resource.ts';
import { toBatch } from '../data/to-batch.ts';
import type { PrometheusProblem } from '../encoding/prometheus-families.ts';
import { encodePrometheusText, PROMETHEUS_TEXT_CONTENT_TYPE } from '../encoding/prometheus-text.ts';
import { answerScrape } from './scrape-response.ts';
import {
  type ListenOptions,
  type ScrapeAddress,
  type ScrapeServer,
  startScrapeServer,
} from './scrape-server.ts';

export type { ListenOptions, ScrapeAddress } from './scrape-server.ts';

export interface PrometheusMetricReaderOptions {
  /**
   * Whether each series tells the meter it comes from, in labels that begin with `otel_scope_`. Default true, as
   * OpenTelemetry specifies. Without them, series of two meters that have the same name and attributes are
   * one series, of which the first is shown.
   */
  scopeLabels?: boolean;
  /** Whether the resource is shown, as labels of the metric `target_info`. Default true. */
  targetInfo?: boolean;
  /**
   * Milliseconds that observable callbacks may take; what they observe later is missing from the scrape.
   * Default 5000, half of Prometheus's scrape timeout, so that a slow callback costs its own metric only.
   */
  callbackTimeoutMillis?: number;
  /** Default: the aggregation that the specification gives each instrument kind. */
  aggregationSelector?: AggregationSelector;
  /** Series per stream before the overflow series takes the rest. Default 2000 for all kinds. */
  cardinalitySelector?: (instrumentType: InstrumentType) => number;
}

/** What a scrape in flight gets at shutdown: enough for a large one, too little to delay a restart. */
const CLOSE_GRACE_MILLIS = 1_000;

/**
 * Collects when it is scraped. Give it to a provider's `readers`, then either call {@link listen} or mount
 * {@link handler} in a server that you have.
 */
export class PrometheusMetricReader implements IMetricReader {
  readonly componentType = 'prometheus_http_text_metric_exporter';
  readonly receivesSelfMetrics = true;
  readonly #options: PrometheusMetricReaderOptions;
  readonly #told = new Set<string>();
  #producer: MetricProducer | undefined;
  #self: ComponentMetrics | undefined;
  #batch: Promise<MetricBatch> | undefined;
  #detected: Promise<void> | undefined;
  #server: Promise<ScrapeServer> | undefined;
  #address: ScrapeAddress | undefined;
  #shutdown: Promise<void> | undefined;

  constructor(options: PrometheusMetricReaderOptions = {}) {
    this.#options = options;
  }

  /**
   * Answers a scrape. A function of its own, so that it can be passed on: `createServer(reader.handler)`,
   * `app.get('/metrics', reader.handler)`.
   */
  readonly handler = (request: IncomingMessage, response: ServerResponse): void => {
    let ended: ((error?: unknown) => void) | undefined;
    answerScrape(request, response, async () => {
      const batch = await this.#sharedBatch();
      ended = this.#self?.operation(batch.pointCount);
      return {
        contentType: PROMETHEUS_TEXT_CONTENT_TYPE,
        chunks: encodePrometheusText(batch, {
          scopeLabels: this.#options.scopeLabels,
          targetInfo: this.#options.targetInfo,
          onProblem: (problem) => this.#tellOnce(problem),
        }),
      };
    }).then(
      () => ended?.(),
      (error) => {
        ended?.(error);
        report('error', 'prometheus-scrape', 'a scrape failed', error);
      },
    );
  };

  /**
   * Starts a server for scrapes. It does not keep the process alive.
   *
   * @throws ConfigError when the server cannot listen there, naming the reason and the remedy
   */
  async listen(options: ListenOptions = {}): Promise<ScrapeAddress> {
    if (this.#shutdown) throw new ExportError('SHUTDOWN', 'the Prometheus reader has been shut down');
    if (this.#server) {
      throw new ConfigError('the Prometheus reader listens already; mount its handler for a second address');
    }
    this.#server = startScrapeServer(this.handler, options);
    try {
      this.#address = (await this.#server).address;
      return this.#address;
    } catch (error) {
      this.#server = undefined;
      throw error;
    }
  }

  /** Where the server of {@link listen} listens, once it does. */
  get address(): ScrapeAddress | undefined {
    return this.#address;
  }

  /** @throws Error when the reader already belongs to a provider */
  setMetricProducer(producer: MetricProducer): void {
    if (this.#producer) {
      throw new Error('A reader belongs to one MeterProvider only; make a reader for each provider.');
    }
    this.#producer = producer;
    this.#self = producer.selfMetrics?.component(this);
  }

  selectAggregation(instrumentType: InstrumentType): AggregationOption {
    return this.#options.aggregationSelector?.(instrumentType) ?? { type: AggregationType.DEFAULT };
  }

  /** A scrape reads totals, and there may be more than one scraper. */
  selectAggregationTemporality(): AggregationTemporality {
    return AggregationTemporality.CUMULATIVE;
  }

  selectCardinalityLimit(instrumentType: InstrumentType): number {
    return this.#options.cardinalitySelector?.(instrumentType) ?? DEFAULT_CARDINALITY_LIMIT;
  }

  /**
   * Collects without being scraped.
   *
   * @throws ExportError `SHUTDOWN` after shutdown; Error before the reader was given to a provider
   */
  async collect(options?: MetricCollectOptions): Promise<CollectionResult> {
    if (!this.#producer) throw new Error('The reader has not been given to a MeterProvider yet.');
    if (this.#shutdown) throw new ExportError('SHUTDOWN', 'the Prometheus reader has been shut down');
    const ended = this.#self?.collection();
    try {
      const result = await this.#producer.collect(options);
      ended?.(result.errors[0]);
      return result;
    } catch (error) {
      ended?.(error);
      throw error;
    }
  }

  /** Does nothing: there is nobody to send to. */
  async forceFlush(): Promise<void> {}

  /** Ends the server; scrapes in flight get a second. Only the first call does anything; later ones return its result. */
  shutdown({ timeoutMillis = CLOSE_GRACE_MILLIS }: ReaderCallOptions = {}): Promise<void> {
    this.#shutdown ??= this.#close(Math.min(timeoutMillis, CLOSE_GRACE_MILLIS));
    return this.#shutdown;
  }

  async #close(graceMillis: number): Promise<void> {
    // A server that could not start has been told to the caller of `listen`.
    const server = await this.#server?.catch(() => undefined);
    await server?.close(graceMillis);
  }

  /** Scrapes at the same time share a collection, and callbacks run once for all of them. */
  #sharedBatch(): Promise<MetricBatch> {
    this.#batch ??= this.#collectBatch().finally(() => {
      this.#batch = undefined;
    });
    return this.#batch;
  }

  async #collectBatch(): Promise<MetricBatch> {
    const timeoutMillis = this.#options.callbackTimeoutMillis ?? 5_000;
    const { resourceMetrics, errors } = await this.collect({ timeoutMillis });
    if (errors.length > 0) {
      report('warn', 'prometheus-collect', 'metrics are missing from a scrape', ...errors);
    }
    // Our own provider has waited for its resource.
    if (!MetricBatch.is(resourceMetrics)) {
      this.#detected ??= awaitAttributes(resourceMetrics.resource, timeoutMillis);
      await this.#detected;
    }
    return toBatch(resourceMetrics);
  }

  /** Each scrape has the same problems again. */
  #tellOnce({ cause, message }: PrometheusProblem): void {
    if (this.#told.has(cause)) return;
    this.#told.add(cause);
    report('warn', `prometheus:${cause}`, message);
  }
}
