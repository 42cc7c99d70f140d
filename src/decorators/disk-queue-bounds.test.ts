// What a queue drops, by size, by age and by `compact`.
import { stat } from 'node:fs/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { SUCCESS, send } from '../../test/conformance/exporter-kit.ts';
import { ExportError } from '../data/errors.ts';
import { type MetricBatch, sumColumns } from '../data/metric-batch.ts';
import { AggregationTemporality } from '../data/metric-data.ts';
import { sliceBatch } from '../data/slice-batch.ts';
import { batchOf, counter } from '../encoding/fixtures/metrics.ts';
import { answering, deltas, fails, hangs } from './fixtures/answering.ts';
import { down, drained, eventually, queueFolder } from './fixtures/queue-folder.ts';

const { logs, inFolder, files, queue, crashed } = queueFolder();

/** Some 4 kB each. */
const wide = (i: number) => deltas(...Array.from({ length: 200 }, (_, k) => i * 1_000 + k));

test('the oldest batches are dropped, counted and said when maxBytes is exceeded', async () => {
  const said = await crashed({ maxBytes: 65_536 }, ...Array.from({ length: 40 }, (_, i) => wide(i)));
  expect(said).toMatch(/\d+ points were dropped, the oldest first, to keep within maxBytes/);
  const onDisk = await Promise.all(
    (await files('.queue')).map(async (name) => (await stat(inFolder('q', name))).size),
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
  const said = await crashed(options, ...batches);
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
