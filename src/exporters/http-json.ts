// Points to an HTTP backend of one's own, as JSON documents. `docs/http-json.md` has the format.
import type { AggregationTemporalitySelector } from '../data/aggregation-option.ts';
import { ExportError } from '../data/errors.ts';
import type { PushMetricExporter } from '../data/exporter.ts';
import { optionChecks } from '../data/option-checks.ts';
import { VERSION } from '../data/version.ts';
import { encodeJsonDocument } from '../encoding/json-document.ts';
import type { RetryOptions } from '../net/backoff.ts';
import { type Compression, compressor } from '../net/compression.ts';
import { HTTP_ADDRESS_FORMAT, httpAddress } from '../net/http-address.ts';
import { type HttpClientOptions, type HttpResponse, httpClient } from '../net/http-client.ts';
import { retryAfterMillis } from '../net/retry-after.ts';
import { isSuccess } from './http-status.ts';
import { deliveringExporter } from './otlp-exporter.ts';
import { httpStatusError } from './otlp-http-status.ts';
import { HEADER_RULES } from './otlp-http-transport.ts';
import { validOtlpOptions } from './otlp-options.ts';
import { type BearerToken, type HeadersOption, requestHeaders } from './request-headers.ts';

export interface HttpJsonOptions extends HttpClientOptions {
  /** Where documents are posted to. User and password in it are sent as Basic authorization. */
  url: string | URL;
  /** Sent as the header `X-API-Key`; for one of another name use `headers`. Default: none. */
  apiKey?: string;
  /**
   * Headers of each request; or a function that gives them, asked before each request, and once more when the backend
   * answers 401. Default: none.
   */
  headers?: HeadersOption;
  /** The token of `Authorization: Bearer …`, or a function that gives it, asked as `headers` is. Default: none. */
  bearerToken?: BearerToken;
  /** How bodies are compressed. Default `none`: what a backend does not know it cannot read. */
  compression?: Compression;
  /**
   * Milliseconds that the export of a batch may take as a whole, with all its requests and retries; 0 for no limit. Default
   * 10000, as for OTLP.
   */
  timeoutMillis?: number;
  /**
   * When and how often a request is tried again after the statuses 408, 425, 429, 500, 502, 503 and 504 and when there was no
   * answer; `false` for never. Default: exponential back-off with full jitter from 5 s to 30 s.
   */
  retry?: RetryOptions | boolean;
  /**
   * Bytes that a document may have before compression. A batch of more goes in several documents. Default 1000000: many
   * servers accept 1 MiB. One that finds a document too large (413) gets it in halves.
   */
  maxRequestBytes?: number;
  /** Default cumulative for every instrument: a lost export is made good by the next one. */
  temporality?: AggregationTemporalitySelector;
}

const OWNER = 'httpJson';
const MAX_REQUEST_BYTES = 1_000_000;

/** Those after which another attempt may succeed. */
const RETRYABLE: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/**
 * Makes an exporter that posts each batch as one or more JSON documents. Success means that the backend answered each with a
 * status from 200 to 299.
 *
 * @throws ConfigError when an option cannot work
 */
export function httpJson(options: HttpJsonOptions): PushMetricExporter {
  const { demandObject, demandNothing, demandSecret } = optionChecks(OWNER);
  demandObject('options', options);
  const { url, apiKey, headers, bearerToken, compression = 'none', ...others } = options;
  const { timeoutMillis, retry, maxRequestBytes, temporality, ...connection } = others;
  const { tls, proxy, socketPath, keepAliveMillis, maxConnectionAgeMillis, dispatcher, ...unknown } =
    connection;
  demandNothing(unknown);
  const delivery = validOtlpOptions(OWNER, {
    timeoutMillis,
    retry,
    maxRequestBytes: maxRequestBytes ?? MAX_REQUEST_BYTES,
    temporality,
  });
  const address = httpAddress(url);
  // Neither is shown: both may be secret.
  demandSecret(address !== undefined, 'url', HTTP_ADDRESS_FORMAT);
  demandSecret(apiKey === undefined || isKey(apiKey), 'apiKey', 'a text of visible ASCII characters');
  const name = `${OWNER}(${address!.shown})`;
  const withHeaders = requestHeaders(OWNER, { headers, bearerToken }, HEADER_RULES);
  const compress = compressor(OWNER, compression);
  const client = httpClient(OWNER, {
    tls,
    proxy,
    socketPath,
    keepAliveMillis,
    maxConnectionAgeMillis,
    dispatcher,
  });
  const own = {
    'content-type': 'application/json',
    'user-agent': `Meterline/${VERSION}`,
    ...(compress && { 'content-encoding': compress.contentEncoding }),
    ...(apiKey !== undefined && { 'x-api-key': apiKey }),
  };

  return deliveringExporter(
    {
      transport: {
        name,
        send: (body, { signal }) =>
          withHeaders(async (given) => {
            const response = await client.request(address!, { headers: { ...given, ...own }, body, signal });
            if (!isSuccess(response)) throw statusError(name, response);
            return undefined;
          }, signal),
        shutdown: () => client.close(),
      },
      encode: encodeJsonDocument,
      compress: compress?.compress,
      maxRequestBytes: delivery.maxRequestBytes,
      timeoutMillis: delivery.timeoutMillis,
      retry: delivery.retry,
    },
    {
      componentType: 'http_json_metric_exporter',
      selectAggregationTemporality: delivery.temporality,
    },
  );
}

const isKey = (value: unknown) => typeof value === 'string' && /^[\x21-\x7e]+$/.test(value);

/** As OTLP has it, but for the statuses that servers of one's own give when they fail for a moment. */
function statusError(name: string, response: HttpResponse): ExportError {
  const error = httpStatusError(name, response);
  if (error.retryable || !RETRYABLE.has(response.status)) return error;
  return new ExportError('UNAVAILABLE', error.message.replace(`[${error.code}] `, ''), {
    retryable: true,
    retryAfterMs: retryAfterMillis(response.headers['retry-after'], Date.now()),
  });
}
