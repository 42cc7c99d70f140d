import { callCost } from '../call-cost.js';
import { meterline, openTelemetry, prometheusClient } from '../subjects.js';
import { BOUNDARIES, LABEL_NAMES, MASK, REQUESTS, SECONDS } from '../workload.js';

export default {
  id: 'P1-histogram',
  title: '`histogram.record(seconds, {4 fresh attributes})`, 160 series, 11 bounds',
  unit: 'ns of CPU',
  ratio: 'times Meterline',
  contestants: [
    { name: 'meterline', package: 'meterline', isBaseline: true, run: api(meterline) },
    { name: '@opentelemetry/sdk-metrics', package: '@opentelemetry/sdk-metrics', run: api(openTelemetry) },
    {
      name: '@prometheus-io/client',
      package: '@prometheus-io/client',
      run: client('@prometheus-io/client'),
    },
    { name: 'prom-client', package: 'prom-client', run: client('prom-client') },
  ],
};

function api(library) {
  return async (options) => {
    const { meter, recorded } = await library();
    const histogram = meter.createHistogram('duration', { advice: { explicitBucketBoundaries: BOUNDARIES } });
    const loop = (calls) => {
      for (let i = 0; i < calls; i++) {
        const { method, route, code, status } = REQUESTS[i & MASK];
        histogram.record(SECONDS[i & MASK], { method, route, code, status });
      }
    };
    return callCost(loop, recorded, options);
  };
}

function client(name) {
  return async (options) => {
    const { histogram: createHistogram, recorded } = await prometheusClient(name);
    const histogram = createHistogram({ name: 'duration', labelNames: LABEL_NAMES, buckets: BOUNDARIES });
    const loop = (calls) => {
      for (let i = 0; i < calls; i++) {
        const { method, route, code, status } = REQUESTS[i & MASK];
        histogram.observe({ method, route, code, status }, SECONDS[i & MASK]);
      }
    };
    return callCost(loop, recorded, options);
  };
}
