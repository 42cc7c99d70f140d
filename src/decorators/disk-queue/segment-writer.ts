// A file of a queue that only grows at its end, by whole frames that are on the disk when `append` resolves.
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { EncodedRecord } from './encoded-record.ts';
import { type FrameContent, frameHead, newSalt, SEGMENT_HEAD_BYTES, segmentHead } from './segment-format.ts';

export class SegmentWriter {
  readonly #handle: FileHandle;
  readonly #salt: Buffer;
  size = SEGMENT_HEAD_BYTES;

  private constructor(handle: FileHandle, salt: Buffer) {
    this.#handle = handle;
    this.#salt = salt;
  }

  /** @param path must not exist */
  static async create(path: string): Promise<SegmentWriter> {
    const handle = await open(path, 'wx', 0o600);
    try {
      const salt = newSalt();
      await writeAll(handle, [segmentHead(salt)], 0);
      await syncFolder(dirname(path));
      return new SegmentWriter(handle, salt);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /**
   * When it fails, or when `signal` aborts before the end, nothing of the frame is left. The file must not be appended to
   * after a failure: what a disk lost once, it may say to have the next time.
   */
  async append(frame: FrameContent, record: EncodedRecord, signal?: AbortSignal): Promise<void> {
    const before = this.size;
    try {
      await this.write(frame, record);
      await this.sync();
      signal?.throwIfAborted();
    } catch (error) {
      this.size = before;
      // Best effort: readers pass over what is left.
      await this.#handle.truncate(before).catch(() => {});
      throw error;
    }
  }

  /** Without waiting for the disk. */
  async write(frame: FrameContent, { length, recordCrc, chunks }: EncodedRecord): Promise<void> {
    const head = frameHead(this.#salt, { ...frame, length, recordCrc });
    await writeAll(this.#handle, [head, ...chunks], this.size);
    this.size += head.length + length;
  }

  sync(): Promise<void> {
    return this.#handle.datasync();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

async function writeAll(handle: FileHandle, buffers: Uint8Array[], position: number): Promise<void> {
  let rest = buffers;
  for (let at = position; rest.length > 0; ) {
    const { bytesWritten } = await handle.writev(rest, at);
    if (bytesWritten === 0 && rest.some(({ length }) => length > 0))
      throw new Error('the disk took no bytes');
    at += bytesWritten;
    rest = after(rest, bytesWritten);
  }
}

function after(buffers: Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes;
  let i = 0;
  while (i < buffers.length && left >= buffers[i]!.length) left -= buffers[i++]!.length;
  return i === buffers.length ? [] : [buffers[i]!.subarray(left), ...buffers.slice(i + 1)];
}

/** Without it a power cut may take the name of a new file, and so all that is in it. */
export async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(folder, 'r');
    await handle.sync();
  } catch {
    // Windows has no such thing, nor do some network file systems.
  } finally {
    await handle?.close();
  }
}
