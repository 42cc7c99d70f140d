import { AssertionError } from 'node:assert';
import { describe, expect, test } from 'vitest';
import { assertMetric, assertNoMetric, type ExpectedMetric } from './assert-metric.ts';
import { testMetrics } from './test-metrics.ts';

async function recorded() {
  const metrics = testMetrics();
  const meter = metrics.meterProvider.getMeter('shop');
  const orders = meter.createCounter('orders_total', { unit: '{order}', description: 'Orders' });
  orders.add(2, { kind: 'book', country: 'NZ' });
  orders.add(1, { kind: 'pen', country: 'NZ' });
  meter.createUpDownCounter('open').add(-3);
  meter.createGauge('heat').record(20.5);
  const values = meter.createHistogram('order_value', { advice: { explicitBucketBoundaries: [10, 100] } });
  for (const value of [0.1, 0.2, 99, 1000]) values.record(value);
  metrics.meterProvider.getMeter('other').createCounter('open').add(1);
  return metrics.collect();
}

function failure(run: () => void): AssertionError {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(AssertionError);
    return error as AssertionError;
  }
  throw new Error('it passed');
}

describe('assertMetric', () => {
  test.each<ExpectedMetric>([
    { name: 'orders_total' },
    { name: 'orders_total', unit: '{order}', description: 'Orders', kind: 'counter', scope: 'shop' },
    { name: 'orders_total', temporality: 'cumulative', attributes: { country: 'NZ', kind: 'pen' } },
    { name: 'orders_total', attributes: { country: 'NZ', kind: 'book', none: undefined }, value: 2 },
    { name: 'open', scope: 'shop', attributes: {}, value: -3 },
    { name: 'open', kind: 'counter', value: 1 },
    { name: 'heat', kind: 'gauge', value: 20.5 },
    { name: 'order_value', value: { count: 4 } },
    {
      name: 'order_value',
      value: { sum: 1099.3, min: 0.1, max: 1000, buckets: { 10: 2, 100: 1, Infinity: 1 } },
    },
  ])('passes for %o', async (expected) => {
    assertMetric(await recorded(), expected);
  });

  test.each<[string, ExpectedMetric, string, { actual: unknown; expected: unknown }]>([
    [
      'a name that was not recorded',
      { name: 'order_total' },
      "there is no metric 'order_total'; there are:\n  orders_total (counter, 2 series)\n  open (up-down counter, 1 series)",
      { actual: ['orders_total', 'open', 'heat', 'order_value', 'open'], expected: ['order_total'] },
    ],
    [
      'other attributes: the series that there are, and a diff with the one most alike',
      { name: 'orders_total', attributes: { kind: 'pen', country: 'FR' }, value: 1 },
      "orders_total has no series { country: 'FR', kind: 'pen' }, but\n  { country: 'NZ', kind: 'book' } = 2\n" +
        "  { country: 'NZ', kind: 'pen' } = 1",
      { actual: { kind: 'pen', country: 'NZ' }, expected: { kind: 'pen', country: 'FR' } },
    ],
    [
      'another value',
      { name: 'orders_total', attributes: { kind: 'pen', country: 'NZ' }, value: 2 },
      "orders_total { country: 'NZ', kind: 'pen' } has another value",
      { actual: 1, expected: 2 },
    ],
    [
      'another part of a distribution, and says nothing of the other parts',
      { name: 'order_value', value: { count: 4, min: 0.2 } },
      'order_value {} has another value',
      { actual: { count: 4, min: 0.1 }, expected: { count: 4, min: 0.2 } },
    ],
    [
      'another bucket',
      { name: 'order_value', value: { buckets: { 10: 2, 100: 2 } } },
      'order_value {} has another value',
      { actual: { buckets: { 10: 2, 100: 1, Infinity: 1 } }, expected: { buckets: { 10: 2, 100: 2 } } },
    ],
    [
      'a number where there is a distribution',
      { name: 'heat', value: { count: 1 } },
      'heat {} has another value',
      { actual: 20.5, expected: { count: 1 } },
    ],
    [
      'another kind or unit',
      { name: 'orders_total', kind: 'gauge', unit: '{order}' },
      'orders_total is another metric than expected',
      { actual: { kind: 'counter', unit: '{order}' }, expected: { kind: 'gauge', unit: '{order}' } },
    ],
    [
      'a value of several series without saying which',
      { name: 'orders_total', value: 3 },
      'orders_total has 2 series; say which by attributes',
      { actual: expect.any(Array), expected: ['one series'] },
    ],
    [
      'a name that two meters have',
      { name: 'open' },
      "there are 2 metrics 'open'; say the scope or the kind:\n  'shop' (up-down counter)\n  'other' (counter)",
      { actual: expect.any(Array), expected: ['one of them'] },
    ],
  ])('fails for %s', async (_, expected, message, diff) => {
    const metrics = await recorded();
    const error = failure(() => assertMetric(metrics, expected));
    expect(error.message).toContain(message);
    expect({ actual: error.actual, expected: error.expected }).toEqual(diff);
    // The first line of the stack is the caller's, which is what test runners show.
    expect(error.stack!.slice(error.stack!.indexOf('\n    at ')).split('\n')[1]).toContain('.test.ts');
  });

  test('fails when nothing was recorded, and says so', async () => {
    const metrics = await testMetrics().collect();
    expect(failure(() => assertMetric(metrics, { name: 'x' })).message).toContain('nothing was recorded');
  });

  test('lists twenty series at most', async () => {
    const metrics = testMetrics();
    const counter = metrics.meterProvider.getMeter('m').createCounter('c');
    for (let i = 0; i < 50; i++) counter.add(1, { i });
    const collected = await metrics.collect();
    const { message } = failure(() => assertMetric(collected, { name: 'c', attributes: { i: 50 } }));
    expect(message.match(/ = 1$/gm)).toHaveLength(20);
    expect(message).toContain('… and 30 more');
  });

  test('takes infinite values for what they are', async () => {
    const metrics = testMetrics();
    metrics.meterProvider.getMeter('m').createGauge('g').record(Number.POSITIVE_INFINITY);
    const collected = await metrics.collect();
    assertMetric(collected, { name: 'g', value: Number.POSITIVE_INFINITY });
    failure(() => assertMetric(collected, { name: 'g', value: 5 }));
    failure(() => assertMetric(collected, { name: 'g', value: Number.NaN }));
  });

  test('overlooks that sums of fractions are not exact, and nothing more', async () => {
    const metrics = testMetrics();
    const counter = metrics.meterProvider.getMeter('m').createCounter('c');
    for (const value of [0.1, 0.2]) counter.add(value);
    const collected = await metrics.collect();
    expect(collected[0]!.points[0]!.value).not.toBe(0.3);
    assertMetric(collected, { name: 'c', value: 0.3 });
    failure(() => assertMetric(collected, { name: 'c', value: 0.300001 }));
  });

  test('reads what any reader collected', async () => {
    const { meterProvider, reader } = testMetrics();
    meterProvider.getMeter('m').createCounter('c').add(1);
    assertMetric((await reader.collect()).resourceMetrics, { name: 'c', value: 1 });
  });
});

describe('assertNoMetric', () => {
  test('passes when the metric or the series is not there', async () => {
    const metrics = await recorded();
    assertNoMetric(metrics, { name: 'orders' });
    assertNoMetric(metrics, { name: 'orders_total', scope: 'other' });
    assertNoMetric(metrics, { name: 'orders_total', attributes: { kind: 'book' } });
  });

  test('fails when it is, and shows it', async () => {
    const metrics = await recorded();
    const attributes = { kind: 'pen', country: 'NZ' };
    const error = failure(() => assertNoMetric(metrics, { name: 'orders_total', attributes }));
    expect(error.message).toBe(
      "orders_total should not be there, but has\n  { country: 'NZ', kind: 'pen' } = 1",
    );
    expect(error.actual).toEqual([{ attributes, value: 1 }]);
    expect(error.stack!.slice(error.stack!.indexOf('\n    at ')).split('\n')[1]).toContain('.test.ts');
    failure(() => assertNoMetric(metrics, { name: 'orders_total' }));
  });
});
