// A process that records at a fixed rate and exports through a queue on disk. It writes down what it records before it does,
// and what the queue has accepted once it has. Ends in good order on SIGTERM.
// usage: recorder.js <settings as JSON>; each message that it is sent is by how many milliseconds its clock is ahead from then on
import { appendFileSync } from 'node:fs';

/** @type {{ life: number, url: string, dir: string, ledger: string, temporality: 'delta' | 'cumulative', ahead: number }} */
const { life, url, dir, ledger, temporality, ahead: aheadAtStart } = JSON.parse(process.argv[2] ?? '');

const RECORD_MILLIS = 10;
const EXPORT_MILLIS = 25;
const WORKERS = ['a', 'b', 'c'];

let ahead = aheadAtStart;
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

diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.WARN);
const queue = diskQueue(
  otlpHttp({ url, temporality, headers: { 'x-life': String(life) }, timeoutMillis: 500, retry: false }),
  {
    dir,
    name: 'receiver',
    maxBytes: 4 * 1024 * 1024,
    // So that accepted means on disk.
    maxMemoryPoints: 0,
    maxExportsPerSecond: Infinity,
    retry: { initialIntervalMillis: 20, maxIntervalMillis: 100 },
  },
);

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
        if (result.code === 0) appendFileSync(ledger, `${JSON.stringify({ life, points })}\n`);
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

let ticks = 0;
const recording = setInterval(() => {
  ticks++;
  appendFileSync(ledger, `${JSON.stringify({ life, ticks })}\n`);
  for (const worker of WORKERS) work.add(1, { worker });
  tick.record(ticks);
}, RECORD_MILLIS);

process.once('SIGTERM', async () => {
  clearInterval(recording);
  await provider.shutdown().catch(() => {});
  appendFileSync(ledger, `${JSON.stringify({ life, end: true })}\n`);
  process.exit();
});
process.send?.('ready');
