// What becomes of accepted batches when the process ends, with and without saying so.
import { expect, test } from 'vitest';
import { send } from '../../test/conformance/exporter-kit.ts';
import { ExportError } from '../data/errors.ts';
import { createExporter } from '../data/exporter.ts';
import { MetricBatch } from '../data/metric-batch.ts';
import { resourceFromAttributes } from '../data/resource.ts';
import { sliceBatch } from '../data/slice-batch.ts';
import { answering, deltas, fails, valuesOf } from './fixtures/answering.ts';
import { down, drained, eventually, queueFolder } from './fixtures/queue-folder.ts';

const { logs, inFolder, files, queue, crashed, copyAway } = queueFolder();

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
    `meterline: queue ${inFolder('q')}: 4 points in 2 batches wait for the next start`,
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
