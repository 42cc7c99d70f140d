// A process that records at a fixed rate and exports through a queue on disk. It writes down what it records before it does,
// and what the queue has accepted once it has. Ends in good order on SIGTERM.
// usage: recorder.js <settings as JSON>; each message that it is sent is by how many milliseconds its clock is ahead from then on
import { appendFileSync } from 'node:fs';

/**
 * @typedef {object} Settings
 * @property {number} life
 * @property {string} url
 * @property {'otlp' | 'remote-write'} protocol
 * @property {string} dir
 * @property {number} maxMemoryPoints
 * @property {string} ledger
 * @property {'delta' | 'cumulative'} temporality
 * @property {number} ahead
 */
/** @type {Settings} */
const settings = JSON.parse(process.argv[2] ?? '');
const { life, url, protocol, dir, maxMemoryPoints, ledger, temporality } = settings;

const RECORD_MILLIS = 10;
const EXPORT_MILLIS = 25;
/** More than an answer takes on a busy machine: one that comes too late looks like one that is sent again for no reason. */
const TIMEOUT_MILLIS = 1_000;
const WORKERS = ['a', 'b', 'c'];

let ahead = settings.ahead;
const SystemDate = Date;
globalThis.Date = /** @type {DateConstructor} */ (
  new Proxy(SystemDate, {
    construct: (target, given) => Reflect.construct(target, given.length > 0 ? given : [movedNow()]),
    get: (target, key) => (key === 'now' ? movedNow : Reflect.get(target, key)),
  })
);
function movedNow() {
  return SystemDate.now() + ahead;
}
process.on('message', (message) => {
  ahead = Number(message);
});
process.on('disconnect', () => process.exit());

// Only now, so that nothing has looked at the system's clock.
const { diag, DiagConsoleLogger, DiagLogLevel, ValueType } = await import('@opentelemetry/api');
const { MeterProvider, PeriodicExportingMetricReader, resourceFromAttributes } = await import('meterline');
const { diskQueue } = await import('meterline/decorators');
const { otlpHttp } = await import('meterline/otlp-http');
const { remoteWrite } = await import('meterline/remote-write');

/** @param {object} line */
const write = (line) => appendFileSync(ledger, `${JSON.stringify({ life, ...line })}\n`);

diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.WARN);
const toReceiver =
  protocol === 'otlp'
    ? otlpHttp({
        url,
        temporality,
        headers: { 'x-life': String(life) },
        timeoutMillis: TIMEOUT_MILLIS,
        retry: false,
      })
    : remoteWrite({ url, timeoutMillis: TIMEOUT_MILLIS, retry: false });
const queue = diskQueue(toReceiver, {
  dir,
  name: 'receiver',
  maxBytes: 4 * 1024 * 1024,
  maxMemoryPoints,
  maxExportsPerSecond: Infinity,
  retry: { initialIntervalMillis: 20, maxIntervalMillis: 100 },
});

/** Whether the queue has taken all that was exported so far. */
let isWhole = true;

/** @type {import('meterline').PushMetricExporter} */
const exporter = {
  ...queue,
  export(metrics, resultCallback, options) {
    const points = metrics.scopeMetrics.flatMap((scope) =>
      scope.metrics.flatMap(({ descriptor, dataPoints }) =>
        dataPoints.map(({ attributes, endTime, value }) => {
          const time = BigInt(endTime[0]) * 1_000_000_000n + BigInt(endTime[1]);
          return [`${descriptor.name} ${attributes.worker ?? ''}`, String(time), value];
        }),
      ),
    );
    queue.export(
      metrics,
      (result) => {
        isWhole = result.code === 0;
        const isInMemory = queue.stats().memoryPoints > 0;
        if (result.code === 0) write({ points, ...(isInMemory && { isInMemory }) });
        resultCallback(result);
      },
      options,
    );
  },
};
const provider = new MeterProvider({
  readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: EXPORT_MILLIS })],
  resource: resourceFromAttributes({ 'service.instance.id': String(life) }),
  selfMetrics: false,
});
const meter = provider.getMeter('recorder');
const work = meter.createCounter('work', { valueType: ValueType.INT });
const tick = meter.createGauge('tick', { valueType: ValueType.INT });

/** What the queue says that it dropped, when there is more of it. */
let told = '';
function writeDropped() {
  const dropped = queue.stats().droppedPoints;
  const text = JSON.stringify(dropped);
  if (text !== told) write({ dropped });
  told = text;
}

let ticks = 0;
write({ ticks });
const recording = setInterval(() => {
  ticks++;
  write({ ticks });
  writeDropped();
  for (const worker of WORKERS) work.add(1, { worker });
  tick.record(ticks);
}, RECORD_MILLIS);

process.once('SIGTERM', async () => {
  clearInterval(recording);
  await provider.shutdown().catch(() => {});
  writeDropped();
  write({ end: true, isWhole });
  process.exit();
});
process.send?.('ready');
