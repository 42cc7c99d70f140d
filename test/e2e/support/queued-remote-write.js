// A process that exports numbers through a queue on disk to a receiver of remote write until it is killed. Prints each number
// that the queue has accepted; without a first number it only delivers what is there, and prints when nothing is left.
// usage: queued-remote-write.js <settings as JSON>
import { setTimeout } from 'node:timers/promises';
import { ManualMetricReader, MeterProvider, resourceFromAttributes } from 'meterline';
import { diskQueue } from 'meterline/decorators';
import { remoteWrite } from 'meterline/remote-write';

const { url, version, dir, first } = JSON.parse(process.argv[2] ?? '');
const toReceiver = remoteWrite({ url, version, timeoutMillis: 500, retry: false, staleMarkers: false });
const queue = diskQueue(toReceiver, {
  dir,
  name: 'receiver',
  maxExportsPerSecond: Infinity,
  retry: { initialIntervalMillis: 20, maxIntervalMillis: 100 },
});
const reader = new ManualMetricReader();
const resource = resourceFromAttributes({ 'service.instance.id': String(process.pid) });
const gauge = new MeterProvider({ readers: [reader], resource }).getMeter('m').createGauge('accepted');

if (first === undefined) {
  await queue.forceFlush().catch(() => {});
  while (queue.stats().batches > 0) await setTimeout(5);
  process.stdout.write('empty\n');
  await setTimeout(60_000);
}
for (let number = first; ; number++) {
  gauge.record(number);
  const { resourceMetrics } = await reader.collect();
  const { code } = await new Promise((resolve) => queue.export(resourceMetrics, resolve));
  if (code === 0) process.stdout.write(`accepted ${number}\n`);
  await setTimeout(5);
}
