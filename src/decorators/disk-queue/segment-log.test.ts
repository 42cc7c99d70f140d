import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { deltas } from '../fixtures/answering.ts';
import { encodedRecord } from './encoded-record.ts';
import { SegmentLog } from './segment-log.ts';

const frame = (sequence: number) => ({
  sequence,
  acceptedAt: 0,
  before: sequence - 1,
  accepted: 1,
  points: 1,
});

test('an append that failed leaves nothing behind, and its file is not appended to again', async () => {
  const folder = await mkdtemp(join(temporaryFolder(), 'log-'));
  const log = new SegmentLog(folder, 2 ** 20);
  const record = await encodedRecord(deltas(1));
  await log.append(frame(1), record);
  const { bytes } = log.first!;
  await expect(log.append(frame(2), record, AbortSignal.abort(new Error('too late')))).rejects.toThrow(
    'too late',
  );
  expect(log.first!.bytes).toBe(bytes);
  await log.append(frame(2), record);
  expect(log.segments.map(({ first, batches }) => [first, batches])).toEqual([
    [1, 1],
    [2, 1],
  ]);
  await log.close(true);
  const next = new SegmentLog(folder, 2 ** 20);
  await next.find(0);
  expect(next.left).toMatchObject({ batches: 2, points: 2, bytes: 2 * bytes });
});
