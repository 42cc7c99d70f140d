// A batch read back from a file of a queue.

import { inSlices } from '../../data/time-slice.ts';
import { decodeBatchRecord } from '../../encoding/batch-record-decoder.ts';
import { RecordError } from '../../encoding/batch-record-error.ts';
import type { KnownSets } from '../../encoding/batch-record-known-sets.ts';
import type { Frame, SegmentReader } from './segment-reader.ts';
import { SLICES } from './slices.ts';
import type { StoredBatch } from './stored-batch.ts';

/** Undefined when it is damaged. */
export async function readBatch(
  reader: SegmentReader,
  frame: Frame,
  known?: KnownSets,
): Promise<StoredBatch | undefined> {
  const record = await reader.record(frame);
  if (record === undefined) return undefined;
  try {
    const batch = await inSlices(decodeBatchRecord(record, known), SLICES);
    return { sequence: frame.sequence, acceptedAt: frame.acceptedAt, batch };
  } catch (error) {
    if (error instanceof RecordError) return undefined;
    throw error;
  }
}
