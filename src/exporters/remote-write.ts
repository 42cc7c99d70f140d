// Samples to Prometheus and its relatives by remote write. `docs/remote-write.md` has every option.
import { ValueType } from '@opentelemetry/api';
import { AttributeSet } from '../data/attribute-set.ts';
import { report } from '../data/diagnostics.ts';
import { createExporter, type PushMetricExporter } from '../data/exporter.ts';
import { gaugeColumns, type MetricBatch } from '../data/metric-batch.ts';
import { AggregationTemporality, InstrumentType } from '../data/metric-data.ts';
import { optionChecks } from '../data/option-checks.ts';
import { owedPoints } from '../data/owed-points.ts';
import { inSlices } from '../data/time-slice.ts';
import { withExportedLabels } from '../encoding/exported-labels.ts';
import { byteString, valueText } from '../encoding/prometheus-labels.ts';
import { planOf, TARGET_INFO } from '../encoding/prometheus-options.ts';
import type { RemoteWriteBatch } from '../encoding/remote-write.ts';
import type { Label } from '../encoding/remote-write-labels.ts';
import { REMOTE_WRITE_VERSIONS } from '../encoding/remote-write-message.ts';
import { prepareSeries, resourceSeries } from '../encoding/remote-write-series.ts';
import { type RetryOptions, retryPolicy } from '../net/backoff.ts';
import { HTTP_ADDRESS_FORMAT, httpAddress } from '../net/http-address.ts';
import { type HttpClient, httpClient } from '../net/http-client.ts';
import { basicAuthHeader } from './basic-auth.ts';
import { EndedSeries } from './ended-series.ts';
import { severalProviders } from './exporting-providers.ts';
import { endingWaits, GRACE_MILLIS } from './otlp-exporter.ts';
import { HEADER_RULES } from './otlp-http-transport.ts';
import { validOtlpOptions } from './otlp-options.ts';
import { remoteWriteDelivery } from './remote-write-delivery.ts';
import type { RemoteWriteOptions } from './remote-write-options.ts';
import { type Negotiation, remoteWriteTransport } from './remote-write-transport.ts';
import { requestHeaders } from './request-headers.ts';
import { SampleTimes } from './sample-times.ts';
import { inTurn } from './turns.ts';

export type { BasicAuth } from './basic-auth.ts';
export type { RemoteWriteOptions, RequestSigner, RequestToSign } from './remote-write-options.ts';

const OWNER = 'remoteWrite';
const RETRY = { initialIntervalMillis: 100, maxIntervalMillis: 5_000, multiplier: 2 };

const HEADERS = {
  ...HEADER_RULES,
  owned: (name: string) => name === 'x-prometheus-remote-write-version' || HEADER_RULES.owned(name),
};

/**
 * Makes an exporter that writes samples to Prometheus, VictoriaMetrics, Mimir and whatever else speaks remote write. Success
 * means that the receiver took all of them.
 *
 * @throws ConfigError when an option cannot work
 */
export function remoteWrite(options: RemoteWriteOptions): PushMetricExporter {
  const valid = validOptions(options);
  const { name, address, negotiation, clients, isMarking, scopeLabels, targetInfo, external } = valid;
  const closing = new AbortController();
  const deliver = remoteWriteDelivery({
    ...valid.limits,
    name,
    negotiation,
    senders: clients.map((client) => remoteWriteTransport({ ...valid, address, client })),
    closing: closing.signal,
  });
  const times = new SampleTimes();
  const series = new EndedSeries(scopeLabels !== false, ({ attributes }) =>
    JSON.stringify(identity(attributes)),
  );
  const hasSeveral = severalProviders();
  /** Samples of one series must not overtake each other, so batches do not either. */
  const order = {};
  /** Something of the last batch may come again, at its own time: nothing later must be written before. */
  let isOwed = false;
  async function prepared(
    batch: MetricBatch,
    timeOf: (nanos: bigint) => number,
    marker: { isStale: boolean; withResource: boolean },
    signal?: AbortSignal,
  ): Promise<RemoteWriteBatch> {
    const added = [...identity(batch.resource.attributes), ...external];
    const own = new Set(added.slice(0, added.length - external.length).map((label) => label.name));
    const all = added.filter((label, i) => added.findIndex((other) => other.name === label.name) === i);
    const renamed = own.size === 0 ? batch : await inSlices(withExportedLabels(batch, own), { signal });
    const plan = planOf(renamed, {
      scopeLabels,
      targetInfo,
      onProblem: ({ cause, message }) => {
        if (!marker.isStale) report('warn', `${OWNER}:${cause}`, message);
      },
    });
    const target =
      marker.withResource && plan.target ? targetOf(renamed, plan.target, own.size > 0) : undefined;
    return {
      series: await inSlices(prepareSeries(renamed, plan, all), { signal }),
      resource: target && resourceSeries(target, TARGET_INFO, plan, all),
      timeOf,
      isStale: marker.isStale,
    };
  }

  /** What cannot be marked is stale by itself in five minutes. */
  async function mark(
    batch: MetricBatch,
    millis: number,
    withResource: boolean,
    signal?: AbortSignal,
  ): Promise<void> {
    if (batch.pointCount === 0) return;
    const stale = await prepared(batch, () => millis, { isStale: true, withResource }, signal);
    await deliver(batch, stale, signal).catch((error: unknown) =>
      report('debug', `remote-write-stale:${name}`, `series that ended could not be marked as such`, error),
    );
  }

  const exporter = createExporter({
    name,
    componentType: 'prometheus_remote_write_metric_exporter',
    releasesBatches: true,
    timeoutMillis: valid.limits.timeoutMillis,
    graceMillis: GRACE_MILLIS,
    // Receivers read totals.
    selectAggregationTemporality: () => AggregationTemporality.CUMULATIVE,
    selectAggregation: valid.aggregation,
    export: (batch, { signal }) =>
      inTurn(order, signal, async () => {
        if (isMarking) {
          if (hasSeveral(batch.resource)) {
            report(
              'warn',
              `${OWNER}-providers:${name}`,
              `${name} is given the metrics of several providers, and marks those of each as ended when another exports; make an exporter for each of them`,
            );
          }
          const ended = await inSlices(series.see(batch), { signal });
          // Before the samples, among which may be those of a series that has come back.
          if (ended) await mark(ended.batch, times.of(ended.nanos), ended.withResource, signal);
        }
        const marker = { isStale: false, withResource: true };
        try {
          const ready = await prepared(batch, (nanos) => times.of(nanos), marker, signal);
          const refusal = await deliver(batch, ready, signal);
          isOwed = false;
          return refusal;
        } catch (error) {
          isOwed = owedPoints(batch, error) !== undefined;
          throw error;
        }
      }),
    async shutdown() {
      try {
        if (isOwed) return;
        // Nothing was seen unless it is to be marked.
        const ended = await inSlices(series.ended());
        if (ended) await mark(ended.batch, times.of(ended.nanos), ended.withResource);
        const present = series.present();
        if (present) await mark(present, times.latest + 1, true);
      } finally {
        await Promise.all(clients.map((client) => client.close()));
      }
    },
  });
  return endingWaits(exporter, closing);
}

const IDENTITY = ['service.name', 'service.namespace', 'service.instance.id'];

/** `job` and `instance` (OTel "Prometheus and OpenMetrics Compatibility", "Resource Attributes"). */
function identity(attributes: MetricBatch['resource']['attributes']): Label[] {
  const [name, namespace, instance] = IDENTITY.map((key) => valueText(attributes[key] ?? ''));
  const job = namespace && name ? `${namespace}/${name}` : name;
  return [
    { name: 'instance', value: byteString(instance!) },
    { name: 'job', value: byteString(job!) },
  ].filter(({ value }) => value !== '');
}

/** The other attributes; without an identity there would be nothing to join them by. */
function targetOf({ scopeMetrics }: MetricBatch, resource: AttributeSet, hasIdentity: boolean) {
  const rows = resource.keys.flatMap((key, i) => (IDENTITY.includes(key) ? [] : [i]));
  const first = scopeMetrics.flatMap(({ metrics }) => metrics).find(({ length }) => length > 0);
  if (!hasIdentity || rows.length === 0 || first === undefined) return undefined;
  return gaugeColumns({
    descriptor: { name: TARGET_INFO, description: '', unit: '', valueType: ValueType.INT },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    length: 1,
    attributes: [
      new AttributeSet(
        rows.map((i) => resource.keys[i]!),
        rows.map((i) => resource.values[i]!),
      ),
    ],
    startTimes: first.startTimes.slice(0, 1),
    endTimes: first.endTimes.slice(0, 1),
    values: Float64Array.of(1),
  });
}

function validOptions(options: RemoteWriteOptions) {
  const { demandObject, demand, demandSecret, demandFunction, demandNothing } = optionChecks(OWNER);
  demandObject('options', options);
  const { url, version = '1.0', externalLabels = {}, scopeLabels, targetInfo, ...others } = options;
  const { staleMarkers = true, concurrency = 4, maxSamplesPerRequest = 2_000, ...more } = others;
  const { basicAuth, bearerToken, headers, sign, temporality, aggregation, ...rest } = more;
  const { maxRequestBytes = 1024 * 1024, timeoutMillis = 25_000, retry = true, ...connection } = rest;
  const { tls, proxy, socketPath, keepAliveMillis, maxConnectionAgeMillis, dispatcher, ...unknown } =
    connection;
  demandNothing(unknown);
  const address = httpAddress(url);
  // It may hold a password.
  demandSecret(address !== undefined, 'url', HTTP_ADDRESS_FORMAT);
  demand(REMOTE_WRITE_VERSIONS.includes(version), 'version', version, "'1.0' or '2.0'");
  const isSwitch = (value: unknown) => value === undefined || typeof value === 'boolean';
  for (const [setting, value] of Object.entries({ scopeLabels, targetInfo, staleMarkers }))
    demand(isSwitch(value), setting, value, 'true or false');
  const isCount = (value: unknown, most: number) =>
    Number.isInteger(value) && Number(value) >= 1 && Number(value) <= most;
  demand(isCount(concurrency, 64), 'concurrency', concurrency, 'a whole number from 1 to 64');
  demand(
    isCount(maxSamplesPerRequest, Infinity),
    'maxSamplesPerRequest',
    maxSamplesPerRequest,
    'a whole number of samples above 0',
  );
  demandFunction('sign', sign, 'a function of the request');
  demand(
    isCumulative(temporality),
    'temporality',
    temporality,
    "'cumulative': remote write carries totals, and a receiver that is given what was added since the last export shows nonsense",
  );
  const given = typeof retry === 'object' && retry !== null ? withDefaults(retry) : retry;
  const limits = validOtlpOptions(OWNER, { timeoutMillis, maxRequestBytes, aggregation });
  const clients: HttpClient[] = Array.from({ length: concurrency }, () =>
    httpClient(OWNER, { tls, proxy, socketPath, keepAliveMillis, maxConnectionAgeMillis, dispatcher }),
  );
  const negotiation: Negotiation = { version };
  return {
    name: `${OWNER}(${address!.shown})`,
    address: address!,
    negotiation,
    clients,
    withHeaders: requestHeaders(OWNER, { headers, bearerToken }, HEADERS),
    headers: { ...basicAuthHeader(OWNER, basicAuth, bearerToken) } as Record<string, string>,
    sign,
    scopeLabels,
    targetInfo,
    isMarking: staleMarkers,
    external: validLabels(externalLabels),
    aggregation: limits.aggregation,
    limits: {
      maxSamples: maxSamplesPerRequest,
      maxRequestBytes: limits.maxRequestBytes,
      timeoutMillis: limits.timeoutMillis,
      retry: retryPolicy(OWNER, given === true ? RETRY : given),
    },
  };
}

function isCumulative(temporality: RemoteWriteOptions['temporality']): boolean {
  if (typeof temporality !== 'function') return temporality === undefined || temporality === 'cumulative';
  return Object.values(InstrumentType).every(
    (type) => temporality(type) === AggregationTemporality.CUMULATIVE,
  );
}

function withDefaults(retry: RetryOptions): RetryOptions {
  const { initialIntervalMillis = 0 } = retry;
  return { ...RETRY, maxIntervalMillis: Math.max(RETRY.maxIntervalMillis, initialIntervalMillis), ...retry };
}

/** Labels in samples' own use are not for all series. */
function validLabels(labels: Record<string, string>): Label[] {
  const { demand, demandObject } = optionChecks(OWNER);
  demandObject('externalLabels', labels);
  return Object.entries(labels).map(([name, value]) => {
    const isName = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) && name !== 'le' && name !== 'quantile';
    demand(
      isName,
      'a name in externalLabels',
      name,
      'letters, digits and underscores; it may not begin with a digit or two underscores, nor be le or quantile',
    );
    demand(
      typeof value === 'string' && value !== '',
      `externalLabels.${name}`,
      value,
      'a text that is not empty',
    );
    return { name, value: byteString(value) };
  });
}
