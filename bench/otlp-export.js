// P5 for OTLP: what exports of many series cost the process that makes them.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { answer, costOf, exportOf, longest, memoryPeak, repeated } from './export-cost.js';
import { median } from './statistics.js';

const meterline = () => import('../dist/index.js');
const openTelemetry = () => import('@opentelemetry/sdk-metrics');

const MANY = 100_000;
const FEW = 1_000;

const EXPORTS = 3;
const QUICK_EXPORTS = 1;

/** Small exports are over before V8 has compiled what they run. */
const WARM_UP_EXPORTS_OF_FEW = 20;

/**
 * @param {(ports: { http: number, grpc: number }, compression: string) => Promise<object>} ours gives a `PushMetricExporter`
 * @param {typeof ours} theirs
 * @param rival the package of `theirs`
 */
export function otlpBenchmark({ id, transport, rival, ours, theirs }) {
  const target = { valueAtMost: 10 };
  const run = (library, exporter, compression) => (options) =>
    exportCost(library, (ports) => exporter(ports, compression), options);
  const contestant = (name, compression, library, exporter) => ({
    name: `${name}, ${compression}`,
    package: name,
    run: run(library, exporter, compression),
  });
  return {
    id,
    title: `${transport}, 100 k histogram (11 bounds) and 100 k counter series, collection included`,
    rounds: 3,
    unit: 'longest event-loop pause, ms',
    ratio: 'times Meterline with gzip',
    extras: {
      busy: 'the same in CPU time, ms',
      few: 'with 1 k + 1 k series, ms of CPU',
      first: 'in the first export, ms of CPU',
      wall: 'whole export, ms',
      cpu: 'CPU, ms',
      requests: 'requests',
      megabytes: 'MB on the wire',
      memory: 'memory peak, MB',
    },
    contestants: [
      { ...contestant('meterline', 'gzip', meterline, ours), isBaseline: true, target },
      { ...contestant('meterline', 'none', meterline, ours), target },
      contestant(rival, 'gzip', openTelemetry, theirs),
      contestant(rival, 'none', openTelemetry, theirs),
    ],
  };
}

async function exportCost(library, makeExporter, { quick }) {
  const receiver = fork(fileURLToPath(new URL('otlp-receiver.js', import.meta.url)));
  const exporter = await makeExporter(await answer(receiver));
  const received = () => {
    receiver.send('count');
    return answer(receiver);
  };
  const repeats = quick ? QUICK_EXPORTS : EXPORTS;

  const many = await exportOf(library, exporter, MANY);
  const first = await costOf(many);
  await many();
  const before = await received();
  const costs = await repeated(repeats, () => costOf(many));
  const after = await received();
  const memory = await memoryPeak(many);
  const few = await exportOf(library, exporter, FEW);
  await repeated(WARM_UP_EXPORTS_OF_FEW, few);
  const small = await repeated(repeats, () => costOf(few));
  receiver.disconnect();
  return {
    value: longest(costs, 'pause'),
    busy: longest(costs, 'busy'),
    few: longest(small, 'busy'),
    first: first.busy,
    wall: median(costs.map(({ wall }) => wall)),
    cpu: median(costs.map(({ cpu }) => cpu)),
    requests: (after.requests - before.requests) / repeats,
    megabytes: (after.bytes - before.bytes) / repeats / 1e6,
    memory: memory / 1e6,
  };
}
