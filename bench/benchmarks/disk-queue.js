import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { median } from '../statistics.js';
import { meterline } from '../subjects.js';
import { attributesOf, BOUNDARIES, MASK, SECONDS } from '../workload.js';

const POINTS = 10_000;
const EXPORTS = 50;

/** The monitor measures from one of its ticks to the next, so it needs some on either side of the work. */
const SETTLE_MS = 20;

/** What it costs to have each batch on disk before it counts as accepted, and to read batches back. */
export default {
  id: 'disk-queue',
  title:
    'batches of 10 k points (half counters, half histograms of 11 bounds), on disk with fsync before each counts as accepted',
  unit: 'batches/s',
  ratio: 'times the export without it',
  extras: {
    usual: 'longest event-loop pause of a batch, ms',
    pause: 'and of all batches',
    cpu: 'CPU a batch, ms',
    kilobytes: 'kB a batch on disk',
  },
  contestants: [
    { name: 'the export without it', isBaseline: true, run: measured(withoutQueue) },
    { name: '`diskQueue`, receiver away', run: measured(accepting) },
    { name: '`diskQueue`, receiver there', run: measured(passingOn) },
    { name: '`diskQueue`, read back after a restart', run: measured(readingBack) },
  ],
};

/** An exporter does something with each point. */
function withoutQueue({ nothing }) {
  return { exporter: nothing(), each: true };
}

function accepting({ queue, away }) {
  return { exporter: queue(away()), each: true };
}

function passingOn({ queue, nothing }) {
  return { exporter: queue(nothing()), each: true };
}

/** The pace that a queue keeps is off: it would be what is measured. */
async function readingBack({ queue, away, nothing, batch, exports }) {
  const first = queue(away());
  for (let i = 0; i < exports; i++) await exported(first, batch);
  await first.shutdown();
  return { open: () => queue(nothing()), each: false };
}

function measured(prepare) {
  return async ({ quick }) => {
    const { createExporter, diskQueue } = await import('../../dist/decorators/index.js');
    const exports = quick ? 10 : EXPORTS;
    const folder = await onTheRepositorysDisk();
    const batch = await collected();
    const queue = (exporter) =>
      diskQueue(exporter, { dir: folder, name: 'bench', maxBytes: 2 ** 32, maxExportsPerSecond: Infinity });
    const pauses = batchPauses();
    const nothing = () => createExporter({ name: 'nothing', export: async () => pauses.delivered() });
    const away = () =>
      createExporter({
        name: 'away',
        export: async () => {
          throw new Error('away');
        },
      });
    try {
      const { exporter, open, each } = await prepare({ queue, nothing, away, batch, exports });
      if (each) for (let i = 0; i < 3; i++) await exported(exporter, batch);
      await pauses.begin(each);
      const cpuBefore = process.cpuUsage();
      const bytesBefore = exporter?.stats?.().bytes ?? 0;
      const times = [];
      const start = performance.now();
      const subject = exporter ?? open();
      if (each) {
        for (let i = 0; i < exports; i++) {
          const before = performance.now();
          await exported(subject, batch);
          times.push(performance.now() - before);
          pauses.accepted();
        }
      } else {
        await subject.forceFlush();
        times.push((performance.now() - start) / exports);
      }
      const { user, system } = process.cpuUsage(cpuBefore);
      const bytes = (subject.stats?.().bytes ?? 0) - bytesBefore;
      const millis = await pauses.end();
      await subject.shutdown();
      return {
        value: 1_000 / median(times),
        usual: median(millis),
        pause: Math.max(...millis),
        cpu: (user + system) / exports / 1e3,
        kilobytes: Math.max(0, bytes) / exports / 1e3,
      };
    } finally {
      await rm(folder, { recursive: true });
    }
  };
}

/** The longest time between two turns of the event loop from batch to batch: from acceptance to acceptance, or else delivery. */
function batchPauses() {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const millis = [];
  let isEach = true;
  const next = () => {
    if (delay.count > 0) millis.push(delay.max / 1e6);
    delay.reset();
  };
  return {
    accepted: () => void (isEach && next()),
    delivered: () => void (isEach || next()),
    async begin(each) {
      isEach = each;
      delay.enable();
      await sleep(SETTLE_MS);
      delay.reset();
    },
    /** Milliseconds, by batch. */
    async end() {
      await sleep(SETTLE_MS);
      next();
      delay.disable();
      return millis;
    },
  };
}

function exported(exporter, batch) {
  return new Promise((resolve, reject) => {
    exporter.export(batch, ({ code, error }) => (code === 0 ? resolve() : reject(error)));
  });
}

async function collected() {
  const { meter, reader } = await meterline();
  const counter = meter.createCounter('requests');
  const histogram = meter.createHistogram('duration', { advice: { explicitBucketBoundaries: BOUNDARIES } });
  attributesOf(POINTS / 2).forEach((attributes, i) => {
    counter.add(i, attributes);
    for (let k = 0; k < 10; k++) histogram.record(SECONDS[(i + k) & MASK], attributes);
  });
  return (await reader.collect()).resourceMetrics;
}

/** On many machines the folder for temporary files is memory. */
async function onTheRepositorysDisk() {
  const logs = fileURLToPath(new URL('../logs', import.meta.url));
  await mkdir(logs, { recursive: true });
  return mkdtemp(join(logs, 'queue-'));
}
