// A reader that Prometheus scrapes.

import {
  type AggregationOption,
  type AggregationSelector,
  AggregationType,
} from '../data/aggregation-option.ts';
import { hasMethods } from '../data/checked-options.ts';
import { SpareMemory } from '../data/column-memory.ts';
import { report } from '../data/diagnostics.ts';
import { ConfigError, ExportError } from '../data/errors.ts';
import { MetricBatch } from '../data/metric-batch.ts';
import { AggregationTemporality, type InstrumentType } from '../data/metric-data.ts';
import { collectAll } from '../data/metric-producers.ts';
import { optionChecks } from '../data/option-checks.ts';
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
import { TRANSLATION_STRATEGIES } from '../encoding/prometheus-names.ts';
import type { PrometheusOptions } from '../encoding/prometheus-options.ts';
import { inResponseTurn } from './response-turn.ts';
import { answerOf, type ScrapeAnswer, type ScrapeRequest, type ScrapeSource } from './scrape-answer.ts';
import { authentication, type ScrapeCredentials } from './scrape-authentication.ts';
import { type Collected, SharedCollections } from './scrape-collections.ts';
import { fetchScrape } from './scrape-fetch.ts';
import { type ScrapeHandler, scrapeHandler } from './scrape-handler.ts';
import { SCRAPE_FORMATS, type ScrapeFormat } from './scrape-negotiation.ts';
import { answerScrape } from './scrape-response.ts';
import {
  type ListenOptions,
  type ScrapeAddress,
  type ScrapeServer,
  startScrapeServer,
} from './scrape-server.ts';

export type { TranslationStrategy } from '../encoding/prometheus-names.ts';
export type { ResourceLabels } from '../encoding/prometheus-options.ts';
export type { ScrapeCredentials } from './scrape-authentication.ts';
export type { FetchRequest } from './scrape-fetch.ts';
export type { ScrapeHandler } from './scrape-handler.ts';
export type { ScrapeFormat } from './scrape-negotiation.ts';
export type { ListenOptions, ScrapeAddress, ScrapeTlsOptions } from './scrape-server.ts';

export interface PrometheusMetricReaderOptions extends PrometheusOptions {
  /**
   * Who may scrape: `{ username, password }`, `{ token }`, or a list of them. Others get a 401. Credentials are compared in
   * constant time.
   * @default everyone who reaches the server
   */
  authentication?: ScrapeCredentials | readonly ScrapeCredentials[];
  /**
   * Milliseconds that observable callbacks may take; what they observe later is missing from the scrape. Less when the
   * scraper says that it waits for less than a quarter more.
   * @default 5000: half of the time that Prometheus waits, so that a slow callback costs its own metric only
   */
  callbackTimeoutMillis?: number;
  /**
   * The format for scrapers whose `Accept` is missing, or names none that we know, or says that any will do:
   * `PrometheusText0.0.4`, `PrometheusText1.0.0`, `OpenMetricsText1.0.0`, `OpenMetricsText0.0.1` or `PrometheusProto`.
   * @default 'PrometheusText0.0.4', which all of them read
   */
  fallbackFormat?: ScrapeFormat;
  /**
   * A function that gives the default aggregation of each kind of instrument; Views come before it.
   * @default sums, last values, and histograms with explicit buckets
   */
  aggregationSelector?: AggregationSelector;
  /**
   * A function that gives, for each kind of instrument, how many series a stream has before its overflow series takes the
   * rest; Views come before it.
   * @default 2000 for all kinds
   */
  cardinalitySelector?: (instrumentType: InstrumentType) => number;
  /**
   * Further sources, shown with the provider's own metrics, such as [a registry of `prom-client`](migrate-from-prom-client.md).
   * One that fails, or takes longer than `callbackTimeoutMillis`, costs its own metrics only.
   * @default none
   */
  metricProducers?: MetricProducer[];
}

/** Of the time that the scraper waits, what callbacks may take; the rest is for encoding and sending. */
const CALLBACK_SHARE = 0.8;

const { demand, demandFunction, demandNothing, demandObject } = optionChecks('PrometheusMetricReader');

/** What a scrape in flight gets at shutdown: enough for a large one, too little to delay a restart. */
const CLOSE_GRACE_MILLIS = 1_000;

/**
 * Collects when it is scraped. Give it to a provider's `readers`, then either call {@link listen} or mount
 * {@link handler} in a server that you have.
 */
export class PrometheusMetricReader implements IMetricReader {
  readonly componentType = 'prometheus_http_text_metric_exporter';
  readonly receivesSelfMetrics = true;
  /** Two Prometheus scrape the same service as a rule, and either may fail to. */
  readonly keepsExemplars = true;
  readonly #options: PrometheusMetricReaderOptions;
  readonly #told = new Set<string>();
  readonly #source: ScrapeSource;
  /** The memory of the last scrape. */
  readonly #spare = new SpareMemory();
  #producer: MetricProducer | undefined;
  #self: ComponentMetrics | undefined;
  #detected: Promise<void> | undefined;
  #server: Promise<ScrapeServer> | undefined;
  #address: ScrapeAddress | undefined;
  #shutdown: Promise<void> | undefined;

  /** @throws ConfigError naming the option that cannot work */
  constructor(options: PrometheusMetricReaderOptions = {}) {
    this.#options = options;
    const { encodingOptions, authentication } = sourceOptions(options);
    const collections = new SharedCollections(
      (timeoutMillis) => this.#collectBatch(timeoutMillis),
      options.callbackTimeoutMillis ?? 5_000,
    );
    this.#source = {
      authentication,
      fallbackFormat: options.fallbackFormat,
      encodingOptions: { ...encodingOptions, onProblem: (problem) => this.#tellOnce(problem) },
      acquire: (scrapeTimeoutMillis = Number.POSITIVE_INFINITY) =>
        collections.acquire(CALLBACK_SHARE * scrapeTimeoutMillis),
      started: (batch) => this.#self?.operation(batch.pointCount) ?? (() => {}),
    };
  }

  /**
   * Answers a scrape in any server. A function of its own, so that it can be passed on: `createServer(reader.handler)`,
   * `app.get('/metrics', reader.handler)` in Express, Fastify, Koa's router and Hono. Given a `Request` it returns a
   * `Response`.
   */
  readonly handler: ScrapeHandler = scrapeHandler({
    respond: (request, response) => {
      inResponseTurn(request, response, () => {
        answerScrape(request, response, this.#answer).catch(reportFailure);
      });
    },
    fetch: (request) => fetchScrape(request, this.#answer, reportFailure),
  });

  readonly #answer = (request: ScrapeRequest, gone: AbortSignal): Promise<ScrapeAnswer> =>
    answerOf(request, this.#source, gone);

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
      const result = await collectAll(this.#producer, this.#options.metricProducers, options);
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

  async #collectBatch(timeoutMillis: number): Promise<Collected> {
    const memory = this.#spare.take();
    const { resourceMetrics, errors } = await this.collect({ timeoutMillis, memory });
    if (errors.length > 0) {
      report('warn', 'prometheus-collect', 'metrics are missing from a scrape', ...errors);
    }
    // Our own provider has waited for its resource. With further producers, nothing tells whose it is.
    if (this.#options.metricProducers?.length || !MetricBatch.is(resourceMetrics)) {
      this.#detected ??= awaitAttributes(resourceMetrics.resource, timeoutMillis);
      await this.#detected;
    }
    return {
      batch: toBatch(resourceMetrics),
      isWhole: errors.length === 0,
      release: () => this.#spare.giveBack(memory),
    };
  }

  /** Each scrape has the same problems again. */
  #tellOnce({ cause, message }: PrometheusProblem): void {
    if (this.#told.has(cause)) return;
    this.#told.add(cause);
    report('warn', `prometheus:${cause}`, message);
  }
}

/** @throws ConfigError naming the option that cannot work */
function sourceOptions(options: PrometheusMetricReaderOptions) {
  demandObject('options', options);
  const {
    scopeLabels,
    targetInfo,
    createdSeries,
    resourceLabels,
    translationStrategy,
    authentication: credentials,
    callbackTimeoutMillis,
    fallbackFormat,
    aggregationSelector,
    cardinalitySelector,
    metricProducers,
    ...unknown
  } = options;
  demandNothing(unknown);
  const switches = { scopeLabels, targetInfo, createdSeries };
  for (const [name, value] of Object.entries(switches)) {
    demand(value === undefined || typeof value === 'boolean', name, value, 'true or false');
  }
  demand(
    translationStrategy === undefined || TRANSLATION_STRATEGIES.includes(translationStrategy),
    'translationStrategy',
    translationStrategy,
    TRANSLATION_STRATEGIES.join(', or '),
  );
  if (resourceLabels !== undefined) {
    demandObject('resourceLabels', resourceLabels);
    const { included, excluded, ...more } = resourceLabels;
    demandNothing(more, 'resourceLabels.');
    for (const [name, value] of Object.entries({ included, excluded })) {
      const isList = Array.isArray(value) && value.every((pattern) => typeof pattern === 'string');
      demand(value === undefined || isList, `resourceLabels.${name}`, value, 'a list of keys or patterns');
    }
  }
  demand(
    fallbackFormat === undefined || SCRAPE_FORMATS.includes(fallbackFormat),
    'fallbackFormat',
    fallbackFormat,
    SCRAPE_FORMATS.join(', or '),
  );
  demand(
    callbackTimeoutMillis === undefined ||
      (typeof callbackTimeoutMillis === 'number' && callbackTimeoutMillis > 0),
    'callbackTimeoutMillis',
    callbackTimeoutMillis,
    'a number above 0',
  );
  demandFunction('aggregationSelector', aggregationSelector, 'a function');
  demandFunction('cardinalitySelector', cardinalitySelector, 'a function');
  demand(
    metricProducers === undefined ||
      (Array.isArray(metricProducers) && metricProducers.every((one) => hasMethods(one, 'collect'))),
    'metricProducers',
    metricProducers,
    'a list of metric producers, which have the method collect',
  );
  return {
    encodingOptions: { ...switches, resourceLabels, translationStrategy },
    authentication: credentials === undefined ? undefined : authentication(credentials),
  };
}

function reportFailure(error: unknown): void {
  report('error', 'prometheus-scrape', 'a scrape failed', error);
}
