// What is left of a batch that was delivered in part: a file of its own, so that the other points are not sent again after a crash.
import { randomUUID } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../data/file-error.ts';
import { encodedRecord } from './encoded-record.ts';
import { readBatch } from './read-batch.ts';
import { SegmentReader } from './segment-reader.ts';
import { SegmentWriter } from './segment-writer.ts';
import type { StoredBatch } from './stored-batch.ts';

export class RestFile {
  readonly #folder: string;
  #stored: StoredBatch | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** What is left of that batch, if it was delivered in part. */
  of(sequence: number): StoredBatch | undefined {
    return this.#stored?.sequence === sequence ? this.#stored : undefined;
  }

  /** Reads what an earlier process left. Without it the whole batch is delivered. */
  async find(): Promise<void> {
    this.#stored = undefined;
    try {
      const reader = await SegmentReader.open(this.#path);
      if ('problem' in reader) return;
      try {
        const frame = await reader.next(await reader.size());
        if (frame !== undefined) this.#stored = await readBatch(reader, frame);
      } finally {
        await reader.close();
      }
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }

  async keep(stored: StoredBatch): Promise<void> {
    this.#stored = stored;
    const path = `${this.#path}-${randomUUID()}.tmp`;
    const { sequence, acceptedAt, batch } = stored;
    const points = batch.pointCount;
    const writer = await SegmentWriter.create(path);
    try {
      const frame = { sequence, acceptedAt, before: 0, accepted: points, points };
      await writer.append(frame, await encodedRecord(batch));
    } finally {
      await writer.close();
    }
    await rename(path, this.#path);
  }

  /** Nothing of the batch is left, nor of earlier ones. */
  async forget(sequence: number): Promise<void> {
    if (this.#stored === undefined || this.#stored.sequence > sequence) return;
    this.#stored = undefined;
    await rm(this.#path, { force: true });
  }

  get #path(): string {
    return join(this.#folder, 'rest');
  }
}
