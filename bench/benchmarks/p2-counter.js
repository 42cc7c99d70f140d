import { callCost } from '../call-cost.js';
import { meterline, prometheusClient } from '../subjects.js';
import { LABEL_NAMES, REQUESTS } from '../workload.js';

export default {
  id: 'P2-counter',
  title:
    'bound counter: `counter.bind({4 attributes})`, then `add(1)`; a kept `labels({…})` child in the clients',
  unit: 'ns of CPU',
  ratio: 'times Meterline',
  contestants: [
    { name: 'meterline', package: 'meterline', isBaseline: true, run: bound, target: { valueAtMost: 6 } },
    {
      name: '@prometheus-io/client',
      package: '@prometheus-io/client',
      run: child('@prometheus-io/client'),
      target: { ratioAtLeast: 40 },
    },
    { name: 'prom-client', package: 'prom-client', run: child('prom-client') },
    { name: 'bare `Float64Array` element', run: bare },
  ],
};

async function bound(options) {
  const { meter, recorded } = await meterline();
  const counter = meter.createCounter('requests').bind(REQUESTS[0]);
  const loop = (calls) => {
    for (let i = 0; i < calls; i++) counter.add(1);
  };
  return callCost(loop, recorded, options);
}

function child(name) {
  return async (options) => {
    const { counter: createCounter, recorded } = await prometheusClient(name);
    const counter = createCounter({ name: 'requests', labelNames: LABEL_NAMES }).labels(REQUESTS[0]);
    const loop = (calls) => {
      for (let i = 0; i < calls; i++) counter.inc();
    };
    return callCost(loop, recorded, options);
  };
}

/** What no library can beat. */
async function bare(options) {
  const cells = new Float64Array(1);
  const loop = (calls) => {
    for (let i = 0; i < calls; i++) cells[0] += 1;
  };
  return callCost(loop, async () => cells[0], options);
}
