// Points to an OTLP receiver over HTTP. `docs/otlp.md` has every option.
import type { PushMetricExporter } from '../data/exporter.ts';
import { optionChecks } from '../data/option-checks.ts';
import { encodeOtlpJson } from '../encoding/otlp-json.ts';
import { encodeOtlpProtobuf } from '../encoding/otlp-protobuf.ts';
import { OTLP_ENCODINGS } from '../encoding/otlp-response.ts';
import { compressor } from '../net/compression.ts';
import type { HttpClientOptions } from '../net/http-client.ts';
import { otlpExporter } from './otlp-exporter.ts';
import type { OtlpHttpEndpoint, OtlpHttpOptions } from './otlp-http-options.ts';
import { otlpHttpTransport } from './otlp-http-transport.ts';
import { validOtlpOptions } from './otlp-options.ts';

export type { OtlpHttpEndpoint, OtlpHttpOptions } from './otlp-http-options.ts';

const OWNER = 'otlpHttp';
const DEFAULT_URL = 'http://localhost:4318/v1/metrics';

const CONNECTION_OPTIONS = names<HttpClientOptions>({
  tls: true,
  proxy: true,
  socketPath: true,
  keepAliveMillis: true,
  maxConnectionAgeMillis: true,
  dispatcher: true,
});
/** Meant for one receiver, and not to be told to another. */
const OWN_OPTIONS = names<Omit<OtlpHttpEndpoint, keyof HttpClientOptions>>({
  url: true,
  headers: true,
  bearerToken: true,
});
const ENDPOINT_OPTIONS = [...CONNECTION_OPTIONS, ...OWN_OPTIONS];
const OPTIONS = [
  ...ENDPOINT_OPTIONS,
  ...names<Omit<OtlpHttpOptions, keyof OtlpHttpEndpoint>>({
    endpoints: true,
    encoding: true,
    compression: true,
    timeoutMillis: true,
    retry: true,
    maxRequestBytes: true,
    temporality: true,
    aggregation: true,
    userAgent: true,
    probeIntervalMillis: true,
  }),
];

/**
 * Makes an exporter that sends each batch as one or more requests to an OTLP receiver, such as an OpenTelemetry Collector.
 * Success means that the receiver has taken all of them.
 *
 * @throws ConfigError when an option cannot work
 */
export function otlpHttp(options: OtlpHttpOptions = {}): PushMetricExporter {
  const { demand, demandObject, demandNothing } = optionChecks(OWNER);
  demandObject('options', options);
  const valid = validOtlpOptions(OWNER, options);
  const { encoding = 'protobuf', compression = 'none' } = options;
  demandNothing(without(options, OPTIONS));
  demand(
    OTLP_ENCODINGS.includes(encoding),
    'encoding',
    encoding,
    OTLP_ENCODINGS.map((name) => `'${name}'`).join(' or '),
  );
  const compress = compressor(OWNER, compression);
  const transports = endpointsOf(options).map(([owner, { url = DEFAULT_URL, ...endpoint }]) =>
    otlpHttpTransport(owner, {
      url,
      ...endpoint,
      encoding,
      contentEncoding: compress?.contentEncoding,
      userAgent: valid.userAgent,
    }),
  );
  return otlpExporter(transports, valid, {
    componentType: encoding === 'json' ? 'otlp_http_json_metric_exporter' : 'otlp_http_metric_exporter',
    encode: encoding === 'json' ? encodeOtlpJson : encodeOtlpProtobuf,
    compress: compress?.compress,
  });
}

/** Each endpoint with its name in messages. */
function endpointsOf(options: OtlpHttpOptions): [string, OtlpHttpEndpoint][] {
  const { endpoints } = options;
  if (endpoints === undefined) return [[OWNER, only(options, ENDPOINT_OPTIONS)]];
  const { demand, demandSecret, demandObject, demandNothing } = optionChecks(OWNER);
  demand(
    Array.isArray(endpoints) && endpoints.length > 0,
    'endpoints',
    endpoints,
    'a list with at least one',
  );
  const common = only(options, CONNECTION_OPTIONS);
  for (const name of OWN_OPTIONS) {
    demandSecret(options[name] === undefined, `${name} beside endpoints`, 'given with each of the endpoints');
  }
  return endpoints.map((endpoint, i) => {
    demandObject(`endpoints[${i}]`, endpoint);
    demandNothing(without(endpoint, ENDPOINT_OPTIONS), `endpoints[${i}].`);
    return [`${OWNER} endpoints[${i}]`, { ...common, ...endpoint }];
  });
}

/** Every name of an interface: the compiler misses a new one. */
function names<T>(all: Record<keyof T, true>): (keyof T & string)[] {
  return Object.keys(all) as (keyof T & string)[];
}

function only<T extends object, K extends keyof T & string>(object: T, keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(
    keys.filter((key) => object[key] !== undefined).map((key) => [key, object[key]]),
  ) as Pick<T, K>;
}

function without(object: object, keys: readonly string[]): object {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));
}
