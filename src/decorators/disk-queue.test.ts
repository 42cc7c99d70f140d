import { appendFile, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { SUCCESS, send } from '../../test/conformance/exporter-kit.ts';
import { captureLogs } from '../../test/support/collected.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { ExportError } from '../data/errors.ts';
import { createExporter, type PushMetricExporter } from '../data/exporter.ts';
import { MetricBatch, sumColumns } from '../data/metric-batch.ts';
import { AggregationTemporality } from '../data/metric-data.ts';
import { resourceFromAttributes } from '../data/resource.ts';
import { sliceBatch } from '../data/slice-batch.ts';
import { batchOf, counter } from '../encoding/fixtures/metrics.ts';
import { QueueLock } from './disk-queue/lock.ts';
import { validDiskQueueOptions } from './disk-queue/options.ts';
import { type DiskQueue, type DiskQueueOptions, diskQueue } from './disk-queue.ts';
import { answering, deltas, fails, hangs, valuesOf } from './fixtures/answering.ts';

const logs = captureLogs();
let dir: string;
/** What the queue that crashed has said. */
let said: string;
const open: PushMetricExporter[] = [];
beforeEach(() => {
  dir = temporaryFolder();
});
afterEach(async () => {
  for (const exporter of open.splice(0)) await exporter.shutdown().catch(() => {});
});

const QUICK = { initialIntervalMillis: 1, maxIntervalMillis: 2 };
const down = () => new ExportError('UNAVAILABLE', 'down', { retryable: true });

function queue(exporter: PushMetricExporter, options: Partial<DiskQueueOptions> = {}): DiskQueue {
  const made = diskQueue(exporter, {
    dir,
    name: 'q',
    retry: QUICK,
    maxExportsPerSecond: Infinity,
    ...options,
  });
  open.push(made);
  return made;
}

/** As a crash leaves it: nothing is written, closed or unlocked any more. */
async function crashed(options: Partial<DiskQueueOptions> = {}, ...batches: MetricBatch[]): Promise<void> {
  const { exporter } = answering('dead', Array(1_000).fill(fails(down())));
  const dead = queue(exporter, { ...options, retry: { initialIntervalMillis: 1e9 } });
  for (const batch of batches) expect(await send(dead, batch)).toMatchObject(SUCCESS);
  await copyAway(async () => {
    await dead.shutdown().catch(() => {});
  });
  said = logs.join();
  logs.length = 0;
}

/** What is on disk before `work` is there again afterwards, but for the lock of this process. */
async function copyAway(work: () => Promise<void>): Promise<void> {
  const folder = join(dir, 'q');
  const files = await Promise.all(
    (await readdir(folder))
      .filter((name) => name !== 'lock')
      .map(async (name) => [name, await readFile(join(folder, name))] as const),
  );
  await work();
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const [name, bytes] of files) await writeFile(join(folder, name), bytes);
}

/** Long enough for a busy machine. */
const eventually = (check: () => unknown) => vi.waitFor(check, 15_000);

const drained = (exporter: DiskQueue) => eventually(() => expect(exporter.stats().batches).toBe(0));

const files = async (ending = '') => (await readdir(join(dir, 'q'))).filter((name) => name.endsWith(ending));

describe('delivery', () => {
  test('everything arrives, in order, one export at a time', async () => {
    const { exporter, exports } = answering('inner');
    const q = queue(exporter);
    for (let i = 0; i < 20; i++) await send(q, deltas(i));
    await q.forceFlush();
    expect(exports).toEqual(Array.from({ length: 20 }, (_, i) => [i]));
    expect(q.stats()).toMatchObject({ batches: 0, points: 0, deliveredPoints: 20 });
  });

  test('an export counts as successful while the exporter hangs or fails', async () => {
    const q = queue(answering('inner', [hangs]).exporter);
    expect(await send(q, deltas(1))).toEqual(SUCCESS);
    expect(await send(q, deltas(2))).toEqual(SUCCESS);
    expect(q.stats()).toMatchObject({ batches: 2, points: 2, isOnDisk: true });
  });

  test('what failed in a way that may pass is tried again before what came after it', async () => {
    const { exporter, exports } = answering('inner', [fails(down()), fails(new Error('?')), fails(down())]);
    const q = queue(exporter);
    await send(q, deltas(1));
    await send(q, deltas(2));
    await drained(q);
    expect(exports).toEqual([[1], [1], [1], [1], [2]]);
  });

  test('what was refused for good is dropped, counted and said, and the queue moves on', async () => {
    const { exporter, exports } = answering('inner', [fails(new ExportError('REJECTED', 'bad name'))]);
    const q = queue(exporter);
    await send(q, deltas(1, 2));
    await send(q, deltas(3));
    await drained(q);
    expect(exports).toEqual([[1, 2], [3]]);
    expect(q.stats().droppedPoints).toMatchObject({ refusal: 2 });
    expect(logs.join()).toContain(
      '2 points were refused for good by the receiver and were dropped: [REJECTED] bad name',
    );
  });

  test('what was dropped is told in the answers to later exports, and no more than they have points', async () => {
    const q = queue(answering('inner', [fails(new ExportError('REJECTED', 'no'))]).exporter);
    await send(q, deltas(1, 2, 3));
    await drained(q);
    const told = [];
    for (let i = 0; i < 3; i++) told.push((await send(q, deltas(4, 5))).error);
    expect(told).toMatchObject([{ rejectedDataPoints: 2 }, { rejectedDataPoints: 1 }, undefined]);
  });

  test.each(['UNAUTHENTICATED', 'TLS'] as const)(
    '%s is about the connection: nothing is dropped',
    async (code) => {
      const { exporter, exports } = answering('inner', [fails(new ExportError(code, 'expired'))]);
      const q = queue(exporter);
      await send(q, deltas(1));
      await drained(q);
      expect(exports).toEqual([[1], [1]]);
      expect(q.stats()).toMatchObject({ deliveredPoints: 1, droppedPoints: { refusal: 0 } });
    },
  );

  test('an exporter that somebody else shut down costs no points', async () => {
    const inner = createExporter({ name: 'inner', export: async () => {} });
    const q = queue(inner);
    await inner.shutdown();
    await send(q, deltas(1));
    await eventually(() => expect(logs.join()).toContain('inner has been shut down; what waits is kept'));
    await q.shutdown();
    const { exporter, exports } = answering('next');
    await queue(exporter).forceFlush();
    expect(exports).toEqual([[1]]);
  });

  test('of a part, only the rest is sent again', async () => {
    const partly = (batch: MetricBatch) =>
      Promise.reject(
        new ExportError('UNAVAILABLE', 'half', {
          retryable: true,
          undelivered: sliceBatch(batch, 1, batch.pointCount),
        }),
      );
    const { exporter, exports } = answering('inner', [partly, fails(down()), partly]);
    const q = queue(exporter);
    await send(q, deltas(1, 2, 3));
    await drained(q);
    expect(exports).toEqual([[1, 2, 3], [2, 3], [2, 3], [3]]);
    expect(q.stats().deliveredPoints).toBe(3);
    expect(await files('rest')).toEqual([]);
  });

  test('points that the receiver refused of a batch that it took are counted', async () => {
    const refusal = new ExportError('REJECTED', 'one is bad', { rejectedDataPoints: 1 });
    const q = queue(createExporter({ name: 'picky', export: async () => refusal }));
    await send(q, deltas(1, 2));
    await drained(q);
    expect(q.stats()).toMatchObject({ deliveredPoints: 1, droppedPoints: { refusal: 1 } });
  });

  test('a backend that comes back gets what waits at the given pace', async () => {
    const at: number[] = [];
    const slow = createExporter({ name: 'slow', export: async () => void at.push(performance.now()) });
    const q = queue(slow, { maxExportsPerSecond: 100 });
    for (let i = 0; i < 10; i++) await send(q, deltas(i));
    await q.forceFlush();
    // Nine waits of 10 ms, less what the machine was late with the first one.
    expect(at.at(-1)! - at[0]!).toBeGreaterThan(60);
  });

  test('a wait that the backend asks for is kept', async () => {
    const at: number[] = [];
    const throttled = new ExportError('THROTTLED', 'later', { retryable: true, retryAfterMs: 80 });
    const busy = createExporter({
      name: 'busy',
      export: async () => {
        at.push(performance.now());
        if (at.length === 1) throw throttled;
      },
    });
    const q = queue(busy);
    await send(q, deltas(1));
    await drained(q);
    expect(at[1]! - at[0]!).toBeGreaterThan(75);
  });

  test('batches are given to the exporter as they were accepted when few wait, without reading them back', async () => {
    const arrived: MetricBatch[] = [];
    const q = queue(createExporter({ name: 'inner', export: async (batch) => void arrived.push(batch) }));
    const batches = [deltas(1), deltas(2), deltas(3)];
    await Promise.all(batches.map((batch) => send(q, batch)));
    await q.forceFlush();
    expect(arrived.map((batch) => batches.indexOf(batch))).toEqual([0, 1, 2]);
  });
});

describe('restarts', () => {
  test('what was accepted is delivered by the next process, in order, without an export of its own', async () => {
    await crashed({}, deltas(1), deltas(2, 3), deltas(4));
    const { exporter, exports } = answering('inner');
    const q = queue(exporter);
    await eventually(() => expect(exports).toEqual([[1], [2, 3], [4]]));
    await drained(q);
    expect(await files('.queue')).toEqual([]);
  });

  test('batches of many megabytes come back whole, and small ones behind them', async () => {
    const { scopeMetrics } = deltas(2);
    const text = 'x'.repeat(5_000_000);
    const large = new MetricBatch(resourceFromAttributes({ text }), scopeMetrics);
    await crashed({}, deltas(1), large, deltas(3));
    const arrived: MetricBatch[] = [];
    const q = queue(createExporter({ name: 'inner', export: async (batch) => void arrived.push(batch) }));
    await q.forceFlush();
    expect(arrived.map(valuesOf)).toEqual([[1], [2], [3]]);
    expect(arrived[1]!.resource.attributes.text).toBe(text);
  });

  test('new batches go behind those that are there', async () => {
    await crashed({}, deltas(1), deltas(2));
    const { exporter, exports } = answering('inner');
    const q = queue(exporter);
    await send(q, deltas(3));
    await q.forceFlush();
    expect(exports).toEqual([[1], [2], [3]]);
  });

  test('what was delivered before a crash is not delivered again', async () => {
    const { exporter } = answering('first', [async () => {}, async () => {}, fails(down()), fails(down())]);
    const q = queue(exporter, { retry: { initialIntervalMillis: 1e9 } });
    for (let i = 1; i <= 4; i++) await send(q, deltas(i));
    await eventually(() => expect(q.stats().batches).toBe(2));
    await copyAway(() => q.shutdown().catch(() => {}));
    const second = answering('second');
    await queue(second.exporter).forceFlush();
    expect(second.exports).toEqual([[3], [4]]);
  });

  test('of a batch delivered in part before a crash only the rest is delivered', async () => {
    const partly = (batch: MetricBatch) =>
      Promise.reject(
        new ExportError('UNAVAILABLE', 'half', { retryable: true, undelivered: sliceBatch(batch, 2, 3) }),
      );
    const { exporter } = answering('first', [partly, fails(down())]);
    const q = queue(exporter, { retry: { initialIntervalMillis: 1e9 } });
    await send(q, deltas(1, 2, 3));
    await eventually(async () => expect(await files('rest')).toEqual(['rest']));
    await copyAway(() => q.shutdown().catch(() => {}));
    const second = answering('second');
    await queue(second.exporter).forceFlush();
    expect(second.exports).toEqual([[3]]);
  });

  test('of a batch that shutdown finds under way, only what is owed is delivered at the next start', async () => {
    let isUnderWay = false;
    const half = createExporter({
      name: 'half',
      graceMillis: 1_000,
      export: (batch, { signal }) =>
        new Promise((_, reject) => {
          const undelivered = sliceBatch(batch, 1, 3);
          const error = new ExportError('ABORTED', 'stopped', { retryable: true, undelivered });
          signal.addEventListener('abort', () => reject(error));
          isUnderWay = true;
        }),
    });
    const q = queue(half);
    await send(q, deltas(1, 2, 3));
    await eventually(() => expect(isUnderWay).toBe(true));
    await q.shutdown();
    expect(q.stats().deliveredPoints).toBe(1);
    const { exporter, exports } = answering('next');
    await queue(exporter).forceFlush();
    expect(exports).toEqual([[2, 3]]);
  });

  test('shutdown delivers what it can and says in one message what stays', async () => {
    const q = queue(answering('inner', [async () => {}, ...Array(99).fill(fails(down()))]).exporter);
    for (let i = 0; i < 3; i++) await send(q, deltas(i, i));
    await q.shutdown();
    expect(logs.filter((line) => line.includes('wait for the next start'))).toEqual([
      `meterline: queue ${join(dir, 'q')}: 4 points in 2 batches wait for the next start`,
    ]);
    const { exporter, exports } = answering('next');
    await queue(exporter).forceFlush();
    expect(exports).toEqual([
      [1, 1],
      [2, 2],
    ]);
  });

  test('forceFlush makes an attempt at once, though a long wait is under way, and rejects when it fails', async () => {
    const { exporter, exports } = answering('inner', [fails(down()), fails(down())]);
    const q = queue(exporter, { retry: { initialIntervalMillis: 1e9 } });
    await send(q, deltas(1));
    await eventually(() => expect(exports).toHaveLength(1));
    await expect(q.forceFlush()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(q.stats().batches).toBe(1);
    await q.forceFlush();
    expect(exports).toEqual([[1], [1], [1]]);
  });
});

describe('bounds', () => {
  /** Some 4 kB each. */
  const wide = (i: number) => deltas(...Array.from({ length: 200 }, (_, k) => i * 1_000 + k));

  test('the oldest batches are dropped, counted and said when maxBytes is exceeded', async () => {
    await crashed({ maxBytes: 65_536 }, ...Array.from({ length: 40 }, (_, i) => wide(i)));
    expect(said).toMatch(/\d+ points were dropped, the oldest first, to keep within maxBytes/);
    const onDisk = await Promise.all(
      (await files('.queue')).map(async (name) => (await stat(join(dir, 'q', name))).size),
    );
    expect(onDisk.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(65_536);
    const { exporter, exports } = answering('inner');
    await queue(exporter, { maxBytes: 65_536 }).forceFlush();
    const arrived = exports.map((values) => Number(values[0]) / 1_000);
    expect(arrived).toEqual(Array.from({ length: arrived.length }, (_, i) => 40 - arrived.length + i));
    expect(arrived.length).toBeGreaterThan(10);
  });

  test('what is counted as delivered, dropped and waiting is what was accepted', async () => {
    const { exporter } = answering('inner', Array(5).fill(fails(down())));
    const q = queue(exporter, { maxBytes: 65_536 });
    for (let i = 0; i < 60; i++) await send(q, wide(i));
    await q.forceFlush().catch(() => {});
    await drained(q);
    const { deliveredPoints, droppedPoints } = q.stats();
    expect(deliveredPoints + droppedPoints.size).toBe(60 * 200);
  });

  test('what is dropped is counted exactly, though the oldest batch is under way all the time', async () => {
    const q = queue(answering('inner', Array(9).fill(hangs)).exporter, { maxBytes: 65_536 });
    for (let i = 0; i < 100; i++) await send(q, wide(i));
    const { points, droppedPoints } = q.stats();
    // The one under way is neither waiting in a file nor given up yet.
    expect(points + droppedPoints.size).toBe(99 * 200);
  });

  test('a batch under way whose file was dropped for room is not tried again, and is counted', async () => {
    const { exporter, exports } = answering('inner', [fails(down())]);
    const q = queue(exporter, { maxBytes: 65_536, retry: { initialIntervalMillis: 1e9 } });
    for (let i = 0; i < 40; i++) await send(q, wide(i));
    await q.forceFlush();
    expect(exports.filter(([value]) => value === 0)).toHaveLength(1);
    const { deliveredPoints, droppedPoints } = q.stats();
    expect(deliveredPoints).toBe((exports.length - 1) * 200);
    expect(deliveredPoints + droppedPoints.size).toBe(40 * 200);
  });

  test('a batch larger than maxBytes is refused for good', async () => {
    const q = queue(answering('inner').exporter, { maxBytes: 65_536 });
    const huge = deltas(...Array.from({ length: 10_000 }, (_, i) => i));
    expect(await send(q, huge)).toMatchObject({ error: { code: 'TOO_LARGE', retryable: false } });
    expect(await send(q, deltas(1))).toEqual(SUCCESS);
  });

  test('files go as they are delivered, also while others wait', async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { exporter } = answering('inner', [...Array(20).fill(async () => {}), () => gate]);
    const q = queue(exporter, { maxBytes: 65_536 });
    for (let i = 0; i < 30; i++) await send(q, wide(i));
    await eventually(() => expect(q.stats().batches).toBe(10));
    expect((await files('.queue')).length).toBeLessThan(13);
    release();
    await drained(q);
  });

  test('a batch older than maxAgeMillis is dropped, counted and said', async () => {
    await crashed({}, deltas(1, 2), deltas(3));
    vi.setSystemTime(Date.now() + 60);
    onTestFinished(() => void vi.useRealTimers());
    const { exporter, exports } = answering('inner');
    const q = queue(exporter, { maxAgeMillis: 50 });
    await q.forceFlush();
    expect(exports).toEqual([]);
    expect(q.stats().droppedPoints).toMatchObject({ age: 3 });
    expect(logs.join()).toContain('are older than maxAgeMillis and were dropped');
  });

  test('of a batch delivered in part that has become too old, the rest is counted', async () => {
    const partly = (batch: MetricBatch) =>
      Promise.reject(
        new ExportError('UNAVAILABLE', 'half', { retryable: true, undelivered: sliceBatch(batch, 2, 3) }),
      );
    const { exporter } = answering('first', [partly, fails(down()), fails(down())]);
    const first = queue(exporter, { retry: { initialIntervalMillis: 1e9 } });
    await send(first, deltas(1, 2, 3));
    await first.shutdown();
    vi.setSystemTime(Date.now() + 60);
    onTestFinished(() => void vi.useRealTimers());
    const q = queue(answering('second').exporter, { maxAgeMillis: 50 });
    await q.forceFlush();
    expect(q.stats()).toMatchObject({ deliveredPoints: 0, droppedPoints: { age: 1 } });
  });

  test('a batch that grows too old while it is tried again is dropped', async () => {
    const { exporter } = answering('inner', Array(1_000).fill(fails(down())));
    const q = queue(exporter, { maxAgeMillis: 50 });
    await send(q, deltas(1));
    await eventually(() => expect(q.stats()).toMatchObject({ batches: 0, droppedPoints: { age: 1 } }));
  });

  test('compact: what newer batches have too goes first, and deltas and ended series stay', async () => {
    const cumulative = (i: number, extra: readonly (readonly [string, number])[] = []) => {
      const series = Array.from({ length: 200 }, (_, k) => [`s${k}`, i] as const);
      const points = [...series, ...extra].map(([s, value]) => [{ s }, value] as const);
      const delta = counter('d', [[{}, i]], { temporality: AggregationTemporality.DELTA });
      return batchOf([[{ name: 'scope' }, [counter('c', points), delta]]]);
    };
    const options = { maxBytes: 65_536, compact: true };
    const batches = Array.from({ length: 60 }, (_, i) => cumulative(i, i === 3 ? [['ended', 333]] : []));
    await crashed(options, ...batches);
    const { exporter, exports } = answering('inner');
    const q = queue(exporter, options);
    await q.forceFlush();
    const all = exports as number[][];
    // The delta of each batch, which is its last point, in order.
    expect(all.map((values) => values.at(-1))).toEqual(batches.map((_, i) => i));
    expect(all[3]).toEqual([333, 3]);
    expect(all.filter(({ length }) => length > 200).length).toBeGreaterThan(8);
    expect(said).not.toContain('dropped');
  });

  test('compact: what comes after the file that was written to was made smaller is not lost', async () => {
    const large = (value: number) => {
      const points = Array.from({ length: 2_200 }, (_, k) => [{ k }, value] as const);
      return batchOf([[{ name: 's' }, [counter('c', points)]]]);
    };
    const options = { maxBytes: 65_536, compact: true };
    // The first one is under way, and stays whole.
    await crashed(options, deltas(0), large(1), large(2), large(3));
    const { exporter, exports } = answering('inner');
    const q = queue(exporter, options);
    await q.forceFlush();
    expect(exports.map(([value]) => value)).toEqual([0, 3]);
    expect(q.stats().droppedPoints).toMatchObject({ damage: 0, size: 0 });
  });

  test('compact: a series that began anew does not supersede the one before, nor does that of another resource', async () => {
    const series = (value: number, start: bigint, host: string) => {
      const points = Array.from({ length: 200 }, (_, k) => [{ k }, value] as const);
      const { dataPoints, ...columns } = counter('c', points);
      const metric = sumColumns({ ...columns, startTimes: new BigUint64Array(200).fill(start) }, true);
      return batchOf([[{ name: 's' }, [metric]]], { host });
    };
    const options = { maxBytes: 65_536, compact: true };
    const newer = Array.from({ length: 60 }, (_, i) => series(i, 2n, 'b'));
    // The first one is under way, and stays whole.
    await crashed(options, deltas(0), series(-1, 1n, 'b'), series(-2, 2n, 'a'), ...newer);
    const { exporter, exports } = answering('inner');
    await queue(exporter, options).forceFlush();
    expect(exports[1]!.slice(0, 2)).toEqual([-1, -1]);
    expect(exports[2]!.slice(0, 2)).toEqual([-2, -2]);
    expect(exports.at(-1)!.at(0)).toBe(59);
  });
});

describe('damage', () => {
  const segment = async () => join(dir, 'q', (await files('.queue'))[0]!);

  test('a torn end is cut off, and never stops the start', async () => {
    await crashed({}, deltas(1), deltas(2));
    const path = await segment();
    const whole = await readFile(path);
    for (const torn of [1, 20, 43, 44, 60, 100]) {
      await copyAway(async () => {
        await writeFile(path, whole.subarray(0, whole.length - torn));
        const { exporter, exports } = answering('inner');
        const q = queue(exporter);
        await q.forceFlush();
        expect(exports).toEqual([[1]]);
        await q.shutdown();
      });
    }
    expect(logs.join()).toContain('of a batch whose writing was interrupted are cut off the end of');
  });

  test('a batch of which a power cut left the size alone was not accepted, and is not counted', async () => {
    const { exporter } = answering('first', Array(99).fill(fails(down())));
    const first = queue(exporter, { retry: { initialIntervalMillis: 1e9 } });
    await send(first, deltas(1));
    const progress = await readFile(join(dir, 'q', 'progress'));
    await send(first, deltas(2));
    await first.shutdown();
    await writeFile(join(dir, 'q', 'progress'), progress);
    const bytes = await readFile(await segment());
    bytes.fill(0, bytes.length - 20);
    await writeFile(await segment(), bytes);
    await crashed({}, deltas(3));
    const second = answering('second');
    const q = queue(second.exporter);
    await q.forceFlush();
    expect(second.exports).toEqual([[1], [3]]);
    expect(q.stats().droppedPoints).toMatchObject({ damage: 0 });
  });

  test('remains of a frame after the last one are cut off', async () => {
    await crashed({}, deltas(1));
    const path = await segment();
    await appendFile(path, (await readFile(path)).subarray(32, 60));
    await appendFile(path, Buffer.alloc(5_000));
    const { exporter, exports } = answering('inner');
    await queue(exporter).forceFlush();
    expect(exports).toEqual([[1]]);
  });

  test('a damaged record is skipped and its points are counted; those behind it are delivered', async () => {
    await crashed({}, deltas(1), deltas(2, 2.5), deltas(3));
    const bytes = await readFile(await segment());
    const at = bytes.lastIndexOf(Buffer.from(Float64Array.of(2.5).buffer));
    bytes[at] = bytes[at]! ^ 1;
    await writeFile(await segment(), bytes);
    const { exporter, exports } = answering('inner');
    const q = queue(exporter);
    await q.forceFlush();
    expect(exports).toEqual([[1], [3]]);
    expect(q.stats().droppedPoints).toMatchObject({ damage: 2 });
    expect(logs.join()).toContain('2 points could not be read back from the disk');
  });

  test('where heads are damaged the batches behind them are found, and those lost are counted', async () => {
    await crashed({}, deltas(1), deltas(2), deltas(3), deltas(4));
    const bytes = await readFile(await segment());
    const salt = bytes.subarray(16, 24);
    const heads: number[] = [];
    for (let at = bytes.indexOf(salt, 32); at > 0; at = bytes.indexOf(salt, at + 1)) heads.push(at);
    bytes.fill(0xff, heads[1]!, heads[3]!);
    await writeFile(await segment(), bytes);
    const { exporter, exports } = answering('inner');
    const q = queue(exporter);
    await q.forceFlush();
    expect(exports).toEqual([[1], [4]]);
    expect(q.stats().droppedPoints).toMatchObject({ damage: 2 });
    expect(logs.join()).toContain('2 points could not be read back from the disk');
  });

  test.each([
    ['of something else', (bytes: Buffer) => bytes.fill('x', 0, 8), 'it is not a file of a queue'],
    ['with a damaged head', (bytes: Buffer) => bytes.fill(7, 20, 22), 'its head is damaged'],
    ['of a later version', (bytes: Buffer) => later(bytes, 8, 9), 'it has version 9 of the format'],
    ['of the other byte order', (bytes: Buffer) => later(bytes, 9, 3 - bytes[9]!), 'the other byte order'],
  ])('a file %s is kept aside, and what else there is gets delivered', async (_, change, problem) => {
    await crashed({}, deltas(1));
    const path = await segment();
    const other = path.replace(/1\.queue$/, '0.queue');
    const bytes = await readFile(path);
    change(bytes);
    await writeFile(other, bytes);
    const { exporter, exports } = answering('inner');
    await queue(exporter).forceFlush();
    expect(exports).toEqual([[1]]);
    expect(await readFile(`${other}.kept`)).toEqual(bytes);
    expect(logs.join()).toContain(`${problem}`);
    expect(logs.join()).toContain(`it is kept as ${other}.kept and not delivered`);
  });

  test('a file torn when it was begun is no reason for a message', async () => {
    await crashed({}, deltas(1));
    const path = await segment();
    await writeFile(path.replace(/1\.queue$/, 'f.queue'), 'met');
    const { exporter, exports } = answering('inner');
    await queue(exporter).forceFlush();
    expect(exports).toEqual([[1]]);
    expect(logs).toEqual([]);
  });

  test('a progress file that is damaged or gone costs duplicates, and no batch', async () => {
    const { exporter } = answering('first', [async () => {}, ...Array(99).fill(fails(down()))]);
    const first = queue(exporter, { maxBytes: 65_536, retry: { initialIntervalMillis: 1e9 } });
    const wide = (value: number) => deltas(...Array(900).fill(value));
    for (const value of [1, 2, 3]) await send(first, wide(value));
    await eventually(() => expect(first.stats().batches).toBe(2));
    await first.shutdown();
    // Each has a file of its own, and that of the first one is gone.
    expect(await files('.queue')).toHaveLength(2);
    await writeFile(join(dir, 'q', 'progress'), 'nonsense');
    const second = answering('second');
    const q = queue(second.exporter);
    await q.forceFlush();
    expect(second.exports.map(([value]) => value)).toEqual([2, 3]);
    expect(q.stats().droppedPoints).toMatchObject({ damage: 0 });
  });

  test('any change to a file loses at most what it hits, and nothing is made up', async () => {
    await crashed({}, deltas(1), deltas(2), deltas(3));
    const bytes = await readFile(await segment());
    for (let i = 0; i < 40; i++) {
      const at = Math.floor((i / 40) * bytes.length);
      await copyAway(async () => {
        const changed = Buffer.from(bytes);
        changed[at] = changed[at]! ^ 0x55;
        await writeFile(await segment(), changed);
        const { exporter, exports } = answering('inner');
        const q = queue(exporter);
        await q.forceFlush();
        for (const values of exports) expect([[1], [2], [3]]).toContainEqual(values);
        expect(exports.length).toBeGreaterThanOrEqual(at < 32 ? 0 : 2);
        await q.shutdown();
      });
    }
  });
});

/** A valid head that says something else. */
function later(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value;
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 28)), 28);
}

describe('a disk that does not work', () => {
  test('a folder that cannot be made: batches are kept in memory and delivered, and on disk once it can', async () => {
    await writeFile(join(dir, 'q'), 'a file where the folder should be');
    const { exporter, exports } = answering('inner', [fails(down())]);
    const q = queue(exporter, { retry: { initialIntervalMillis: 1e9 } });
    expect(await send(q, deltas(1))).toEqual(SUCCESS);
    expect(await send(q, deltas(2))).toEqual(SUCCESS);
    expect(q.stats()).toMatchObject({ isOnDisk: false, batches: 2, memoryPoints: 2, bytes: 0 });
    expect(logs.join()).toContain('Until then up to 100000 points are kept in memory');
    await rm(join(dir, 'q'));
    expect(await send(q, deltas(3))).toEqual(SUCCESS);
    expect(q.stats()).toMatchObject({ isOnDisk: true, batches: 3, memoryPoints: 0 });
    expect(logs.join()).toContain('the disk can be written again');
    await q.forceFlush();
    expect(exports).toEqual([[1], [1], [2], [3]]);
  });

  test('without a disk the exporter still gets everything, in order', async () => {
    await writeFile(join(dir, 'q'), '');
    const { exporter, exports } = answering('inner', [fails(down())]);
    const q = queue(exporter);
    for (let i = 0; i < 5; i++) await send(q, deltas(i));
    await q.forceFlush();
    expect(exports).toEqual([[0], [0], [1], [2], [3], [4]]);
  });

  test('memory is bounded: beyond it exports fail, and the caller keeps what it owes', async () => {
    await writeFile(join(dir, 'q'), '');
    const q = queue(answering('inner', Array(99).fill(fails(down()))).exporter, { maxMemoryPoints: 3 });
    expect(await send(q, deltas(1, 2))).toEqual(SUCCESS);
    expect(await send(q, deltas(3, 4))).toMatchObject({ error: { code: 'IO', retryable: true } });
    expect(await send(q, deltas(5))).toEqual(SUCCESS);
    await q.shutdown();
    expect(logs.join()).toContain(
      '3 points were in memory, because the disk could not be written, and are lost',
    );
  });

  test('what is in memory gets to a disk that is back before the queue is shut down', async () => {
    await writeFile(join(dir, 'q'), '');
    const q = queue(answering('inner', Array(9).fill(fails(down()))).exporter, {
      retry: { initialIntervalMillis: 1e9 },
    });
    await send(q, deltas(1));
    await rm(join(dir, 'q'));
    await q.shutdown();
    const { exporter, exports } = answering('next');
    await queue(exporter).forceFlush();
    expect(exports).toEqual([[1]]);
  });

  test('a folder that vanishes: what was in it is counted, and new batches are on disk again', async () => {
    const { exporter, exports } = answering('inner', [fails(down())]);
    const q = queue(exporter, { retry: { initialIntervalMillis: 1e9 } });
    for (let i = 1; i <= 3; i++) await send(q, deltas(i));
    await eventually(() => expect(exports).toHaveLength(1));
    await rm(dir, { recursive: true });
    expect(await send(q, deltas(4))).toMatchObject(SUCCESS);
    expect(q.stats()).toMatchObject({ isOnDisk: true, batches: 1 });
    await q.forceFlush();
    expect(exports).toEqual([[1], [1], [4]]);
    expect(q.stats().droppedPoints).toMatchObject({ damage: 2 });
    expect(logs.join()).toContain('2 points could not be read back from the disk');
  });

  test('a folder that is away: the batch under way is delivered all the same, and once', async () => {
    const { exporter, exports } = answering('inner', [fails(down())]);
    const q = queue(exporter, { retry: { initialIntervalMillis: 1e9 } });
    for (let i = 1; i <= 2; i++) await send(q, deltas(i));
    await eventually(() => expect(exports).toHaveLength(1));
    const [folder, aside, link] = [join(dir, 'q'), join(dir, 'aside'), join(dir, 'link')];
    await rename(folder, aside);
    await symlink(join(dir, 'nowhere', 'q'), folder);
    expect(await send(q, deltas(3))).toEqual(SUCCESS);
    await q.forceFlush();
    expect(exports).toEqual([[1], [1], [3]]);
    // At once, since the queue may be about to look.
    await symlink(aside, link);
    await rename(link, folder);
    await q.forceFlush();
    expect(exports).toEqual([[1], [1], [3], [2]]);
    expect(q.stats()).toMatchObject({ deliveredPoints: 3, droppedPoints: { damage: 0, size: 0 } });
  });

  test('a file that vanishes: what was in it is counted, and the others are delivered', async () => {
    await crashed({}, deltas(1), deltas(2));
    const [first] = await files('.queue');
    const { exporter, exports } = answering('inner', [fails(down())]);
    const q = queue(exporter, { retry: { initialIntervalMillis: 1e9 } });
    await eventually(() => expect(exports).toHaveLength(1));
    await send(q, deltas(3));
    await rm(join(dir, 'q', first!));
    await q.forceFlush();
    expect(exports.at(-1)).toEqual([3]);
  });
});

describe('one queue in a folder', () => {
  /** As when one that cannot be told to live is taken for dead. */
  async function takenOver(): Promise<QueueLock> {
    await rm(join(dir, 'q', 'lock'));
    return QueueLock.acquire(join(dir, 'q'), new AbortController().signal);
  }

  test('a second one is refused clearly, and takes over when the first is shut down', async () => {
    const first = queue(answering('first').exporter);
    await send(first, deltas(1));
    const { exporter, exports } = answering('second');
    const second = queue(exporter);
    const { error } = await send(second, deltas(2));
    expect(error).toMatchObject({ code: 'IO', retryable: true });
    expect(error!.message).toContain(`the queue is in use by process ${process.pid} on `);
    expect(error!.message).toContain('give each process, thread and exporter a dir or a name of its own');
    await first.shutdown();
    expect(await send(second, deltas(2))).toEqual(SUCCESS);
    await second.forceFlush();
    expect(exports).toEqual([[2]]);
  });

  test('one that another process has taken over stops, leaves it what is there, and counts nothing as lost', async () => {
    const { exporter, exports } = answering('inner', [fails(down())]);
    const q = queue(exporter, { retry: { initialIntervalMillis: 1e9 } });
    await send(q, deltas(1));
    await send(q, deltas(2));
    await eventually(() => expect(exports).toHaveLength(1));
    const other = await takenOver();
    expect(await send(q, deltas(3))).toMatchObject({ error: { code: 'IO', retryable: true } });
    await q.forceFlush().catch(() => {});
    expect(exports).toEqual([[1]]);
    expect(await files('.queue')).toHaveLength(1);
    expect(Object.values(q.stats().droppedPoints)).toEqual([0, 0, 0, 0, 0]);
    await q.shutdown();
    expect(await other.isHeld()).toBe(true);
    await other.release();
  });

  test('one that gets its folder back delivers what the other one did not', async () => {
    const { exporter, exports } = answering('inner', [fails(down())]);
    const q = queue(exporter, { retry: { initialIntervalMillis: 1e9 } });
    await send(q, deltas(1));
    await send(q, deltas(2));
    await eventually(() => expect(exports).toHaveLength(1));
    const other = await takenOver();
    expect(await send(q, deltas(3))).toMatchObject({ error: { code: 'IO' } });
    await q.forceFlush().catch(() => {});
    await other.release();
    await q.forceFlush();
    expect(exports).toEqual([[1], [1], [2]]);
    expect(q.stats()).toMatchObject({ deliveredPoints: 2, droppedPoints: { damage: 0, size: 0 } });
  });

  test('exporters of different names have different folders', async () => {
    const one = queue(answering('one').exporter, { name: undefined });
    const two = queue(answering('two').exporter, { name: undefined });
    expect(await send(one, deltas(1))).toEqual(SUCCESS);
    expect(await send(two, deltas(1))).toEqual(SUCCESS);
    expect(one.stats().folder).not.toBe(two.stats().folder);
  });

  test('files are readable for their owner only', async () => {
    const q = queue(answering('inner', [fails(down())]).exporter, {
      dir: join(dir, 'new'),
      retry: { initialIntervalMillis: 1e9 },
    });
    await send(q, deltas(1));
    const { folder } = q.stats();
    const modes = [join(dir, 'new'), folder, ...(await readdir(folder)).map((name) => join(folder, name))];
    const found = await Promise.all(modes.map(async (path) => (await stat(path)).mode & 0o077));
    expect(found.length).toBeGreaterThan(4);
    expect(new Set(found)).toEqual(new Set([0]));
  });
});

describe('options', () => {
  const { exporter } = answering('inner');
  test.each([
    [{}, 'diskQueue: dir is undefined; it must be the path of a folder'],
    [{ dir: '' }, "diskQueue: dir is ''; it must be the path of a folder"],
    [{ dir: '/q', name: '../x' }, "diskQueue: name is '../x'; it must be up to 100 letters"],
    [{ dir: '/q', maxBytes: 10 }, 'diskQueue: maxBytes is 10; it must be a whole number of bytes from 65536'],
    [
      { dir: '/q', maxAgeMillis: 0 },
      'diskQueue: maxAgeMillis is 0; it must be a number of milliseconds above 0',
    ],
    [
      { dir: '/q', maxMemoryPoints: -1 },
      'diskQueue: maxMemoryPoints is -1; it must be a whole number of points',
    ],
    [
      { dir: '/q', maxExportsPerSecond: Number.NaN },
      'diskQueue: maxExportsPerSecond is NaN; it must be a number above 0',
    ],
    [{ dir: '/q', compact: 1 }, 'diskQueue: compact is 1; it must be true or false'],
    [{ dir: '/q', retry: { initialIntervalMillis: 0 } }, 'diskQueue: retry.initialIntervalMillis is 0'],
    [{ dir: '/q', retry: { maxRetries: 3 } }, 'diskQueue: there is no setting retry.maxRetries; remove it'],
    [{ dir: '/q', maxByte: 3 }, 'diskQueue: there is no setting maxByte; remove it'],
    [undefined, 'diskQueue: options is undefined; it must be an object'],
  ])('%j is refused with the remedy', (options, message) => {
    expect(() => diskQueue(exporter, options as DiskQueueOptions)).toThrow(message);
  });

  test('what is no exporter is refused', () => {
    expect(() => diskQueue({} as PushMetricExporter, { dir })).toThrow('has no method export');
  });
});

test('docs/reliability.md has every option, and no other', async () => {
  const page = await readFile(new URL('../../docs/reliability.md', import.meta.url), 'utf8');
  const table = page.slice(page.indexOf('## Options'), page.indexOf('## Start'));
  const documented = [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, option]) => option);
  expect(documented.sort()).toEqual(Object.keys(validDiskQueueOptions({ dir: '/q' })).sort());
});
