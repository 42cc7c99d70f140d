import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { negotiateCompression, negotiateFormat, SCRAPE_FORMATS } from './scrape-negotiation.ts';

const PROTOBUF = 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited';
const PROTOBUF_ANSWER =
  'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited';
const TEXT = 'text/plain; version=0.0.4; charset=utf-8';
const TEXT_1 = 'text/plain; version=1.0.0; charset=utf-8';
const OPEN_METRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
const OLD_OPEN_METRICS = 'application/openmetrics-text; version=0.0.1; charset=utf-8';

describe('[8.29][8.30][8.31] the answer to', () => {
  test.each<[string, string | undefined, string]>([
    ['no header', undefined, TEXT],
    ['an empty header', '', TEXT],
    ['anything', '*/*', TEXT],
    ['any text', 'text/*', TEXT],
    ['any application', 'application/*', `${OPEN_METRICS}; escaping=underscores`],
    ['a browser', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', TEXT],
    ['text without a version', 'text/plain', TEXT],
    ['text of an unknown version', 'text/plain;version=9.9.9', TEXT],
    ['garbage', ';;,=,q=1;;;"', TEXT],
    [
      'Prometheus 2',
      'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
      `${OPEN_METRICS}; escaping=underscores`,
    ],
    [
      'Prometheus 2 with native histograms',
      `${PROTOBUF},application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1`,
      `${PROTOBUF_ANSWER}; escaping=underscores`,
    ],
    [
      'Prometheus 3',
      'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
      `${OPEN_METRICS}; escaping=allow-utf-8`,
    ],
    [
      'Prometheus 3 that prefers protobuf',
      `${PROTOBUF};q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1`,
      `${PROTOBUF_ANSWER}; escaping=underscores`,
    ],
    ['VictoriaMetrics', 'text/plain;version=0.0.4;q=1,*/*;q=0.1', TEXT],
    [
      'the heavier of two',
      `text/plain;q=0.5,application/openmetrics-text;version=1.0.0;q=0.9`,
      `${OPEN_METRICS}; escaping=underscores`,
    ],
    [
      'the first of two equals',
      'text/plain;version=1.0.0,application/openmetrics-text;version=1.0.0',
      `${TEXT_1}; escaping=underscores`,
    ],
    [
      'what is not wanted',
      'application/openmetrics-text;version=1.0.0;q=0,text/plain;version=0.0.4;q=0.1',
      TEXT,
    ],
    ['nothing but what is not wanted', 'application/openmetrics-text;version=1.0.0;q=0', TEXT],
    ['OpenMetrics without a version', 'application/openmetrics-text', OLD_OPEN_METRICS],
    ['OpenMetrics of a later version', 'application/openmetrics-text;version=2.0.0', TEXT],
    [
      'another protobuf message',
      `application/vnd.google.protobuf;proto=other;encoding=delimited,*/*;q=0.1`,
      TEXT,
    ],
    [
      'protobuf without a length in front',
      'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text',
      TEXT,
    ],
    [
      'capitals, blanks and quotes',
      'Text/Plain ; Version="1.0.0" ; Q=0.3',
      `${TEXT_1}; escaping=underscores`,
    ],
  ])('%s', (_, accept, expected) => {
    expect(negotiateFormat(accept).contentType).toBe(expected);
  });
});

describe('[8.29] with a fallback,', () => {
  test.each<[string, string | undefined, string]>([
    ['no header', undefined, `${OPEN_METRICS}; escaping=underscores`],
    ['anything', '*/*', `${OPEN_METRICS}; escaping=underscores`],
    ['what is not known', 'text/html', `${OPEN_METRICS}; escaping=underscores`],
    ['garbage', ';;,=,q=1;;;"', `${OPEN_METRICS}; escaping=underscores`],
    ['any text', 'text/*', TEXT],
    ['a format that is known', 'text/plain;version=0.0.4;q=0.1,*/*;q=0.01', TEXT],
  ])('%s is answered with it where nothing else is asked for', (_, accept, expected) => {
    expect(negotiateFormat(accept, 'OpenMetricsText1.0.0').contentType).toBe(expected);
  });

  test('each format can be it', () => {
    const types = SCRAPE_FORMATS.map((format) => negotiateFormat(undefined, format).contentType);
    const escaped = (type: string) => `${type}; escaping=underscores`;
    expect(types).toEqual([
      TEXT,
      escaped(TEXT_1),
      escaped(OPEN_METRICS),
      OLD_OPEN_METRICS,
      escaped(PROTOBUF_ANSWER),
    ]);
  });
});

test.each([
  ['allow-utf-8', 'allow-utf-8'],
  ['allow-utf8', 'allow-utf-8'],
  ['underscores', 'underscores'],
  ['dots', 'dots'],
  ['values', 'values'],
  ['rot13', 'underscores'],
  ['', 'underscores'],
])('[8.32] escaping=%s is answered with %s', (asked, expected) => {
  for (const type of ['text/plain;version=1.0.0', 'application/openmetrics-text;version=1.0.0', PROTOBUF]) {
    const { escaping, contentType } = negotiateFormat(`${type};escaping=${asked}`);
    expect(escaping).toBe(expected);
    expect(contentType).toMatch(new RegExp(`; escaping=${expected}$`));
  }
});

test('[8.32] formats that know no escaping have underscores', () => {
  for (const type of ['text/plain;version=0.0.4', 'application/openmetrics-text;version=0.0.1']) {
    const { escaping, contentType } = negotiateFormat(`${type};escaping=values`);
    expect(escaping).toBe('underscores');
    expect(contentType).not.toContain('escaping');
  }
});

test('whatever the headers are, there is an answer', () => {
  fc.assert(
    fc.property(fc.string(), (header) => {
      expect(negotiateFormat(header).contentType).toMatch(/^(text|application)\//);
      expect([undefined, 'zstd', 'gzip']).toContain(negotiateCompression(header, ['zstd', 'gzip']));
    }),
  );
});

test.each<[string | undefined, string | undefined]>([
  [undefined, undefined],
  ['', undefined],
  ['identity', undefined],
  ['gzip', 'gzip'],
  ['GZIP', 'gzip'],
  ['gzip, deflate, br', 'gzip'],
  ['gzip, zstd', 'zstd'],
  ['gzip;q=1, zstd;q=0.5', 'gzip'],
  ['gzip;q=0', undefined],
  ['gzip;q=0, *', undefined],
  ['*', 'gzip'],
  ['identity;q=1, gzip;q=0.5', undefined],
  ['br', undefined],
])('Accept-Encoding %s is answered with %s', (header, expected) => {
  expect(negotiateCompression(header, ['zstd', 'gzip'])).toBe(expected);
});
