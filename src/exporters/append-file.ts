// A file of lines that only grows at its end, survives crashes, full disks and being moved away, and takes an
// append as a whole or not at all.
import type { BigIntStats } from 'node:fs';
import { type FileHandle, mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from '../data/file-error.ts';

export interface OpenedFile {
  readonly size: number;
  /** When the file was made, in milliseconds since the Unix epoch. */
  readonly bornMillis: number;
  /** False when the file was open already and still is the one at the path. */
  readonly isNew: boolean;
}

const NEWLINE = 0x0a;

/** Calls must not overlap, except for `close`. */
export class AppendFile {
  readonly #path: string;
  readonly #mode: number;
  #handle: FileHandle | undefined;
  #device = 0n;
  #inode = 0n;
  #openedMillis = 0;

  /** @param mode permissions of a file that has to be made */
  constructor(path: string, mode: number) {
    this.#path = path;
    this.#mode = mode;
  }

  /**
   * Opens the file that is at the path now. To be called before each append: logrotate and people move and
   * remove files, and lines that go to a file without a name are lost.
   */
  async open(): Promise<OpenedFile> {
    const isNew = !(await this.#isCurrent());
    if (isNew) {
      await this.close();
      await this.#reopen();
    }
    const { size, birthtimeMs } = await this.#handle!.stat();
    // Some file systems keep no birth time and tell 0.
    return { size, bornMillis: birthtimeMs > 0 ? birthtimeMs : this.#openedMillis, isNew };
  }

  /**
   * Appends whole lines and waits until the disk has them. When it fails, or when `signal` aborts before the
   * end, the file is as before, so that the same lines can be appended again without doubles. A chunk has been
   * written when the next but one is asked for.
   *
   * @returns how many bytes were appended
   */
  async append(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<number> {
    const handle = this.#handle!;
    const { size } = await handle.stat();
    let appended = 0;
    const write = async (chunk: Uint8Array) => {
      for (let written = 0; written < chunk.length; ) {
        const { bytesWritten } = await handle.write(chunk, written);
        written += bytesWritten;
        appended += bytesWritten;
      }
    };
    // One write runs while the next chunk is made.
    let writing = Promise.resolve();
    try {
      for await (const chunk of chunks) {
        await writing;
        writing = write(chunk);
        // It is awaited later; until then its failure must not count as unhandled.
        writing.catch(() => {});
      }
      await writing;
      await handle.sync();
      signal.throwIfAborted();
      return appended;
    } catch (error) {
      await writing.catch(() => {});
      await this.#undo(size, appended);
      throw error;
    }
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  async #isCurrent(): Promise<boolean> {
    if (this.#handle === undefined) return false;
    const found = await statIfAny(this.#path);
    return found !== undefined && found.dev === this.#device && found.ino === this.#inode;
  }

  async #reopen(): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true });
    // Readable too, for a look at the last byte.
    const handle = await open(this.#path, 'a+', this.#mode);
    try {
      const { dev, ino, size } = await handle.stat({ bigint: true });
      await endTornLine(handle, Number(size));
      this.#device = dev;
      this.#inode = ino;
    } catch (error) {
      await handle.close();
      throw error;
    }
    this.#handle = handle;
    this.#openedMillis = Date.now();
  }

  /** Best effort: where it does not succeed, opening the file anew ends a torn line. */
  async #undo(size: number, appended: number): Promise<void> {
    try {
      const { size: sizeNow } = await this.#handle!.stat();
      // Otherwise another process writes to the file as well, and its lines are not ours to cut.
      if (sizeNow === size + appended) await this.#handle!.truncate(size);
    } catch {
      // The failure that led here is the one to tell.
    }
    await this.close().catch(() => {});
  }
}

/** A crash or a full disk may have torn the last line. It stays, but the next one must not be glued to it. */
async function endTornLine(handle: FileHandle, size: number): Promise<void> {
  if (size === 0) return;
  const { buffer } = await handle.read({ buffer: Buffer.alloc(1), position: size - 1 });
  if (buffer[0] !== NEWLINE) await handle.write('\n');
}

async function statIfAny(path: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    // The folder may be gone as well, or a file may have taken its place; opening finds that out.
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}
