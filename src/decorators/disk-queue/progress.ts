// Up to which batch a queue has been delivered. Two slots are written in turns, so that one is whole at each moment, and a
// full disk does not matter, since the space is there.
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

const SLOT_BYTES = 16;
const MAGIC = 0x6d74;

export class Progress {
  readonly #handle: FileHandle;
  #slot = 0;
  /** The number of the last batch that need not be delivered any more. */
  sequence = 0;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  static async open(folder: string): Promise<Progress> {
    const path = join(folder, 'progress');
    const handle = await open(path, 'r+', 0o600).catch(() => open(path, 'w+', 0o600));
    const progress = new Progress(handle);
    try {
      await progress.#read();
      return progress;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /**
   * Not synced: after a power cut the last few batches may be delivered again. A sync for each would cost as much as
   * accepting one.
   */
  async write(sequence: number): Promise<void> {
    this.sequence = sequence;
    const slot = Buffer.alloc(SLOT_BYTES);
    slot.writeUInt32LE(MAGIC);
    slot.writeBigUInt64LE(BigInt(sequence), 4);
    slot.writeUInt32LE(crc32(slot.subarray(0, 12)), 12);
    this.#slot = 1 - this.#slot;
    await this.#handle.write(slot, 0, SLOT_BYTES, this.#slot * SLOT_BYTES);
  }

  async close(): Promise<void> {
    await this.#handle.datasync().catch(() => {});
    await this.#handle.close();
  }

  async #read(): Promise<void> {
    const { buffer, bytesRead } = await this.#handle.read({
      buffer: Buffer.alloc(2 * SLOT_BYTES),
      position: 0,
    });
    for (const i of [0, 1]) {
      const slot = buffer.subarray(i * SLOT_BYTES, Math.min((i + 1) * SLOT_BYTES, bytesRead));
      if (slot.length < SLOT_BYTES || slot.readUInt32LE() !== MAGIC) continue;
      if (crc32(slot.subarray(0, 12)) !== slot.readUInt32LE(12)) continue;
      const sequence = Number(slot.readBigUInt64LE(4));
      if (sequence < this.sequence) continue;
      this.sequence = sequence;
      this.#slot = i;
    }
  }
}
