// A batch as the bytes that are to be on disk, with their checksum.
import { crc32 } from 'node:zlib';
import type { MetricBatch } from '../../data/metric-batch.ts';
import { inSlices } from '../../data/time-slice.ts';
import { encodeBatchRecord } from '../../encoding/batch-record.ts';
import { SLICES } from './slices.ts';

export interface EncodedRecord {
  chunks: Uint8Array[];
  length: number;
  recordCrc: number;
}

export function encodedRecord(batch: MetricBatch, signal?: AbortSignal): Promise<EncodedRecord> {
  return inSlices(gathered(encodeBatchRecord(batch)), { signal, ...SLICES });
}

/** Checksums while it gathers, so that each piece of memory is visited once more only. */
function* gathered(chunks: Iterable<Uint8Array>): Generator<void, EncodedRecord> {
  const record: EncodedRecord = { chunks: [], length: 0, recordCrc: 0 };
  for (const chunk of chunks) {
    record.chunks.push(chunk);
    record.length += chunk.length;
    record.recordCrc = crc32(chunk, record.recordCrc);
    yield;
  }
  return record;
}
