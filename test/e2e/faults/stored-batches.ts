// What a queue has on disk, batch by batch, read with code of its own as far as the files go; and damage to it.
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { decodeBatchRecord } from '../../../src/encoding/batch-record-decoder.ts';
import type { Point } from './ledger.ts';
import { queueFiles, type Volume } from './volume.ts';

/** A file begins with so many bytes, 8 of which are the mark that each batch in it begins with. */
const FILE_HEAD_BYTES = 32;
const MARK = { at: 16, bytes: 8 };
/** The head of a batch, and where in it the length of the record is. */
const HEAD_BYTES = 52;
const LENGTH_AT = 40;
const CHECKSUM_AT = 44;

export interface StoredBatch {
  readonly path: string;
  /** Of the head. */
  readonly at: number;
  readonly recordAt: number;
  readonly end: number;
  readonly points: readonly Omit<Point, 'value'>[];
}

/** Oldest first; the queue must not be at work. */
export function storedBatches(volume: Volume): StoredBatch[] {
  return queueFiles(volume).flatMap(batchesIn);
}

function batchesIn(path: string): StoredBatch[] {
  const file = readFileSync(path);
  const mark = file.subarray(MARK.at, MARK.at + MARK.bytes);
  const batches: StoredBatch[] = [];
  for (let at = FILE_HEAD_BYTES; at + HEAD_BYTES <= file.length; ) {
    const recordAt = at + HEAD_BYTES;
    const end = recordAt + file.readUInt32LE(at + LENGTH_AT);
    if (!file.subarray(at, at + MARK.bytes).equals(mark) || end > file.length) break;
    const record = file.subarray(recordAt, end);
    // One that was damaged before is nobody's any more.
    if (crc32(record) === file.readUInt32LE(at + CHECKSUM_AT))
      batches.push({ path, at, recordAt, end, points: pointsOf(record) });
    at = end;
  }
  return batches;
}

function pointsOf(record: Uint8Array): Omit<Point, 'value'>[] {
  const decoding = decodeBatchRecord(record);
  let step = decoding.next();
  while (!step.done) step = decoding.next();
  const { resource, scopeMetrics } = step.value;
  const life = Number(resource.attributes['service.instance.id']);
  return scopeMetrics.flatMap(({ metrics }) =>
    metrics.flatMap(({ descriptor, attributes, endTimes }) =>
      attributes.map((set, i) => ({
        life,
        series: `${descriptor.name} ${set.attributes.worker ?? ''}`,
        time: String(endTimes[i]),
      })),
    ),
  );
}

/** @param bits which of the byte's change */
export function flip(path: string, at: number, bits: number): void {
  const byte = readFileSync(path)[at]! ^ bits;
  const file = openSync(path, 'r+');
  try {
    writeSync(file, Uint8Array.of(byte), 0, 1, at);
  } finally {
    closeSync(file);
  }
}
