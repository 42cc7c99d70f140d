// Real Prometheus servers scrape more than a hundred thousand series while series come and go, callbacks fail, and another
// target breaks off in the middle of its answer.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { batchOf, counter } from '../../src/encoding/fixtures/metrics.ts';
import { PrometheusMetricReader } from '../../src/exporters/prometheus.ts';
import { MeterProvider } from '../../src/index.ts';
import { type Prometheus, startPrometheus } from './support/prometheus.ts';

const STEADY = 100_000;
const PASSING = 5_000;
const HISTOGRAMS = 500;
const BOUNDARIES = [1, 10, 100];

/** A bucket more than boundaries, the sum and the count. */
const SAMPLES_OF_HISTOGRAM = BOUNDARIES.length + 3;
/** With `target_info`. */
const SAMPLES = STEADY + PASSING + HISTOGRAMS * SAMPLES_OF_HISTOGRAM + 1;

/** 0 + 1 + 2 + …, what the steady series begin with. */
const FIRST_SUM = (STEADY * (STEADY - 1)) / 2;

const SCRAPES = 3;
/** And timeout: as long as Prometheus waits by default, since a busy machine may need some seconds. */
const INTERVAL_SECONDS = 10;

const reader = new PrometheusMetricReader({
  cardinalitySelector: () => 200_000,
  // One of them hangs.
  callbackTimeoutMillis: 100,
});
// Metrics about metrics would come with the second scrape.
const provider = new MeterProvider({ readers: [reader], selfMetrics: false });
const broken = new PrometheusMetricReader();
const servers = new Map<number, Prometheus>();
let additions: NodeJS.Timeout;
let good: string;
let bad: string;

beforeAll(async () => {
  const meter = provider.getMeter('load');
  const steady = meter.createCounter('steady', { description: 'Always there.' });
  const bound = Array.from({ length: STEADY }, (_, i) => {
    const attributes = { tenant: `tenant-${i}`, 'http.route': `/orders/${i % 100}` };
    steady.add(i, attributes);
    return steady.bind(attributes);
  });
  // At once, so that no scrape may see a part of it.
  additions = setInterval(() => {
    for (const one of bound) one.add(1);
  }, 500);

  const histogram = meter.createHistogram('duration', {
    description: 'Some.',
    advice: { explicitBucketBoundaries: BOUNDARIES },
  });
  for (let i = 0; i < HISTOGRAMS; i++) for (const value of [1, 5, 50, 500]) histogram.record(value, { i });

  let first = 0;
  meter.createObservableGauge('passing', { description: 'Come and go.' }).addCallback((result) => {
    // Half of them are those of the scrape before.
    first += PASSING / 2;
    for (let i = first; i < first + PASSING; i++) result.observe(i, { id: `${i}` });
  });
  meter.createObservableGauge('failing', { description: 'Fails.' }).addCallback(() => {
    throw new Error('a callback that fails');
  });
  meter.createObservableGauge('hanging', { description: 'Hangs.' }).addCallback(() => new Promise(() => {}));
  good = `127.0.0.1:${(await reader.listen({ host: '127.0.0.1', port: 0 })).port}`;

  const half = counter(
    'half',
    Array.from({ length: 10_000 }, (_, i) => [{ id: `${i}` }, i] as const),
  );
  Object.defineProperty(half.attributes, 5_000, {
    get() {
      throw new Error('an encoder that fails');
    },
  });
  const resourceMetrics = batchOf([[{ name: 'broken' }, [half]]]);
  broken.setMetricProducer({ collect: async () => ({ resourceMetrics, errors: [] }) });
  bad = `127.0.0.1:${(await broken.listen({ host: '127.0.0.1', port: 0 })).port}`;

  const timing = { scrape_interval: `${INTERVAL_SECONDS}s`, scrape_timeout: `${INTERVAL_SECONDS}s` };
  await Promise.all(
    ([2, 3] as const).map(async (version) => {
      servers.set(version, await startPrometheus({ version, targets: [good, bad], scrape: timing }));
    }),
  );
});

afterAll(async () => {
  clearInterval(additions);
  await Promise.all([...servers.values()].map((server) => server.stop()));
  await provider.shutdown();
  await broken.shutdown();
});

describe.each([2, 3])('Prometheus %i', (version) => {
  async function query(promql: string): Promise<number[]> {
    const url = new URL('/api/v1/query', servers.get(version)!.url);
    url.searchParams.set('query', promql);
    const { data } = (await (await fetch(url)).json()) as {
      data: { result: { value: [number, string] }[] };
    };
    return data.result.map(({ value }) => Number(value[1]));
  }

  beforeAll(async () => {
    await vi.waitFor(
      async () => {
        const [scrapes = 0] = await query(`count_over_time(up{instance="${good}"}[5m])`);
        expect(scrapes).toBeGreaterThanOrEqual(SCRAPES);
      },
      { timeout: 60_000, interval: 250 },
    );
  });

  test('every scrape succeeded, and had all samples in it', async () => {
    expect(await query(`min_over_time(up{instance="${good}"}[5m])`)).toEqual([1]);
    expect(await query(`min_over_time(scrape_samples_scraped{instance="${good}"}[5m])`)).toEqual([SAMPLES]);
    expect(await query(`max_over_time(scrape_samples_scraped{instance="${good}"}[5m])`)).toEqual([SAMPLES]);
  });

  test('the values of a scrape are those of one moment', async () => {
    expect(await query('count(steady_total)')).toEqual([STEADY]);
    const [sum] = await query('sum(steady_total)');
    const rounds = (sum! - FIRST_SUM) / STEADY;
    expect(rounds).toBeGreaterThan(0);
    expect(Number.isInteger(rounds)).toBe(true);
    expect(await query('max(resets(steady_total[5m]))')).toEqual([0]);
  });

  test('histograms are what was recorded', async () => {
    expect(await query('sum(duration_count)')).toEqual([4 * HISTOGRAMS]);
    expect(await query('sum(duration_sum)')).toEqual([556 * HISTOGRAMS]);
    expect(await query('sum by (le) (duration_bucket{le=~"10|10.0"})')).toEqual([2 * HISTOGRAMS]);
  });

  test('series that are over are gone, and those that came are there', async () => {
    expect(await query('count(passing)')).toEqual([PASSING]);
    expect(await query('max(passing) - min(passing)')).toEqual([PASSING - 1]);
    const [ever] = await query('count(count_over_time(passing[5m]))');
    expect(ever).toBeGreaterThanOrEqual(PASSING + ((SCRAPES - 1) * PASSING) / 2);
  });

  test('callbacks that fail or hang cost their own metrics', async () => {
    expect(await query('{__name__=~"failing|hanging"}')).toEqual([]);
  });

  test('a scrape that broke off is a failed one, and half of the metrics are not taken for all', async () => {
    expect(await query(`max_over_time(up{instance="${bad}"}[5m])`)).toEqual([0]);
    expect(await query('count(count_over_time(half_total[5m]))')).toEqual([]);
  });
});
