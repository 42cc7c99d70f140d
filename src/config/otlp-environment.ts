// What the environment says about OTLP (OpenTelemetry specification, "OTLP exporter configuration"). For each option
// the variable for metrics comes before the general one; what code says comes before both.
import { accessSync, constants } from 'node:fs';
import { type AggregationSelector, AggregationType } from '../data/aggregation-option.ts';
import { textOf } from '../data/diagnostics.ts';
import { InstrumentType } from '../data/metric-data.ts';
import { TEMPORALITY_PREFERENCES, type TemporalityPreference } from '../data/temporality-preference.ts';
import { GRPC_ENDPOINT_FORMAT, parseGrpcTarget } from '../net/grpc-target.ts';
import { HTTP_ADDRESS_FORMAT, httpAddress } from '../net/http-address.ts';
import type { ProxyOptions } from '../net/http-proxy.ts';
import { type TlsOptions, tlsSource } from '../net/tls.ts';
import {
  type Environment,
  millis,
  oneOf,
  readBoolean,
  readVariable,
  type ValueKind,
  warnOf,
} from './environment.ts';

export const OTLP_PROTOCOLS = ['grpc', 'http/protobuf', 'http/json'] as const;

export type OtlpProtocol = (typeof OTLP_PROTOCOLS)[number];

const metricsName = (option: string) => `OTEL_EXPORTER_OTLP_METRICS_${option}`;
const generalName = (option: string) => `OTEL_EXPORTER_OTLP_${option}`;
const both = (option: string) => [metricsName(option), generalName(option)];

/** Spec: `http/protobuf` where nothing is said. */
export function otlpProtocol(env: Environment): OtlpProtocol {
  return readVariable(env, both('PROTOCOL'), oneOf(OTLP_PROTOCOLS)) ?? 'http/protobuf';
}

export function hasOtlpEndpoint(env: Environment): boolean {
  return both('ENDPOINT').some((name) => env[name]?.trim());
}

/** What all OTLP exporters read, files included. */
export interface OtlpSelectors {
  temporality?: TemporalityPreference;
  aggregation?: AggregationSelector;
}

export function otlpSelectors(env: Environment): OtlpSelectors {
  const histogram = readVariable(env, [metricsName('DEFAULT_HISTOGRAM_AGGREGATION')], HISTOGRAMS);
  return given({
    temporality: readVariable(env, [metricsName('TEMPORALITY_PREFERENCE')], oneOf(TEMPORALITY_PREFERENCES)),
    aggregation: histogram === 'base2_exponential_bucket_histogram' ? exponentialHistograms : undefined,
  });
}

const HISTOGRAMS = oneOf(['explicit_bucket_histogram', 'base2_exponential_bucket_histogram']);

const exponentialHistograms: AggregationSelector = (type) => ({
  type: type === InstrumentType.HISTOGRAM ? AggregationType.EXPONENTIAL_HISTOGRAM : AggregationType.DEFAULT,
});

/** What both transports read. */
export interface OtlpTransportSettings extends OtlpSelectors {
  url?: string;
  headers?: Record<string, string>;
  compression?: 'gzip' | 'none';
  timeoutMillis?: number;
  tls?: TlsOptions;
  proxy?: ProxyOptions;
}

export function otlpHttpSettings(env: Environment): OtlpTransportSettings {
  return given({
    ...transportSettings(env),
    url:
      readVariable(env, [metricsName('ENDPOINT')], HTTP_URL) ??
      readVariable(env, [generalName('ENDPOINT')], HTTP_BASE_URL),
    proxy: given({
      http: readVariable(env, ['http_proxy', 'HTTP_PROXY'], PROXY_URL),
      https: readVariable(env, ['https_proxy', 'HTTPS_PROXY'], PROXY_URL),
      noProxy: env.no_proxy ?? env.NO_PROXY,
    }),
  });
}

export interface OtlpGrpcSettings extends OtlpTransportSettings {
  insecure?: boolean;
}

export function otlpGrpcSettings(env: Environment): OtlpGrpcSettings {
  // As gRPC libraries have it: what HTTPS takes, whether or not the call is encrypted.
  const proxy = readVariable(
    env,
    ['grpc_proxy', 'https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY'],
    GRPC_PROXY_URL,
  );
  return given({
    ...transportSettings(env),
    url: readVariable(env, both('ENDPOINT'), GRPC_URL),
    insecure: readBoolean(env, both('INSECURE')),
    proxy: given({ http: proxy, https: proxy, noProxy: env.no_grpc_proxy ?? env.no_proxy ?? env.NO_PROXY }),
  });
}

function transportSettings(env: Environment) {
  return {
    ...otlpSelectors(env),
    headers: headersOf(env),
    compression: readVariable(env, both('COMPRESSION'), COMPRESSION),
    timeoutMillis: readVariable(env, both('TIMEOUT'), millis(0)),
    tls: tlsOf(env),
  };
}

/** zstd is beyond the specification, so it comes from code alone. */
const COMPRESSION = oneOf(['gzip', 'none'] as const);

/** As it is; one without a path gets `/`. */
const HTTP_URL: ValueKind<string> = {
  parse: (text) => (httpAddress(text) === undefined ? undefined : text),
  format: HTTP_ADDRESS_FORMAT,
};

/** The general endpoint is that of all signals; each has a path below it. */
const HTTP_BASE_URL: ValueKind<string> = {
  parse: (text) => {
    if (httpAddress(text) === undefined) return undefined;
    const url = new URL(text);
    url.pathname = `${url.pathname.replace(/\/+$/, '')}/v1/metrics`;
    return url.href;
  },
  format: HTTP_ADDRESS_FORMAT,
};

const GRPC_URL: ValueKind<string> = {
  parse: (text) => (parseGrpcTarget(text) === undefined ? undefined : text),
  format: GRPC_ENDPOINT_FORMAT,
};

const proxyUrl = (schemes: RegExp, format: string): ValueKind<string> => ({
  parse: (text) => (schemes.test(text) && URL.canParse(text) ? text : undefined),
  format,
  // It may hold a password.
  isSecret: true,
});

const PROXY_URL = proxyUrl(/^https?:\/\//i, 'an http: or https: URL such as http://proxy:3128');
/** The only kind that gRPC goes through. */
const GRPC_PROXY_URL = proxyUrl(/^http:\/\//i, 'an http: URL such as http://proxy:3128');

/** Those for metrics go over the general ones, name by name. */
function headersOf(env: Environment): Record<string, string> {
  return { ...headerList(env, generalName('HEADERS')), ...headerList(env, metricsName('HEADERS')) };
}

/** `name=value,name=value` as in W3C Baggage, values percent-encoded. A value is a secret: no message shows one. */
function headerList(env: Environment, variable: string): Record<string, string> {
  const headers: Record<string, string> = {};
  const pairs = (env[variable] ?? '').split(',').map((pair) => pair.trim());
  for (const [index, pair] of pairs.entries()) {
    if (pair === '') continue;
    const [, name = '', value = ''] = /^([^=]+?)\s*=\s*(.*)$/.exec(pair) ?? [];
    const decoded = percentDecoded(value);
    if (!/^[!#$%&'*+\-.^_`|~\w]+$/.test(name) || decoded === undefined || !/^[\x20-\x7e]*$/.test(decoded)) {
      warnOf(
        variable,
        `item ${index + 1} of ${variable} is ignored; use name=value, the value percent-encoded`,
      );
    } else headers[name.toLowerCase()] = decoded;
  }
  return headers;
}

function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Certificates for servers and for clients are each used, or not, on their own. */
function tlsOf(env: Environment): TlsOptions {
  const file = (option: string) => readVariable(env, both(option), READABLE_FILE);
  const [ca, cert, key] = [file('CERTIFICATE'), file('CLIENT_CERTIFICATE'), file('CLIENT_KEY')];
  if ((cert === undefined) !== (key === undefined)) {
    const [present, missing] = cert ? ['CERTIFICATE', 'KEY'] : ['KEY', 'CERTIFICATE'];
    warnOf(
      generalName('CLIENT_KEY'),
      `${generalName(`CLIENT_${present}`)} is ignored without ${generalName(`CLIENT_${missing}`)}; set both`,
    );
  }
  return {
    ...usable(ca === undefined ? {} : { ca }, generalName('CERTIFICATE')),
    ...usable(cert && key ? { cert, key } : {}, generalName('CLIENT_CERTIFICATE')),
  };
}

const READABLE_FILE: ValueKind<string> = {
  parse: (path) => {
    try {
      accessSync(path, constants.R_OK);
      return path;
    } catch {
      return undefined;
    }
  },
  format: 'the path of a file that this process may read',
};

function usable(tls: TlsOptions, variable: string): TlsOptions {
  try {
    tlsSource(variable, tls);
    return tls;
  } catch (error) {
    warnOf(variable, `${textOf(error)}; ignored`);
    return {};
  }
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Without what was not set, so that it does not hide what comes from elsewhere. */
function given<T extends object>(settings: T): Given<T> {
  const isSet = (value: unknown) =>
    value !== undefined && !(typeof value === 'object' && Object.keys(value as object).length === 0);
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => isSet(value))) as Given<T>;
}
