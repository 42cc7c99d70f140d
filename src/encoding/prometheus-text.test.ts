import type { Attributes, AttributeValue } from '@opentelemetry/api';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toExemplarColumns } from '../data/exemplar-columns.ts';
import type { MetricBatch, MetricColumns } from '../data/metric-batch.ts';
import { AggregationTemporality, type InstrumentationScope } from '../data/metric-data.ts';
import {
  batchOf,
  counter,
  exponentialHistogram,
  gauge,
  type HistogramValue,
  held,
  histogram,
  summary,
  upDownCounter,
} from './fixtures/metrics.ts';
import { parsePrometheusText } from './fixtures/prometheus-parser.ts';
import type { PrometheusProblem } from './prometheus-families.ts';
import { TRANSLATION_STRATEGIES } from './prometheus-names.ts';
import { encodePrometheusText, type PrometheusTextOptions } from './prometheus-text.ts';

const scope = { name: 'test' };

function encode(batch: MetricBatch, options?: PrometheusTextOptions): Buffer {
  return Buffer.concat([...encodePrometheusText(batch, options)]);
}

/** Text without scope labels and target_info, and the problems. */
function plain(...metrics: MetricColumns[]) {
  const problems: PrometheusProblem[] = [];
  const options = { scopeLabels: false, onProblem: (problem: PrometheusProblem) => problems.push(problem) };
  const bytes = encode(batchOf([[scope, metrics]]), options);
  parsePrometheusText(bytes);
  return { text: bytes.toString(), lines: bytes.toString().split('\n').slice(0, -1), problems };
}

function parsed(batch: MetricBatch, options?: PrometheusTextOptions) {
  return parsePrometheusText(encode(batch, options));
}

test('the whole format, as in the golden file', async () => {
  const orders = { name: 'orders', version: '1.2.0', schemaUrl: 'https://opentelemetry.io/schemas/1.44.0' };
  const durations = [0.005, 0.1, 1, 2.5, 1e6, 1e21];
  const batch = batchOf(
    [
      [
        orders,
        [
          counter(
            'http_server_requests_total',
            [
              [{ 'http.route': '/orders/:id', 'http.status_code': 200, status: 'success' }, 12],
              [{ 'http.route': '/orders', 'http.status_code': 503, status: 'error' }, 1_234_567],
            ],
            { unit: '1', description: 'Requests answered.' },
          ),
          histogram(
            'http_server_request_duration_seconds',
            [
              [
                { status: 'success' },
                { boundaries: durations, counts: [1, 0, 2, 0, 3, 0, 4], sum: 0.1 + 0.2 },
              ],
              [{}, { boundaries: durations, counts: [0, 0, 0, 0, 0, 0, 0] }],
            ],
            { unit: 's', description: 'Time until the response closed.' },
          ),
          histogram('http_server_request_size_bytes', [[{}, { boundaries: [], counts: [5], sum: 5e-324 }]], {
            unit: 'By',
            description: 'Body size: a \\ and\na second line, größer.',
          }),
          upDownCounter('http_server_active_requests', [[{}, -3]], { unit: '1', description: 'In flight.' }),
        ],
      ],
      [
        { name: 'process', attributes: { team: 'core', name: 'reserved', 'a.b': 7 } },
        [
          gauge(
            'temperature',
            [
              [{ sensor: 'quote " backslash \\ line\nend 💥' }, Number.NaN],
              [{ sensor: 'b', list: ['x', 'y'], on: true }, Number.POSITIVE_INFINITY],
              [{ 'sensor.id': 'dot', 'sensor/id': 'slash' }, Number.NEGATIVE_INFINITY],
            ],
            { unit: 'Cel' },
          ),
          counter('http_server_requests_total', [[{ status: 'success' }, 0.5]], { unit: '1' }),
        ],
      ],
    ],
    { 'service.name': 'orders', 'service.version': 'v1', 'host.cpus': 2 },
  );
  await expect(encode(batch).toString()).toMatchFileSnapshot('../../test/golden/prometheus-0.0.4.txt');
  parsePrometheusText(encode(batch));
});

test('a batch without points is an empty body', () => {
  expect(encode(batchOf([[scope, [counter('none', [])]]])).length).toBe(0);
});

test('[8.04][8.17][8.20] samples have no timestamps, no exemplars and no start times', () => {
  const metric = {
    ...counter('a', [[{}, 1]], { description: 'd' }),
    startTimes: BigUint64Array.of(1n),
    endTimes: BigUint64Array.of(2n),
    exemplars: toExemplarColumns([[{ value: 1, timestamp: [1, 1], filteredAttributes: { a: 'b' } }]])!,
  } satisfies MetricColumns;
  expect(plain(metric).lines).toEqual(['# HELP a_total d', '# TYPE a_total counter', 'a_total 1']);
});

test('[8.15] sums, gauges and histograms have their types; the temporality of a gauge does not matter', () => {
  const { lines } = plain(
    counter('c', [[{}, 1]]),
    upDownCounter('u', [[{}, 1]]),
    gauge('g', [[{}, 1]], { temporality: AggregationTemporality.DELTA }),
    histogram('h', [[{}, { boundaries: [1], counts: [1, 2], sum: 9 }]]),
  );
  expect(lines).toEqual([
    '# TYPE c_total counter',
    'c_total 1',
    '# TYPE u gauge',
    'u 1',
    '# TYPE g gauge',
    'g 1',
    '# TYPE h histogram',
    'h_bucket{le="1"} 1',
    'h_bucket{le="+Inf"} 3',
    'h_sum 9',
    'h_count 3',
  ]);
});

test('[6.07][8.15] delta sums, delta histograms and exponential histograms are left out and told', () => {
  const temporality = AggregationTemporality.DELTA;
  const { text, problems } = plain(
    counter('c', [[{}, 1]], { temporality }),
    histogram('h', [[{}, { boundaries: [1], counts: [1, 2] }]], { temporality }),
    exponentialHistogram('e'),
  );
  expect(text).toBe('');
  expect(problems.map(({ message }) => message)).toEqual([
    expect.stringMatching(/^metric c of scope test .*delta/),
    expect.stringMatching(/^metric h of scope test .*delta/),
    expect.stringMatching(/^metric e of scope test .*exponential/),
  ]);
});

test('[8.08] a metric of whose name nothing remains is left out and told', () => {
  const { text, problems } = plain(gauge('///', [[{}, 1]]), gauge('ok', [[{}, 1]]));
  expect(text).toBe('# TYPE ok gauge\nok 1\n');
  expect(problems).toHaveLength(1);
});

test('[8.16] buckets are cumulative, their bounds as Go writes them, the last equal to the count', () => {
  const value = { boundaries: [-1, 0, 0.005, 1, 1e6, 1e21], counts: [1, 2, 3, 4, 5, 6, 7], sum: 1 };
  expect(plain(histogram('h', [[{ a: 'x' }, value]])).lines.slice(1)).toEqual([
    'h_bucket{a="x",le="-1"} 1',
    'h_bucket{a="x",le="0"} 3',
    'h_bucket{a="x",le="0.005"} 6',
    'h_bucket{a="x",le="1"} 10',
    'h_bucket{a="x",le="1e+06"} 15',
    'h_bucket{a="x",le="1e+21"} 21',
    'h_bucket{a="x",le="+Inf"} 28',
    'h_sum{a="x"} 1',
    'h_count{a="x"} 28',
  ]);
});

test('[8.16] a histogram that kept no sum has no _sum line', () => {
  const { text } = plain(histogram('h', [[{}, { boundaries: [], counts: [2] }]]));
  expect(text).toBe('# TYPE h histogram\nh_bucket{le="+Inf"} 2\nh_count 2\n');
});

test('[8.21] values that are not strings become their JSON text, and an empty value is no label', () => {
  const attributes = {
    a: true,
    b: 1.5,
    c: [1, 'x'] as unknown as number[],
    d: Number.NaN,
    e: Number.NEGATIVE_INFINITY,
    f: '',
    g: 1e21,
  };
  expect(plain(gauge('m', [[attributes, 1]])).lines[1]).toBe(
    'm{a="true",b="1.5",c="[1,\\"x\\"]",d="NaN",e="-Infinity",g="1e+21"} 1',
  );
});

test('[8.22] values of keys that become one label are joined in the order of the keys', () => {
  expect(plain(gauge('m', [[{ 'a/b': '1', 'a.b': '2', 'a b': 3 }, 1]])).lines[1]).toBe('m{a_b="3;2;1"} 1');
});

test('[8.22] an attribute named le stays on a gauge and steps aside on a histogram', () => {
  const point: [Attributes, HistogramValue] = [
    { le: '5', exported_le: 'x' },
    { boundaries: [], counts: [1] },
  ];
  expect(plain(gauge('m', [[{ le: '5' }, 1]])).lines[1]).toBe('m{le="5"} 1');
  expect(plain(histogram('h', [point])).lines.slice(1)).toEqual([
    'h_bucket{exported_le="x;5",le="+Inf"} 1',
    'h_count{exported_le="x;5"} 1',
  ]);
});

test('[8.15] a summary has its quantiles, sum and count; what is not known of it is left out', () => {
  const quantiles = [
    [0, 1],
    [0.5, -2.5],
    [1, Number.NaN],
  ] as const;
  expect(
    plain(
      summary(
        'latency',
        [
          [{ a: 'x' }, { count: 3, sum: 7, quantiles }],
          [{}, { count: Number.NaN, sum: Number.NaN, quantiles }],
        ],
        { unit: 's', description: 'Latency.' },
      ),
      summary('bare', [[{}, { count: 3, sum: 7, quantiles: [] }]]),
    ),
  ).toMatchObject({
    lines: [
      '# HELP latency_seconds Latency.',
      '# TYPE latency_seconds summary',
      'latency_seconds{a="x",quantile="0"} 1',
      'latency_seconds{a="x",quantile="0.5"} -2.5',
      'latency_seconds{a="x",quantile="1"} NaN',
      'latency_seconds_sum{a="x"} 7',
      'latency_seconds_count{a="x"} 3',
      'latency_seconds{quantile="0"} 1',
      'latency_seconds{quantile="0.5"} -2.5',
      'latency_seconds{quantile="1"} NaN',
      '# TYPE bare summary',
      'bare_sum 7',
      'bare_count 3',
    ],
    problems: [],
  });
});

test('[8.22] an attribute named quantile stays on others and steps aside on a summary, as does one of the resource', () => {
  const set = { quantile: 'mine', exported_quantile: 'x' };
  const value = { count: 1, sum: 2, quantiles: [[0.5, 3]] as const };
  expect(plain(gauge('g', [[set, 1]]), summary('s', [[set, value]])).lines).toEqual([
    '# TYPE g gauge',
    'g{exported_quantile="x",quantile="mine"} 1',
    '# TYPE s summary',
    's{exported_quantile="x;mine",quantile="0.5"} 3',
    's_sum{exported_quantile="x;mine"} 2',
    's_count{exported_quantile="x;mine"} 1',
  ]);
  const [, family] = parsed(batchOf([[{ name: '' }, [summary('s', [[{}, value]])]]], { quantile: 'r' }), {
    resourceLabels: {},
  });
  expect(family!.samples.map(({ labels }) => labels)).toEqual([
    { exported_quantile: 'r', quantile: '0.5' },
    { exported_quantile: 'r' },
    { exported_quantile: 'r' },
  ]);
});

test('[8.26] a summary and what has the name of one of its samples cannot both be shown', () => {
  const { lines, problems } = plain(
    gauge('s_count', [[{}, 1]]),
    summary('s', [[{}, { count: 1, sum: 2, quantiles: [] }]]),
  );
  expect(lines).toEqual(['# TYPE s_count gauge', 's_count 1']);
  expect(problems).toMatchObject([
    { message: expect.stringMatching(/as a summary it needs the name s_count/) },
  ]);
});

test.each<[string | undefined, string]>([
  ['unknown', 'untyped'],
  ['unkown', 'untyped'],
  ['info', 'gauge'],
  ['stateset', 'gauge'],
  ['counter', 'gauge'],
  [undefined, 'gauge'],
])('[8.15] a gauge that was of the type %s has the type %s', (told, shown) => {
  const metadata = told === undefined ? {} : { 'prometheus.type': told };
  expect(plain(gauge('build_info', [[{ build_info: 'x' }, 1]], { metadata })).lines[0]).toBe(
    `# TYPE build_info ${shown}`,
  );
});

test('[8.15] what is no gauge has its own type, as gauges have that do not agree about what they were', () => {
  const metadata = { 'prometheus.type': 'unknown' };
  const others = [counter('c', [[{}, 1]], { metadata }), upDownCounter('u', [[{}, 1]], { metadata })];
  const gauges = [gauge('g', [[{ a: 1 }, 1]], { metadata }), gauge('g', [[{ a: 2 }, 1]])];
  const types = plain(...others, ...gauges).lines.filter((line) => line.startsWith('# TYPE'));
  expect(types).toEqual(['# TYPE c_total counter', '# TYPE u gauge', '# TYPE g gauge']);
});

test('[8.22] an attribute named like a scope label is joined to it', () => {
  const batch = batchOf([[{ name: 'orders' }, [gauge('m', [[{ otel_scope_name: 'mine', z: '1' }, 1]])]]]);
  expect(encode(batch).toString()).toContain('m{otel_scope_name="orders;mine",z="1"} 1\n');
  expect(encode(batch, { scopeLabels: false }).toString()).toContain('m{otel_scope_name="mine",z="1"} 1\n');
});

test('[8.23] every sample tells its scope, except for what the scope does not have', () => {
  const metrics = () => [gauge('m', [[{}, 1]]), histogram('h', [[{}, { boundaries: [], counts: [1] }]])];
  const rich = {
    name: 'n',
    version: 'v',
    schemaUrl: 's',
    attributes: { name: 'x', 'schema.url': 'x', k: 'v' },
  };
  expect(encode(batchOf([[rich, metrics()]])).toString()).toBe(
    '# TYPE m gauge\n' +
      'm{otel_scope_k="v",otel_scope_name="n",otel_scope_schema_url="s",otel_scope_version="v"} 1\n' +
      '# TYPE h histogram\n' +
      'h_bucket{otel_scope_k="v",otel_scope_name="n",otel_scope_schema_url="s",otel_scope_version="v",le="+Inf"} 1\n' +
      'h_count{otel_scope_k="v",otel_scope_name="n",otel_scope_schema_url="s",otel_scope_version="v"} 1\n',
  );
  expect(encode(batchOf([[{ name: '' }, [gauge('m', [[{}, 1]])]]])).toString()).toBe('# TYPE m gauge\nm 1\n');
});

test('[8.24] resource attributes are in one target_info over all scopes and nowhere else', () => {
  const scopes = [scope, { name: 'other' }].map((s) => [s, [gauge('m', [[{}, 1]])]] as const);
  const resource = { 'service.name': 'shop', 'a.b': '1', 'a/b': '2', empty: '' };
  const text = encode(batchOf(scopes, resource)).toString();
  expect(text.match(/target_info\{.*/g)).toEqual(['target_info{a_b="1;2",service_name="shop"} 1']);
  expect(text.match(/service_name/g)).toHaveLength(1);
  expect(encode(batchOf(scopes, resource), { targetInfo: false }).toString()).not.toContain('target_info');
  expect(encode(batchOf(scopes, {})).toString()).not.toContain('target_info');
});

test('[8.24] an instrument named target_info gives way to the resource', () => {
  const batch = batchOf([[scope, [gauge('target.info', [[{}, 1]])]]], { a: 'b' });
  const problems: PrometheusProblem[] = [];
  expect(parsed(batch, { onProblem: (problem) => problems.push(problem) })).toHaveLength(1);
  expect(problems).toHaveLength(1);
  expect(parsed(batch, { targetInfo: false })[0]!.samples).toHaveLength(1);
});

test('[8.25] one instrument in three scopes is one family, even with another in between', () => {
  const scopes = ['a', 'b', 'c'].map(
    (name) => [{ name }, [counter('requests', [[{}, 1]]), gauge('other', [[{}, 2]])]] as const,
  );
  const families = parsed(batchOf(scopes));
  expect(families.map(({ name, samples }) => [name, samples.map((s) => s.labels.otel_scope_name)])).toEqual([
    ['requests_total', ['a', 'b', 'c']],
    ['other', ['a', 'b', 'c']],
  ]);
});

test.each<[string, MetricColumns, MetricColumns]>([
  [
    'types',
    counter('foo.bar', [[{}, 1]]),
    histogram('foo.bar.total', [[{}, { boundaries: [], counts: [1] }]]),
  ],
  [
    'the names of sample lines',
    histogram('foo', [[{}, { boundaries: [], counts: [1] }]]),
    gauge('foo.count', [[{}, 1]]),
  ],
  [
    'the names of sample lines, the other way round',
    gauge('foo.bucket', [[{}, 1]]),
    histogram('foo', [[{}, { boundaries: [], counts: [1] }]]),
  ],
])('[8.26] of metrics that conflict in %s the first stays and the other is told', (_, first, second) => {
  const { text, problems } = plain(first, second);
  expect(text).toBe(plain(first).text);
  expect(problems).toHaveLength(1);
  expect(problems[0]!.message).toContain(`metric ${second.descriptor.name} of scope test`);
  expect(problems[0]!.message).toContain(first.descriptor.name);
});

test('[8.26] of different help texts the first is shown, and all points', () => {
  const { lines, problems } = plain(
    gauge('m', [[{ a: '1' }, 1]], { description: 'one' }),
    gauge('m', [[{ a: '2' }, 2]], { description: 'two' }),
  );
  expect(lines).toEqual(['# HELP m one', '# TYPE m gauge', 'm{a="1"} 1', 'm{a="2"} 2']);
  expect(problems).toHaveLength(1);
});

test('problems keep their cause from scrape to scrape', () => {
  const problemsOf = () => plain(gauge('m', [[{}, 1]]), counter('/', [[{}, 2]])).problems;
  expect(problemsOf()).toEqual(problemsOf());
});

test.each<[string, Attributes[]]>([
  ['a number and a string', [{ a: 1 }, { a: '1' }]],
  ['a boolean and a string, late', [{ b: 1 }, { a: 'x' }, { a: 'true' }, { a: true }]],
  ['an empty value and none', [{}, { a: '' }]],
  ['other keys', [{ 'a.b': 'x' }, { 'a/b': 'x' }]],
  [
    'other keys in another order',
    [
      { 'a/z': '1', a_b: '2' },
      { a_b: '2', a_z: '1' },
    ],
  ],
  [
    'joined values',
    [
      { 'a.b': '1', 'a/b': '2;3' },
      { 'a.b': '1;2', 'a/b': '3' },
    ],
  ],
  ['an array and its text', [{ a: ['x'] }, { a: '["x"]' }]],
  ['zeros', [{ a: 0 }, { a: -0 }]],
  ['lone surrogates', [{ a: '\ud800' }, { a: '\udbff' }, { a: '\ufffd' }]],
])('[8.27] series that differ only in %s are not written twice', (_, sets) => {
  const seen = sets.length - new Set(sets.map((set) => plain(gauge('m', [[set, 1]])).text)).size;
  expect(seen).toBeGreaterThan(0);
  const points = sets.map((set, i) => [set, i] as const);
  for (const metric of [gauge('m', points), held(gauge('m', points))]) {
    const { problems, lines } = plain(metric);
    expect(lines).toHaveLength(1 + sets.length - seen);
    expect(problems).toHaveLength(seen);
    expect(lines[1]).toMatch(/ 0$/);
  }
});

test('[8.27] series that another SDK gives twice are written once, beside those of a provider', () => {
  const metric = held(
    gauge('m', [
      [{ a: 'x' }, 0],
      [{ a: 'y' }, 1],
      [{}, 2],
      [{ a: 'x' }, 3],
      [{ a: 'y' }, 4],
      [{}, 5],
    ]),
  );
  for (const set of metric.attributes.slice(3)) set.id = -1;
  const { lines, problems } = plain(metric);
  expect(lines.slice(1)).toEqual(['m{a="x"} 0', 'm{a="y"} 1', 'm 2']);
  expect(problems).toHaveLength(3);
});

test('[8.27] an empty label of a name that has a meaning is none, whatever labels the meter adds', () => {
  const points = [
    [{ le: '', A: 'x' }, 0],
    [{ A: 'x' }, 1],
    [{ A: 'x', otel_scope_a: '' }, 2],
  ] as const;
  for (const metric of [gauge('m', points), held(gauge('m', points))]) {
    const [family] = parsed(batchOf([[scope, [metric]]]));
    expect(family!.samples).toEqual([{ name: 'm', labels: { otel_scope_name: 'test', A: 'x' }, value: 0 }]);
  }
});

test('[8.27] without scope labels, the series of the second scope that the first has too are left out', () => {
  const scopes = ['a', 'b'].map((name, i) => {
    const points: [Attributes, number][] = [
      [{ shared: 'x' }, i],
      [{ own: name }, i],
    ];
    return [{ name }, [gauge('m', points)]] as const;
  });
  const problems: PrometheusProblem[] = [];
  const onProblem = (problem: PrometheusProblem) => problems.push(problem);
  expect(parsed(batchOf(scopes), { onProblem })[0]!.samples).toHaveLength(4);
  expect(problems).toHaveLength(0);
  const [family] = parsed(batchOf(scopes), { scopeLabels: false, onProblem });
  expect(family!.samples).toEqual([
    { name: 'm', labels: { shared: 'x' }, value: 0 },
    { name: 'm', labels: { own: 'a' }, value: 0 },
    { name: 'm', labels: { own: 'b' }, value: 1 },
  ]);
  expect(problems).toHaveLength(1);
});

test.each<[string, InstrumentationScope, Attributes, InstrumentationScope, Attributes]>([
  ['the version', { name: 's', version: '1' }, {}, { name: 's' }, { otel_scope_version: '1' }],
  ['the name', { name: 'a;b' }, {}, { name: 'a' }, { otel_scope_name: 'b' }],
  ['the name of none', { name: 'b' }, {}, { name: '' }, { otel_scope_name: 'b' }],
  [
    'an attribute, between labels before and behind it',
    { name: 's', attributes: { x: 1 } },
    { a: '1', z: '1' },
    { name: 's' },
    { a: '1', z: '1', 'otel.scope.x': '1' },
  ],
  ['parts of both', { name: 'a' }, { otel_scope_name: 'b;c' }, { name: 'a;b' }, { otel_scope_name: 'c' }],
])(
  '[8.22][8.27] a series whose attributes make it that of another scope, by %s, is not written twice',
  (_, a, ofA, b, ofB) => {
    // Enough that the blocks before are gathered in several steps.
    const others = Array.from({ length: 2_500 }, (_, i): [Attributes, number] => [{ own: `${i}` }, i]);
    for (const order of [[a, ofA, b, ofB] as const, [b, ofB, a, ofA] as const]) {
      const [first, own, second, other] = order;
      const problems: PrometheusProblem[] = [];
      const batch = batchOf([
        [first, [held(gauge('m', [...others, [own, -1]]))]],
        [{ name: 'between' }, [held(gauge('m', others))]],
        [second, [held(gauge('m', [...others, [other, -2], [{ last: 'x' }, 1]]))]],
      ]);
      const [family] = parsed(batch, { onProblem: (problem) => problems.push(problem) });
      const lines = family!.samples.map(({ labels }) => JSON.stringify(Object.entries(labels).sort()));
      expect(new Set(lines).size).toBe(lines.length);
      expect(family!.samples).toHaveLength(3 * others.length + 2);
      expect(family!.samples.map(({ value }) => value)).toContain(-1);
      expect(problems).toHaveLength(1);
    }
  },
);

test('[8.22] an attribute takes the place of a scope label that the meter or the resource leaves empty', () => {
  const point = { otel_scope_name: 'x', otel_scope_k: 'y', env: 'z' };
  const batch = batchOf([[{ name: '', attributes: { k: '' } }, [gauge('m', [[point, 1]])]]], { env: '' });
  expect(encode(batch, { resourceLabels: {} }).toString()).toContain(
    'm{otel_scope_k="y",otel_scope_name="x",env="z"} 1\n',
  );
});

test('what is not shown of a meter without a name is told so', () => {
  const problems: PrometheusProblem[] = [];
  const twice = [gauge('m', [[{}, 1]]), counter('m_total', [[{}, 1]]), gauge('m.total', [[{}, 1]])];
  encode(batchOf([[{ name: '' }, twice]]), { onProblem: (problem) => problems.push(problem) });
  expect(problems.map(({ message }) => message)).toEqual([
    expect.stringMatching(
      /^metric m.total of a meter without a name is not .*the counter m_total of a meter without a name has/,
    ),
  ]);
});

test('[8.28] help keeps backslashes and line breaks; without a description there is no HELP', () => {
  expect(parsed(batchOf([[scope, [gauge('m', [[{}, 1]], { description: 'a\\n\nb "c"' })]]]))[0]!.help).toBe(
    'a\\n\nb "c"',
  );
  expect(plain(gauge('m', [[{}, 1]])).text).not.toContain('HELP');
});

test('chunks are of about 64 KiB, whatever a point needs, and never split a point', () => {
  const points = Array.from({ length: 5_000 }, (_, i): [Attributes, number] => [{ id: `${i}` }, i]);
  const wide = histogram('wide', [
    [
      { id: 'x'.repeat(1_000) },
      { boundaries: Array.from({ length: 500 }, (_, i) => i), counts: Array(501).fill(1) },
    ],
  ]);
  const chunks = [
    ...encodePrometheusText(batchOf([[scope, [counter('a', points), wide, counter('b', points)]]])),
  ];
  expect(chunks.length).toBeGreaterThan(6);
  for (const chunk of chunks) expect(chunk.at(-1)).toBe(10);
  expect(chunks.filter(({ length }) => length > 64 * 1024)).toHaveLength(1);
  const families = parsePrometheusText(Buffer.concat(chunks));
  expect(families.map(({ samples }) => samples.length)).toEqual([5_000, 502, 5_000]);
});

const text = fc.string({ unit: 'binary', maxLength: 12 });
const hostile = fc.oneof(
  text,
  fc.constantFrom(
    'le',
    'otel_scope_name',
    'a.b',
    'a/b',
    '__proto__',
    '__name__',
    '"',
    '\\',
    '\n',
    '\\n',
    '} 1\n# ',
  ),
);
const value = fc.oneof(hostile, fc.double(), fc.integer(), fc.boolean(), fc.array(hostile, { maxLength: 3 }));
const attributes = fc.dictionary(hostile, value, { maxKeys: 4 });
const description = fc.record({
  unit: fc.oneof(hostile, fc.constantFrom('s', 'By/s', '1')),
  description: hostile,
});
const name = fc.oneof(hostile, fc.constantFrom('foo', 'foo.count', 'foo_total', 'target.info', 'x.seconds'));
const sets = fc.uniqueArray(attributes, {
  maxLength: 5,
  selector: (set) => JSON.stringify(Object.entries(set).sort()),
});
const numberMetric = fc
  .tuple(fc.constantFrom(counter, upDownCounter, gauge), name, sets, fc.double(), description)
  .map(([make, n, s, v, d]) =>
    make(
      n,
      s.map((set) => [set, v]),
      d,
    ),
  );
const histogramMetric = fc
  .tuple(
    name,
    sets,
    fc.uniqueArray(
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((b) => b + 0),
      { maxLength: 4 },
    ),
    description,
  )
  .map(([n, s, bounds, d]) => {
    const boundaries = bounds.toSorted((a, b) => a - b);
    const counts = Array.from({ length: bounds.length + 1 }, (_, i) => i * 400_000);
    return histogram(
      n,
      s.map((set) => [set, { boundaries, counts, sum: 1.5 }]),
      d,
    );
  });
const summaryMetric = fc
  .tuple(name, sets, fc.subarray([0, 0.5, 0.999, 1]), fc.double(), description)
  .map(([n, s, quantiles, v, d]) =>
    summary(
      n,
      s.map((set) => [set, { count: 4e5, sum: 1.5, quantiles: quantiles.map((quantile) => [quantile, v]) }]),
      d,
    ),
  );
const metrics = fc.array(fc.oneof(numberMetric, histogramMetric, summaryMetric), { maxLength: 4 });
const scopes = fc.array(
  fc.tuple(
    fc.record({ name: hostile, version: fc.option(hostile, { nil: undefined }), attributes }),
    metrics,
  ),
  { maxLength: 3 },
);

/** Of the samples of a point, the one that each has. */
const COUNTED: Record<string, string> = { histogram: '_count', summary: '_count' };

test('whatever names, values, units and descriptions are, the text is valid and says it all', () => {
  fc.assert(
    fc.property(scopes, attributes, fc.boolean(), (batchScopes, resource, scopeLabels) => {
      const problems: PrometheusProblem[] = [];
      const batch = batchOf(batchScopes, resource);
      const families = parsed(batch, { scopeLabels, onProblem: (problem) => problems.push(problem) });
      const series = families
        .filter((family) => family.name !== 'target_info' || family.help !== 'Attributes of the resource.')
        .flatMap((family) =>
          family.samples.filter(
            ({ name }) => !(family.type in COUNTED) || name === `${family.name}${COUNTED[family.type]}`,
          ),
        );
      const lost = problems.filter(({ cause }) => !cause.startsWith('help:'));
      if (lost.length === 0) expect(series).toHaveLength(batch.pointCount);
      else expect(series.length).toBeLessThan(batch.pointCount);
    }),
    { numRuns: 1_000 },
  );
});

test('label values come back as they were', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', minLength: 1 }),
      fc.string({ unit: 'grapheme', minLength: 1 }),
      (a, b) => {
        const [family] = parsed(batchOf([[{ name: b }, [gauge('m', [[{ a, b }, 1]], { description: a })]]]));
        const wellFormed = a.replace(/\p{Surrogate}/gu, '\ufffd');
        expect(family).toEqual({
          name: 'm',
          type: 'gauge',
          help: wellFormed,
          samples: [{ name: 'm', labels: { otel_scope_name: b, a: wellFormed, b }, value: 1 }],
        });
      },
    ),
  );
});

test('buffers in turn leave a chunk alone while the next one is made', () => {
  const series = Array.from({ length: 11_000 }, (_, i): [Attributes, number] => [
    { i, pad: 'y'.repeat(60), huge: i % 4_000 === 999 ? 'x'.repeat(200_000) : '' },
    i,
  ]);
  const batch = batchOf([[scope, [counter('c', series)]]]);
  const buffers = new Set<ArrayBufferLike>();
  const texts: string[] = [];
  let last: Uint8Array | undefined;
  for (const chunk of encodePrometheusText(batch, { reuseBuffers: true })) {
    if (last) texts.push(Buffer.from(last).toString());
    last = chunk;
    buffers.add(chunk.buffer);
  }
  texts.push(Buffer.from(last!).toString());
  expect(texts.join('')).toBe(encode(batch).toString());
  // Two in turns; each of the three huge lines needs a larger one, and gives up one of the two.
  expect(buffers.size).toBeLessThanOrEqual(2 + 3 * 2);
  expect(texts.length).toBeGreaterThan(2 * buffers.size);
});

test('bytes that look like no number when eight are read as one come through, at every offset', () => {
  // F4 8F BF BF 7F: as the end of a double, what is nearest in UTF-8 to a signalling NaN.
  const most = '\u{10ffff}\u007f'.repeat(20);
  const series = Array.from({ length: 8 }, (_, i): [Attributes, HistogramValue] => [
    { most: 'x'.repeat(i) + most },
    { boundaries: [0.5], counts: [1, 2], sum: 3 },
  ]);
  const { samples } = parsed(batchOf([[scope, [histogram('h', series)]]])).find(({ name }) => name === 'h')!;
  expect(samples.map(({ labels }) => labels.most)).toEqual(
    series.flatMap(([attributes]) => Array(4).fill(attributes.most)),
  );
});

test('keys of two types do not make one long step, however many series there are', () => {
  const points = Array.from({ length: 50_000 }, (_, i) => [{ id: `${i}` }, i] as const);
  const metric = held(counter('c', [...points, [{ id: 1 }, -1], [{ id: 'new' }, -2], [{ id: 2.5 }, -3]]));
  const problems: PrometheusProblem[] = [];
  const chunks = [
    ...encodePrometheusText(batchOf([[scope, [metric]]]), { onProblem: (problem) => problems.push(problem) }),
  ];
  const [family] = parsePrometheusText(Buffer.concat(chunks));
  expect(family!.samples.slice(-2).map(({ value }) => value)).toEqual([-2, -3]);
  expect(family!.samples).toHaveLength(50_002);
  expect(problems).toHaveLength(1);
  // The steps in which there is nothing to send yet.
  expect(chunks.filter((chunk) => chunk.length === 0).length).toBeGreaterThan(40);
});

/** Names and values that often become the same in Prometheus. */
const alike = fc.dictionary(
  fc.constantFrom(
    ...['a.b', 'a_b', 'env', 'le', 'exported_le', 'otel_scope_name', 'otel_scope_version', 'otel_scope_x'],
  ),
  fc.constantFrom<AttributeValue>('', 'x', 1, '1'),
  { maxKeys: 2 },
);
const scopesAlike = fc.record({
  name: fc.constantFrom('', 'x', 'x;x'),
  version: fc.constantFrom('', '1'),
  attributes: fc.dictionary(fc.constantFrom('x', 'name'), fc.constantFrom('', '1'), { maxKeys: 1 }),
});
const metricsAlike = fc
  .tuple(
    fc.constantFrom('m', 'm.', 'm_count'),
    fc.constantFrom('counter', 'histogram'),
    fc.uniqueArray(alike, { maxLength: 6, selector: (set) => JSON.stringify(Object.entries(set).sort()) }),
    fc.boolean(),
  )
  .map(([metricName, kind, all, isOfProvider]): MetricColumns => {
    const value = { boundaries: [1], counts: [1, 2], sum: 3 };
    const metric =
      kind === 'histogram'
        ? histogram(
            metricName,
            all.map((set) => [set, value]),
          )
        : counter(
            metricName,
            all.map((set) => [set, 1]),
          );
    return isOfProvider ? held(metric) : metric;
  });

test('[8.22][8.25][8.27] whatever becomes the same, no series, label or family is written twice', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(scopesAlike, fc.array(metricsAlike, { maxLength: 3 })), { maxLength: 4 }),
      alike,
      fc.record({
        scopeLabels: fc.boolean(),
        translationStrategy: fc.constantFrom(...TRANSLATION_STRATEGIES),
        escaping: fc.constantFrom('underscores', 'dots', 'values'),
        resourceLabels: fc.constantFrom(undefined, {}, { included: ['env*'] }),
      }),
      (scopes, resource, options) => void parsed(batchOf(scopes, resource), options),
    ),
    { numRuns: 1_000 },
  );
});
