// What `otlpHttp` can be told.
import type { OtlpEncoding } from '../encoding/otlp-response.ts';
import type { Compression } from '../net/compression.ts';
import type { HttpClientOptions } from '../net/http-client.ts';
import type { ProxyOptions } from '../net/http-proxy.ts';
import type { TlsOptions } from '../net/tls.ts';
import type { OtlpOptions } from './otlp-options.ts';
import type { BearerToken, HeadersOption } from './request-headers.ts';

/** One receiver: where it is, and what it takes to be let in. */
export interface OtlpHttpEndpoint extends HttpClientOptions {
  /**
   * The whole URL with its path; nothing is added to it. User and password in it are sent as Basic authorization.
   * `http+unix://%2Frun%2Fotel.sock/v1/metrics` goes to a unix socket.
   * @default 'http://localhost:4318/v1/metrics', as specified
   * @env OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT
   */
  url?: string | URL;
  /**
   * Headers of each request, such as an API key; or a function that gives them, asked before each request, and once more
   * when the receiver answers 401. Those that describe the body or the connection cannot be set.
   * @default none
   * @env OTEL_EXPORTER_OTLP_METRICS_HEADERS, OTEL_EXPORTER_OTLP_HEADERS
   */
  headers?: HeadersOption;
  /**
   * The token of `Authorization: Bearer …`, or a function that gives it, asked as `headers` is.
   * @default none
   */
  bearerToken?: BearerToken;
  /**
   * Certificates and keys for `https:` addresses; files are read again when they change.
   * @default the authorities that Node trusts, and no client certificate
   * @env OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE, OTEL_EXPORTER_OTLP_CERTIFICATE, OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE, OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE, OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY, OTEL_EXPORTER_OTLP_CLIENT_KEY
   */
  tls?: TlsOptions;
  /**
   * A proxy: one URL for all, or one each for `http:` and `https:` addresses, and the hosts that need none.
   * @default none
   * @env https_proxy, HTTPS_PROXY, http_proxy, HTTP_PROXY, no_proxy, NO_PROXY
   */
  proxy?: string | ProxyOptions;
}

export interface OtlpHttpOptions extends OtlpHttpEndpoint, OtlpOptions {
  /**
   * Several receivers, the preferred one first, in place of `url`, `headers` and `bearerToken`, which each has of its own. What
   * an endpoint does not say about its connection (`tls`, `proxy` …) is taken from the options beside `endpoints`. See
   * failover in `docs/otlp.md`.
   * @default only that of `url`
   */
  endpoints?: readonly OtlpHttpEndpoint[];
  /**
   * How requests are written. `json` is for looking at them, and for receivers that take nothing else; it is larger and
   * slower.
   * @default 'protobuf', as specified
   * @env OTEL_EXPORTER_OTLP_METRICS_PROTOCOL, OTEL_EXPORTER_OTLP_PROTOCOL
   */
  encoding?: OtlpEncoding;
  /**
   * How bodies are compressed, in Node's thread pool. `zstd` needs Node 22.15, and a receiver that knows it.
   * @default 'none', as specified; 'gzip' makes requests five to ten times smaller, and every OTLP receiver must take it
   * @env OTEL_EXPORTER_OTLP_METRICS_COMPRESSION, OTEL_EXPORTER_OTLP_COMPRESSION
   */
  compression?: Compression;
}
