// Prometheus as an OTLP receiver: another reading of the same bytes than the Collector's.
import { expect, onTestFinished, test } from 'vitest';
import { otlpHttp } from '../../src/exporters/otlp-http.ts';
import { MeterProvider, PeriodicExportingMetricReader, resourceFromAttributes } from '../../src/index.ts';
import { everyInstrument, VIEWS } from './support/every-instrument.ts';
import { startPrometheus } from './support/prometheus.ts';

test.each(['protobuf', 'json'] as const)('PromQL is what was recorded, sent as %s', async (encoding) => {
  const prometheus = await startPrometheus({ version: 3 });
  onTestFinished(() => prometheus.stop());
  const url = `${prometheus.url}/api/v1/otlp/v1/metrics`;
  const provider = new MeterProvider({
    readers: [
      new PeriodicExportingMetricReader({
        exporter: otlpHttp({ url, encoding, compression: 'gzip' }),
        selfMetrics: false,
      }),
    ],
    views: VIEWS,
    resource: resourceFromAttributes({ 'service.name': 'shop' }),
  });
  onTestFinished(() => provider.shutdown());
  for (const record of everyInstrument(provider.getMeter('orders'))) {
    record();
    await provider.forceFlush();
  }

  const query = async (promql: string) => {
    const response = await fetch(`${prometheus.url}/api/v1/query?${new URLSearchParams({ query: promql })}`);
    const { data } = (await response.json()) as { data: { result: { value: [number, string] }[] } };
    return data.result.map(({ value }) => Number(value[1]));
  };
  for (const [promql, expected] of [
    ['{__name__=~"requests.*", http_status_code="200"}', 1040],
    ['{__name__=~"money.*"}', 0.1 + 0.2 + 1],
    ['{__name__=~"active.*"}', -5],
    ['{__name__=~"room.*"}', -3],
    ['{__name__=~"duration.*_count"}', 6],
    ['{__name__=~"duration.*_bucket", le="0.1"}', 3],
    ['histogram_count({__name__=~"payload.*"})', 6],
    ['histogram_sum({__name__=~"payload.*"})', 18],
    ['histogram_fraction(2, 4, {__name__=~"payload.*"})', 2 / 6],
    ['{__name__=~"cpu.*"}', 20],
    ['{__name__=~"queue.*", queue="mail"}', -3],
    ['{__name__=~"extremes.*", extreme="least"}', 5e-324],
  ] as const) {
    expect(await query(promql), promql).toEqual([expected]);
  }
});
