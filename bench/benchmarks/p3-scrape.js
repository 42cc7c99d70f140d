import { median } from '../statistics.js';
import { meterline, openTelemetry, prometheusClient } from '../subjects.js';
import { attributesOf, BOUNDARIES, LABEL_NAMES, MASK, SECONDS } from '../workload.js';

const SERIES_PER_METRIC = 100_000;

export default {
  id: 'P3',
  title: 'scrape as text, 100 k histogram (11 bounds) and 100 k counter series',
  rounds: 3,
  unit: 'ms of loop time',
  ratio: 'times Meterline',
  extras: { first: 'the first, ms', megabytes: 'MB of text', memory: 'MB more while it lasts' },
  contestants: [
    { name: 'meterline', package: 'meterline', isBaseline: true, run: ours },
    { name: 'copying the same bytes', run: copying, target: { ratioAtLeast: 0.2 } },
    {
      name: '@prometheus-io/client',
      package: '@prometheus-io/client',
      run: client,
      target: { ratioAtLeast: 20 },
    },
    {
      name: '@opentelemetry/exporter-prometheus',
      package: '@opentelemetry/exporter-prometheus',
      run: official,
      target: { ratioAtLeast: 60 },
    },
  ],
};

/** Collection and encoding as for a scraper that reads as fast as it gets, which is when two buffers take turns. */
async function ours(options) {
  const { encodePrometheusText } = await import('../../dist/encoding/prometheus-text.js');
  const { ReusedMemory } = await import('../../dist/data/column-memory.js');
  const { meter, reader } = await meterline();
  record(meter);
  // Of one scrape after the other, as `PrometheusMetricReader` has it.
  const memory = new ReusedMemory();
  return scrapeCost(options, async (peak) => {
    let bytes = 0;
    memory.begin();
    const { resourceMetrics } = await reader.collect({ memory });
    for (const chunk of encodePrometheusText(resourceMetrics, { reuseBuffers: true })) {
      bytes += chunk.length;
      peak();
    }
    return bytes;
  });
}

/** The same chunks from memory into new memory. Two buffers in turn would stay in the processor's cache: six times as fast. */
async function copying(options) {
  const { encodePrometheusText } = await import('../../dist/encoding/prometheus-text.js');
  const { meter, reader } = await meterline();
  record(meter);
  const chunks = [...encodePrometheusText((await reader.collect()).resourceMetrics)];
  return scrapeCost(options, async (peak) => {
    let bytes = 0;
    for (const chunk of chunks) {
      const copy = Buffer.allocUnsafeSlow(64 * 1024);
      bytes += chunk.copy(copy);
      peak();
    }
    return bytes;
  });
}

async function client(options) {
  const { registry, counter, histogram } = await prometheusClient('@prometheus-io/client');
  const requests = counter({ name: 'requests', labelNames: LABEL_NAMES });
  const duration = histogram({ name: 'duration', labelNames: LABEL_NAMES, buckets: BOUNDARIES });
  attributesOf(SERIES_PER_METRIC).forEach((labels, i) => {
    requests.inc(labels, i);
    for (let k = 0; k < 10; k++) duration.observe(labels, SECONDS[(i + k) & MASK]);
  });
  return scrapeCost(options, async (peak) => {
    const text = await registry.metrics();
    peak();
    return Buffer.byteLength(text);
  });
}

async function official(options) {
  const { PrometheusSerializer } = await import('@opentelemetry/exporter-prometheus');
  const { meter, reader } = await openTelemetry();
  record(meter);
  const serializer = new PrometheusSerializer();
  return scrapeCost(options, async (peak) => {
    const text = serializer.serialize((await reader.collect()).resourceMetrics);
    peak();
    return Buffer.byteLength(text);
  });
}

function record(meter) {
  const counter = meter.createCounter('requests');
  const histogram = meter.createHistogram('duration', { advice: { explicitBucketBoundaries: BOUNDARIES } });
  attributesOf(SERIES_PER_METRIC).forEach((attributes, i) => {
    counter.add(i, attributes);
    for (let k = 0; k < 10; k++) histogram.record(SECONDS[(i + k) & MASK], attributes);
  });
}

/** @param scrape is given what notes the memory in use, and resolves with the number of bytes */
async function scrapeCost({ quick }, scrape) {
  const times = [];
  let bytes = 0;
  let highest = 0;
  const before = process.memoryUsage.rss();
  const peak = () => {
    highest = Math.max(highest, process.memoryUsage.rss());
  };
  for (let i = 0; i < (quick ? 3 : 6); i++) {
    // Asking for the memory takes longer than a chunk, so only the first scrape does.
    const start = performance.now();
    bytes = await scrape(i === 0 ? peak : () => {});
    times.push(performance.now() - start);
  }
  const [first, ...rest] = times;
  return { value: median(rest), first, megabytes: bytes / 1e6, memory: (highest - before) / 1e6 };
}
