import { memoryInUse } from '../memory.js';
import { meterline, openTelemetry, prometheusClient } from '../subjects.js';
import { attributesOf, BOUNDARIES, LABEL_NAMES, MASK, SECONDS } from '../workload.js';

const SERIES_PER_METRIC = 100_000;

/** Meterline takes at most 0.6 of what the rival does. */
const TARGET = { ratioAtLeast: 1.67 };

export default {
  id: 'P6',
  title: 'memory of a series, over 100 k counter and 100 k histogram series (11 bounds), after an export',
  unit: 'bytes',
  ratio: 'times Meterline',
  extras: {
    heap: 'of it JavaScript heap',
    external: 'of it outside of the heap',
    recorded: 'before the export',
  },
  contestants: [
    { name: 'meterline', package: 'meterline', isBaseline: true, run: ours },
    {
      name: '@opentelemetry/sdk-metrics',
      package: '@opentelemetry/sdk-metrics',
      run: openTelemetrys,
      target: TARGET,
    },
    {
      name: '@prometheus-io/client',
      package: '@prometheus-io/client',
      run: client('@prometheus-io/client'),
      target: TARGET,
    },
    { name: 'prom-client', package: 'prom-client', run: client('prom-client') },
  ],
};

/** Exports in both formats, so that what the encoders keep counts. */
async function ours() {
  const [{ encodePrometheusText }, { encodeJsonLines }] = await Promise.all([
    import('../../dist/encoding/prometheus-text.js'),
    import('../../dist/encoding/json-lines.js'),
  ]);
  return costOf(await meterline(), async ({ reader }) => {
    for (const encode of [encodePrometheusText, encodeJsonLines]) {
      const { resourceMetrics } = await reader.collect();
      let bytes = 0;
      for (const chunk of encode(resourceMetrics, { onProblem: fail })) bytes += chunk.length;
      if (bytes === 0) throw new Error('nothing was encoded');
    }
  });
}

/** Collects only: its encoders keep nothing. */
async function openTelemetrys() {
  return costOf(await openTelemetry(), async ({ reader }) => void (await reader.collect()));
}

function client(name) {
  return async () => {
    const { counter, histogram, registry } = await prometheusClient(name);
    const subject = {
      meter: {
        createCounter: (name) => adder(counter({ name, labelNames: LABEL_NAMES })),
        createHistogram: (name) =>
          recorder(histogram({ name, labelNames: LABEL_NAMES, buckets: BOUNDARIES })),
      },
    };
    return costOf(subject, async () => void (await registry.metrics()));
  };
}

const adder = (counter) => ({ add: (value, labels) => counter.inc(labels, value) });
const recorder = (histogram) => ({ record: (value, labels) => histogram.observe(labels, value) });

async function costOf(subject, exportAll) {
  const { meter } = subject;
  const before = await memoryInUse();
  const counter = meter.createCounter('requests');
  const histogram = meter.createHistogram('duration', { advice: { explicitBucketBoundaries: BOUNDARIES } });
  record(counter, histogram);
  const recorded = await memoryInUse();
  await exportAll(subject);
  const after = await memoryInUse();
  // Whatever is not in use any more must not be measured as gone.
  record(counter, histogram);
  const perSeries = (bytes) => bytes / (2 * SERIES_PER_METRIC);
  const heap = perSeries(after.heap - before.heap);
  const external = perSeries(after.external - before.external);
  return {
    value: heap + external,
    heap,
    external,
    recorded: perSeries(recorded.heap + recorded.external - before.heap - before.external),
  };
}

function record(counter, histogram) {
  // Attributes are fresh for each call, as in a service: some libraries keep the object.
  attributesOf(SERIES_PER_METRIC).forEach((attributes) => void counter.add(1, attributes));
  attributesOf(SERIES_PER_METRIC).forEach(
    (attributes, i) => void histogram.record(SECONDS[i & MASK], attributes),
  );
}

function fail(problem) {
  throw new Error(problem.message);
}
