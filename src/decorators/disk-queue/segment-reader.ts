// The frames of one file, in order, past whatever is damaged between them.
import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { inSlices } from '../../data/time-slice.ts';
import {
  FRAME_HEAD_BYTES,
  type FrameHead,
  MAX_RECORD_BYTES,
  parseFrameHead,
  parseSegmentHead,
  SEGMENT_HEAD_BYTES,
} from './segment-format.ts';
import { SLICES } from './slices.ts';

export interface Frame extends FrameHead {
  /** Where the record begins. */
  at: number;
  end: number;
}

/** Heads of small frames come from one read. */
const WINDOW_BYTES = 64 * 1024;
const CRC_BYTES = 256 * 1024;
/** What one buffer may keep from record to record; larger ones get buffers of their own. */
const MAX_KEPT_BYTES = 4 * 1024 * 1024;

export class SegmentReader {
  readonly #handle: FileHandle;
  readonly #salt: Buffer;
  readonly #windowBuffer = Buffer.allocUnsafeSlow(WINDOW_BYTES);
  #window: Buffer = Buffer.alloc(0);
  #windowAt = 0;
  /** One for all records: so much memory for each would be what the garbage collector is busy with. */
  #record: Buffer = Buffer.alloc(0);
  /** Where the next frame is looked for. */
  at = SEGMENT_HEAD_BYTES;

  private constructor(handle: FileHandle, salt: Buffer) {
    this.#handle = handle;
    this.#salt = salt;
  }

  /** Returns why not where the file is not one that can be read. */
  static async open(path: string): Promise<SegmentReader | { problem: string }> {
    const handle = await open(path, 'r');
    let isOpen = false;
    try {
      const { buffer, bytesRead } = await handle.read({
        buffer: Buffer.alloc(SEGMENT_HEAD_BYTES),
        position: 0,
      });
      const head = parseSegmentHead(buffer.subarray(0, bytesRead));
      if ('problem' in head) return head;
      isOpen = true;
      return new SegmentReader(handle, head.salt);
    } finally {
      if (!isOpen) await handle.close();
    }
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  /** The next frame that is there as a whole before `end`, wherever it begins; undefined when there is none. */
  async next(end: number): Promise<Frame | undefined> {
    for (let at = this.at; at + FRAME_HEAD_BYTES <= end; at = await this.#find(at + 1, end)) {
      const head = parseFrameHead(await this.#bytes(at, FRAME_HEAD_BYTES, end), this.#salt);
      if (head === undefined || head.length > MAX_RECORD_BYTES) continue;
      const record = at + FRAME_HEAD_BYTES;
      if (record + head.length > end) continue;
      this.at = record + head.length;
      return { ...head, at: record, end: this.at };
    }
    return undefined;
  }

  /** Undefined when it is damaged. The bytes are good until the next record is read. */
  async record({ at, length, recordCrc }: Frame): Promise<Buffer | undefined> {
    const record = await this.#read(at, this.#recordBuffer(length));
    if (record.length < length) return undefined;
    return (await inSlices(checksum(record), SLICES)) === recordCrc ? record : undefined;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  /** Where the salt occurs next, or `end`. */
  async #find(from: number, end: number): Promise<number> {
    for (let at = from; at < end; at += WINDOW_BYTES - this.#salt.length) {
      const found = (await this.#bytes(at, WINDOW_BYTES, end)).indexOf(this.#salt);
      if (found >= 0) return at + found;
    }
    return end;
  }

  /** Up to so many bytes; less at the end. */
  async #bytes(at: number, length: number, end: number): Promise<Buffer> {
    const wanted = Math.min(length, end - at);
    if (at < this.#windowAt || at + wanted > this.#windowAt + this.#window.length) {
      this.#window = await this.#read(at, this.#windowBuffer.subarray(0, end - at));
      this.#windowAt = at;
    }
    return this.#window.subarray(at - this.#windowAt, at - this.#windowAt + wanted);
  }

  #recordBuffer(length: number): Buffer {
    if (length > MAX_KEPT_BYTES) return Buffer.allocUnsafe(length);
    if (length > this.#record.length) {
      this.#record = Buffer.allocUnsafeSlow(Math.min(MAX_KEPT_BYTES, 2 * length));
    }
    return this.#record.subarray(0, length);
  }

  /** Less than the buffer takes at the end of the file. */
  async #read(at: number, buffer: Buffer): Promise<Buffer> {
    let filled = 0;
    while (filled < buffer.length) {
      const { bytesRead } = await this.#handle.read(buffer, filled, buffer.length - filled, at + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  }
}

function* checksum(bytes: Buffer): Generator<void, number> {
  let crc = 0;
  for (let at = 0; at < bytes.length; at += CRC_BYTES) {
    crc = crc32(bytes.subarray(at, at + CRC_BYTES), crc);
    yield;
  }
  return crc;
}
