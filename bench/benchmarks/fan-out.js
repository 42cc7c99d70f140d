import { callCost } from '../call-cost.js';
import { MASK, REQUESTS } from '../workload.js';

/** Each keeps one attribute less, so that no two streams are the same. */
const VIEWS = ['method', 'route', 'code', 'status', 'none'];

export default {
  id: 'fan-out',
  title: '`counter.add(1, {4 fresh attributes})` for several readers and Views, 160 series',
  unit: 'ns of CPU',
  ratio: 'times one reader without Views',
  contestants: [
    { name: '1 reader, no View', isBaseline: true, run: adding({ readers: 1 }) },
    { name: '2 readers', run: adding({ readers: 2 }) },
    { name: '3 readers', run: adding({ readers: 3 }) },
    { name: '1 View that renames', run: adding({ readers: 1, views: () => [{ name: 'renamed' }] }) },
    { name: '1 View that drops an attribute', run: adding({ readers: 1, views: dropping(1) }) },
    { name: '5 Views that drop one each', run: adding({ readers: 1, views: dropping(5) }) },
  ],
};

function dropping(count) {
  return ({ createDenyListAttributesProcessor }) =>
    VIEWS.slice(0, count).map((attribute) => ({
      name: `without_${attribute}`,
      attributesProcessors: [createDenyListAttributesProcessor([attribute])],
    }));
}

function adding({ readers: count, views = () => [] }) {
  return async (options) => {
    const library = await import('../../dist/index.js');
    const readers = Array.from({ length: count }, () => new library.ManualMetricReader());
    const provider = new library.MeterProvider({
      readers,
      views: views(library).map((view) => ({ instrumentName: 'requests', ...view })),
    });
    const counter = provider.getMeter('bench').createCounter('requests');
    const loop = (calls) => {
      for (let i = 0; i < calls; i++) {
        const { method, route, code, status } = REQUESTS[i & MASK];
        counter.add(1, { method, route, code, status });
      }
    };
    return callCost(loop, () => leastRecorded(readers), options);
  };
}

/** Every stream must have seen every call. */
async function leastRecorded(readers) {
  const totals = [];
  for (const reader of readers) {
    const { resourceMetrics } = await reader.collect();
    for (const { dataPoints } of resourceMetrics.scopeMetrics[0].metrics) {
      totals.push(dataPoints.reduce((sum, { value }) => sum + value, 0));
    }
  }
  return Math.min(...totals);
}
