import { describe, expect, test } from 'vitest';
import { batchOf, counter, gauge, histogram } from './fixtures/metrics.ts';
import { type EscapingScheme, escapedLabel, escapedName } from './prometheus-escaping.ts';
import { metricName, TRANSLATION_STRATEGIES, type TranslationStrategy } from './prometheus-names.ts';
import { encodePrometheusText, type PrometheusTextOptions } from './prometheus-text.ts';

test.each<[string, string, string, string]>([
  ['metric.name', 'metric_name', 'metric_dot_name', 'U__metric_2e_name'],
  ['metric_name', 'metric_name', 'metric__name', 'metric_name'],
  ['http.req_size/x', 'http_req_size_x', 'http_dot_req__size__x', 'U__http_2e_req__size_2f_x'],
  ['1a', '_a', '__a', 'U___31_a'],
  ['größe💥', 'gr__e_', 'gr____e__', 'U__gr_f6__df_e_1f4a5_'],
  ['a\ud800', 'a_', 'a__', 'U__a_FFFD_'],
  ['job:rate', 'job:rate', 'job:rate', 'job:rate'],
])('[8.32] the name %j is escaped', (name, underscores, dots, values) => {
  expect(escapedName(name, 'allow-utf-8')).toBe(name);
  expect(escapedName(name, 'underscores')).toBe(underscores);
  expect(escapedName(name, 'dots')).toBe(dots);
  expect(escapedName(name, 'values')).toBe(values);
});

test('[8.32] a colon is legal in a metric, not in a label', () => {
  expect(escapedLabel('a:b', 'underscores')).toBe('a_b');
  expect(escapedLabel('a:b', 'values')).toBe('U__a_3a_b');
});

describe.each<[TranslationStrategy, string, string]>([
  ['UnderscoreEscapingWithSuffixes', 'foo_bar_bytes_total', 'foo_bar_bytes_total'],
  ['UnderscoreEscapingWithoutSuffixes', 'foo_bar', 'foo_bar'],
  ['NoUTF8EscapingWithSuffixes', 'foo_bar_bytes_total', 'foo.bar_bytes_total'],
  ['NoTranslation', 'foo_bar', 'foo.bar'],
])('[8.13] the strategy %s', (strategy, underscores, utf8) => {
  test('names the counter foo.bar of unit By', () => {
    const name = metricName('foo.bar', 'By', true, strategy)!;
    expect(escapedName(name, 'underscores')).toBe(underscores);
    expect(escapedName(name, 'allow-utf-8')).toBe(utf8);
  });
});

test('[8.13] suffixes that a name with dots has already are not added again', () => {
  const strategy = 'NoUTF8EscapingWithSuffixes';
  expect(metricName('a.seconds', 's', false, strategy)).toBe('a.seconds');
  expect(metricName('a.total', '', true, strategy)).toBe('a_total');
  expect(metricName('a.milliseconds', 's', false, strategy)).toBe('a.milliseconds_seconds');
  expect(metricName('', 's', false, strategy)).toBeUndefined();
});

function encode(metrics: Parameters<typeof batchOf>[0][0][1], options: PrometheusTextOptions): string {
  const batch = batchOf([[{ name: 'my.scope' }, metrics]], { 'service.name': 'shop' });
  return Buffer.concat([...encodePrometheusText(batch, options)]).toString();
}

const utf8 = { translationStrategy: 'NoTranslation', escaping: 'allow-utf-8' } as const;

test('[8.14] names with any character stand in quotes, in samples, labels and comments', () => {
  const metrics = [
    counter('http.requests', [[{ 'url.path': '/', 'quo"te\\\n': 'x' }, 1]], { description: 'D.' }),
    gauge('grö"ße', [[{}, 2]]),
    histogram('la.tency', [[{ a: 'b' }, { boundaries: [1], counts: [1, 1], sum: 3 }]]),
  ];
  expect(encode(metrics, { ...utf8, scopeLabels: false }).split('\n')).toEqual([
    '# HELP target_info Attributes of the resource.',
    '# TYPE target_info gauge',
    'target_info{"service.name"="shop"} 1',
    '# HELP "http.requests" D.',
    '# TYPE "http.requests" counter',
    '{"http.requests","quo\\"te\\\\\\n"="x","url.path"="/"} 1',
    '# TYPE "grö\\"ße" gauge',
    '{"grö\\"ße"} 2',
    '# TYPE "la.tency" histogram',
    '{"la.tency_bucket",a="b",le="1"} 1',
    '{"la.tency_bucket",a="b",le="+Inf"} 2',
    '{"la.tency_sum",a="b"} 3',
    '{"la.tency_count",a="b"} 2',
    '',
  ]);
});

test('an attribute cannot take the place of the name of a metric', () => {
  const text = encode([gauge('a.b', [[{ __name__: 'evil' }, 1]])], { ...utf8, scopeLabels: false });
  expect(text).toContain('{"a.b",_name_="evil"} 1\n');
});

test('[8.32] names, labels and scopes are escaped alike, and stay valid', () => {
  const metrics = [gauge('a.b', [[{ 'c.d_e': 'x' }, 1]])];
  const lineOf = (escaping: EscapingScheme) =>
    encode(metrics, { translationStrategy: 'NoTranslation', escaping, targetInfo: false }).split('\n')[1];
  expect(lineOf('underscores')).toBe('a_b{otel_scope_name="my.scope",c_d_e="x"} 1');
  expect(lineOf('dots')).toBe('a_dot_b{otel__scope__name="my.scope",c_dot_d__e="x"} 1');
  expect(lineOf('values')).toBe('U__a_2e_b{otel_scope_name="my.scope",U__c_2e_d__e="x"} 1');
  expect(lineOf('allow-utf-8')).toBe('{"a.b",otel_scope_name="my.scope","c.d_e"="x"} 1');
});

test.each(TRANSLATION_STRATEGIES)(
  '[8.22] scope labels are one with attributes of their name, under %s',
  (translationStrategy) => {
    for (const escaping of ['underscores', 'dots', 'values', 'allow-utf-8'] as const) {
      const text = encode([gauge('g', [[{ otel_scope_name: 'mine' }, 1]])], {
        translationStrategy,
        escaping,
      });
      expect(text).toMatch(/\{otel_+scope_+name="(my\.scope;mine|mine;my\.scope)"\} 1\n/);
    }
  },
);

test('[8.26] names that become one are one family, or the later one is left out', () => {
  const problems: string[] = [];
  const options = {
    translationStrategy: 'NoTranslation',
    scopeLabels: false,
    targetInfo: false,
    onProblem: ({ message }: { message: string }) => problems.push(message),
  } as const;
  const metrics = [
    gauge('a.b', [[{ x: '1' }, 1]]),
    gauge('a_b', [[{ x: '2' }, 2]]),
    counter('a/b', [[{}, 3]]),
  ];
  expect(encode(metrics, { ...options, escaping: 'underscores' })).toBe(
    '# TYPE a_b gauge\na_b{x="1"} 1\na_b{x="2"} 2\n',
  );
  expect(problems).toEqual([expect.stringMatching(/^metric a\/b .*needs the name a_b/)]);
  expect(encode(metrics, { ...options, escaping: 'allow-utf-8' }).match(/# TYPE/g)).toHaveLength(3);
});

test('[8.05] chosen attributes of the resource are labels of every series', () => {
  const metrics = [
    gauge('g', [
      [{ a: 'x' }, 1],
      [{ 'service.name': 'own' }, 2],
    ]),
  ];
  const shown = (resourceLabels: PrometheusTextOptions['resourceLabels']) =>
    encode(metrics, { scopeLabels: false, targetInfo: false, resourceLabels }).split('\n').slice(1, -1);
  expect(shown({ included: ['service.*'] })).toEqual([
    'g{service_name="shop",a="x"} 1',
    'g{service_name="shop;own"} 2',
  ]);
  expect(shown({})).toEqual(shown({ included: ['*'] }));
  expect(shown({ excluded: ['service.nam?'] })).toEqual(['g{a="x"} 1', 'g{service_name="own"} 2']);
});

test.each([
  [['requests_total'], ['requests_total']],
  [['requests'], ['requests_total']],
  [
    ['h_bucket', 'g'],
    ['g', 'h'],
  ],
  [['target_info'], ['target_info']],
  [['nothing'], []],
])('families can be asked for by name: %j', (names, expected) => {
  const metrics = [
    counter('requests', [[{}, 1]]),
    gauge('g', [[{}, 1]]),
    histogram('h', [[{}, { boundaries: [], counts: [1] }]]),
  ];
  const text = encode(metrics, { names: new Set(names) });
  expect([...text.matchAll(/# TYPE (\S+)/g)].map(([, name]) => name)).toEqual(expected);
});

test.each(['underscores', 'dots', 'values', 'allow-utf-8'] as const)(
  'families can be asked for by their names with and without escaping: %s',
  (escaping) => {
    const metrics = [counter('a.b', [[{}, 1]]), histogram('h.i', [[{}, { boundaries: [], counts: [1] }]])];
    const options = { translationStrategy: 'NoTranslation', escaping } as const;
    for (const [name, sample] of [
      ['a.b', 'a.b'],
      ['h.i', 'h.i_count'],
      ['target_info', 'target_info'],
    ] as const) {
      const shown = escapedName(name, escaping);
      for (const asked of [name, shown, sample, shown + sample.slice(name.length)]) {
        const text = encode(metrics, { ...options, names: new Set([asked]) });
        expect([...text.matchAll(/# TYPE "?(.*?)"? /g)].map(([, found]) => found)).toEqual([shown]);
      }
    }
  },
);
