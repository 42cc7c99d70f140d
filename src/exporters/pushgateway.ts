// Totals to a Prometheus Pushgateway, for work that ends before it can be scraped. `docs/pushgateway.md` has every option.
import { bounded } from '../data/bounded.ts';
import { report } from '../data/diagnostics.ts';
import { createExporter, type PushMetricExporter } from '../data/exporter.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { AggregationTemporality } from '../data/metric-data.ts';
import { optionChecks } from '../data/option-checks.ts';
import type { CollectionResult } from '../data/reader.ts';
import { inSlices, sliced } from '../data/time-slice.ts';
import { toBatch } from '../data/to-batch.ts';
import { VERSION } from '../data/version.ts';
import { withExportedLabels } from '../encoding/exported-labels.ts';
import { encodePrometheusProtobuf } from '../encoding/prometheus-protobuf.ts';
import { encodePrometheusText, PROMETHEUS_TEXT_CONTENT_TYPE } from '../encoding/prometheus-text.ts';
import { retrying } from '../net/backoff.ts';
import { compressor } from '../net/compression.ts';
import { withDeadline } from '../net/deadline.ts';
import { HTTP_ADDRESS_FORMAT, httpAddress } from '../net/http-address.ts';
import { type HttpRequest, httpClient } from '../net/http-client.ts';
import { basicAuthHeader } from './basic-auth.ts';
import { isSuccess } from './http-status.ts';
import { HEADER_RULES } from './otlp-http-transport.ts';
import { validOtlpOptions } from './otlp-options.ts';
import { pushgatewayGroup } from './pushgateway-group.ts';
import {
  PUSH_COMPRESSIONS,
  PUSH_FORMATS,
  PUSH_METHODS,
  type PushgatewayGroupOptions,
  type PushgatewayOptions,
  type PushOptions,
} from './pushgateway-options.ts';
import { requestHeaders } from './request-headers.ts';
import { answerError, mayPass } from './text-answer.ts';

export type { BasicAuth } from './basic-auth.ts';
export type { PushgatewayGroupOptions, PushgatewayOptions, PushOptions } from './pushgateway-options.ts';

const FORMATS = {
  text: { encode: encodePrometheusText, contentType: PROMETHEUS_TEXT_CONTENT_TYPE },
  protobuf: {
    encode: encodePrometheusProtobuf,
    contentType:
      'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited',
  },
};

/** Requests end in time themselves; this bounds what should hang all the same. */
const GRACE_MILLIS = 1_000;

/**
 * Makes an exporter that pushes each batch as the present state of a group. Success means that the Pushgateway took it.
 *
 * @throws ConfigError when an option cannot work
 */
export function pushgateway(options: PushgatewayOptions): PushMetricExporter {
  const { demandObject, demand } = optionChecks('pushgateway');
  demandObject('options', options);
  const { deleteOnShutdown = false, ...pushOptions } = options;
  demand(typeof deleteOnShutdown === 'boolean', 'deleteOnShutdown', deleteOnShutdown, 'true or false');
  const group = openGroup('pushgateway', pushOptions);
  return createExporter({
    name: group.name,
    componentType: 'pushgateway_metric_exporter',
    releasesBatches: true,
    timeoutMillis: group.timeoutMillis + GRACE_MILLIS,
    // Whoever scrapes reads totals.
    selectAggregationTemporality: () => AggregationTemporality.CUMULATIVE,
    export: (batch, { signal }) => group.push(batch, signal),
    async shutdown() {
      try {
        if (deleteOnShutdown) await group.delete();
      } finally {
        await group.close();
      }
    },
  });
}

/**
 * Collects and pushes once: the last line of a batch job. The process stays alive until it is done.
 *
 * @param source a reader, such as a `ManualMetricReader`, or anything else with its method `collect`
 * @throws ExportError when the Pushgateway did not take it; ConfigError when an option cannot work
 */
export async function pushOnce(
  source: { collect(): Promise<CollectionResult> },
  options: PushOptions,
): Promise<void> {
  await withGroup('pushOnce', options, async (group) => {
    const { resourceMetrics, errors } = await source.collect();
    if (errors.length > 0) report('warn', 'push-once', 'metrics are missing from a push', ...errors);
    await group.push(toBatch(resourceMetrics));
  });
}

/**
 * Deletes what was pushed into a group, whether there is anything or not. The process stays alive until it is done.
 *
 * @throws ExportError when the Pushgateway did not accept it; ConfigError when an option cannot work
 */
export async function deleteGroup(options: PushgatewayGroupOptions): Promise<void> {
  await withGroup('deleteGroup', options, (group) => group.delete());
}

async function withGroup(
  owner: string,
  options: PushOptions,
  work: (group: Group) => Promise<void>,
): Promise<void> {
  optionChecks(owner).demandObject('options', options);
  const group = openGroup(owner, options);
  try {
    const limit = 2 * group.timeoutMillis + GRACE_MILLIS;
    // The waits between attempts keep no process alive, but who awaits this waits for the result.
    await bounded(group.name, limit, () => work(group), undefined, { keepsAlive: true });
  } finally {
    await group.close();
  }
}

type Group = ReturnType<typeof openGroup>;

function openGroup(owner: string, options: PushOptions) {
  const { url, job, grouping = {}, method = 'PUT', ...others } = options;
  const { format = 'text', compression = 'none', ...more } = others;
  const { scopeLabels, targetInfo, basicAuth, bearerToken, headers, timeoutMillis, retry, ...rest } = more;
  const { tls, proxy, socketPath, keepAliveMillis, maxConnectionAgeMillis, dispatcher, ...unknown } = rest;
  const { demand, demandSecret, demandNothing } = optionChecks(owner);
  demandNothing(unknown);
  const base = httpAddress(url);
  // It may hold a password.
  demandSecret(
    base !== undefined && !base.path.includes('?'),
    'url',
    `${HTTP_ADDRESS_FORMAT}, without a query`,
  );
  const { path, labels } = pushgatewayGroup(owner, job, grouping);
  demand(PUSH_METHODS.includes(method), 'method', method, "'PUT' or 'POST'");
  demand(PUSH_FORMATS.includes(format), 'format', format, "'text' or 'protobuf'");
  demand(PUSH_COMPRESSIONS.includes(compression), 'compression', compression, "'none' or 'gzip'");
  const isSwitch = (value: unknown) => value === undefined || typeof value === 'boolean';
  demand(isSwitch(scopeLabels), 'scopeLabels', scopeLabels, 'true or false');
  demand(isSwitch(targetInfo), 'targetInfo', targetInfo, 'true or false');
  const limits = validOtlpOptions(owner, { timeoutMillis, retry });
  const withHeaders = requestHeaders(owner, { headers, bearerToken }, HEADER_RULES);
  const compress = compressor(owner, compression);
  const client = httpClient(owner, {
    tls,
    proxy,
    socketPath,
    keepAliveMillis,
    maxConnectionAgeMillis,
    dispatcher,
  });
  const prefix = base!.path.replace(/\/+$/, '');
  const address = { ...base!, path: prefix + path, shown: base!.shown.replace(/\/+$/, '') + path };
  const name = `${owner}(${address.shown})`;
  const own = { 'user-agent': `Meterline/${VERSION}`, ...basicAuthHeader(owner, basicAuth, bearerToken) };

  async function send(request: HttpRequest, signal: AbortSignal, deadline: number): Promise<void> {
    const attempt = () =>
      withHeaders(async (given) => {
        const all = { ...given, ...request.headers, ...own };
        const response = await client.request(address, { ...request, headers: all, signal });
        if (isSuccess(response)) return;
        throw answerError(name, response, mayPass(response.status) || response.status === 408);
      }, signal);
    await retrying(attempt, limits.retry, { signal, deadline });
  }

  function inTime(outer: AbortSignal | undefined, request: (signal: AbortSignal) => Promise<HttpRequest>) {
    const deadline = performance.now() + limits.timeoutMillis;
    return withDeadline(name, limits.timeoutMillis, outer, async (signal) =>
      send(await request(signal), signal, deadline),
    );
  }

  return {
    name,
    timeoutMillis: limits.timeoutMillis,
    push: (batch: MetricBatch, outer?: AbortSignal) =>
      inTime(outer, async (signal) => {
        const { encode, contentType } = FORMATS[format];
        const encoded = encode(await inSlices(withExportedLabels(batch, labels), { signal }), {
          scopeLabels,
          targetInfo,
          onProblem: ({ cause, message }) => report('warn', `${owner}:${cause}`, message),
        });
        const chunks: Uint8Array[] = [];
        for await (const chunk of sliced(encoded, { signal })) chunks.push(chunk);
        const body = Buffer.concat(chunks);
        return {
          method,
          headers: {
            'content-type': contentType,
            ...(compress && { 'content-encoding': compress.contentEncoding }),
          },
          body: compress ? await compress.compress(body) : body,
        };
      }),
    delete: () => inTime(undefined, async () => ({ method: 'DELETE' })),
    close: () => client.close(),
  };
}
