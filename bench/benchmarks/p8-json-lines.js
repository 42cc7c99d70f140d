import { mkdir, mkdtemp, open, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { median } from '../statistics.js';
import { meterline } from '../subjects.js';
import { attributesOf, BOUNDARIES, MASK, SECONDS } from '../workload.js';

const SERIES_PER_METRIC = 50_000;

/** The monitor measures from one of its ticks to the next, so it needs some on either side of the work. */
const SETTLE_MS = 20;

export default {
  id: 'P8',
  title: 'JSON Lines file, 50 k counter and 50 k histogram series (11 bounds), fsync included',
  unit: 'ms',
  ratio: 'times Meterline',
  extras: { pause: 'longest event-loop pause, ms', cpu: 'CPU, ms', megabytes: 'MB written' },
  contestants: [
    { name: 'meterline', package: 'meterline', isBaseline: true, run: ours },
    { name: '`JSON.stringify` per line', run: plain(fromPoints), target: { ratioAtLeast: 5 } },
    { name: '`JSON.stringify` per line, objects made beforehand', run: plain(fromObjects) },
    { name: 'write and fsync of lines made beforehand', run: plain(beforehand) },
  ],
};

/** Collects, encodes, writes and syncs. */
function ours(options) {
  return inFolder(async (path) => {
    const reader = await recordedSeries();
    const exporter = await openExporter(path);
    const cost = await exportCost(path, async () => exporter.export(await collect(reader)), options);
    await exporter.shutdown();
    return cost;
  });
}

/** @param prepare gets the metrics and returns a function that gives the content of one export */
function plain(prepare) {
  return (options) =>
    inFolder(async (path) => {
      const content = await prepare(await collect(await recordedSeries()), `${path}.sample`);
      const file = await open(path, 'a');
      const exportOnce = async () => {
        await file.appendFile(content());
        await file.sync();
      };
      const cost = await exportCost(path, exportOnce, options);
      await file.close();
      return cost;
    });
}

/** The exporter that one writes in an hour. The data points are made beforehand, as by any other SDK. */
function fromPoints({ resource, scopeMetrics }) {
  const points = scopeMetrics.flatMap(({ scope, metrics }) =>
    metrics.flatMap(({ dataPoints, ...metric }) => dataPoints.map((point) => ({ scope, metric, point }))),
  );
  return () => {
    let text = '';
    for (const one of points) text += `${JSON.stringify(lineOf(resource, one))}\n`;
    return text;
  };
}

function lineOf(resource, { scope, metric, point }) {
  const { descriptor, aggregationTemporality, isMonotonic } = metric;
  const { value, attributes, startTime, endTime } = point;
  return {
    timestamp: new Date(endTime[0] * 1e3 + endTime[1] / 1e6).toISOString(),
    service_name: resource.attributes['service.name'],
    metric_name: descriptor.name,
    metric_type: typeof value === 'number' ? 'counter' : 'histogram',
    value: typeof value === 'number' ? value : distribution(value),
    unit: descriptor.unit,
    description: descriptor.description,
    attributes,
    resource: resource.attributes,
    start_time_unix_nano: nanos(startTime),
    time_unix_nano: nanos(endTime),
    temporality: aggregationTemporality === 0 ? 'delta' : 'cumulative',
    monotonic: isMonotonic,
    value_type: descriptor.valueType === 0 ? 'int' : 'double',
    scope,
  };
}

function distribution({ count, sum, min, max, buckets }) {
  const counts = buckets.counts.map((n, i) => ({ upper_bound: buckets.boundaries[i] ?? '+Inf', count: n }));
  return { count, sum, min, max, buckets: counts };
}

function nanos([seconds, nanoseconds]) {
  return `${seconds}${String(nanoseconds).padStart(9, '0')}`;
}

/** Only `JSON.stringify` itself: objects that happen to look like the lines already. */
async function fromObjects(metrics, path) {
  const lines = (await exported(metrics, path)).trimEnd().split('\n');
  const objects = lines.map((line) => JSON.parse(line));
  return () => {
    let text = '';
    for (const object of objects) text += `${JSON.stringify(object)}\n`;
    return text;
  };
}

/** What no exporter can beat on this disk. */
async function beforehand(metrics, path) {
  const bytes = Buffer.from(await exported(metrics, path));
  return () => bytes;
}

async function recordedSeries() {
  const { meter, reader } = await meterline();
  const counter = meter.createCounter('requests');
  const histogram = meter.createHistogram('duration', { advice: { explicitBucketBoundaries: BOUNDARIES } });
  attributesOf(SERIES_PER_METRIC).forEach((attributes, i) => {
    counter.add(i, attributes);
    for (let k = 0; k < 10; k++) histogram.record(SECONDS[(i + k) & MASK], attributes);
  });
  return reader;
}

async function collect(reader) {
  return (await reader.collect()).resourceMetrics;
}

async function openExporter(path) {
  const { jsonFile } = await import('../../dist/exporters/json-file.js');
  const exporter = jsonFile({ path });
  return {
    export: (metrics) =>
      new Promise((resolve, reject) => {
        exporter.export(metrics, ({ code, error }) => (code === 0 ? resolve() : reject(error)));
      }),
    shutdown: () => exporter.shutdown(),
  };
}

/** The text that Meterline writes. */
async function exported(metrics, path) {
  const exporter = await openExporter(path);
  await exporter.export(metrics);
  await exporter.shutdown();
  return readFile(path, 'utf8');
}

async function exportCost(path, exportOnce, { quick }) {
  for (let i = 0; i < (quick ? 1 : 2); i++) await exportOnce();
  const before = (await stat(path)).size;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await sleep(SETTLE_MS);
  const times = [];
  const cpuBefore = process.cpuUsage();
  for (let i = 0; i < (quick ? 1 : 3); i++) {
    const start = performance.now();
    await exportOnce();
    times.push(performance.now() - start);
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  await sleep(SETTLE_MS);
  delay.disable();
  const megabytes = ((await stat(path)).size - before) / times.length / 1e6;
  const cpu = (user + system) / times.length / 1e3;
  return { value: median(times), pause: delay.max / 1e6, cpu, megabytes };
}

/** A folder on the disk of the repository: on many machines the one for temporary files is memory. */
async function inFolder(work) {
  const logs = fileURLToPath(new URL('../logs', import.meta.url));
  await mkdir(logs, { recursive: true });
  const folder = await mkdtemp(join(logs, 'p8-'));
  try {
    return await work(join(folder, 'metrics.jsonl'));
  } finally {
    await rm(folder, { recursive: true });
  }
}
