import { setTimeout as sleep } from 'node:timers/promises';
import { collectGarbage } from '../memory.js';
import { median } from '../statistics.js';
import { meterline, openTelemetry, prometheusClient } from '../subjects.js';
import { BOUNDARIES, LABEL_NAMES, MASK, REQUESTS } from '../workload.js';

/** So few that no garbage collection falls among them: the youngest generation holds a megabyte at least. */
const CALLS = 2_000;
const SAMPLES = 15;
const WARM_UP_CALLS = 2_000_000;
const QUICK_WARM_UP_CALLS = 500_000;
const WARM_UP_ROUNDS = 10;

/**
 * Whole numbers are recorded: V8 puts a fraction on the heap, 16 bytes, whenever it is passed to a function that is not
 * inlined, whoever's the function is.
 */
export default {
  id: 'allocations',
  title:
    'heap that a call takes, counter and histogram in turn, whole numbers, attributes objects made before',
  unit: 'bytes a call',
  contestants: [
    {
      name: 'meterline, bound',
      package: 'meterline',
      run: api(meterline, (instrument) => instrument.bind(REQUESTS[0])),
      target: { valueAtMost: 0.1 },
    },
    { name: 'meterline', package: 'meterline', run: api(meterline), target: { valueAtMost: 0.1 } },
    ...[
      {
        name: 'meterline, a delta and a cumulative reader',
        options: ({ AggregationTemporality: { CUMULATIVE, DELTA } }) => ({
          temporalities: [DELTA, CUMULATIVE],
        }),
      },
      {
        name: 'meterline, a View that drops an attribute',
        options: ({ createDenyListAttributesProcessor }) => ({
          views: [{ attributesProcessors: [createDenyListAttributesProcessor(['status'])] }],
        }),
      },
      {
        name: 'meterline, exponential histograms',
        options: ({ AggregationType: { EXPONENTIAL_HISTOGRAM } }) => ({
          views: [{ instrumentName: 'duration', aggregation: { type: EXPONENTIAL_HISTOGRAM } }],
        }),
      },
    ].map(({ name, options }) => ({
      name,
      package: 'meterline',
      run: api(configured(options)),
      target: { valueAtMost: 0.1 },
    })),
    {
      name: '@opentelemetry/sdk-metrics',
      package: '@opentelemetry/sdk-metrics',
      run: api(openTelemetry),
    },
    { name: '@prometheus-io/client', package: '@prometheus-io/client', run: client('@prometheus-io/client') },
    { name: 'prom-client', package: 'prom-client', run: client('prom-client') },
  ],
};

/** Collected now and then, as by a real reader, before what is counted. */
function configured(options) {
  return async () => {
    const library = await import('../../dist/index.js');
    const { temporalities = [library.AggregationTemporality.CUMULATIVE], views } = options(library);
    const readers = temporalities.map(
      (temporality) => new library.ManualMetricReader({ aggregationTemporalitySelector: () => temporality }),
    );
    const meter = new library.MeterProvider({ readers, views }).getMeter('bench');
    return { meter, collect: () => Promise.all(readers.map((reader) => reader.collect())) };
  };
}

/** @param bind makes a handle of an instrument; the attributes that it is called with besides do not matter then */
function api(library, bind) {
  return async (options) => {
    const { meter, collect } = await library();
    const counter = meter.createCounter('requests');
    const histogram = meter.createHistogram('duration', {
      advice: { explicitBucketBoundaries: BOUNDARIES },
    });
    if (bind) {
      const [boundCounter, boundHistogram] = [bind(counter), bind(histogram)];
      return bytesPerCall((calls) => {
        for (let i = 0; i < calls; i += 2) {
          boundCounter.add(1);
          boundHistogram.record(i & 7);
        }
      }, options);
    }
    return bytesPerCall(
      (calls) => {
        for (let i = 0; i < calls; i += 2) {
          counter.add(1, REQUESTS[i & MASK]);
          histogram.record(i & 7, REQUESTS[i & MASK]);
        }
      },
      { ...options, collect },
    );
  };
}

function client(name) {
  return async (options) => {
    const subject = await prometheusClient(name);
    const counter = subject.counter({ name: 'requests', labelNames: LABEL_NAMES });
    const histogram = subject.histogram({ name: 'duration', labelNames: LABEL_NAMES, buckets: BOUNDARIES });
    return bytesPerCall((calls) => {
      for (let i = 0; i < calls; i += 2) {
        counter.inc(REQUESTS[i & MASK], 1);
        histogram.observe(REQUESTS[i & MASK], i & 7);
      }
    }, options);
  };
}

async function bytesPerCall(loop, { quick, collect = async () => {} }) {
  for (let i = 0; i < WARM_UP_ROUNDS; i++) {
    loop((quick ? QUICK_WARM_UP_CALLS : WARM_UP_CALLS) / WARM_UP_ROUNDS);
    await collect();
  }
  // The optimising compiler works beside us; what it makes must be in use before we look.
  await sleep(100);
  loop(CALLS);
  const looking = median(Array.from({ length: SAMPLES }, () => heapTaken(() => {})));
  const samples = Array.from({ length: SAMPLES }, () => heapTaken(() => loop(CALLS)));
  return { value: Math.max(0, median(samples) - looking) / CALLS };
}

function heapTaken(work) {
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  work();
  return process.memoryUsage().heapUsed - before;
}
