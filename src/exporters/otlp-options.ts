// The options that both OTLP transports have.
import type { AggregationSelector, AggregationTemporalitySelector } from '../data/aggregation-option.ts';
import { type OptionChecks, optionChecks } from '../data/option-checks.ts';
import {
  TEMPORALITY_PREFERENCES,
  type TemporalityPreference,
  temporalityPreference,
} from '../data/temporality-preference.ts';
import { type RetryOptions, type RetryPolicy, retryPolicy } from '../net/backoff.ts';

export interface OtlpOptions {
  /**
   * Milliseconds that the export of a batch may take as a whole, with all its requests, retries and endpoints; 0 or Infinity
   * for no limit. What is not delivered by then has failed in a way that may pass: a reader of this package sends delta
   * points again with the next batch. To ride out longer pauses within one export, raise it together with the reader's
   * `exportTimeoutMillis` (30 s), which should stay the longer one.
   * @default 10000, as specified
   * @env OTEL_EXPORTER_OTLP_METRICS_TIMEOUT, OTEL_EXPORTER_OTLP_TIMEOUT
   */
  timeoutMillis?: number;
  /**
   * When and how often a request is tried again, after failures that OpenTelemetry names as passing and when there was no
   * answer; `false` for never. A wait that the receiver asks for is kept. `timeoutMillis` bounds it all.
   * @default exponential back-off with full jitter: 5 s, growing by half up to 30 s, for a minute at most; the values of
   *   OpenTelemetry Go
   */
  retry?: RetryOptions | boolean;
  /**
   * Bytes that a request may have before compression. A batch of more goes in several requests, in order; each is retried on
   * its own. A single point that is larger is dropped and counted. A receiver that finds a request too large gets it in
   * halves.
   * @default 3670016 (3.5 MiB), because gRPC servers accept 4 MiB
   */
  maxRequestBytes?: number;
  /**
   * `cumulative`, `delta` or `lowmemory`, or a function that gives the temporality of each kind of instrument.
   * @default 'cumulative', as specified: a lost export is made good by the next one
   * @env OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE
   */
  temporality?: TemporalityPreference | AggregationTemporalitySelector;
  /**
   * A function that gives the default aggregation of each kind of instrument; Views come before it.
   * @default that of each instrument: sums, last values, and histograms with explicit buckets
   * @env OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION
   */
  aggregation?: AggregationSelector;
  /**
   * Put in front of the exporter's own name in the header `User-Agent`, such as `orders/1.2`.
   * @default nothing
   */
  userAgent?: string;
  /**
   * With several endpoints: milliseconds after a switch away from the first endpoint until an export tries it again. The time
   * doubles, up to ten times of it, as long as that fails.
   * @default 30000: soon enough for an operator who watches the return, and one failed attempt in half a minute costs
   *   little
   */
  probeIntervalMillis?: number;
}

/** The names, for whoever takes the options of one transport apart. */
export interface ValidOtlpOptions {
  /** Infinity for no limit. */
  readonly timeoutMillis: number;
  readonly retry: RetryPolicy;
  readonly maxRequestBytes: number;
  readonly temporality: AggregationTemporalitySelector;
  readonly aggregation: AggregationSelector | undefined;
  readonly userAgent: string | undefined;
  readonly probeIntervalMillis: number;
}

/** 64 MiB: what OpenTelemetry names as the limit of a request. */
const MAX_REQUEST_BYTES = 64 * 1024 * 1024;

/** @throws ConfigError for the first option that cannot work */
export function validOtlpOptions(owner: string, options: OtlpOptions): ValidOtlpOptions {
  const {
    timeoutMillis = 10_000,
    maxRequestBytes = 3.5 * 1024 * 1024,
    temporality = 'cumulative',
    aggregation,
    userAgent,
    probeIntervalMillis = 30_000,
  } = options;
  const { demand, demandFunction } = optionChecks(owner);
  demand(
    typeof timeoutMillis === 'number' && timeoutMillis >= 0,
    'timeoutMillis',
    timeoutMillis,
    'a number of milliseconds, or 0 for no limit',
  );
  demand(
    Number.isInteger(maxRequestBytes) && maxRequestBytes > 0 && maxRequestBytes <= MAX_REQUEST_BYTES,
    'maxRequestBytes',
    maxRequestBytes,
    `a whole number of bytes from 1 to ${MAX_REQUEST_BYTES}`,
  );
  demandFunction('aggregation', aggregation, 'a function of the instrument type');
  // RFC 9110, section 10.1.5: products and comments.
  const isAgent = typeof userAgent === 'string' && /^[\x21-\x7e]+( [\x21-\x7e]+)*$/.test(userAgent);
  demand(
    userAgent === undefined || isAgent,
    'userAgent',
    userAgent,
    'a product and its version, such as orders/1.2',
  );
  demand(
    typeof probeIntervalMillis === 'number' && probeIntervalMillis > 0,
    'probeIntervalMillis',
    probeIntervalMillis,
    'a number of milliseconds above 0',
  );
  return {
    timeoutMillis: timeoutMillis === 0 ? Infinity : timeoutMillis,
    retry: retryPolicy(owner, options.retry),
    maxRequestBytes,
    temporality: temporalityOf({ demand }, temporality),
    aggregation,
    userAgent,
    probeIntervalMillis,
  };
}

function temporalityOf(
  { demand }: Pick<OptionChecks, 'demand'>,
  temporality: TemporalityPreference | AggregationTemporalitySelector,
): AggregationTemporalitySelector {
  if (typeof temporality === 'function') return temporality;
  demand(
    TEMPORALITY_PREFERENCES.includes(temporality),
    'temporality',
    temporality,
    `${TEMPORALITY_PREFERENCES.map((name) => `'${name}'`).join(', ')} or a function of the instrument type`,
  );
  return temporalityPreference(temporality);
}
