// One scrape of a provider's metrics and of those of further producers.
import { MeterProvider as OfficialProvider } from '@opentelemetry/sdk-metrics';
import { describe, expect, test } from 'vitest';
import { captureLogs } from '../../test/support/collected.ts';
import { ConfigError } from '../data/errors.ts';
import type { MetricColumns } from '../data/metric-batch.ts';
import { AggregationTemporality, type ResourceMetrics } from '../data/metric-data.ts';
import type { MetricProducer } from '../data/reader.ts';
import { resourceFromAttributes } from '../data/resource.ts';
import { batchOf, counter, gauge } from '../encoding/fixtures/metrics.ts';
import { parsePrometheusText } from '../encoding/fixtures/prometheus-parser.ts';
import { MeterProvider } from '../sdk/meter-provider.ts';
import { PrometheusMetricReader, type PrometheusMetricReaderOptions } from './prometheus.ts';

const PROTOBUF = 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited';

const producing = (scope: string, ...metrics: MetricColumns[]): MetricProducer => ({
  collect: async () => ({
    resourceMetrics: batchOf([[{ name: scope }, metrics]], { 'service.name': 'not shown' }),
    errors: [],
  }),
});

function scraped(options: PrometheusMetricReaderOptions, Provider = MeterProvider) {
  const reader = new PrometheusMetricReader({ targetInfo: false, ...options });
  const provider = new Provider({ readers: [reader as never] });
  const scrape = async () => {
    const response = await reader.handler(new Request('http://localhost/metrics'));
    return { status: response.status, text: await response.text() };
  };
  return { meter: provider.getMeter('own'), scrape };
}

describe('metricProducers of a PrometheusMetricReader', () => {
  const messages = captureLogs();

  test.each([MeterProvider, OfficialProvider as never])(
    'are shown behind the metrics of the provider, ours or the official one (%#)',
    async (Provider) => {
      const { meter, scrape } = scraped(
        {
          metricProducers: [
            producing('', counter('old', [[{ a: 'b' }, 2]])),
            producing('third', gauge('g', [[{}, 3]])),
          ],
        },
        Provider,
      );
      meter.createCounter('new').add(1);
      expect((await scrape()).text.split('\n').filter((line) => !line.startsWith('#'))).toEqual([
        'new_total{otel_scope_name="own"} 1',
        'old_total{a="b"} 2',
        'g{otel_scope_name="third"} 3',
        '',
      ]);
    },
  );

  test('that fail or hang cost their own metrics, and the log says so', async () => {
    const { meter, scrape } = scraped({
      callbackTimeoutMillis: 20,
      metricProducers: [
        { collect: () => Promise.reject(new Error('mine')) },
        { collect: () => new Promise(() => {}) },
        producing('', gauge('g', [[{}, 3]])),
      ],
    });
    meter.createCounter('new').add(1);
    const { status, text } = await scrape();
    expect(status).toBe(200);
    expect(text).toContain('new_total{otel_scope_name="own"} 1');
    expect(text).toContain('\ng 3');
    expect(messages).toEqual(['meterline: metrics are missing from a scrape']);
  });

  test.each<[string, object]>([
    ['no name', { name: undefined }],
    ['a name that is a number', { name: 5 }],
    ['no description and no unit', { description: undefined, unit: undefined }],
  ])('whose metric has %s cost nobody else a metric, whatever the format', async (_, wrong) => {
    const [good, bad] = ['good', 'bad'].map((name) => gauge(name, [[{}, 3]]));
    const { dataPoints } = bad!;
    const foreign = {
      resource: resourceFromAttributes({}),
      scopeMetrics: [
        { scope: {}, metrics: [{ ...bad, descriptor: { ...bad!.descriptor, ...wrong }, dataPoints }] },
      ],
    } as unknown as ResourceMetrics;
    const reader = new PrometheusMetricReader({
      metricProducers: [
        producing('', good!),
        { collect: async () => ({ resourceMetrics: foreign, errors: [] }) },
      ],
    });
    reader.setMetricProducer(producing('own', gauge('own', [[{}, 1]])));
    for (const accept of ['text/plain', 'application/openmetrics-text;version=1.0.0', PROTOBUF]) {
      const response = await reader.handler(new Request('http://localhost/metrics', { headers: { accept } }));
      expect(response.status).toBe(200);
      const text = await response.text();
      for (const name of ['own', 'good']) expect(text).toContain(name);
      expect(text).not.toContain('undefined');
    }
  });

  test('that have a family of the provider add their series to it, each series once', async () => {
    const { meter, scrape } = scraped({
      scopeLabels: false,
      metricProducers: [
        producing('', counter('jobs', [[{ kind: 'a' }, 10]]), counter('jobs', [[{ kind: 'b' }, 20]])),
      ],
    });
    meter.createCounter('jobs').add(1, { kind: 'a' });
    const { text } = await scrape();
    const [family, ...others] = parsePrometheusText(new TextEncoder().encode(text));
    expect(others).toEqual([]);
    expect(family!.samples.map(({ labels, value }) => [labels.kind, value])).toEqual([
      ['a', 1],
      ['b', 20],
    ]);
    expect(messages.join()).toContain('series of jobs_total are left out');
  });

  test('whose family has another type in the provider are left out of it, and the log says so', async () => {
    const { meter, scrape } = scraped({ metricProducers: [producing('', gauge('size', [[{}, 1]]))] });
    meter.createHistogram('size').record(1);
    const { text } = await scrape();
    expect(parsePrometheusText(new TextEncoder().encode(text)).map(({ type }) => type)).toEqual([
      'histogram',
    ]);
    expect(messages.join()).toContain('metric size of a meter without a name is not exposed to Prometheus');
  });

  test('of delta temporality are left out, and the log says so', async () => {
    const delta = counter('d', [[{}, 1]], { temporality: AggregationTemporality.DELTA });
    const { scrape } = scraped({ metricProducers: [producing('', delta)] });
    expect((await scrape()).text).toBe('');
    expect(messages.join()).toContain('it has delta temporality');
  });

  test.each([[{}], [[{}]], [[null]], ['all']])('that are %j are refused by name', (metricProducers) => {
    const make = () => new PrometheusMetricReader({ metricProducers: metricProducers as never });
    expect(make).toThrow(ConfigError);
    expect(make).toThrow(/metricProducers is .*; it must be a list of metric producers/);
  });
});
