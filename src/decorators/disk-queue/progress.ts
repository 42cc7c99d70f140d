// How far a queue has got: up to which batch it has delivered, and accepted. Two slots are written in turns, so that one is
// whole at each moment, and a full disk does not matter, since the space is there.
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { later, type Mark, START } from './mark.ts';

const SLOT_BYTES = 40;
const CRC_AT = SLOT_BYTES - 4;
const MAGIC = 0x6d75;

export class Progress {
  readonly #handle: FileHandle;
  #slot = 0;
  /** What is before it need not be delivered any more; undefined when nobody knows. */
  done: Mark | undefined;
  accepted = START;

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
  async write(done: Mark, accepted: Mark): Promise<void> {
    this.done = done;
    this.accepted = accepted;
    const slot = Buffer.alloc(SLOT_BYTES);
    slot.writeUInt32LE(MAGIC);
    slot.writeDoubleLE(done.sequence, 4);
    slot.writeDoubleLE(done.points, 12);
    slot.writeDoubleLE(accepted.sequence, 20);
    slot.writeDoubleLE(accepted.points, 28);
    slot.writeUInt32LE(crc32(slot.subarray(0, CRC_AT)), CRC_AT);
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
      if (crc32(slot.subarray(0, CRC_AT)) !== slot.readUInt32LE(CRC_AT)) continue;
      const accepted = { sequence: slot.readDoubleLE(20), points: slot.readDoubleLE(28) };
      const done = { sequence: slot.readDoubleLE(4), points: slot.readDoubleLE(12) };
      if (this.done !== undefined && !isFurther(done, accepted, this.done, this.accepted)) continue;
      this.done = done;
      this.accepted = later(accepted, done);
      this.#slot = i;
    }
  }
}

function isFurther(done: Mark, accepted: Mark, otherDone: Mark, otherAccepted: Mark): boolean {
  return done.sequence > otherDone.sequence || accepted.sequence > otherAccepted.sequence;
}
