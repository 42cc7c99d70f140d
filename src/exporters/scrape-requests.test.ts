// Requests of all kinds and what they are answered with, over real connections.
import * as zlib from 'node:zlib';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { batchWith, scrape } from '../../test/support/scrapes.ts';
import type { MetricProducer } from '../data/reader.ts';
import { encodePrometheusText } from '../encoding/prometheus-text.ts';
import { MeterProvider } from '../index.ts';
import { STREAM_COMPRESSIONS } from '../net/compression.ts';
import { PrometheusMetricReader } from './prometheus.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function listening(collect: MetricProducer['collect']) {
  const reader = new PrometheusMetricReader();
  reader.setMetricProducer({ collect });
  cleanups.push(() => reader.shutdown());
  return reader.listen({ host: '127.0.0.1', port: 0 });
}

const collecting =
  (batch = batchWith(1, 1)) =>
  async () => ({ resourceMetrics: batch, errors: [] });

describe('headers that make no sense', () => {
  const LONG = 'x/y;q=0.5,'.repeat(1_500);

  test.each<[name: string, headers: Record<string, string | string[]>]>([
    ['garbage', { accept: ';;;,,,=;q=', 'accept-encoding': ';,=q' }],
    ['15 kB of types', { accept: LONG }],
    ['15 kB of encodings', { 'accept-encoding': LONG }],
    ['15 kB of parameters', { accept: `text/plain${';a=b'.repeat(3_700)}` }],
    ['15 kB of quotes', { accept: `text/plain;version="${'"'.repeat(15_000)}` }],
    ['weights that are no numbers', { accept: 'text/plain;q=NaN', 'accept-encoding': 'gzip;q=NaN' }],
    ['weights above 1', { accept: 'text/plain;q=2', 'accept-encoding': 'gzip;q=2' }],
    ['negative weights', { accept: 'text/plain;q=-1', 'accept-encoding': 'gzip;q=-1' }],
    ['infinite weights', { accept: 'text/plain;q=Infinity', 'accept-encoding': 'gzip;q=1e999' }],
    ['nothing at all', { accept: '*/*;q=0', 'accept-encoding': '*;q=0' }],
    ['not even itself', { accept: 'text/plain;q=0', 'accept-encoding': 'identity;q=0' }],
    ['names of objects', { accept: '__proto__/constructor;toString=1', 'accept-encoding': '__proto__' }],
    ['many times', { 'accept-encoding': Array(500).fill('br') }],
  ])('%s: plain text 0.0.4', async (_, headers) => {
    const { url } = await listening(collecting());
    const answer = await scrape(url, headers);
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(answer.headers['content-encoding']).toBeUndefined();
    expect(answer.body.toString()).toContain('requests_total{');
  });

  test('more of them than a server reads is refused, and the next scrape is served', async () => {
    const { url } = await listening(collecting());
    expect((await scrape(url, { accept: 'x'.repeat(20_000) })).status).toBe(431);
    expect((await scrape(`${url}?name[]=${'x'.repeat(20_000)}`)).status).toBe(431);
    expect((await scrape(url)).status).toBe(200);
  });

  test.each(['', ' ', 'NaN', '0', '-0', '-1', '1e9', '1e999', '0x10', '1,1', '1e-9', 'x'.repeat(15_000)])(
    'a scrape timeout of "%s" s gives the metrics',
    async (seconds) => {
      const collect = vi.fn<MetricProducer['collect']>(collecting());
      const { url } = await listening(collect);
      const answer = await scrape(url, { 'x-prometheus-scrape-timeout-seconds': seconds });
      expect(answer.body.toString()).toContain('requests_total{');
      const { timeoutMillis } = collect.mock.lastCall![0]!;
      expect(timeoutMillis).toBeGreaterThan(0);
      expect(timeoutMillis).toBeLessThanOrEqual(5_000);
    },
  );
});

describe('names', () => {
  const families = async (query: string) => {
    const { url } = await listening(collecting());
    const { status, body } = await scrape(url + query);
    expect(status).toBe(200);
    return body.toString().match(/^# TYPE (\S+)/gm) ?? [];
  };

  test.each([
    '?name[]=other',
    '?name[]=',
    `?${Array.from({ length: 1_200 }, (_, i) => `name[]=n${i}`).join('&')}`,
    '?name[]=__proto__&name[]=constructor',
    '?name[]=%00&name[]=%ED%A0%80&name[]=%&name[]=%zz',
    '?name[]=requests_total%00',
    '?name[]=.*',
  ])('of no metric give nothing', async (query) => {
    expect(await families(query)).toEqual([]);
  });

  test.each(['?', '?&&&', '?name=other', '?names[]=other', '?[]', '?name[0]=other', '?name[]x=other'])(
    '%s names none, which gives all',
    async (query) => {
      expect(await families(query)).toEqual(['# TYPE requests_total']);
    },
  );

  test('one of thousands that fits is enough', async () => {
    const others = Array.from({ length: 1_200 }, (_, i) => `name[]=n${i}`).join('&');
    expect(await families(`?${others}&name[]=requests_total`)).toEqual(['# TYPE requests_total']);
  });
});

test('callbacks that fail or hang cost their own metrics, and a failed collection the scrape', async () => {
  const reader = new PrometheusMetricReader();
  const provider = new MeterProvider({ readers: [reader] });
  cleanups.push(() => provider.shutdown());
  const meter = provider.getMeter('test');
  meter.createCounter('requests').add(3);
  meter.createObservableGauge('good').addCallback((result) => result.observe(1));
  meter.createObservableGauge('failing').addCallback(() => {
    throw new Error('callback');
  });
  meter.createObservableGauge('hanging').addCallback(() => new Promise(() => {}));
  const { url } = await reader.listen({ host: '127.0.0.1', port: 0 });
  const { status, body } = await scrape(url, { 'x-prometheus-scrape-timeout-seconds': '0.1' });
  expect(status).toBe(200);
  expect(body.toString().match(/^[a-z_]+(?=[{ ])/gm)).toEqual(['target_info', 'requests_total', 'good']);
  const collect = vi.spyOn(reader, 'collect').mockRejectedValueOnce(new Error('broken'));
  expect((await scrape(url)).status).toBe(500);
  expect(collect).toHaveBeenCalledTimes(1);
});

test.each([
  ['zstd', STREAM_COMPRESSIONS.includes('zstd') ? 'zstd' : undefined],
  ['gzip, zstd', STREAM_COMPRESSIONS.includes('zstd') ? 'zstd' : 'gzip'],
  ['zstd;q=0.5, gzip', 'gzip'],
  ['br, zstd;q=0, gzip', 'gzip'],
])('who takes %s gets the best of it that this Node has', async (accepted, expected) => {
  const batch = batchWith(500, 1_000);
  const { url } = await listening(collecting(batch));
  const { headers, body } = await scrape(url, { 'accept-encoding': accepted });
  expect(headers['content-encoding']).toBe(expected);
  const { gunzipSync, zstdDecompressSync } = zlib as unknown as Record<string, (body: Buffer) => Buffer>;
  const undo = { gzip: gunzipSync, zstd: zstdDecompressSync }[expected ?? ''];
  const whole = Buffer.concat([...encodePrometheusText(batch)]);
  expect((undo?.(body) ?? body).equals(whole)).toBe(true);
});
