import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { answer, costOf, longest, memoryPeak, repeated } from '../export-cost.js';
import { memoryInUse } from '../memory.js';
import { median, quantile } from '../statistics.js';
import { prometheusClient } from '../subjects.js';
import { attributesOf, BOUNDARIES, LABEL_NAMES, MASK, SECONDS } from '../workload.js';

const MANY = 100_000;
const FEW = 1_000;

/** Of rivals each one takes seconds. */
const SCRAPES = 2;
const QUICK_SCRAPES = 1;

/** Until V8 has compiled what scrapes and requests run. */
const WARM_UP_SCRAPES_OF_FEW = 20;

/** The requests beside no scrape. */
const QUIET_MS = 1_000;
/** For the buffers of a connection to fill. */
const FILL_MS = 250;

const target = { valueAtMost: 10 };

export default {
  id: 'P5-scrape',
  title:
    'scrape over HTTP, 100 k histogram (11 bounds) and 100 k counter series, while 1,000 requests a second are served',
  rounds: 3,
  unit: 'longest event-loop pause, ms',
  ratio: 'times Meterline',
  extras: {
    busy: 'the same in CPU time, ms',
    few: 'with 1 k + 1 k series, ms of CPU',
    first: 'in the first scrape, ms of CPU',
    quiet: 'p99 of requests beside no scrape, ms',
    p99: 'beside a scrape, ms',
    wall: 'whole scrape, ms',
    megabytes: 'MB on the wire',
    memory: 'memory peak, MB',
    held: 'MB held for a scraper that stopped reading',
  },
  contestants: [
    { name: 'meterline', package: 'meterline', isBaseline: true, run: scraped(ours, 'identity'), target },
    { name: 'meterline, gzip', package: 'meterline', run: scraped(ours, 'gzip'), target },
    { name: '@prometheus-io/client', package: '@prometheus-io/client', run: scraped(client, 'identity') },
    {
      name: '@opentelemetry/exporter-prometheus',
      package: '@opentelemetry/exporter-prometheus',
      run: scraped(official, 'identity'),
    },
  ],
};

/** @param library gives, for so many series of both kinds, a handler of `node:http` */
function scraped(library, encoding) {
  return async ({ quick }) => {
    const repeats = quick ? QUICK_SCRAPES : SCRAPES;
    const few = await serve(await library(FEW), encoding);
    await repeated(WARM_UP_SCRAPES_OF_FEW, few.scrape);
    await few.requestsDuring(() => sleep(QUIET_MS));
    const small = await few.requestsDuring(() => repeated(repeats, () => costOf(few.scrape)));
    few.close();

    const many = await serve(await library(MANY), encoding);
    const first = await many.requestsDuring(() => costOf(many.scrape));
    const quiet = await many.requestsDuring(() => sleep(QUIET_MS));
    const large = await many.requestsDuring(() => repeated(repeats, () => costOf(many.scrape)));
    let bytes = 0;
    const memory = await memoryPeak(async () => {
      bytes = await many.scrape();
    });
    const held = await many.held();
    many.close();
    return {
      value: longest(large.result, 'pause'),
      busy: longest(large.result, 'busy'),
      few: longest(small.result, 'busy'),
      first: first.result.busy,
      quiet: quantile(quiet.millis, 0.99),
      p99: quantile(large.millis, 0.99),
      wall: median(large.result.map(({ wall }) => wall)),
      megabytes: bytes / 1e6,
      memory: memory / 1e6,
      held: held / 1e6,
    };
  };
}

/** A service whose metrics are scraped, with one process that scrapes them and one that it serves. */
async function serve(metrics, encoding) {
  const server = createServer((request, response) => {
    if (request.url === '/metrics') return metrics(request, response);
    response.setHeader('content-length', '11').end('hello world');
  }).listen(0, '127.0.0.1');
  // A rival that stops the loop for longer than that would lose the connections of the others.
  server.keepAliveTimeout = 0;
  await once(server, 'listening');
  const beside = async (file) => {
    const child = fork(fileURLToPath(new URL(`../${file}`, import.meta.url)), [`${server.address().port}`]);
    await answer(child);
    return child;
  };
  const scraper = await beside('scraper.js');
  const clock = await beside('request-clock.js');
  const scrape = (stops) => {
    scraper.send({ encoding, stops });
    return answer(scraper);
  };
  return {
    /** Resolves with the number of bytes. */
    scrape: () => scrape(false),
    /** What `work` resolves with, and how long each request took meanwhile. */
    async requestsDuring(work) {
      clock.send('start');
      const result = await work();
      clock.send('stop');
      return { result, millis: await answer(clock) };
    },
    /** The bytes that a scrape keeps in use once the scraper has stopped reading, those outside of V8 included. */
    async held() {
      await memoryInUse();
      const before = process.memoryUsage.rss();
      await scrape(true);
      await sleep(FILL_MS);
      await memoryInUse();
      return process.memoryUsage.rss() - before;
    },
    close() {
      scraper.disconnect();
      clock.disconnect();
      server.close();
    },
  };
}

async function ours(series) {
  const { MeterProvider } = await import('../../dist/index.js');
  const { PrometheusMetricReader } = await import('../../dist/exporters/prometheus.js');
  const reader = new PrometheusMetricReader({ cardinalitySelector: () => 200_000 });
  record(new MeterProvider({ readers: [reader] }), series);
  return reader.handler;
}

async function client(series) {
  const { registry, counter, histogram } = await prometheusClient('@prometheus-io/client');
  const requests = counter({ name: 'requests', labelNames: LABEL_NAMES });
  const duration = histogram({ name: 'duration', labelNames: LABEL_NAMES, buckets: BOUNDARIES });
  attributesOf(series).forEach((labels, i) => {
    requests.inc(labels, i);
    for (let k = 0; k < 10; k++) duration.observe(labels, SECONDS[(i + k) & MASK]);
  });
  return async (_request, response) => {
    response.setHeader('content-type', registry.contentType);
    response.end(await registry.metrics());
  };
}

async function official(series) {
  const { MeterProvider } = await import('@opentelemetry/sdk-metrics');
  const { PrometheusExporter } = await import('@opentelemetry/exporter-prometheus');
  const exporter = new PrometheusExporter({ preventServerStart: true });
  // It has no option for it.
  exporter.selectCardinalityLimit = () => 200_000;
  record(new MeterProvider({ readers: [exporter] }), series);
  return (request, response) => exporter.getMetricsRequestHandler(request, response);
}

function record(provider, series) {
  const meter = provider.getMeter('bench');
  const counter = meter.createCounter('requests');
  const histogram = meter.createHistogram('duration', { advice: { explicitBucketBoundaries: BOUNDARIES } });
  attributesOf(series).forEach((attributes, i) => {
    counter.add(i, attributes);
    for (let k = 0; k < 10; k++) histogram.record(SECONDS[(i + k) & MASK], attributes);
  });
}
