import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MetricBatch } from '../data/metric-batch.ts';
import { everyKind } from './fixtures/every-kind.ts';
import { batchOf, counter } from './fixtures/metrics.ts';
import { encodeJsonDocument } from './json-document.ts';

interface Document {
  resource: object;
  metrics: { name: string; data_points: Record<string, unknown>[] }[];
}

function encoded(batch: MetricBatch, from = 0, maxBytes = Number.POSITIVE_INFINITY, to = batch.pointCount) {
  const encoding = encodeJsonDocument(batch, { from, to, maxBytes });
  for (;;) {
    const step = encoding.next();
    if (step.done) return step.value;
  }
}

const parsed = (body: Uint8Array) => JSON.parse(Buffer.from(body).toString()) as Document;

/** All points, each with the name of its metric. */
const pointsOf = ({ metrics }: Document) =>
  metrics.flatMap(({ name, data_points }) => data_points.map((point) => [name, point]));

describe('encodeJsonDocument', () => {
  test('has resource, metrics and points of every kind', () => {
    const { body, next } = encoded(everyKind());
    expect(next).toBe(12);
    const { resource, metrics } = parsed(body);
    expect(resource).toEqual({ 'service.name': 'sre', 'service.version': 'v1.0.0', 'process.pid': 42 });
    expect(metrics.map(({ name, data_points }) => [name, data_points.length])).toEqual([
      ['http_server_requests_total', 2],
      ['http_server_request_duration_seconds', 2],
      ['payload', 1],
      ['http_server_active_requests', 1],
      ['temperature', 4],
      ['gc_duration_seconds', 2],
    ]);
    expect(metrics[0]).toEqual({
      name: 'http_server_requests_total',
      description: 'Requests served',
      unit: '1',
      type: 'counter',
      temporality: 'cumulative',
      monotonic: true,
      scope: {
        name: 'orders',
        version: '1.2.3',
        schema_url: 'https://opentelemetry.io/schemas/1.36.0',
        attributes: { team: 'shop' },
      },
      data_points: [
        {
          attributes: { 'http.method': 'POST', 'http.route': '/orders', 'http.status_code': 200 },
          value: 1234,
          timestamp: 1765848617,
          start_time_unix_nano: '1765848600000000000',
          time_unix_nano: '1765848617594123456',
        },
        expect.objectContaining({
          attributes: { flag: true, ratio: 0.5, list: ['a', null, 'ü"'], 上海: '🙂\n' },
          exemplars: [
            expect.objectContaining({ value: 3, filtered_attributes: { user: 'ü' } }),
            expect.objectContaining({ value: 0.5 }),
          ],
        }),
      ],
    });
    expect(metrics[1]!.data_points[0]!.value).toEqual({
      count: 100,
      sum: 5.234,
      min: 0.001,
      max: 0.5,
      buckets: [
        { upper_bound: 0.005, count: 10 },
        { upper_bound: 0.01, count: 20 },
        { upper_bound: 2.5, count: 70 },
        { upper_bound: '+Inf', count: 0 },
      ],
    });
    expect(metrics[2]).toMatchObject({
      type: 'histogram',
      temporality: 'delta',
      data_points: [{ value: { count: 7 }, exponential_histogram: { scale: -1, positive: { offset: -2 } } }],
    });
    expect(metrics[4]!.data_points.map(({ value }) => value)).toEqual([21.5, 'NaN', '-Infinity', -0]);
    expect(metrics[5]).toMatchObject({ type: 'summary', temporality: 'cumulative' });
    expect(metrics[5]!.data_points.map(({ value }) => value)).toEqual([
      {
        quantiles: [
          { quantile: 0, value: 0 },
          { quantile: 0.5, value: 0.5 },
          { quantile: 1, value: 1.25 },
        ],
        count: 3,
        sum: 1.75,
      },
      {
        quantiles: [
          { quantile: 0, value: 'NaN' },
          { quantile: 0.5, value: -0 },
          { quantile: 1, value: 2 },
        ],
      },
    ]);
  });

  test('documents of any size hold each point once, in order, and keep to the size', () => {
    const whole = pointsOf(parsed(encoded(everyKind()).body));
    fc.assert(
      fc.property(fc.integer({ min: 600, max: 6_000 }), (maxBytes) => {
        const seen: unknown[] = [];
        for (let from = 0; from < 12; ) {
          const { body, next, oversizedBytes } = encoded(everyKind(), from, maxBytes);
          if (oversizedBytes !== undefined) {
            expect(oversizedBytes).toBeGreaterThan(maxBytes);
            expect(next).toBe(from + 1);
            seen.push(whole[from]);
          } else {
            expect(body.length).toBeLessThanOrEqual(maxBytes);
            seen.push(...pointsOf(parsed(body)));
          }
          from = next;
        }
        expect(seen).toEqual(whole);
      }),
    );
  });

  test('goes on where it is told and ends where it is told', () => {
    const { body, next } = encoded(everyKind(), 1, Number.POSITIVE_INFINITY, 4);
    expect(next).toBe(4);
    expect(pointsOf(parsed(body)).map(([name]) => name)).toEqual([
      'http_server_requests_total',
      'http_server_request_duration_seconds',
      'http_server_request_duration_seconds',
    ]);
  });

  test('gives the loop its turn', () => {
    const many = batchOf([
      [
        { name: 's' },
        [
          counter(
            'c',
            Array.from({ length: 1_000 }, (_, i) => [{ i }, i] as const),
          ),
        ],
      ],
    ]);
    const turns = [...encodeJsonDocument(many, { from: 0, to: 1_000, maxBytes: Number.POSITIVE_INFINITY })];
    expect(turns.length).toBeGreaterThanOrEqual(3);
  });

  test('without points there is no document', () => {
    expect(encoded(batchOf([]))).toEqual({ body: new Uint8Array(0), next: 0 });
  });
});
