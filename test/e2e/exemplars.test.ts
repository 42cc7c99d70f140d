// Exemplars can be asked for on every way into Prometheus, also those that were recorded before it was there.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ROOT_CONTEXT, TraceFlags, trace } from '@opentelemetry/api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { IMetricReader } from '../../src/data/reader.ts';
import { PrometheusMetricReader } from '../../src/exporters/prometheus.ts';
import { remoteWrite } from '../../src/exporters/remote-write.ts';
import {
  AggregationType,
  createDenyListAttributesProcessor,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '../../src/index.ts';
import { type Prometheus, startPrometheus } from './support/prometheus.ts';

const OPEN_METRICS = 'application/openmetrics-text;version=1.0.0';
const PROTOBUF = 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited';

interface Way {
  readonly version: 2 | 3;
  readonly name: string;
  /** What is scraped. */
  readonly accept?: string;
  /** Of remote write. */
  readonly writes?: '1.0' | '2.0';
}
const WAYS: Way[] = [
  { version: 2, name: 'scrapes OpenMetrics', accept: OPEN_METRICS },
  { version: 3, name: 'scrapes OpenMetrics', accept: OPEN_METRICS },
  { version: 2, name: 'scrapes protobuf', accept: PROTOBUF },
  { version: 3, name: 'scrapes protobuf', accept: PROTOBUF },
  { version: 2, name: 'gets remote write 1.0', writes: '1.0' },
  { version: 3, name: 'gets remote write 1.0', writes: '1.0' },
  { version: 3, name: 'gets remote write 2.0', writes: '2.0' },
];

/** A service in which things happen in traces. */
function service(readers: IMetricReader[]) {
  const provider = new MeterProvider({
    readers,
    views: [
      { instrumentName: 'native', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } },
      { instrumentName: 'wait', attributesProcessors: [createDenyListAttributesProcessor(['user'])] },
    ],
  });
  const meter = provider.getMeter('exemplars');
  const hits = meter.createCounter('hits');
  const wait = meter.createHistogram('wait', { advice: { explicitBucketBoundaries: [1, 10] } });
  const native = meter.createHistogram('native');
  return {
    provider,
    happens(digit: number) {
      const { trace_id: traceId, span_id: spanId } = idsOf(digit);
      const inTrace = trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: TraceFlags.SAMPLED });
      hits.add(digit, {}, inTrace);
      wait.record(digit + 0.5, { user: 'größe 💥' }, inTrace);
      native.record(digit, {}, inTrace);
    },
  };
}

const idsOf = (digit: number) => ({
  trace_id: `${digit}af7651916cd43dd8448eb211c80319c`,
  span_id: `${digit}7ad6b7169203331`,
});

const reader = new PrometheusMetricReader({ scopeLabels: false, targetInfo: false });
const scraped = service([reader]);
const started = new Map<Way, Prometheus>();
/** Each answers in one format, whatever its scraper would like best. */
const servers: Server[] = [];
let written: ReturnType<typeof service>;
let firstAt: number;

async function serve(accept: string): Promise<string> {
  const server = createServer((request, response) => {
    request.headers.accept = accept;
    reader.handler(request, response);
  });
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

beforeAll(async () => {
  firstAt = Date.now();
  scraped.happens(1);
  await Promise.all(
    WAYS.map(async (way) => {
      const { version, accept } = way;
      const scrape = version === 3 && accept === PROTOBUF ? { scrape_native_histograms: true } : {};
      const targets = accept === undefined ? [] : [await serve(accept)];
      started.set(way, await startPrometheus({ version, targets, scrape }));
    }),
  );
  written = service(
    WAYS.filter(({ writes }) => writes).map(
      (way) =>
        new PeriodicExportingMetricReader({
          exporter: remoteWrite({
            url: started.get(way)!.writeUrl,
            version: way.writes!,
            scopeLabels: false,
          }),
          exportIntervalMillis: Number.POSITIVE_INFINITY,
          selfMetrics: false,
        }),
    ),
  );
  written.happens(1);
  await written.provider.forceFlush();
});

afterAll(async () => {
  await Promise.all([scraped.provider.shutdown(), written.provider.shutdown()]);
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
});

/**
 * Those that Prometheus takes exemplars for. Of native histograms in protobuf version 2.42 reads none, and of those in remote
 * write 1.0 only where the series is there already, because exemplars are stored before histograms.
 */
const seriesOf = ({ version, accept, writes }: Way) => [
  { series: 'hits_total', offset: 0, labels: {} },
  { series: 'wait_bucket', offset: 0.5, labels: { user: 'größe 💥' } },
  ...((accept === PROTOBUF && version === 3) || writes === '2.0'
    ? [{ series: 'native', offset: 0, labels: {} }]
    : []),
];

interface Exemplar {
  labels: Record<string, string>;
  value: string;
  timestamp: number;
}

async function exemplarsOf(way: Way, series: string): Promise<Exemplar[]> {
  const now = Date.now() / 1_000;
  const parameters = new URLSearchParams({ query: series, start: String(now - 600), end: String(now + 60) });
  const response = await fetch(`${started.get(way)!.url}/api/v1/query_exemplars?${parameters}`);
  const { data } = (await response.json()) as { data: { exemplars: Exemplar[] }[] };
  return data.flatMap(({ exemplars }) => exemplars);
}

// Prometheus looks for targets five seconds after its start.
const POLL = { timeout: 20_000, interval: 200 };

describe.each(WAYS)('Prometheus $version that $name', (way) => {
  test.each(seriesOf(way))(
    '[8.35] $series has the exemplar from before its start',
    async ({ series, offset, labels }) => {
      await expect.poll(() => exemplarsOf(way, series), POLL).toHaveLength(1);
      const [exemplar] = await exemplarsOf(way, series);
      expect(exemplar).toMatchObject({ labels: { ...idsOf(1), ...labels }, value: String(1 + offset) });
      expect(exemplar!.timestamp * 1_000).toBeGreaterThanOrEqual(firstAt);
      expect(exemplar!.timestamp * 1_000).toBeLessThan(Date.now());
    },
  );
});

describe('when more happens', () => {
  beforeAll(async () => {
    scraped.happens(2);
    written.happens(2);
    await written.provider.forceFlush();
  });

  describe.each(WAYS)('Prometheus $version that $name', (way) => {
    test.each(seriesOf(way))(
      '$series has it behind the first, and none twice',
      async ({ series, offset }) => {
        const found = async () =>
          (await exemplarsOf(way, series)).map(({ labels, value }) => [
            labels.trace_id,
            Number(value) - offset,
          ]);
        await expect.poll(found, POLL).toEqual([
          [idsOf(1).trace_id, 1],
          [idsOf(2).trace_id, 2],
        ]);
      },
    );
  });
});
