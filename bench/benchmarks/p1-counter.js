import { callCost } from '../call-cost.js';
import { meterline, openTelemetry, prometheusClient } from '../subjects.js';
import { LABEL_NAMES, MASK, REQUESTS } from '../workload.js';

export default {
  id: 'P1-counter',
  title: '`counter.add(1, {4 fresh attributes})`, 160 series',
  unit: 'ns of CPU',
  ratio: 'times Meterline',
  contestants: [
    { name: 'meterline', package: 'meterline', isBaseline: true, run: api(meterline) },
    {
      name: '@opentelemetry/sdk-metrics',
      package: '@opentelemetry/sdk-metrics',
      run: api(openTelemetry),
      target: { ratioAtLeast: 6 },
    },
    {
      name: '@prometheus-io/client',
      package: '@prometheus-io/client',
      run: client('@prometheus-io/client'),
      target: { ratioAtLeast: 3.5 },
    },
    { name: 'prom-client', package: 'prom-client', run: client('prom-client') },
  ],
};

function api(library) {
  return async (options) => {
    const { meter, recorded } = await library();
    const counter = meter.createCounter('requests');
    const loop = (calls) => {
      for (let i = 0; i < calls; i++) {
        const { method, route, code, status } = REQUESTS[i & MASK];
        counter.add(1, { method, route, code, status });
      }
    };
    return callCost(loop, recorded, options);
  };
}

function client(name) {
  return async (options) => {
    const { counter: createCounter, recorded } = await prometheusClient(name);
    const counter = createCounter({ name: 'requests', labelNames: LABEL_NAMES });
    const loop = (calls) => {
      for (let i = 0; i < calls; i++) {
        const { method, route, code, status } = REQUESTS[i & MASK];
        counter.inc({ method, route, code, status });
      }
    };
    return callCost(loop, recorded, options);
  };
}
