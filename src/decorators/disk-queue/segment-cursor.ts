// Goes through the oldest file of a queue, batch by batch.
import { errnoOf, fileError } from '../../data/file-error.ts';
import { KnownSets } from '../../encoding/batch-record-known-sets.ts';
import { readBatch } from './read-batch.ts';
import type { Segment } from './segment.ts';
import { FRAME_HEAD_BYTES } from './segment-format.ts';
import { type Frame, SegmentReader } from './segment-reader.ts';
import type { StoredBatch } from './stored-batch.ts';

/** Batches; minutes of the usual intervals. */
const FORGOTTEN_AFTER = 30;

export class SegmentCursor {
  #reader: SegmentReader | undefined;
  /** Of the batches read back. */
  readonly known = new KnownSets();
  #notRead = 0;

  /** The first batch after that number, the same one again until the number rises; undefined when there is none that can be read. */
  async next(segment: Segment, after: number): Promise<Frame | undefined> {
    try {
      if (this.#reader === undefined) {
        const reader = await SegmentReader.open(segment.path);
        if ('problem' in reader) return undefined;
        this.#reader = reader;
      }
      const reader = this.#reader;
      let frame = await reader.next(segment.bytes);
      while (frame !== undefined && frame.sequence <= after) frame = await reader.next(segment.bytes);
      if (frame !== undefined) reader.at = frame.at - FRAME_HEAD_BYTES;
      return frame;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw fileError(segment.path, error);
    }
  }

  /** A batch was delivered from memory. After some, what is known for reading batches back is not worth its memory. */
  notRead(): void {
    if (++this.#notRead === FORGOTTEN_AFTER) this.known.clear();
  }

  /** Undefined when it is damaged. */
  async batch(frame: Frame): Promise<StoredBatch | undefined> {
    this.#notRead = 0;
    return this.#reader && readBatch(this.#reader, frame, this.known);
  }

  /** Before its file is removed or replaced, and before another one becomes the oldest. */
  async close(): Promise<void> {
    const reader = this.#reader;
    this.#reader = undefined;
    await reader?.close().catch(() => {});
  }
}
