// What an export costs the process that makes it.
import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { memoryInUse } from './memory.js';
import { attributesOf, BOUNDARIES, MASK, SECONDS } from './workload.js';

/** The monitor measures from one of its ticks to the next, so it needs some on either side of the work. */
const SETTLE_MS = 20;
const TICK_MS = 1;

/**
 * A function that collects and exports so many histogram and as many counter series, as a periodic reader does it.
 *
 * @param library gives the module that has the SDK
 */
export async function exportOf(library, exporter, series) {
  const { MeterProvider, PeriodicExportingMetricReader } = await library();
  const reader = new PeriodicExportingMetricReader({
    exporter,
    // No export but those that are asked for.
    exportIntervalMillis: 2 ** 30,
    exportTimeoutMillis: 60_000,
    cardinalityLimits: { default: 200_000 },
    selfMetrics: false,
  });
  const meter = new MeterProvider({ readers: [reader] }).getMeter('bench');
  const counter = meter.createCounter('requests');
  const histogram = meter.createHistogram('duration', { advice: { explicitBucketBoundaries: BOUNDARIES } });
  attributesOf(series).forEach((attributes, i) => {
    counter.add(i, attributes);
    for (let k = 0; k < 10; k++) histogram.record(SECONDS[(i + k) & MASK], attributes);
  });
  return () => reader.forceFlush();
}

export async function costOf(work) {
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
export async function memoryPeak(work) {
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

export function longest(costs, field) {
  return Math.max(...costs.map((cost) => cost[field]));
}

export async function repeated(times, work) {
  const results = [];
  for (let i = 0; i < times; i++) results.push(await work());
  return results;
}

export async function answer(child) {
  const [message] = await once(child, 'message');
  return message;
}
