import { expect, test } from 'vitest';
import { ExportError } from '../data/errors.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { sliceBatch } from '../data/slice-batch.ts';
import { answering, deltas, fails } from './fixtures/answering.ts';
import { Lane } from './lane.ts';
import { WrappedExporter } from './wrapped-exporter.ts';

test('two flushes at once send what waits once, and in order', async () => {
  const down = fails(new ExportError('UNAVAILABLE', 'down', { retryable: true }));
  const { exporter, exports } = answering('inner', [down, down, async () => {}]);
  const lane = new Lane('inner', new WrappedExporter(exporter), 100);
  const sent = lane.add(deltas(1));
  expect(lane.add(deltas(2))).toBeUndefined();
  const flushing = Promise.allSettled([lane.forceFlush(), lane.forceFlush()]);
  await expect(sent).rejects.toThrow('down');
  const flushes = await flushing;
  expect(exports).toEqual([[1], [1]]);
  expect(flushes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  await lane.forceFlush();
  expect(exports.slice(2)).toEqual([[1], [2]]);
});

test('what a failure says is undelivered is sent again, though the failure itself cannot pass', async () => {
  const partly = (batch: MetricBatch) =>
    Promise.reject(new ExportError('REJECTED', 'half', { undelivered: sliceBatch(batch, 1, 2) }));
  const { exporter, exports } = answering('inner', [partly]);
  const lane = new Lane('inner', new WrappedExporter(exporter), 100);
  await expect(lane.add(deltas(1, 2))).rejects.toThrow('half');
  await lane.forceFlush();
  expect(exports).toEqual([[1, 2], [2]]);
});
