// VictoriaMetrics scrapes as Prometheus does, by text alone.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { PrometheusMetricReader } from '../../src/exporters/prometheus.ts';
import { MeterProvider } from '../../src/index.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { startVictoriaMetrics } from './support/victoria-metrics.ts';

const HOSTILE = 'quote " backslash \\ line\nbreak größe 💥';

describe.each(['old', 'new'] as const)('VictoriaMetrics that is %s', (age) => {
  test('has what was recorded from its scrapes', async () => {
    const reader = new PrometheusMetricReader();
    const provider = new MeterProvider({ readers: [reader] });
    onTestFinished(() => provider.shutdown());
    const meter = provider.getMeter('m');
    meter.createCounter('http.requests').add(42, { 'http.route': HOSTILE });
    meter.createGauge('warmth', { unit: 'Cel' }).record(-21.5);
    const took = meter.createHistogram('took', {
      unit: 's',
      advice: { explicitBucketBoundaries: [1, 2, 4] },
    });
    for (const value of [0.5, 1, 1.5, 3, 9]) took.record(value);
    const { port } = await reader.listen({ host: '127.0.0.1', port: 0 });

    const config = join(temporaryFolder(), 'scrape.yml');
    // JSON is YAML.
    writeFileSync(
      config,
      JSON.stringify({
        global: { scrape_interval: '1s', scrape_timeout: '1s' },
        scrape_configs: [{ job_name: 'app', static_configs: [{ targets: [`127.0.0.1:${port}`] }] }],
      }),
    );
    const { url, flush, stop } = await startVictoriaMetrics(age, { flags: [`-promscrape.config=${config}`] });
    onTestFinished(() => stop());
    const query = async (promql: string) => {
      await flush();
      const parameters = new URLSearchParams({
        nocache: '1',
        query: promql,
        time: `${Date.now() / 1_000 + 1}`,
      });
      const { data } = (await (await fetch(`${url}/api/v1/query?${parameters}`)).json()) as {
        data: { result: { metric: Record<string, string>; value: [number, string] }[] };
      };
      return data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
    };
    const found = { metric: { http_route: HOSTILE, job: 'app', otel_scope_name: 'm' }, value: 42 };
    await expect.poll(() => query('http_requests_total'), { timeout: 15_000 }).toMatchObject([found]);
    for (const [promql, value] of [
      ['up', 1],
      ['warmth_celsius', -21.5],
      ['took_seconds_count', 5],
      ['took_seconds_sum', 15],
      ['took_seconds_bucket{le="1"}', 2],
      ['took_seconds_bucket{le="+Inf"}', 5],
      ['histogram_quantile(0.4, took_seconds_bucket)', 1],
    ] as const) {
      expect(await query(promql)).toMatchObject([{ value }]);
    }
  });
});
