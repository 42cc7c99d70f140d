// A service on its way from prom-client: real servers have the same samples from the old endpoint and through the bridge.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as prometheusIo from '@prometheus-io/client';
import * as promClient from 'prom-client';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { otlpHttp } from '../../src/exporters/otlp-http.ts';
import { PrometheusMetricReader } from '../../src/exporters/prometheus.ts';
import { pushgateway } from '../../src/exporters/pushgateway.ts';
import { remoteWrite } from '../../src/exporters/remote-write.ts';
import {
  MeterProvider,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
  resourceFromAttributes,
} from '../../src/index.ts';
import { promClientProducer } from '../../src/producers/prom-client.ts';
import { type Prometheus, startPrometheus } from './support/prometheus.ts';
import { type Pushgateway, startPushgateway } from './support/pushgateway.ts';
import { runCommand } from './support/run-command.ts';

const CLIENTS: [string, typeof promClient][] = [
  ['prom-client 15', promClient],
  // The types differ in what they export; what these tests use is the same.
  ['@prometheus-io/client 0.16', prometheusIo as unknown as typeof promClient],
];

const ROUTES = [
  '/orders/:id',
  'quote " backslash \\ both \\"',
  'line\nbreak',
  '} 1\nevil_total 1\n',
  'größe 💥',
  '',
];

/** Every kind of metric; `more` counts on. */
function oldService(client: typeof promClient) {
  const registry = new client.Registry();
  const registers = [registry];
  const labelNames = ['route', 'code'];
  const requests = new client.Counter({
    name: 'http_requests_total',
    help: 'Requests.',
    labelNames,
    registers,
  });
  const jobs = new client.Counter({
    name: 'ns:jobs',
    help: 'A name from before `_total` was asked for.',
    registers,
  });
  const size = new client.Gauge({ name: 'queue_size', help: 'Size.', labelNames: ['extreme'], registers });
  const buckets = [0.005, 1, 2.5, 1000];
  const duration = new client.Histogram({
    name: 'request_duration_seconds',
    help: 'Durations.',
    labelNames,
    buckets,
    registers,
  });
  const latency = new client.Summary({
    name: 'latency_seconds',
    help: 'Latency.',
    labelNames: ['route'],
    percentiles: [0.5, 0.999],
    registers,
  });
  registry.setDefaultLabels({ app: 'shop' });
  const record = () => {
    ROUTES.forEach((route, i) => {
      requests.inc({ route, code: 200 + i }, i + 1);
      for (const value of [0.001, i, 5e3]) duration.observe({ route, code: 200 + i }, value);
      latency.observe({ route }, i);
    });
    jobs.inc(0.5);
    for (const [extreme, value] of Object.entries({
      least: 5e-324,
      most: 1.7e308,
      infinite: Infinity,
      fraction: -0.1,
    }))
      size.set({ extreme }, value);
  };
  record();
  return { registry, more: record };
}

interface Found {
  readonly metric: Record<string, string>;
  readonly value: [time: number, value: string];
}

async function query({ url }: Prometheus, promql: string): Promise<Found[]> {
  const response = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query: promql })}`);
  const body = (await response.json()) as { status: string; data: { result: Found[] } };
  expect(body.status, promql).toBe('success');
  return body.data.result;
}

/** Value by series, without the labels that tell where it is from. */
function answers(found: readonly Found[], ...origin: string[]): Record<string, string> {
  return Object.fromEntries(
    found.map(({ metric, value }) => {
      const labels = Object.entries(metric).filter(([name]) => !origin.includes(name));
      return [JSON.stringify(labels.sort()), value[1]];
    }),
  );
}

/** What a server has beside the metrics of the service. */
const OWN = '__name__!~"up|scrape_.*|target_info|otel_.*|push_.*"';

describe.each(CLIENTS)('%s', (_, client) => {
  describe('scraped by Prometheus 3', () => {
    const { registry, more } = oldService(client);
    const before = createServer(async (_, response) => {
      response.setHeader('content-type', registry.contentType);
      response.end(await registry.metrics());
    });
    const reader = new PrometheusMetricReader({ metricProducers: [promClientProducer(registry)] });
    const provider = new MeterProvider({ readers: [reader] });
    let prometheus: Prometheus;
    let gateway: Pushgateway;
    let old: string;
    let bridged: string;

    beforeAll(async () => {
      before.listen(0, '127.0.0.1');
      await once(before, 'listening');
      old = `127.0.0.1:${(before.address() as AddressInfo).port}`;
      bridged = `127.0.0.1:${(await reader.listen({ host: '127.0.0.1', port: 0 })).port}`;
      gateway = await startPushgateway();
      prometheus = await startPrometheus({
        version: 3,
        targets: [old, bridged, new URL(gateway.url).host],
        scrape: { honor_labels: true },
      });
    });
    afterAll(async () => {
      await Promise.all([prometheus.stop(), gateway.stop()]);
      before.close();
      before.closeAllConnections();
      await provider.shutdown();
    });

    const both = (promql: (instance: string) => string) =>
      Promise.all(
        [old, bridged].map(async (instance) =>
          answers(await query(prometheus, promql(`instance="${instance}"`)), 'instance'),
        ),
      );

    test('all series are the same, and their values, from scrape to scrape', async () => {
      for (const requests of [1, 2]) {
        await expect
          .poll(() => query(prometheus, `count(http_requests_total{code="200"} == ${requests})`), {
            timeout: 20_000,
          })
          .toMatchObject([{ value: [expect.anything(), '2'] }]);
        const [expected, found] = await both((from) => `{${from},${OWN}}`);
        expect(found).toEqual(expected);
        expect(Object.keys(expected!).length).toBeGreaterThan(60);
        if (requests === 1) more();
      }
    });

    test.each<(from: string) => string>([
      (from) => `sum by (route) (http_requests_total{${from}})`,
      (from) => `histogram_quantile(0.6, sum by (le, code) (request_duration_seconds_bucket{${from}}))`,
      (from) => `request_duration_seconds_sum{${from}} / request_duration_seconds_count{${from}}`,
      (from) => `latency_seconds{${from},quantile="0.5"}`,
      (from) => `latency_seconds_sum{${from}} / on (route) latency_seconds_count{${from}}`,
      (from) => `{"ns:jobs",${from},app="shop"} > 0`,
    ])('PromQL %# answers the same', async (promql) => {
      const [expected, found] = await both(promql);
      expect(found).toEqual(expected);
      expect(Object.keys(expected!)).not.toEqual([]);
    });

    test('summaries are summaries', async () => {
      const response = await fetch(`${prometheus.url}/api/v1/targets/metadata?metric=latency_seconds`);
      const { data } = (await response.json()) as { data: { target: object; type: string; help: string }[] };
      expect(data).toEqual(
        expect.arrayContaining(
          [old, bridged].map((instance) => ({
            target: expect.objectContaining({ instance }),
            type: 'summary',
            help: 'Latency.',
            unit: expect.anything(),
          })),
        ),
      );
    });

    test('moving one metric leaves a scrape that promtool finds nothing in, and all families once', async () => {
      const moving = new client.Registry();
      const registers = [moving];
      const labelNames = ['kind'];
      new client.Counter({ name: 'orders_total', help: 'Orders.', labelNames, registers }).inc({
        kind: 'book',
      });
      new client.Histogram({ name: 'order_value_euros', help: 'Value.', registers }).observe(3);
      new client.Summary({ name: 'order_weight_grams', help: 'Weight.', registers }).observe(3);
      const shown = new PrometheusMetricReader({ metricProducers: [promClientProducer(moving)] });
      const own = new MeterProvider({ readers: [shown] });
      const scrape = async () => {
        const response = await shown.handler(new Request('http://localhost/metrics'));
        return new Uint8Array(await response.arrayBuffer());
      };
      const check = async () => runCommand(prometheus.promtool, ['check', 'metrics'], await scrape());
      const meter = own.getMeter('shop');
      meter.createHistogram('order.duration', { unit: 's', description: 'Durations.' }).record(0.1);
      expect(await check()).toEqual({ exitCode: 0, output: '' });
      // Half-way: the new instrument counts already, and the old one is still there.
      const orders = meter.createCounter('orders', { description: 'Orders.' });
      orders.add(1, { kind: 'book' });
      expect(await check()).toEqual({ exitCode: 0, output: '' });
      moving.removeSingleMetric('orders_total');
      expect(await check()).toEqual({ exitCode: 0, output: '' });
      expect(Buffer.from(await scrape()).toString()).toContain(
        'orders_total{otel_scope_name="shop",kind="book"} 1',
      );
      // Of another type under the same name: only one of them can be shown.
      meter.createGauge('order_value_euros', { description: 'Value.' }).record(4);
      expect(await check()).toEqual({ exitCode: 0, output: '' });
    });

    const PUSHED: [string, (url: string) => PushMetricExporter][] = [
      ['remote-write-1', (url) => remoteWrite({ url: `${url}/api/v1/write`, version: '1.0' })],
      ['remote-write-2', (url) => remoteWrite({ url: `${url}/api/v1/write`, version: '2.0' })],
      ['otlp', (url) => otlpHttp({ url: `${url}/api/v1/otlp/v1/metrics` })],
      ['pushgateway', () => pushgateway({ url: gateway.url, job: 'pushgateway' })],
    ];

    test.each(PUSHED)('sent by %s, all series are the same too', async (job, exporterTo) => {
      const pushing = new MeterProvider({
        readers: [
          new PeriodicExportingMetricReader({
            exporter: exporterTo(prometheus.url),
            metricProducers: [promClientProducer(registry)],
            selfMetrics: false,
          }),
        ],
        resource: resourceFromAttributes({ 'service.name': job, 'service.instance.id': '1' }),
      });
      onTestFinished(() => pushing.shutdown());
      await pushing.forceFlush();
      const origin = ['job', 'instance'];
      // Of the bounds that are whole numbers, Prometheus 3 writes `1.0` for `1` when it scrapes, and only then.
      const bounds = (found: Found[]) =>
        found.map(({ metric: { le, ...others }, value }) => ({
          metric: le === undefined ? others : { ...others, le: `${Number(le.replace('Inf', 'Infinity'))}` },
          value,
        }));
      const expected = answers(bounds(await query(prometheus, `{instance="${old}",${OWN}}`)), ...origin);
      expect(Object.keys(expected).length).toBeGreaterThan(60);
      await expect
        .poll(async () => answers(bounds(await query(prometheus, `{job="${job}",${OWN}}`)), ...origin), {
          timeout: 10_000,
        })
        .toEqual(expected);
      if (!job.startsWith('remote-write')) return;
      // What a clean shutdown ends is over at once, quantiles as well.
      await pushing.shutdown();
      await expect.poll(() => query(prometheus, `{job="${job}",${OWN}}`), { timeout: 10_000 }).toEqual([]);
    });
  });
});
