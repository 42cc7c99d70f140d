// The Prometheus reader from outside: what a scraper gets of what was recorded, where other exporters are known to differ.
import { gunzipSync } from 'node:zlib';
import { ROOT_CONTEXT, TraceFlags, trace } from '@opentelemetry/api';
import { Counter, Gauge, Registry } from 'prom-client';
import { afterEach, describe, expect, test } from 'vitest';
import {
  PrometheusMetricReader,
  type PrometheusMetricReaderOptions,
} from '../../src/exporters/prometheus.ts';
import { AggregationType, ConfigError, MeterProvider, resourceFromAttributes } from '../../src/index.ts';
import { promClientProducer } from '../../src/producers/prom-client.ts';
import { captureLogs } from '../support/collected.ts';

const OPEN_METRICS = 'application/openmetrics-text;version=1.0.0';
const IN_SPAN = trace.setSpanContext(ROOT_CONTEXT, {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  traceFlags: TraceFlags.SAMPLED,
});

captureLogs();
let provider: MeterProvider;
afterEach(() => provider?.shutdown());

function setUp(options: PrometheusMetricReaderOptions = {}) {
  const reader = new PrometheusMetricReader(options);
  provider = new MeterProvider({
    readers: [reader],
    resource: resourceFromAttributes({ 'service.name': 'orders' }),
    views: [{ instrumentName: 'native', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
    selfMetrics: false,
  });
  const ask = (init: RequestInit = {}) => reader.handler(new Request('http://localhost/metrics', init));
  return {
    reader,
    meter: provider.getMeter('m'),
    ask,
    text: async (accept = '') => (await ask({ headers: { accept } })).text(),
  };
}

const linesOf = (text: string, pattern: RegExp) => text.split('\n').filter((line) => pattern.test(line));

test.each([
  [undefined, 'text/plain; version=0.0.4; charset=utf-8'],
  ['PrometheusText0.0.4', 'text/plain; version=0.0.4; charset=utf-8'],
  [
    'OpenMetricsText1.0.0',
    'application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores',
  ],
] as const)(
  '[8.29][8.30] with the fallback %s, who asks for nothing that we know gets %s',
  async (fallbackFormat, expected) => {
    const { ask } = setUp({ ...(fallbackFormat && { fallbackFormat }) });
    for (const headers of [undefined, { accept: 'image/png' }]) {
      expect((await ask(headers && { headers })).headers.get('content-type')).toBe(expected);
    }
  },
);

test('[8.29] a fallback that there is not is refused, with those that there are', () => {
  const fallbackFormat = 'openmetrics' as never;
  expect(() => setUp({ fallbackFormat })).toThrow(/fallbackFormat is 'openmetrics'.*OpenMetricsText1\.0\.0/);
});

test('[8.07] of a metric that is in a registry of prom-client too, there is one family, with the series of both', async () => {
  const registers = [new Registry()];
  new Counter({ name: 'jobs_total', help: 'Jobs.', labelNames: ['of'], registers }).inc({ of: 'registry' });
  new Gauge({ name: 'only_there', help: 'There.', registers }).set(7);
  const { meter, text } = setUp({ metricProducers: [promClientProducer(registers)] });
  meter.createCounter('jobs', { description: 'Jobs.' }).add(2, { of: 'meter' });
  const answer = await text();
  expect(linesOf(answer, /jobs|only_there/)).toEqual([
    '# HELP jobs_total Jobs.',
    '# TYPE jobs_total counter',
    'jobs_total{otel_scope_name="m",of="meter"} 2',
    'jobs_total{of="registry"} 1',
    '# HELP only_there There.',
    '# TYPE only_there gauge',
    'only_there 7',
  ]);
});

test('[12.48] the type of the answer is told in full, and it is compressed when asked', async () => {
  const { ask, meter } = setUp();
  meter.createCounter('c').add(1);
  const response = await ask({ headers: { accept: OPEN_METRICS, 'accept-encoding': 'gzip' } });
  expect(response.headers.get('content-type')).toContain(
    'openmetrics-text; version=1.0.0; charset=utf-8; escaping=',
  );
  expect(response.headers.get('content-encoding')).toBe('gzip');
  expect(gunzipSync(await response.arrayBuffer()).toString()).toMatch(/^c_total\{.*\} 1$/m);
});

test('[12.49] units are words at the end of names, and only OpenMetrics has a line for them', async () => {
  const { meter, text } = setUp();
  meter.createCounter('sent', { unit: 'By' }).add(1);
  expect(await text()).toMatch(/^sent_bytes_total\{/m);
  expect(await text()).not.toContain('# UNIT');
  expect(await text(OPEN_METRICS)).toContain('# UNIT sent_bytes bytes\n');
});

test('[12.50] a colon in a name stays', async () => {
  const { meter, text } = setUp();
  meter.createObservableGauge('job:it').addCallback((result) => result.observe(1));
  expect(await text()).toMatch(/^job:it\{/m);
});

test('[12.51] no label is there twice, and each has a name that is valid', async () => {
  const { meter, text } = setUp();
  const attributes = { 'a.b': 'x', 'a/b': 'y', le: '1', otel_scope_name: 'mine', '1st': 'z' };
  meter.createHistogram('h').record(1, attributes);
  for (const line of linesOf(await text(), /^h_/)) {
    const names = [...line.matchAll(/([^{",]+)="/g)].map(([, name]) => name!);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[a-zA-Z_][a-zA-Z0-9_]*$/);
    expect(line).toContain('a_b="x;y"');
  }
});

test('[12.52] a name has one header over all scopes, and of two types the first', async () => {
  const { text } = setUp();
  for (const scope of ['one', 'two']) {
    const meter = provider.getMeter(scope);
    meter.createCounter('c', { description: 'It.' }).add(1);
    if (scope === 'one') meter.createCounter('both').add(1);
    else meter.createHistogram('both_total').record(1);
  }
  const answer = await text();
  expect(linesOf(answer, /^# (TYPE|HELP) c_total/)).toEqual(['# HELP c_total It.', '# TYPE c_total counter']);
  expect(linesOf(answer, /^c_total/)).toHaveLength(2);
  expect(linesOf(answer, /^# TYPE both/)).toEqual(['# TYPE both_total counter']);
});

test('[12.53] an exponential histogram leaves nothing in text, not even its type', async () => {
  const { meter, text } = setUp();
  meter.createHistogram('native', { description: 'None.' }).record(1);
  meter.createCounter('c').add(1);
  expect(await text()).not.toContain('native');
  expect(await text(OPEN_METRICS)).not.toContain('native');
});

test('[12.54] there are exemplars, starts and the labels of scopes', async () => {
  const { text } = setUp({ createdSeries: true });
  provider.getMeter('m', '1.2', { schemaUrl: 'https://s' }).createCounter('c').add(1, {}, IN_SPAN);
  const answer = await text(OPEN_METRICS);
  expect(answer).toMatch(
    /^c_total\{otel_scope_name="m",otel_scope_schema_url="https:\/\/s",otel_scope_version="1.2"\} 1 # \{trace_id="0af/m,
  );
  expect(answer).toMatch(/^c_created\{.*\} \d+(\.\d+)?$/m);
});

describe('[12.55][12.56]', () => {
  test('without options only this machine is served', async () => {
    const { reader } = setUp();
    expect((await reader.listen({ port: 0 })).host).toMatch(/^(127\.0\.0\.1|::1)$/);
  });

  test('what is not read is refused, and what fails is no success', async () => {
    const { ask } = setUp();
    expect((await ask({ method: 'POST' })).status).toBe(405);
    const reader = new PrometheusMetricReader();
    expect((await reader.handler(new Request('http://localhost/metrics'))).status).toBe(500);
  });

  test('no description is no help, and an answer ends with its line', async () => {
    const { meter, text } = setUp();
    expect(await text()).toMatch(/\n$/);
    meter.createCounter('c').add(1);
    const answer = await text();
    expect(answer).not.toMatch(/HELP c_total/);
    expect(answer).toMatch(/\n$/);
  });
});

test.each([{ prefix: 'x' }, { appendTimestamp: true }])('[8.04][12.57] %j is no option', (options) => {
  expect(() => new PrometheusMetricReader(options as object)).toThrow(ConfigError);
});
