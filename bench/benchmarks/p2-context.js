import { AsyncLocalStorage } from 'node:async_hooks';
import { createRequire } from 'node:module';
import { callCost } from '../call-cost.js';
import { meterline } from '../subjects.js';
import { REQUESTS } from '../workload.js';

export default {
  id: 'P2-context',
  title: 'bound counter, where a context manager on `AsyncLocalStorage` knows the active span',
  unit: 'ns of CPU',
  ratio: 'times no manager',
  contestants: [
    { name: 'no context manager', isBaseline: true, run: adding() },
    { name: 'outside of a span', run: adding({ manager: true }) },
    { name: 'in a span that is not sampled', run: adding({ manager: true, traceFlags: 0 }) },
    { name: 'in a sampled span, which makes exemplars', run: adding({ manager: true, traceFlags: 1 }) },
  ],
};

function adding({ manager = false, traceFlags } = {}) {
  return async (options) => {
    // Meterline's copy of the API: this package has another one.
    const { context, ROOT_CONTEXT, trace } = createRequire(new URL('../../dist/', import.meta.url))(
      '@opentelemetry/api',
    );
    if (manager) context.setGlobalContextManager(managerOf(ROOT_CONTEXT));
    const { meter, recorded } = await meterline();
    const counter = meter.createCounter('requests').bind(REQUESTS[0]);
    const loop = (calls) => {
      for (let i = 0; i < calls; i++) counter.add(1);
    };
    const ids = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };
    const inSpan = trace.setSpanContext(ROOT_CONTEXT, { ...ids, traceFlags });
    const active = traceFlags === undefined ? ROOT_CONTEXT : inSpan;
    return context.with(active, () => callCost(loop, recorded, options));
  };
}

/** What `AsyncLocalStorageContextManager` of OpenTelemetry does. */
function managerOf(root) {
  const storage = new AsyncLocalStorage();
  const manager = {
    active: () => storage.getStore() ?? root,
    with: (inner, run, self, ...args) => storage.run(inner, () => run.apply(self, args)),
    bind: (_, target) => target,
    enable: () => manager,
    disable: () => manager,
  };
  return manager;
}
