import { collectGarbage } from '../memory.js';
import { median } from '../statistics.js';
import { meterline, openTelemetry } from '../subjects.js';
import { attributesOf, BOUNDARIES, MASK, SECONDS } from '../workload.js';

const SERIES = 100_000;

/** Until the optimising compiler has seen enough of it. */
const WARM_UP_COLLECTIONS = 15;
const COLLECTIONS = 11;
const QUICK_COLLECTIONS = 5;

/** Base-2 exponential histograms. The official SDK has no row: its run does not end within the two minutes of a round. */
const EXPONENTIAL = {
  views: [{ aggregation: { type: 5 }, instrumentName: 'duration', aggregationCardinalityLimit: 200_000 }],
};

export default {
  id: 'collect',
  title: '`collect()` of 100 k histogram series (11 bounds), recorded to since the last time',
  unit: 'ms of loop time',
  ratio: 'times Meterline',
  extras: { cold: 'the slowest before it is compiled, ms', heap: 'heap bytes a point' },
  contestants: [
    {
      name: 'meterline',
      package: 'meterline',
      isBaseline: true,
      run: collection(meterline),
      target: { valueAtMost: 10 },
    },
    {
      name: '@opentelemetry/sdk-metrics',
      package: '@opentelemetry/sdk-metrics',
      run: collection(openTelemetry),
    },
    { name: 'meterline, an exemplar each', run: collection(meterline, { exemplarFilter: 'always_on' }) },
    { name: 'meterline, exponential, 160 buckets', run: collection(meterline, EXPONENTIAL) },
  ],
};

function collection(library, options) {
  return async ({ quick }) => {
    const { meter, reader } = await library(options);
    const histogram = meter.createHistogram('duration', {
      advice: { explicitBucketBoundaries: BOUNDARIES },
    });
    let round = 0;
    const collectOnce = async () => {
      round++;
      attributesOf(SERIES).forEach((attributes, k) => {
        histogram.record(SECONDS[(k + round) & MASK], attributes);
      });
      collectGarbage();
      const heapBefore = process.memoryUsage().heapUsed;
      const start = performance.now();
      const { resourceMetrics } = await reader.collect();
      const millis = performance.now() - start;
      const heap = process.memoryUsage().heapUsed - heapBefore;
      const { length } = resourceMetrics.scopeMetrics[0].metrics[0].dataPoints;
      if (length !== SERIES) throw new Error(`${length} of ${SERIES} points were collected`);
      return { millis, heap };
    };
    const cold = [];
    for (let i = 0; i < WARM_UP_COLLECTIONS; i++) cold.push(await collectOnce());
    const warm = [];
    for (let i = 0; i < (quick ? QUICK_COLLECTIONS : COLLECTIONS); i++) warm.push(await collectOnce());
    return {
      value: median(warm.map(({ millis }) => millis)),
      cold: Math.max(...cold.map(({ millis }) => millis)),
      heap: median(warm.map(({ heap }) => heap)) / SERIES,
    };
  };
}
