// Receivers of remote write that crash, stand still, refuse and run out of disk: what is there in the end is what was exported.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ValueType } from '@opentelemetry/api';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AttributeSet } from '../../src/data/attribute-set.ts';
import { gaugeColumns, MetricBatch } from '../../src/data/metric-batch.ts';
import { diskQueue } from '../../src/decorators/index.ts';
import { exported } from '../../src/exporters/fixtures/exporting.ts';
import { type RemoteWriteOptions, remoteWrite } from '../../src/exporters/remote-write.ts';
import {
  AggregationTemporality,
  type ExportError,
  ManualMetricReader,
  MeterProvider,
  type PushMetricExporter,
  resourceFromAttributes,
} from '../../src/index.ts';
import { captureLogs } from '../support/collected.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { smallVolume, type Volume } from './faults/volume.ts';
import { startHttpGateway } from './support/gateway.ts';
import { startPrometheus } from './support/prometheus.ts';
import type { ServerProcess } from './support/server-process.ts';
import { startVictoriaMetrics } from './support/victoria-metrics.ts';

interface Receiver extends ServerProcess {
  readonly url: string;
  readonly writeUrl: string;
  flush?(): Promise<void>;
}

type Start = (options?: { volume?: Volume }) => Promise<Receiver>;

const RECEIVERS: [string, RemoteWriteOptions['version'], Start][] = [
  ['Prometheus 2', '1.0', (options) => startPrometheus({ version: 2, ...options })],
  ['Prometheus 3', '2.0', (options) => startPrometheus({ version: 3, ...options })],
  // Otherwise it keeps both of two samples with the same time, and requests may be sent again.
  [
    'VictoriaMetrics',
    '1.0',
    (options) => startVictoriaMetrics('old', { ...options, flags: ['-dedup.minScrapeInterval=1ms'] }),
  ],
];

const RECORDER = fileURLToPath(new URL('support/queued-remote-write.js', import.meta.url));
const QUICK = { initialIntervalMillis: 20, maxIntervalMillis: 100 };

async function started(start: Start, volume?: Volume): Promise<Receiver> {
  const receiver = await start({ volume });
  onTestFinished(() => receiver.stop());
  return receiver;
}

interface Service {
  /** Adds one and exports it; resolves to why it failed. */
  step(): Promise<ExportError | undefined>;
  /** The values exported, in order; those of them that were delivered by what the exporter says. */
  readonly sent: number[];
  readonly delivered: number[];
}

/** Other series beside the steps, so that an export takes several requests. */
const OTHERS = 1_500;

function service(exporter: PushMetricExporter): Service {
  const reader = new ManualMetricReader();
  const resource = resourceFromAttributes({ 'service.name': 'orders' });
  const meter = new MeterProvider({ readers: [reader], resource }).getMeter('m');
  const counter = meter.createCounter('steps');
  const others = meter.createCounter('others');
  onTestFinished(() => exporter.shutdown().catch(() => {}));
  const sent: number[] = [];
  const delivered: number[] = [];
  return {
    sent,
    delivered,
    async step() {
      counter.add(1);
      for (let i = 0; i < OTHERS; i++) others.add(1, { i });
      const value = sent.length + 1;
      sent.push(value);
      const { resourceMetrics } = await reader.collect();
      const error = await exported(exporter, resourceMetrics);
      if (error === undefined) delivered.push(value);
      return error;
    },
  };
}

const made = (receiver: { writeUrl: string }, options: Partial<RemoteWriteOptions>) =>
  remoteWrite({
    url: receiver.writeUrl,
    concurrency: 2,
    maxSamplesPerRequest: 500,
    staleMarkers: false,
    retry: QUICK,
    ...options,
  });

interface Stored {
  readonly values: number[];
  readonly millis: number[];
}

/** All samples of the one series, as they are stored. */
async function stored({ url, flush }: Receiver, selector: string): Promise<Stored> {
  await flush?.();
  const parameters = new URLSearchParams({
    nocache: '1',
    query: `${selector}[1h]`,
    // VictoriaMetrics rounds the present.
    time: String(Date.now() / 1_000 + 2),
  });
  const { data } = (await (await fetch(`${url}/api/v1/query?${parameters}`)).json()) as {
    data: { result: { values: [number, string][] }[] };
  };
  const samples = data.result.flatMap(({ values }) => values);
  // Version 2.0 tells when a counter began, and Prometheus puts a zero there.
  if (samples[0]?.[1] === '0') samples.shift();
  return {
    values: samples.map(([, value]) => Number(value)),
    millis: samples.map(([seconds]) => Math.round(seconds * 1_000)),
  };
}

/** VictoriaMetrics answers before what it got is safe from a crash, a second or two; a snapshot writes it down. */
async function crash(receiver: Receiver): Promise<void> {
  if (receiver.flush) await fetch(`${receiver.url}/snapshot/create`);
  await receiver.kill();
}

/** Of the counters: what was delivered is there, nothing is there that was not sent, none twice, all in order. */
async function expectDelivered(receiver: Receiver, { sent, delivered }: Service): Promise<void> {
  for (const selector of ['steps_total', 'others_total{i="0"}', `others_total{i="${OTHERS - 1}"}`]) {
    const { values, millis } = await stored(receiver, selector);
    expect(values, selector).toEqual([...new Set(values)].toSorted((a, b) => a - b));
    expect(millis, selector).toEqual([...new Set(millis)].toSorted((a, b) => a - b));
    expect(values, selector).toEqual(expect.arrayContaining(delivered));
    expect(sent, selector).toEqual(expect.arrayContaining(values));
  }
}

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  await expect.poll(isTrue, { timeout: 30_000, interval: 20 }).toBe(true);
}

describe.each(RECEIVERS)('%s, version %s', (_, version, start) => {
  captureLogs();

  describe.each([
    ['with retries', { retry: QUICK }],
    ['without', { retry: false }],
  ] as [string, Partial<RemoteWriteOptions>][])('%s', (kind, options) => {
    test('a receiver that crashes and comes back with the same data', async () => {
      const receiver = await started(start);
      const orders = service(made(receiver, { version, ...options }));
      await orders.step();
      await orders.step();
      await crash(receiver);
      const during = orders.step();
      if (kind === 'without') expect(await during).toMatchObject({ retryable: true });
      await receiver.start();
      await during;
      await orders.step();
      expect(orders.delivered).toEqual(kind === 'without' ? [1, 2, 4] : [1, 2, 3, 4]);
      await expectDelivered(receiver, orders);
    });

    test('one that stands still for longer than the timeout', async () => {
      const receiver = await started(start);
      const orders = service(made(receiver, { version, timeoutMillis: 400, ...options }));
      await orders.step();
      await receiver.pause();
      for (let i = 0; i < 2; i++) expect(await orders.step()).toMatchObject({ code: 'TIMEOUT' });
      receiver.resume();
      // What it had been sent before is written now, or was given up.
      await until(async () => (await orders.step()) === undefined);
      await orders.step();
      await expectDelivered(receiver, orders);
    });
  });

  test('a queue misses nothing of a crash, a standstill and refusals, in order', async () => {
    const receiver = await started(start);
    const gateway = await startHttpGateway(Number(new URL(receiver.url).port));
    onTestFinished(() => gateway.stop());
    const toReceiver = made(
      { writeUrl: `http://127.0.0.1:${gateway.port}/api/v1/write` },
      { version, timeoutMillis: 400, retry: false },
    );
    const dir = temporaryFolder();
    const queue = diskQueue(toReceiver, { dir, retry: QUICK, maxExportsPerSecond: Infinity });
    const orders = service(queue);
    const accepted = async () => expect(await orders.step()).toBeUndefined();
    const isEmpty = () => queue.stats().batches === 0;
    await accepted();
    await until(isEmpty);
    await crash(receiver);
    for (let i = 0; i < 3; i++) await accepted();
    await receiver.start();
    await until(isEmpty);
    await receiver.pause();
    for (let i = 0; i < 3; i++) await accepted();
    // Longer than a request may take, so that some are given up that the receiver has.
    await setTimeout(600);
    receiver.resume();
    await until(isEmpty);
    for (const status of [429, 500, 503]) {
      gateway.refuseOnce(status, 0);
      await accepted();
      await until(isEmpty);
    }
    // What the queue has taken is as good as delivered, whatever happens.
    const { values, millis } = await stored(receiver, 'steps_total');
    expect(values).toEqual(orders.sent);
    expect(millis).toEqual([...new Set(millis)].toSorted((a, b) => a - b));
  });

  test('one that loses its disk space and gets it back', async ({ skip }) => {
    const volume = await smallVolume(96);
    if (!volume.canBeFilled) skip();
    const receiver = await started(start, volume);
    const orders = service(made(receiver, { version, timeoutMillis: 1_000 }));
    await orders.step();
    if (receiver.flush) await fetch(`${receiver.url}/snapshot/create`);
    volume.fill();
    // VictoriaMetrics takes some more, ends when it wants to write them down, and has lost them.
    await until(async () => (await orders.step()) !== undefined);
    const before = receiver.flush ? orders.delivered.splice(1).length : 0;
    volume.free();
    if (before > 0) await receiver.start();
    await until(async () => (await orders.step()) === undefined);
    await orders.step();
    await expectDelivered(receiver, orders);
  });
});

describe.each([
  [2, '1.0'],
  [3, '1.0'],
  [3, '2.0'],
] as const)('Prometheus %i, version %s', (prometheus, version) => {
  captureLogs();

  /** 1,000 series at the second, but for one that has a time of its own. */
  function batch(value: number, second: number, secondOf500: number): MetricBatch {
    const length = 1_000;
    const nanos = (at: number) => BigInt(at) * 1_000_000_000n;
    const endTimes = new BigUint64Array(length).fill(nanos(second));
    endTimes[500] = nanos(secondOf500);
    const gauge = gaugeColumns({
      descriptor: { name: 'level', unit: '', description: '', valueType: ValueType.INT },
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
      length,
      attributes: Array.from({ length }, (_, i) => AttributeSet.from({ i })),
      startTimes: new BigUint64Array(length).fill(nanos(second - 60)),
      endTimes,
      values: new Float64Array(length).fill(value),
    });
    const resource = resourceFromAttributes({ 'service.name': 'orders' });
    return new MetricBatch(resource, [{ scope: { name: 'm' }, metrics: [gauge] }]);
  }

  test('a sample that is out of order is refused alone, with the reason', async () => {
    const receiver = await started(() => startPrometheus({ version: prometheus, outOfOrderWindow: '0s' }));
    const exporter = made(receiver, { version });
    onTestFinished(() => exporter.shutdown());
    const now = Math.floor(Date.now() / 1_000);
    expect(await exported(exporter, batch(1, now - 20, now - 20))).toBeUndefined();
    const error = await exported(exporter, batch(2, now - 10, now - 30));
    expect(error).toMatchObject({ code: 'REJECTED', rejectedDataPoints: 1 });
    expect(error!.message).toMatch(/out of order/);
    for (const i of [0, 499, 501, 999])
      expect((await stored(receiver, `level{i="${i}"}`)).values, `${i}`).toEqual([1, 2]);
    expect((await stored(receiver, 'level{i="500"}')).values).toEqual([1]);
  });

  test('a queue of a process that was killed is delivered by the next, all of it and in order', async () => {
    const receiver = await started(() => startPrometheus({ version: prometheus }));
    const dir = temporaryFolder();
    const accepted: number[] = [];
    async function life(isOver: (line: string) => boolean, first?: number): Promise<void> {
      const settings = JSON.stringify({ url: receiver.writeUrl, version, dir, first });
      const child = spawn(process.execPath, [RECORDER, settings], { stdio: ['ignore', 'pipe', 'inherit'] });
      const ended = once(child, 'exit');
      for await (const line of createInterface(child.stdout)) {
        if (line.startsWith('accepted')) accepted.push(Number(line.split(' ')[1]));
        if (isOver(line)) child.kill('SIGKILL');
      }
      const [code] = await ended;
      if (code !== null) throw new Error(`the process ended by itself, with code ${code}`);
    }
    const recordTo = (count: number) => life(() => accepted.length >= count, accepted.length + 1);
    await recordTo(10);
    await receiver.kill();
    await recordTo(30);
    await receiver.start();
    // While it delivers what the one before has left.
    await recordTo(40);
    await life((line) => line === 'empty');
    // A process may be killed between accepting a number and saying so.
    const { values } = await stored(receiver, 'accepted');
    expect(accepted.length).toBeGreaterThanOrEqual(40);
    expect(values).toEqual(expect.arrayContaining(accepted));
    expect(values.length).toBeLessThanOrEqual(accepted.length + 3);
  });
});
