// The options of remote write.
import type { AggregationSelector, AggregationTemporalitySelector } from '../data/aggregation-option.ts';
import type { RemoteWriteVersion } from '../encoding/remote-write-message.ts';
import type { RetryOptions } from '../net/backoff.ts';
import type { HttpClientOptions } from '../net/http-client.ts';
import type { BasicAuth } from './basic-auth.ts';
import type { BearerToken, HeadersOption } from './request-headers.ts';

/** A request that is about to be sent. */
export interface RequestToSign {
  readonly method: 'POST';
  readonly url: string;
  /** Names in lower case; `host` and `content-length` are those that follow from the rest. */
  readonly headers: Readonly<Record<string, string>>;
  /** As it is sent, compressed. */
  readonly body: Uint8Array;
}

/** Gives the headers to add, such as `authorization` and `x-amz-date`. */
export type RequestSigner = (
  request: RequestToSign,
) => Record<string, string> | Promise<Record<string, string>>;

export interface RemoteWriteOptions extends HttpClientOptions {
  /**
   * Where samples are posted to, such as `http://prometheus:9090/api/v1/write`. User and password in it are sent as Basic
   * authorization.
   * @default required
   */
  url: string | URL;
  /**
   * The version of the protocol. `2.0` names each text once a request, and has start times and descriptions with every series;
   * a receiver that does not know it is found out with the first request, which is then sent again as 1.0 like all later ones.
   * @default '1.0': every receiver takes it
   */
  version?: RemoteWriteVersion;
  /**
   * Labels of every series that has none of the name itself, such as `{ cluster: 'eu-1' }`.
   * @default none
   */
  externalLabels?: Record<string, string>;
  /**
   * Whether each series tells its meter, in labels that begin with `otel_scope_`.
   * @default true, as OpenTelemetry specifies
   */
  scopeLabels?: boolean;
  /**
   * Whether the resource is written, as the labels of the series `target_info`.
   * @default true
   */
  targetInfo?: boolean;
  /**
   * Whether series that end are marked as such, and all of them when the exporter is shut down, so that queries no longer show
   * their last value for five minutes.
   * @default true, as Prometheus does
   */
  staleMarkers?: boolean;
  /**
   * How many requests of an export may be under way at once, each on a connection of its own. Samples of one series are always
   * sent one after the other.
   * @default 4: hides the time of the network, and is far from what a receiver minds
   */
  concurrency?: number;
  /**
   * Samples that a request may have. A histogram has one for each bucket, and two more; a native one counts as one.
   * @default 2000, as in Prometheus
   */
  maxSamplesPerRequest?: number;
  /**
   * Bytes that a request may have before compression. A single point that is larger is dropped and counted. A receiver that
   * finds a request too large gets it in halves.
   * @default 1048576 (1 MiB)
   */
  maxRequestBytes?: number;
  /**
   * User and password, sent as `Authorization: Basic …`.
   * @default none
   */
  basicAuth?: BasicAuth;
  /**
   * The token of `Authorization: Bearer …`, or a function that gives it, asked before each request and once more after a 401.
   * @default none
   */
  bearerToken?: BearerToken;
  /**
   * Headers of each request, such as `{ 'X-Scope-OrgID': 'tenant' }`, or a function that gives them, asked as `bearerToken` is.
   * @default none
   */
  headers?: HeadersOption;
  /**
   * A function that is given each request before it is sent, and gives headers to add: for AWS's Signature Version 4 and the
   * like.
   * @default none
   */
  sign?: RequestSigner;
  /**
   * Milliseconds that the export of a batch may take as a whole, with all its requests and retries; 0 for no limit. What is not
   * delivered by then is owed: see [outages](#outages).
   * @default 25000: what the reader's `exportTimeoutMillis` of 30 s leaves room for
   */
  timeoutMillis?: number;
  /**
   * When and how often a request is tried again, after 5xx and 429 and when there was no answer, never after another 4xx;
   * `false` for never. A `Retry-After` is kept. `timeoutMillis` bounds it all.
   * @default exponential back-off with full jitter: 100 ms, doubling up to 5 s, as fast as Prometheus's own
   */
  retry?: RetryOptions | boolean;
  /**
   * There is one: remote write carries totals, and a receiver that is given what was added since the last export shows nonsense.
   * @default 'cumulative'
   */
  temporality?: 'cumulative' | AggregationTemporalitySelector;
  /**
   * A function that gives the default aggregation of each kind of instrument; Views come before it. With exponential histograms
   * for `HISTOGRAM`, histograms are written as native ones.
   * @default that of each instrument: sums, last values, and histograms with explicit buckets
   */
  aggregation?: AggregationSelector;
}
