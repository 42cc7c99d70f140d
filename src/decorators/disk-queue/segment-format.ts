// How the files of a queue look: a head, then frames, each with a head of its own and a record.
import { randomBytes } from 'node:crypto';
import { endianness } from 'node:os';
import { crc32 } from 'node:zlib';
import { RECORD_VERSION } from '../../encoding/batch-record-format.ts';

export const SEGMENT_HEAD_BYTES = 32;
export const FRAME_HEAD_BYTES = 52;
/** Also the most that the length of a record can say. */
export const MAX_RECORD_BYTES = 2 ** 30;

const MAGIC = Buffer.from('meterlnQ');
/** Records hold numbers as they are in memory. */
const BYTE_ORDER = endianness() === 'LE' ? 1 : 2;

export interface FrameHead {
  /** Rises by one from batch to batch. */
  sequence: number;
  /** Milliseconds since the Unix epoch. */
  acceptedAt: number;
  /** How many points the queue had accepted before: what is lost between two frames is so known to the point. */
  before: number;
  /** Points that were accepted with it. */
  accepted: number;
  /** Those of them that the record has: without what was superseded. */
  points: number;
  /** Of the record; 0 when all its points were superseded. */
  length: number;
  recordCrc: number;
}

export type FrameContent = Omit<FrameHead, 'length' | 'recordCrc'>;

/** Random bytes in each frame: no attribute value and no remains of another file can look like a frame. */
export const newSalt = () => randomBytes(8);

export function segmentHead(salt: Uint8Array): Buffer {
  const head = Buffer.alloc(SEGMENT_HEAD_BYTES);
  MAGIC.copy(head);
  head[8] = RECORD_VERSION;
  head[9] = BYTE_ORDER;
  head.set(salt, 16);
  head.writeUInt32LE(crc32(head.subarray(0, 28)), 28);
  return head;
}

/** The salt, or why the file cannot be read. */
export function parseSegmentHead(head: Buffer): { salt: Buffer } | { problem: string } {
  if (!head.subarray(0, 8).equals(MAGIC)) return { problem: 'it is not a file of a queue' };
  if (head.length < SEGMENT_HEAD_BYTES || crc32(head.subarray(0, 28)) !== head.readUInt32LE(28)) {
    return { problem: 'its head is damaged' };
  }
  if (head[8] !== RECORD_VERSION) {
    return { problem: `it has version ${head[8]} of the format, and this one reads ${RECORD_VERSION}` };
  }
  if (head[9] !== BYTE_ORDER) return { problem: 'it comes from a machine with the other byte order' };
  return { salt: head.subarray(16, 24) };
}

export function frameHead(
  salt: Uint8Array,
  { sequence, acceptedAt, before, accepted, points, length, recordCrc }: FrameHead,
): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.set(salt);
  head.writeBigUInt64LE(BigInt(sequence), 8);
  head.writeDoubleLE(acceptedAt, 16);
  head.writeDoubleLE(before, 24);
  head.writeUInt32LE(accepted, 32);
  head.writeUInt32LE(points, 36);
  head.writeUInt32LE(length, 40);
  head.writeUInt32LE(recordCrc, 44);
  head.writeUInt32LE(crc32(head.subarray(0, 48)), 48);
  return head;
}

/** Undefined when no frame begins there. */
export function parseFrameHead(head: Buffer, salt: Buffer): FrameHead | undefined {
  if (head.length < FRAME_HEAD_BYTES || !head.subarray(0, 8).equals(salt)) return undefined;
  if (crc32(head.subarray(0, 48)) !== head.readUInt32LE(48)) return undefined;
  return {
    sequence: Number(head.readBigUInt64LE(8)),
    acceptedAt: head.readDoubleLE(16),
    before: head.readDoubleLE(24),
    accepted: head.readUInt32LE(32),
    points: head.readUInt32LE(36),
    length: head.readUInt32LE(40),
    recordCrc: head.readUInt32LE(44),
  };
}
