import { callCost } from '../call-cost.js';
import { meterline, prometheusClient } from '../subjects.js';
import { BOUNDARIES, LABEL_NAMES, MASK, REQUESTS, SECONDS } from '../workload.js';

export default {
  id: 'P2-histogram',
  title:
    'bound histogram, 11 bounds: `bind({4 attributes})`, then `record(seconds)`; a kept child in the clients',
  unit: 'ns of CPU',
  ratio: 'times Meterline',
  contestants: [
    { name: 'meterline', package: 'meterline', isBaseline: true, run: bound, target: { valueAtMost: 15 } },
    {
      name: '@prometheus-io/client',
      package: '@prometheus-io/client',
      run: child('@prometheus-io/client'),
      target: { ratioAtLeast: 25 },
    },
    { name: 'prom-client', package: 'prom-client', run: child('prom-client') },
    { name: 'two bare `Float64Array` elements', run: bare },
  ],
};

async function bound(options) {
  const { meter, recorded } = await meterline();
  const histogram = meter
    .createHistogram('duration', { advice: { explicitBucketBoundaries: BOUNDARIES } })
    .bind(REQUESTS[0]);
  const loop = (calls) => {
    for (let i = 0; i < calls; i++) histogram.record(SECONDS[i & MASK]);
  };
  return callCost(loop, recorded, options);
}

function child(name) {
  return async (options) => {
    const { histogram: createHistogram, recorded } = await prometheusClient(name);
    const histogram = createHistogram({
      name: 'duration',
      labelNames: LABEL_NAMES,
      buckets: BOUNDARIES,
    }).labels(REQUESTS[0]);
    const loop = (calls) => {
      for (let i = 0; i < calls; i++) histogram.observe(SECONDS[i & MASK]);
    };
    return callCost(loop, recorded, options);
  };
}

/** A sum and a count, without finding the bucket: what no library can beat. */
async function bare(options) {
  const cells = new Float64Array(2);
  const loop = (calls) => {
    for (let i = 0; i < calls; i++) {
      cells[0] += SECONDS[i & MASK];
      cells[1] += 1;
    }
  };
  return callCost(loop, async () => cells[1], options);
}
