// P5 for OTLP: what exports of many series cost the process that makes them.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { memoryInUse } from './memory.js';
import { median } from './statistics.js';
import { meterline, openTelemetry } from './subjects.js';
import { attributesOf, BOUNDARIES, MASK, SECONDS } from './workload.js';

const MANY = 100_000;
const FEW = 1_000;

const EXPORTS = 3;
const QUICK_EXPORTS = 1;

/** Small exports are over before V8 has compiled what they run. */
const WARM_UP_EXPORTS_OF_FEW = 20;

/** The monitor measures from one of its ticks to the next, so it needs some on either side of the work. */
const SETTLE_MS = 20;
const TICK_MS = 1;

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

/** A function that collects and exports so many histogram and as many counter series. */
async function exportOf(library, exporter, series) {
  const { meter, reader } = await library();
  const counter = meter.createCounter('requests');
  const histogram = meter.createHistogram('duration', { advice: { explicitBucketBoundaries: BOUNDARIES } });
  attributesOf(series).forEach((attributes, i) => {
    counter.add(i, attributes);
    for (let k = 0; k < 10; k++) histogram.record(SECONDS[(i + k) & MASK], attributes);
  });
  return async () => {
    const { resourceMetrics } = await reader.collect();
    await new Promise((resolve, reject) => {
      exporter.export(resourceMetrics, ({ code, error }) => (code === 0 ? resolve() : reject(error)));
    });
  };
}

async function costOf(work) {
  const delay = monitorEventLoopDelay({ resolution: TICK_MS });
  delay.enable();
  const thread = busiestTurn();
  await sleep(SETTLE_MS);
  const start = performance.now();
  const cpuBefore = process.cpuUsage();
  await work();
  const wall = performance.now() - start;
  const { user, system } = process.cpuUsage(cpuBefore);
  await sleep(SETTLE_MS);
  delay.disable();
  return { pause: delay.max / 1e6, busy: thread.stop(), wall, cpu: (user + system) / 1e3 };
}

/** Pauses without the time that the machine gave to other processes: CPU time from one turn of a timer to the next. */
function busiestTurn() {
  let longest = 0;
  let last = threadMillis();
  const timer = setInterval(() => {
    const now = threadMillis();
    longest = Math.max(longest, now - last);
    last = now;
  }, TICK_MS);
  return {
    stop() {
      clearInterval(timer);
      return longest;
    },
  };
}

/** Not a number before Node 23.9. */
function threadMillis() {
  const { user, system } = process.threadCpuUsage?.() ?? { user: NaN, system: NaN };
  return (user + system) / 1e3;
}

/** By how many bytes memory in use grows meanwhile, garbage that V8 has not collected yet included. */
async function memoryPeak(work) {
  const { heap, external } = await memoryInUse();
  let peak = 0;
  const sample = () => {
    // `external` has the memory of buffers in it.
    const now = process.memoryUsage();
    peak = Math.max(peak, now.heapUsed + now.external - heap - external);
  };
  const timer = setInterval(sample, TICK_MS);
  await work();
  sample();
  clearInterval(timer);
  return peak;
}

function longest(costs, field) {
  return Math.max(...costs.map((cost) => cost[field]));
}

async function repeated(times, work) {
  const results = [];
  for (let i = 0; i < times; i++) results.push(await work());
  return results;
}

async function answer(child) {
  const [message] = await once(child, 'message');
  return message;
}
