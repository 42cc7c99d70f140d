// What `otlpGrpc` can be told.
import type { ChannelCredentials, ChannelOptions, Interceptor } from '@grpc/grpc-js';
import { optionChecks } from '../data/option-checks.ts';
import { GRPC_ENDPOINT_FORMAT, type GrpcTarget, parseGrpcTarget } from '../net/grpc-target.ts';
import type { ProxyOptions } from '../net/http-proxy.ts';
import type { TlsOptions } from '../net/tls.ts';
import { type OtlpOptions, type ValidOtlpOptions, validOtlpOptions } from './otlp-options.ts';
import type { BearerToken, HeadersOption } from './request-headers.ts';

/** Where to send, and as whom. */
export interface OtlpGrpcEndpoint {
  /**
   * The receiver: an `http:` or `https:` URL, a host and port, or a target of gRPC's own naming: `dns:///collector:4317`,
   * `ipv4:10.0.0.1:4317,10.0.0.2:4317`, `ipv6:[::1]:4317` or `unix:/run/otel.sock`. The path of a URL means nothing to gRPC. Without
   * a port, 80 for `http:` and 443 for all else.
   * @default http://localhost:4317
   * @env OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT
   */
  url?: string;
  /**
   * Whether to send without encryption where `url` does not say so: an `http:` or `https:` URL decides by itself.
   * @default false
   * @env OTEL_EXPORTER_OTLP_METRICS_INSECURE, OTEL_EXPORTER_OTLP_INSECURE
   */
  insecure?: boolean;
  /**
   * Certificates and keys for encrypted connections. Files are read again when they change.
   * @default the authorities that Node trusts, and no client certificate
   * @env OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE, OTEL_EXPORTER_OTLP_CERTIFICATE, OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE, OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE, OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY, OTEL_EXPORTER_OTLP_CLIENT_KEY
   */
  tls?: TlsOptions;
  /**
   * Channel credentials made with `@grpc/grpc-js`, in place of `insecure` and `tls`, and whatever `url` says.
   * @default made from `url`, `insecure` and `tls`
   */
  credentials?: ChannelCredentials;
  /**
   * Metadata of each request, or a function, which may be async, that is asked for it before each request: for credentials that
   * change. When the receiver answers `UNAUTHENTICATED`, it is asked once more and the request sent again. Values never
   * appear in messages. Those whose name ends in `-bin` are Base64.
   * @default none
   * @env OTEL_EXPORTER_OTLP_METRICS_HEADERS, OTEL_EXPORTER_OTLP_HEADERS
   */
  headers?: HeadersOption;
  /**
   * The token of the metadata `authorization: Bearer …`, or a function that is asked for it as `headers` is.
   * @default none
   */
  bearerToken?: BearerToken;
}

export interface OtlpGrpcOptions extends OtlpOptions, OtlpGrpcEndpoint {
  /**
   * Several receivers, the preferred one first, in place of `url` and of what says who we are there: `headers`, `bearerToken` and
   * `credentials`, which are not given to other receivers than those they are meant for. `insecure` and `tls` count for each that
   * does not have its own. See failover in `docs/otlp.md`.
   * @default only that of `url`
   */
  endpoints?: readonly OtlpGrpcEndpoint[];
  /**
   * `gzip` or `none`. Compressing happens in Node's thread pool.
   * @default 'none', as specified: within a cluster it costs more than it saves
   * @env OTEL_EXPORTER_OTLP_METRICS_COMPRESSION, OTEL_EXPORTER_OTLP_COMPRESSION
   */
  compression?: 'none' | 'gzip';
  /**
   * A proxy to tunnel through (`CONNECT`): one `http:` URL for all, or one each for plain and encrypted calls, and the hosts that need
   * none.
   * @default none
   * @env grpc_proxy, https_proxy, HTTPS_PROXY, http_proxy, HTTP_PROXY, no_grpc_proxy, no_proxy, NO_PROXY
   */
  proxy?: string | ProxyOptions;
  /**
   * Milliseconds after which a connection takes no more calls, so that load balancers get to choose anew.
   * @default Infinity: one connection, as long as it works
   */
  maxConnectionAgeMillis?: number;
  /**
   * A gRPC service config, such as `{ loadBalancingConfig: [{ round_robin: {} }] }` to spread calls over all addresses of `url`.
   * @default none: gRPC takes the first address that answers
   */
  serviceConfig?: object | string;
  /**
   * Options of the channel, such as `{ 'grpc.keepalive_time_ms': 300_000 }`. They win over what this package sets.
   * @default those of `@grpc/grpc-js`
   */
  channelOptions?: ChannelOptions;
  /**
   * Client interceptors of `@grpc/grpc-js`, the outermost first. Once a call has succeeded, its message may be written over: one
   * that keeps messages must copy them.
   * @default none
   */
  interceptors?: readonly Interceptor[];
}

export interface ValidOtlpGrpcEndpoint extends Omit<OtlpGrpcEndpoint, 'url' | 'insecure'> {
  readonly target: GrpcTarget;
  readonly insecure: boolean;
}

export interface ValidOtlpGrpcOptions extends ValidOtlpOptions {
  /** The preferred one first. */
  readonly endpoints: readonly ValidOtlpGrpcEndpoint[];
  readonly compression: 'none' | 'gzip';
  readonly proxy: string | ProxyOptions | undefined;
  readonly maxConnectionAgeMillis: number;
  readonly serviceConfig: string | undefined;
  readonly channelOptions: ChannelOptions;
  readonly interceptors: readonly Interceptor[];
}

const OWNER = 'otlpGrpc';
const DEFAULT_URL = 'http://localhost:4317';

/** @throws ConfigError for the first option that cannot work */
export function validOtlpGrpcOptions(options: OtlpGrpcOptions): ValidOtlpGrpcOptions {
  const { demand, demandObject, demandNothing, demandSecret } = optionChecks(OWNER);
  demandObject('options', options);
  const {
    url,
    insecure,
    tls,
    credentials,
    headers,
    bearerToken,
    endpoints,
    compression = 'none',
    proxy,
    maxConnectionAgeMillis = Infinity,
    serviceConfig,
    channelOptions = {},
    interceptors = [],
    timeoutMillis,
    retry,
    maxRequestBytes,
    temporality,
    aggregation,
    userAgent,
    probeIntervalMillis,
    ...unknown
  } = options;
  demandNothing(unknown);
  const common = {
    timeoutMillis,
    retry,
    maxRequestBytes,
    temporality,
    aggregation,
    userAgent,
    probeIntervalMillis,
  };
  demand(
    compression === 'none' || compression === 'gzip',
    'compression',
    compression,
    `'none' or 'gzip', which is all that gRPC has in Node`,
  );
  demand(
    typeof maxConnectionAgeMillis === 'number' && maxConnectionAgeMillis > 0,
    'maxConnectionAgeMillis',
    maxConnectionAgeMillis,
    'a number of milliseconds above 0, or Infinity',
  );
  demandObject('channelOptions', channelOptions);
  demand(
    Array.isArray(interceptors) && interceptors.every((one) => typeof one === 'function'),
    'interceptors',
    interceptors,
    'a list of functions',
  );
  const service = typeof serviceConfig === 'object' ? JSON.stringify(serviceConfig) : serviceConfig;
  demand(
    service === undefined || isJsonObject(service),
    'serviceConfig',
    serviceConfig,
    'a gRPC service config, as an object or as JSON',
  );
  const single = { url, credentials, headers, bearerToken };
  if (endpoints !== undefined) {
    demand(
      Array.isArray(endpoints) && endpoints.length > 0,
      'endpoints',
      endpoints,
      'a list with at least one',
    );
    for (const [name, value] of Object.entries(single)) {
      demandSecret(value === undefined, `${name} beside endpoints`, 'set in the endpoints themselves');
    }
  }
  return {
    ...validOtlpOptions(OWNER, common),
    endpoints: (endpoints ?? [{ ...single, insecure, tls }]).map((endpoint, i) =>
      validEndpoint(endpoints && `endpoints[${i}]`, { insecure, tls }, endpoint),
    ),
    compression,
    proxy,
    maxConnectionAgeMillis,
    serviceConfig: service,
    channelOptions,
    interceptors,
  };
}

function validEndpoint(
  setting: string | undefined,
  shared: Pick<OtlpGrpcEndpoint, 'insecure' | 'tls'>,
  endpoint: OtlpGrpcEndpoint,
): ValidOtlpGrpcEndpoint {
  const { demand, demandObject, demandNothing, demandSecret } = optionChecks(OWNER);
  if (setting !== undefined) demandObject(setting, endpoint);
  const prefix = setting === undefined ? '' : `${setting}.`;
  const { url = DEFAULT_URL, credentials, headers, bearerToken, tls, ...rest } = endpoint;
  const { insecure = shared.insecure ?? false, ...unknown } = rest;
  demandNothing(unknown, prefix);
  // A URL may hold a password.
  demandSecret(
    typeof url === 'string' && parseGrpcTarget(url) !== undefined,
    `${prefix}url`,
    GRPC_ENDPOINT_FORMAT,
  );
  demand(typeof insecure === 'boolean', `${prefix}insecure`, insecure, 'true or false');
  demandSecret(
    credentials === undefined || (typeof credentials === 'object' && credentials !== null),
    `${prefix}credentials`,
    'ChannelCredentials made with @grpc/grpc-js',
  );
  demandSecret(
    credentials === undefined || (tls === undefined && rest.insecure === undefined),
    `${prefix}credentials beside tls or insecure`,
    'given alone: they say how to encrypt',
  );
  return {
    target: parseGrpcTarget(url)!,
    insecure,
    tls: tls ?? shared.tls,
    credentials,
    headers,
    bearerToken,
  };
}

function isJsonObject(text: unknown): boolean {
  try {
    const value: unknown = JSON.parse(text as string);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
