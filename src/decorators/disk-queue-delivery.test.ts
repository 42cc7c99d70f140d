// What a queue gives to its exporter, when, and in which order.

import { expect, test } from 'vitest';
import { SUCCESS, send } from '../../test/conformance/exporter-kit.ts';
import { ExportError } from '../data/errors.ts';
import { createExporter } from '../data/exporter.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { sliceBatch } from '../data/slice-batch.ts';
import { answering, deltas, fails, hangs } from './fixtures/answering.ts';
import { down, drained, eventually, queueFolder } from './fixtures/queue-folder.ts';

const { logs, files, queue } = queueFolder();

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
