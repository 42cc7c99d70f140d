import type { HrTime } from '@opentelemetry/api';
import { expect, test, vi } from 'vitest';
import { toExemplarColumns } from '../data/exemplar-columns.ts';
import type { MetricBatch, MetricColumns } from '../data/metric-batch.ts';
import { batchOf, counter, gauge, histogram, summary, upDownCounter } from './fixtures/metrics.ts';
import { encodeOpenMetrics } from './prometheus-openmetrics.ts';
import type { PrometheusEncodingOptions } from './prometheus-options.ts';

const scope = { name: 'test' };
const TRACE = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };

function encode(batch: MetricBatch, options?: PrometheusEncodingOptions): string {
  return Buffer.concat([...encodeOpenMetrics(batch, options)]).toString();
}

/** Lines without scope labels and target_info, and without the end. */
function lines(metrics: MetricColumns[], options?: PrometheusEncodingOptions): string[] {
  const text = encode(batchOf([[scope, metrics]]), { scopeLabels: false, ...options });
  expect(text).toMatch(/(^|\n)# EOF\n$/);
  return text.split('\n').slice(0, -2);
}

function exemplar(value: number, timestamp: HrTime, filteredAttributes = {}) {
  return { value, timestamp, filteredAttributes, ...TRACE };
}

test('[8.33] a batch without points is nothing but the end', () => {
  expect(encode(batchOf([]))).toBe('# EOF\n');
});

test('[8.33][8.34] families of counters go without _total, units have a line, bounds have a decimal point', () => {
  const options = { unit: 'By', description: 'Say "it"\nand \\.' };
  expect(
    lines([
      counter('sent', [[{}, 1_000_000]], options),
      histogram('size', [[{}, { boundaries: [0, 0.5, 1, 1e6, 1e21], counts: [1, 0, 0, 0, 0, 1], sum: 7 }]]),
      gauge('g', [[{ a: 'x' }, Number.NaN]], { unit: '{thing}' }),
    ]),
  ).toEqual([
    '# TYPE sent_bytes counter',
    '# UNIT sent_bytes bytes',
    '# HELP sent_bytes Say \\"it\\"\\nand \\\\.',
    'sent_bytes_total 1e+06',
    '# TYPE size histogram',
    'size_bucket{le="0.0"} 1',
    'size_bucket{le="0.5"} 1',
    'size_bucket{le="1.0"} 1',
    'size_bucket{le="1e+06"} 1',
    'size_bucket{le="1e+21"} 1',
    'size_bucket{le="+Inf"} 2',
    'size_sum 7',
    'size_count 2',
    '# TYPE g gauge',
    'g{a="x"} NaN',
  ]);
});

test('[8.34] names without suffixes have no unit line, and counters their _total all the same', () => {
  const metrics = [counter('sent', [[{}, 1]], { unit: 'By' })];
  for (const translationStrategy of ['UnderscoreEscapingWithoutSuffixes', 'NoTranslation'] as const) {
    expect(lines(metrics, { translationStrategy })).toEqual(['# TYPE sent counter', 'sent_total 1']);
  }
});

test('[8.24] the resource is an info metric', () => {
  const batch = batchOf([[scope, [gauge('g', [[{}, 1]])]]], { 'service.name': 'shop' });
  expect(encode(batch, { scopeLabels: false })).toBe(
    '# TYPE target info\n# HELP target Attributes of the resource.\ntarget_info{service_name="shop"} 1\n' +
      '# TYPE g gauge\ng 1\n# EOF\n',
  );
});

test.each(['target', 'target_total'])('the resource is told where a metric is named %s', (name) => {
  const metric = name === 'target' ? gauge(name, [[{}, 5]]) : counter(name, [[{}, 5]]);
  const text = encode(batchOf([[scope, [metric]]], { 'service.name': 'shop' }), { scopeLabels: false });
  const types = text.split('\n').filter((line) => line.startsWith('# TYPE'));
  expect(new Set(types.map((line) => line.split(' ')[2])).size).toBe(2);
  expect(text).toContain('target_info{service_name="shop"} 1\n');
  expect(text).toContain(`${name} 5\n`);
});

test('a counter whose family name another metric has goes without its type, and stays', () => {
  expect(lines([upDownCounter('jobs', [[{}, 3]]), counter('jobs.total', [[{}, 9]])])).toEqual([
    '# TYPE jobs gauge',
    'jobs 3',
    '# TYPE jobs_total unknown',
    'jobs_total 9',
  ]);
  expect(
    lines([counter('x.count', [[{}, 9]]), histogram('x', [[{}, { boundaries: [], counts: [1], sum: 1 }]])]),
  ).toContain('# TYPE x_count_total unknown');
});

test('[8.35] counters and buckets have the latest exemplar that belongs there', () => {
  const metrics = [
    {
      ...counter('c', [[{}, 2]]),
      exemplars: toExemplarColumns([[exemplar(1, [20, 0]), exemplar(2, [10, 0])]])!,
    },
    {
      ...histogram('h', [[{ a: 'b' }, { boundaries: [1, 2], counts: [2, 0, 1], sum: 9 }]]),
      exemplars: toExemplarColumns([
        [exemplar(1, [1_700_000_000, 1_500_000]), exemplar(0.5, [10, 0]), exemplar(7, [30, 0])],
      ])!,
    },
  ];
  const ids = `trace_id="${TRACE.traceId}",span_id="${TRACE.spanId}"`;
  expect(lines(metrics)).toEqual([
    '# TYPE c counter',
    `c_total 2 # {${ids}} 1 20.000`,
    '# TYPE h histogram',
    `h_bucket{a="b",le="1.0"} 2 # {${ids}} 1 1700000000.001`,
    'h_bucket{a="b",le="2.0"} 2',
    `h_bucket{a="b",le="+Inf"} 3 # {${ids}} 7 30.000`,
    'h_sum{a="b"} 9',
    'h_count{a="b"} 3',
  ]);
});

// The ids take 32 + 8 + 16 + 7 of the 128 characters, and the name 5 of the 65 that are left.
test.each<[string, Record<string, string | number>, string]>([
  ['attributes that fit', { 'user.id': 7, 'quo"te': 'a\n' }, ',quo_te="a\\n",user_id="7"'],
  ['what fills it up', { abcde: 'x'.repeat(60) }, `,abcde="${'x'.repeat(60)}"`],
  ['nothing of what is one character too long', { abcde: 'x'.repeat(61), f: '' }, ''],
  ['characters that JavaScript counts twice', { abcde: '💥'.repeat(60) }, `,abcde="${'💥'.repeat(60)}"`],
  ['no ids of their own', { trace_id: 'mine', 'span.id': 'mine' }, ''],
])('[8.35] beside the ids an exemplar has %s', (_, attributes, expected) => {
  const metric = {
    ...counter('c', [[{}, 2]]),
    exemplars: toExemplarColumns([[exemplar(1, [20, 0], attributes)]])!,
  };
  expect(lines([metric])[1]).toBe(
    `c_total 2 # {trace_id="${TRACE.traceId}",span_id="${TRACE.spanId}"${expected}} 1 20.000`,
  );
});

test('[8.35] gauges have no exemplars, and without a trace the braces may be empty', () => {
  const exemplars = toExemplarColumns([
    [{ value: 1, timestamp: [20, 0] as HrTime, filteredAttributes: {} }],
  ])!;
  expect(lines([{ ...gauge('g', [[{}, 1]]), exemplars }])[1]).toBe('g 1');
  expect(lines([{ ...counter('c', [[{}, 1]]), exemplars }])[1]).toBe('c_total 1 # {} 1 20.000');
});

test('[8.36] counters below zero or without a number are left out', () => {
  const points = [
    [{ a: '1' }, -1],
    [{ a: '2' }, Number.NaN],
    [{ a: '3' }, 0],
  ] as const;
  expect(lines([counter('c', points)])).toEqual(['# TYPE c counter', 'c_total{a="3"} 0']);
});

test('[8.36] what is left out of counters is told, with the name', () => {
  const problems: string[] = [];
  const onProblem: PrometheusEncodingOptions['onProblem'] = ({ message }) => problems.push(message);
  lines([counter('fell', [[{}, -1]]), counter('rose', [[{}, 1]]), gauge('g', [[{}, -1]])], { onProblem });
  expect(problems).toEqual([expect.stringMatching(/^series of the counter fell are left out .*below zero/)]);
});

test.each<[string, MetricColumns[], string[]]>([
  [
    'that of the start times of another counter',
    [counter('m', [[{}, 1]]), counter('m.created', [[{}, 1]])],
    ['m counter', 'm_created_total unknown'],
  ],
  [
    'that of the start times of another counter, the other way round',
    [counter('m.created', [[{}, 1]]), counter('m', [[{}, 1]])],
    ['m_created counter', 'm_total unknown'],
  ],
  [
    'that of the start times of a counter before a gauge',
    [counter('m', [[{}, 1]]), gauge('m.created', [[{}, 1]])],
    ['m_total unknown', 'm_created gauge'],
  ],
  ['that of the resource', [counter('target.info', [[{}, 1]])], ['target info', 'target_info_total unknown']],
])('no family has a name that is %s', (_, metrics, expected) => {
  const text = encode(batchOf([[scope, metrics]], expected.includes('target info') ? { a: 'b' } : {}));
  expect([...text.matchAll(/^# TYPE (.*)$/gm)].map(([, type]) => type)).toEqual(expected);
});

test('no family has a name that is that of the samples of a counter, in either order', () => {
  const metrics = () => [counter('m', [[{}, 1]]), counter('m_total_total', [[{}, 1]])];
  const types = (all: MetricColumns[]) =>
    lines(all, { translationStrategy: 'NoTranslation' }).filter((line) => line.startsWith('#'));
  expect(types(metrics())).toEqual(['# TYPE m counter', '# TYPE m_total_total unknown']);
  expect(types(metrics().reverse())).toEqual(['# TYPE m_total counter', '# TYPE m unknown']);
});

test('[8.36] histograms whose sum could fall, or was not kept, have buckets only', () => {
  const buckets = ['h_bucket{le="+Inf"} 2'];
  expect(lines([histogram('h', [[{}, { boundaries: [], counts: [2], sum: -1 }]])]).slice(1)).toEqual(buckets);
  expect(lines([histogram('h', [[{}, { boundaries: [], counts: [2] }]])]).slice(1)).toEqual(buckets);
  const negative = histogram('h', [[{}, { boundaries: [-1], counts: [1, 2], sum: 8 }]]);
  expect(lines([negative]).slice(1)).toEqual(['h_bucket{le="-1.0"} 1', 'h_bucket{le="+Inf"} 3']);
});

test('[8.15][8.20] summaries have quantiles with a decimal point, and no exemplars', () => {
  const value = {
    count: 3,
    sum: 7,
    quantiles: [
      [0, 1],
      [0.5, 2],
      [1, Number.NaN],
    ] as const,
  };
  const metric = {
    ...summary('s', [[{ a: 'b' }, value]], { unit: 's' }),
    exemplars: toExemplarColumns([[exemplar(1, [20, 0])]])!,
  };
  expect(lines([metric])).toEqual([
    '# TYPE s_seconds summary',
    '# UNIT s_seconds seconds',
    's_seconds{a="b",quantile="0.0"} 1',
    's_seconds{a="b",quantile="0.5"} 2',
    's_seconds{a="b",quantile="1.0"} NaN',
    's_seconds_sum{a="b"} 7',
    's_seconds_count{a="b"} 3',
  ]);
});

test('[8.36] a summary below zero has its count alone', () => {
  const value = {
    count: 3,
    sum: -7,
    quantiles: [
      [0, -3],
      [1, 0],
    ] as const,
  };
  const onProblem = vi.fn();
  expect(lines([summary('s', [[{}, value]])], { onProblem }).slice(1)).toEqual([
    's{quantile="1.0"} 0',
    's_count 3',
  ]);
  expect(onProblem.mock.calls).toEqual([
    [expect.objectContaining({ message: expect.stringMatching(/^quantiles of s are left out/) })],
  ]);
});

const OF_TYPE = (told: string) => ({ unit: 's', metadata: { 'prometheus.type': told } });

test('[8.15] gauges have the types that they had', () => {
  expect(
    lines([
      gauge('custom', [[{}, -1]], OF_TYPE('unknown')),
      gauge('build_info', [[{ version: '1' }, 1]], { metadata: OF_TYPE('info').metadata }),
      gauge(
        'mode_seconds',
        [
          [{ 'mode.seconds': 'on' }, 0],
          [{ mode_seconds: 'off' }, 1],
        ],
        OF_TYPE('stateset'),
      ),
    ]),
  ).toEqual([
    '# TYPE custom_seconds unknown',
    'custom_seconds -1',
    '# TYPE build info',
    'build_info{version="1"} 1',
    '# TYPE mode_seconds stateset',
    'mode_seconds{mode_seconds="on"} 0',
    'mode_seconds{mode_seconds="off"} 1',
  ]);
});

test.each<[string, string, MetricColumns]>([
  ['info', 'has another value', gauge('build_info', [[{}, 2]], OF_TYPE('info'))],
  ['info', 'does not end like one', gauge('build_infos', [[{}, 1]], OF_TYPE('info'))],
  ['info', 'has no name without its end', gauge('_info', [[{}, 1]], OF_TYPE('info'))],
  ['stateset', 'is in a state more than once', gauge('mode', [[{ mode: 'on' }, 2]], OF_TYPE('stateset'))],
  ['stateset', 'does not name a state', gauge('mode', [[{ state: 'on' }, 1]], OF_TYPE('stateset'))],
  ['stateset', 'has a state without a name', gauge('mode', [[{ mode: '' }, 1]], OF_TYPE('stateset'))],
])('[8.15] what was said to be of the type %s and %s stays a gauge', (_, __, metric) => {
  const withoutUnit = { ...metric, descriptor: { ...metric.descriptor, unit: '' } } as MetricColumns;
  expect(lines([withoutUnit])[0]).toBe(`# TYPE ${metric.descriptor.name} gauge`);
});

test.each([
  ['another metric', [gauge('build', [[{}, 1]])]],
  ['a counter', [counter('build_total', [[{}, 1]])]],
])('[8.15] an info metric stays a gauge where %s has the name of its family', (_, others) => {
  const info = gauge('build_info', [[{}, 1]], { metadata: OF_TYPE('info').metadata });
  expect(lines([...others, info])).toContain('# TYPE build_info gauge');
  const types = lines([info, ...others]).filter((line) => line.startsWith('# TYPE'));
  expect(new Set(types.map((line) => line.split(' ')[2])).size).toBe(2);
});

test('[8.17] start times are told when asked for', () => {
  const startTimes = BigUint64Array.of(1_700_000_000_123_456_789n);
  const metrics = [
    { ...counter('c', [[{ a: 'b' }, 1]]), startTimes },
    { ...gauge('g', [[{}, 1]]), startTimes },
    { ...histogram('h', [[{}, { boundaries: [], counts: [1], sum: 1 }]]), startTimes },
    { ...summary('s', [[{ a: 'b' }, { count: 1, sum: 1, quantiles: [] }]]), startTimes },
  ];
  expect(lines(metrics).join()).not.toContain('_created');
  expect(lines(metrics, { createdSeries: true }).filter((line) => line.includes('created'))).toEqual([
    'c_created{a="b"} 1700000000.123',
    'h_created 1700000000.123',
    's_created{a="b"} 1700000000.123',
  ]);
  const clash = [...metrics, gauge('c_created', [[{}, 1]])];
  expect(lines(clash, { createdSeries: true }).filter((line) => line.includes('c_created'))).toEqual([
    '# TYPE c_created gauge',
    'c_created 1',
  ]);
});

test('[8.14] names with any character stand in quotes, with their exemplars', () => {
  const metric = {
    ...counter('http.größe', [[{ 'url.path': '/' }, 1]], { unit: 'By' }),
    exemplars: toExemplarColumns([[exemplar(1, [20, 0], { 'user.id': 7 })]])!,
  };
  expect(
    lines([metric], { translationStrategy: 'NoUTF8EscapingWithSuffixes', escaping: 'allow-utf-8' }),
  ).toEqual([
    '# TYPE "http.größe_bytes" counter',
    '# UNIT "http.größe_bytes" bytes',
    `{"http.größe_bytes_total","url.path"="/"} 1 # {trace_id="${TRACE.traceId}",span_id="${TRACE.spanId}","user.id"="7"} 1 20.000`,
  ]);
});
