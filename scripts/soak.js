// Runs a service with 10,000 series, of delta and of cumulative temporality, through queues on disk to a backend that comes and
// goes, and tells whether anything grows. Ends with an error when something does.
//
// usage: npm run soak -- [--minutes 10]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, styleText } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DiagConsoleLogger, DiagLogLevel, diag } from '@opentelemetry/api';
import { MeterProvider, PeriodicExportingMetricReader } from 'meterline';
import { diskQueue } from 'meterline/decorators';
import { otlpHttp } from 'meterline/otlp-http';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' } } });
const minutes = Number(values.minutes);
if (!(minutes >= 2)) {
  console.error(`--minutes is ${values.minutes}; use 2 or more, since the first quarter is for warming up`);
  process.exit(2);
}

const SERIES = 10_000;
const RECORD_MILLIS = 50;
const RECORDS = 500;
const EXPORT_MILLIS = 2_000;
const SAMPLE_MILLIS = 2_500;

/**
 * What may be more at the end than it was at the beginning, and whether its peaks count or where it comes back to: garbage and
 * requests under way come and go, and queues are as full as the outage was long.
 *
 * @type {Record<string, { of: 'lows' | 'peaks', slack: (early: number) => number }>}
 */
const LIMITS = {
  'heap (MB)': { of: 'lows', slack: (early) => 1 + early * 0.03 },
  // V8 gives its young generation up to 48 MB as it sees fit.
  'resident (MB)': { of: 'lows', slack: (early) => 24 + early * 0.08 },
  // Those of encoders are kept for the next export, so it depends on how many were under way.
  'buffers (MB)': { of: 'lows', slack: () => 4 },
  'open files and sockets': { of: 'lows', slack: () => 2 },
  handles: { of: 'lows', slack: () => 2 },
  timers: { of: 'lows', slack: () => 2 },
  'queue files': { of: 'peaks', slack: (early) => 2 + early * 0.5 },
  'queue files (MB)': { of: 'peaks', slack: (early) => 2 + early * 0.5 },
};

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc');
diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.ERROR);

const dir = mkdtempSync(join(tmpdir(), 'meterline-soak-'));
const backend = fork(fileURLToPath(new URL('soak-backend.js', import.meta.url)));
const [port] = await once(backend, 'message');

const queues = /** @type {const} */ (['delta', 'cumulative']).map((temporality) =>
  diskQueue(
    otlpHttp({ url: `http://127.0.0.1:${port}/v1/metrics`, temporality, timeoutMillis: 1_000, retry: false }),
    { dir, name: temporality, retry: { initialIntervalMillis: 100, maxIntervalMillis: 1_000 } },
  ),
);
const provider = new MeterProvider({
  readers: queues.map(
    (exporter) =>
      new PeriodicExportingMetricReader({
        exporter,
        exportIntervalMillis: EXPORT_MILLIS,
        cardinalityLimits: { default: SERIES },
      }),
  ),
});
const meter = provider.getMeter('soak');
const counter = meter.createCounter('requests');
const histogram = meter.createHistogram('durations');
const half = SERIES / 2;
let recorded = 0;
const recording = setInterval(() => {
  for (let i = 0; i < RECORDS; i++, recorded++) {
    const attributes = { route: `/${recorded % half}`, method: 'GET' };
    counter.add(1, attributes);
    histogram.record(recorded % 100, attributes);
  }
}, RECORD_MILLIS);

/** @type {Record<string, number>[]} */
const samples = [];
const megabytes = (/** @type {number} */ bytes) => Math.round((bytes / 2 ** 20) * 10) / 10;

function sample() {
  collectGarbage();
  const { heapUsed, rss, external } = process.memoryUsage();
  const resources = process.getActiveResourcesInfo();
  const timers = resources.filter((name) => name === 'Timeout' || name === 'Immediate').length;
  const files = readdirSync(dir, { recursive: true, encoding: 'utf8' }).flatMap((name) => {
    // Removed between the two, maybe.
    const found = statSync(join(dir, name), { throwIfNoEntry: false });
    return found?.isFile() ? [found.size] : [];
  });
  samples.push({
    'heap (MB)': megabytes(heapUsed),
    'resident (MB)': megabytes(rss),
    'buffers (MB)': megabytes(external),
    'open files and sockets': openFiles(),
    handles: resources.length - timers,
    timers,
    'queue files': files.length,
    'queue files (MB)': megabytes(files.reduce((sum, size) => sum + size, 0)),
  });
}

function openFiles() {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    // Not on this system.
    return 0;
  }
}

const began = performance.now();
while (performance.now() - began < minutes * 60_000) {
  await new Promise((resolve) => setTimeout(resolve, SAMPLE_MILLIS));
  sample();
}
clearInterval(recording);
backend.send('stay up');
await provider.shutdown().catch((error) => console.error(error));
const stats = queues.map((queue) => queue.stats());
backend.kill();
rmSync(dir, { recursive: true });

const quarter = Math.floor(samples.length / 4);
/** @param {number} number from 1 */
const quarterOf = (number) => samples.slice((number - 1) * quarter, number * quarter);
const rows = Object.entries(LIMITS).map(([what, { of, slack }]) => {
  const extreme = (/** @type {typeof samples} */ part) =>
    (of === 'lows' ? Math.min : Math.max)(...part.map((one) => one[what] ?? 0));
  const [second = 0, third, last = 0] = [2, 3, 4].map((number) => extreme(quarterOf(number)));
  const limit = Math.round((second + slack(second)) * 10) / 10;
  const quarters = { '2nd quarter': second, '3rd quarter': third, 'last quarter': last };
  return { what, compared: of, ...quarters, limit, flat: last <= limit };
});
console.table(rows);
console.table(
  stats.map(({ folder, deliveredPoints, droppedPoints, batches }) => ({
    queue: folder.slice(dir.length + 1),
    delivered: deliveredPoints,
    dropped: Object.values(droppedPoints).reduce((sum, points) => sum + points, 0),
    'batches left': batches,
  })),
);
const grown = rows.filter(({ flat }) => !flat).map(({ what }) => what);
const lost = stats.some(({ droppedPoints }) => Object.values(droppedPoints).some((points) => points > 0));
if (lost) console.error(styleText('red', 'points were dropped'));
if (grown.length > 0) console.error(styleText('red', `not flat: ${grown.join(', ')}`));
else console.log(`flat over ${minutes} minutes with ${SERIES} series, twice`);
process.exit(grown.length > 0 || lost ? 1 : 0);
