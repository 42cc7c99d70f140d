// A file of a queue without the points that later batches supersede.
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { inSlices } from '../../data/time-slice.ts';
import { decodeBatchRecord } from '../../encoding/batch-record-decoder.ts';
import { RecordError } from '../../encoding/batch-record-error.ts';
import type { KnownSets } from '../../encoding/batch-record-known-sets.ts';
import { type EncodedRecord, encodedRecord } from './encoded-record.ts';
import { addFrame, newSegment, type Segment } from './segment.ts';
import { SegmentReader } from './segment-reader.ts';
import { SegmentWriter, syncFolder } from './segment-writer.ts';
import { SLICES } from './slices.ts';
import type { Superseding } from './superseded.ts';

const NOTHING: EncodedRecord = { chunks: [], length: 0, recordCrc: 0 };

/**
 * Puts a smaller file in the place of a segment's. Batches of which nothing is left stay as heads without a record, so that they
 * do not seem lost.
 *
 * @param done the number up to which batches are left out
 * @param out the number up to which they stay whole, since they are being delivered
 * @returns what the segment then has; undefined when it stays as it was, because nothing is superseded or the disk does not allow it
 */
export async function compacted(
  segment: Segment,
  done: number,
  out: number,
  superseding: Superseding,
  known: KnownSets,
): Promise<Pick<Segment, 'bytes' | 'batches' | 'points' | 'superseded'> | undefined> {
  const path = `${segment.path}.tmp`;
  let writer: SegmentWriter | undefined;
  let reader: SegmentReader | undefined;
  const left = newSegment(dirname(path), segment.first, 0);
  try {
    const opened = await SegmentReader.open(segment.path);
    if ('problem' in opened) return undefined;
    reader = opened;
    writer = await SegmentWriter.create(path);
    for (let frame = await reader.next(segment.bytes); frame; frame = await reader.next(segment.bytes)) {
      const { sequence, points, length } = frame;
      if (sequence <= done) continue;
      const bytes = length > 0 ? await reader.record(frame) : Buffer.alloc(0);
      // Damage is counted where batches are read to be delivered.
      if (bytes === undefined) return undefined;
      let record: EncodedRecord = { chunks: [bytes], length, recordCrc: frame.recordCrc };
      let pointsLeft = points;
      if (sequence > out && length > 0) {
        const batch = await inSlices(decodeBatchRecord(bytes, known), SLICES);
        const rest = await inSlices(superseding.rest(batch), SLICES);
        if (rest.pointCount < points) {
          pointsLeft = rest.pointCount;
          record = pointsLeft === 0 ? NOTHING : await encodedRecord(rest);
        }
      }
      const rest = { ...frame, points: pointsLeft };
      await writer.write(rest, record);
      addFrame(left, rest, writer.size);
    }
    if (left.points === segment.points) return undefined;
    await writer.sync();
    await writer.close();
    await rename(path, segment.path);
    await syncFolder(dirname(path));
    writer = undefined;
    const { bytes, batches, points, superseded } = left;
    return { bytes, batches, points, superseded };
  } catch (error) {
    if (error instanceof RecordError || (error as NodeJS.ErrnoException).code !== undefined) return undefined;
    throw error;
  } finally {
    await reader?.close().catch(() => {});
    await writer?.close().catch(() => {});
    if (writer !== undefined) await rm(path, { force: true }).catch(() => {});
  }
}
