// What is scraped, read by parsers that are not ours and stricter than Prometheus: those of its client for Python.
import { fileURLToPath } from 'node:url';
import { ROOT_CONTEXT, TraceFlags, trace } from '@opentelemetry/api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { binaryPath } from '../../scripts/servers/go-servers.js';
import { batchOf, gauge, summary } from '../../src/encoding/fixtures/metrics.ts';
import { TRANSLATION_STRATEGIES } from '../../src/encoding/prometheus-names.ts';
import { PrometheusMetricReader } from '../../src/exporters/prometheus.ts';
import { AggregationType, MeterProvider, resourceFromAttributes } from '../../src/index.ts';
import { hostile, LONG } from '../support/hostile-values.ts';
import { runCommand } from './support/run-command.ts';

const PARSER = fileURLToPath(new URL('./support/parse_exposition.py', import.meta.url));

interface Family {
  name: string;
  type: string;
  unit: string;
  help: string;
  samples: {
    name: string;
    labels: Record<string, string>;
    value: string;
    exemplar: { labels: Record<string, string>; value: number } | null;
  }[];
}

/** Texts that could break out of a label, a line or the exposition. */
const TEXTS = [
  'quote " backslash \\ both \\" end \\',
  'line\nbreak, escaped \\n and CR\r\n',
  '} 1\n# TYPE evil counter\nevil_total 1\n# EOF\n',
  'a="b",c="d"',
  ' # {trace_id="x"} 1 1',
  'größe 💥 \u0000 \u2028 \u2029 \u0085 \u0001 \u001c \t \v \f \u007f \ufeff',
  '\ud800 lone \udc00',
  ' spaces around ',
  '{}=~!,;#',
  'x'.repeat(1_000_000),
];
/** What is left of them: lone surrogates are no Unicode. */
const wellFormed = (text: string) => text.replaceAll(/\p{Surrogate}/gu, '\ufffd');

/** What no instrument makes. */
const producer = {
  async collect() {
    const quantiles = [
      [0, -1],
      [0.5, 2],
      [0.999, Number.NaN],
      [1, 1e21],
    ] as const;
    const ofType = (told: string) => ({ unit: 's', metadata: { 'prometheus.type': told } });
    const metrics = [
      summary(
        'summary',
        TEXTS.map((text) => [
          { text, quantile: text, le: '1' },
          { count: 4, sum: 7, quantiles },
        ]),
        { unit: 's', description: TEXTS[1] },
      ),
      summary('fallen', [[{}, { count: 4, sum: -7, quantiles: [] }]]),
      gauge('untyped', [[{ text: TEXTS[0] }, -1]], ofType('unknown')),
      gauge('build_info', [[{ text: TEXTS[1] }, 1]], { metadata: { 'prometheus.type': 'info' } }),
      gauge(
        'mode_seconds',
        TEXTS.map((mode_seconds, i) => [{ mode_seconds }, i % 2]),
        ofType('stateset'),
      ),
      gauge('no_info', [[{}, 2]], ofType('info')),
      gauge('no_state', [[{ state: 'x' }, 1]], ofType('stateset')),
    ];
    return { resourceMetrics: batchOf([[{ name: 'producer' }, metrics]]), errors: [] };
  },
};

const readers = TRANSLATION_STRATEGIES.flatMap((translationStrategy) =>
  [true, false].map((scopeLabels) => {
    const createdSeries = scopeLabels;
    const reader = new PrometheusMetricReader({
      translationStrategy,
      scopeLabels,
      createdSeries,
      metricProducers: [producer],
    });
    return { name: `${translationStrategy}, scope labels ${scopeLabels}`, reader };
  }),
);
const provider = new MeterProvider({
  readers: readers.map(({ reader }) => reader),
  resource: resourceFromAttributes({
    'service.name': 'orders "\\\n',
    'service/name': 'twice',
    text: TEXTS[2]!,
  }),
  views: [{ instrumentName: 'native', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
});

beforeAll(() => {
  const meter = provider.getMeter('scope "\\\n', '1\n', { schemaUrl: 'https://x/"' });
  const context = trace.setSpanContext(ROOT_CONTEXT, {
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    traceFlags: TraceFlags.SAMPLED,
  });
  const description = TEXTS.slice(0, 9).join(' ');
  meter.createCounter('requests', { unit: 'By', description }).add(5, { 'http.route': '/a' }, context);
  meter.createCounter('foo.bar.total', { unit: '{thing}', description: 'Suffixes.' }).add(0.1);
  meter.createUpDownCounter('active', { unit: '1', description: 'Below zero.' }).add(-3);
  meter.createGauge('temperature', { unit: 'Cel', description: 'Extremes.' }).record(21.5);
  const histogram = meter.createHistogram('duration', {
    unit: 's',
    description: 'Explicit.',
    advice: { explicitBucketBoundaries: [0.005, 1, 10, 1e21] },
  });
  for (const value of [0.001, 0.5, 5, 50]) histogram.record(value, { le: 'mine', quantile: '0.5' }, context);
  const signed = meter.createHistogram('signed', { advice: { explicitBucketBoundaries: [-1, 0, 1] } });
  signed.record(0);
  meter.createHistogram('no.buckets', { advice: { explicitBucketBoundaries: [] } }).record(1);
  meter.createHistogram('native').record(3);
  meter.createObservableCounter('cpu', { unit: 's' }).addCallback((result) => result.observe(12.25));
  meter.createObservableUpDownCounter('queue', { unit: '{job}' }).addCallback((result) => result.observe(-1));
  meter.createObservableGauge('extremes').addCallback((result) => {
    const values = [
      5e-324,
      Number.MAX_VALUE,
      Number.NaN,
      Number.NEGATIVE_INFINITY,
      Number.POSITIVE_INFINITY,
      -0,
    ];
    values.forEach((value, i) => void result.observe(value, { i }));
  });

  const texts = meter.createGauge('texts', { description: 'Hostile texts.' });
  TEXTS.forEach((text, i) => void texts.record(i, { text, [text.slice(0, 1_000)]: 'as a key' }));
  // Names that become one name, of the same type and of others; names of what formats add; labels that become one.
  for (const name of ['a.b', 'a/b', 'a_b']) meter.createCounter(name).add(1);
  meter.createGauge('a.b_total').record(1);
  meter.createHistogram('a-b').record(1);
  for (const name of [
    'duration_sum',
    'no.buckets.sum',
    'duration_count',
    'target',
    'target.info',
    'native_bucket',
  ])
    meter.createGauge(name).record(1);
  meter.createGauge('colliding').record(1, {
    'a.b': '2',
    'a/b': '1',
    _: 'x',
    '': 'y',
    '1st': 'z',
    job: 'j',
    instance: 'i',
    __name__: 'n',
    otel_scope_name: 'o',
    le: '1',
  });
  provider.getMeter('other').createCounter('requests', { unit: 'By', description: 'Another.' }).add(1);
  const values = meter.createGauge('values', { description: 'Whatever may come as an attribute.' });
  for (const [of, make] of Object.entries(hostile)) {
    if (make() !== LONG) values.record(1, { of, it: make() as string });
  }
});

afterAll(() => provider.shutdown());

async function scrape(reader: PrometheusMetricReader, accept: string): Promise<Uint8Array> {
  const response = await reader.handler(new Request('http://localhost/metrics', { headers: { accept } }));
  expect(response.status).toBe(200);
  return new Uint8Array(await response.arrayBuffer());
}

async function parsed(format: 'text' | 'openmetrics', exposition: Uint8Array): Promise<Map<string, Family>> {
  const { exitCode, output } = await runCommand('/usr/bin/python3', [PARSER, format], exposition);
  expect(exitCode, output.slice(0, 2_000)).toBe(0);
  const families = JSON.parse(output) as Family[];
  // In text, a counter is what its name says; the parser puts `_total` behind samples and takes it from families.
  const own = ({ name, type }: Family) => (format === 'text' ? `${name} ${type}` : name);
  const blocks = families.map(own);
  expect(blocks.filter((block, i) => blocks.indexOf(block) !== i)).toEqual([]);
  const series = families.flatMap((family) =>
    family.samples.map(({ name, labels }) =>
      JSON.stringify([own(family), name, ...Object.entries(labels).sort()]),
    ),
  );
  const known = new Set<string>();
  expect(series.filter((one) => known.size === known.add(one).size)).toEqual([]);
  return new Map(families.map((family) => [family.name, family]));
}

const FORMATS = [
  { format: 'text', accept: 'text/plain;version=0.0.4' },
  { format: 'text', accept: 'text/plain;version=1.0.0;escaping=values' },
  { format: 'openmetrics', accept: 'application/openmetrics-text;version=0.0.1' },
  { format: 'openmetrics', accept: 'application/openmetrics-text;version=1.0.0;escaping=underscores' },
  { format: 'openmetrics', accept: 'application/openmetrics-text;version=1.0.0;escaping=dots' },
  { format: 'openmetrics', accept: 'application/openmetrics-text;version=1.0.0;escaping=values' },
] as const;

describe.each(readers)('with $name', ({ reader }) => {
  test.each(FORMATS)(
    '[8.33] the parser of $format takes all of $accept',
    async ({ format, accept }) => {
      const families = await parsed(format, await scrape(reader, accept));
      expect([...families.keys()].filter((name) => name.includes('evil'))).toEqual([]);
      const texts = [...families.values()].flatMap(({ samples }) => samples.map(({ labels }) => labels.text));
      for (const text of TEXTS) expect(texts).toContain(wellFormed(text));
    },
    60_000,
  );
});

test('[8.33][8.34][8.35] types, units, values and exemplars are what was recorded', async () => {
  const families = await parsed('openmetrics', await scrape(readers[0]!.reader, FORMATS[3].accept));
  expect(families.get('requests_bytes')).toMatchObject({
    type: 'counter',
    unit: 'bytes',
    help: wellFormed(TEXTS.slice(0, 9).join(' ')),
  });
  const [total] = families.get('requests_bytes')!.samples;
  expect(total).toMatchObject({
    name: 'requests_bytes_total',
    labels: { http_route: '/a', otel_scope_name: 'scope "\\\n' },
    value: '5',
    exemplar: {
      labels: { trace_id: '0af7651916cd43dd8448eb211c80319c', span_id: 'b7ad6b7169203331' },
      value: 5,
    },
  });
  expect(families.get('temperature_celsius')).toMatchObject({ type: 'gauge', unit: 'celsius' });
  expect(families.get('duration_seconds')).toMatchObject({ type: 'histogram', unit: 'seconds' });
  const buckets = families.get('duration_seconds')!.samples.filter(({ name }) => name.endsWith('_bucket'));
  expect(buckets.map(({ labels, value }) => [labels.le, value])).toEqual([
    ['0.005', '1'],
    ['1.0', '2'],
    ['10.0', '3'],
    ['1e+21', '4'],
    ['+Inf', '4'],
  ]);
  expect(buckets.map(({ exemplar }) => exemplar?.value)).toEqual([0.001, 0.5, 5, 50, undefined]);
  expect(buckets[0]!.labels.exported_le).toBe('mine');
  expect(families.get('extremes')!.samples.map(({ value }) => value)).toEqual([
    '5e-324',
    '1.7976931348623157e+308',
    'nan',
    '-inf',
    'inf',
    '0',
  ]);
  // Its family in OpenMetrics would be `target`, which a metric has.
  expect(families.get('target_info')!.samples[0]!.labels.service_name).toBe('orders "\\\n;twice');
  expect(families.get('colliding')!.samples[0]!.labels).toMatchObject({
    a_b: '2;1',

    le: '1',
  });
});

test('[8.15] summaries, and gauges of types that OpenTelemetry has not, are what they were', async () => {
  const families = await parsed('openmetrics', await scrape(readers[0]!.reader, FORMATS[3].accept));
  expect(
    [
      'summary_seconds',
      'untyped_seconds',
      'build',
      'mode_seconds',
      'no_info_seconds',
      'no_state_seconds',
    ].map((name) => families.get(name)?.type),
  ).toEqual(['summary', 'unknown', 'info', 'stateset', 'gauge', 'gauge']);
  const own = families.get('summary_seconds')!.samples.filter(({ labels }) => labels.text === TEXTS[0]);
  expect(own.map(({ name, labels, value }) => [name, labels.quantile, value])).toEqual([
    ['summary_seconds', '0.5', '2'],
    ['summary_seconds', '0.999', 'nan'],
    ['summary_seconds', '1.0', '1e+21'],
    ['summary_seconds_sum', undefined, '7'],
    ['summary_seconds_count', undefined, '4'],
  ]);
  for (const { labels } of own) expect(labels).toMatchObject({ exported_quantile: TEXTS[0], le: '1' });
});

test.each(['promtool', binaryPath('prometheus', 'promtool')])('%s parses all of it', async (promtool) => {
  const { exitCode, output } = await runCommand(
    promtool,
    ['check', 'metrics'],
    await scrape(readers[0]!.reader, 'text/plain;version=0.0.4'),
  );
  // 3 tells of names and descriptions that it would choose otherwise, 1 of what cannot be read.
  expect([0, 3], output).toContain(exitCode);
  expect(output).not.toMatch(/error while/);
});
