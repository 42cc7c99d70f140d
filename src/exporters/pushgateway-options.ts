// The options of everything that goes to a Pushgateway.
import type { RetryOptions } from '../net/backoff.ts';
import type { HttpClientOptions } from '../net/http-client.ts';
import type { BasicAuth } from './basic-auth.ts';
import type { BearerToken, HeadersOption } from './request-headers.ts';

export const PUSH_METHODS = ['PUT', 'POST'] as const;
export const PUSH_FORMATS = ['text', 'protobuf'] as const;
export const PUSH_COMPRESSIONS = ['none', 'gzip'] as const;

/** Which group, and how to get there. */
export interface PushgatewayGroupOptions extends HttpClientOptions {
  /**
   * The address of the Pushgateway, such as `http://pushgateway:9091`, without `/metrics`. User and password in it are sent as
   * Basic authorization.
   * @default required
   */
  url: string | URL;
  /**
   * The label `job` of everything pushed, and the first part of the group. Any text that is not empty.
   * @default required
   */
  job: string;
  /**
   * The other labels of the group, such as `{ instance: 'host-1' }`. Any value is right, the empty one and those with slashes
   * too.
   * @default none: all processes of the job push into one group, where each replaces what the others pushed
   */
  grouping?: Record<string, string>;
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
   * Headers of each request, or a function that gives them, asked as `bearerToken` is.
   * @default none
   */
  headers?: HeadersOption;
  /**
   * Milliseconds that a push or a deletion may take as a whole, with all its retries; 0 for no limit.
   * @default 10000, as for OTLP
   */
  timeoutMillis?: number;
  /**
   * When and how often a request is tried again, after 408, 429, 5xx and when there was no answer; `false` for never. Pushing
   * the same twice changes nothing. `timeoutMillis` bounds it all.
   * @default exponential back-off with full jitter: 5 s, growing by half up to 30 s
   */
  retry?: RetryOptions | boolean;
}

export interface PushOptions extends PushgatewayGroupOptions {
  /**
   * `PUT` replaces all of the group, so that series which ended are gone. `POST` replaces only metrics of the same name, for
   * groups that several processes push into.
   * @default 'PUT'
   */
  method?: (typeof PUSH_METHODS)[number];
  /**
   * `protobuf` has exponential histograms (as native ones) and exemplars, which text has not. A Prometheus of version 2.40 or later
   * scrapes them from the Pushgateway where native histograms are enabled.
   * @default 'text': what takes the place of a Pushgateway elsewhere mostly reads nothing else
   */
  format?: (typeof PUSH_FORMATS)[number];
  /**
   * How bodies are compressed, in Node's thread pool.
   * @default 'none': every Pushgateway takes it
   */
  compression?: (typeof PUSH_COMPRESSIONS)[number];
  /**
   * Whether each series tells its meter, in labels that begin with `otel_scope_`.
   * @default true, as OpenTelemetry specifies
   */
  scopeLabels?: boolean;
  /**
   * Whether the resource is pushed, as the labels of the metric `target_info`.
   * @default true
   */
  targetInfo?: boolean;
}

export interface PushgatewayOptions extends PushOptions {
  /**
   * Whether the group is deleted when the exporter is shut down. A Pushgateway never forgets by itself: what a process that
   * has ended pushed last stays, and looks alive.
   * @default false: what a batch job pushed is to be scraped after its end
   */
  deleteOnShutdown?: boolean;
}
