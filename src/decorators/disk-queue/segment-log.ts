// The files of a queue, oldest first. The last one is written to.
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../data/file-error.ts';
import type { EncodedRecord } from './encoded-record.ts';
import { type Mark, START } from './mark.ts';
import { addFrame, foundSegment, isSegmentName, newSegment, type Segment } from './segment.ts';
import { type FrameContent, SEGMENT_HEAD_BYTES } from './segment-format.ts';
import { SegmentWriter } from './segment-writer.ts';

/** So that dropping the oldest drops little, and many small files are not made either. */
const SEGMENTS = 16;
const MAX_SEGMENT_BYTES = 16 * 1024 * 1024;

export class SegmentLog {
  readonly #folder: string;
  readonly #segmentBytes: number;
  #segments: Segment[] = [];
  /** Of the last segment. */
  #writer: SegmentWriter | undefined;

  constructor(folder: string, maxBytes: number) {
    this.#folder = folder;
    this.#segmentBytes = Math.min(maxBytes / SEGMENTS, MAX_SEGMENT_BYTES);
  }

  get segments(): readonly Segment[] {
    return this.#segments;
  }

  get first(): Segment | undefined {
    return this.#segments[0];
  }

  get end(): Mark {
    return this.#segments.at(-1)?.end ?? START;
  }

  get left(): { batches: number; points: number; bytes: number } {
    const left = { batches: 0, points: 0, bytes: 0 };
    for (const { batches, points, bytes } of this.#segments) {
      left.batches += batches;
      left.points += points;
      left.bytes += bytes;
    }
    return left;
  }

  isWritten(segment: Segment): boolean {
    return this.#writer !== undefined && segment === this.#segments.at(-1);
  }

  /** What an earlier process left after the batch of that number. */
  async find(after: number): Promise<void> {
    const names = (await readdir(this.#folder)).sort();
    for (const name of names.filter((name) => name.endsWith('.tmp'))) await rm(join(this.#folder, name));
    const segmentNames = names.filter(isSegmentName);
    this.#segments = [];
    for (const [i, name] of segmentNames.entries()) {
      const isLast = i === segmentNames.length - 1;
      const segment = await foundSegment(join(this.#folder, name), after, isLast);
      if (segment !== undefined) this.#segments.push(segment);
    }
  }

  /** Resolves when the batch is on disk; when it fails, or `signal` aborts before, nothing of it is. */
  async append(frame: FrameContent, record: EncodedRecord, signal?: AbortSignal): Promise<void> {
    const { writer, segment } = await this.#writable(frame);
    try {
      await writer.append(frame, record, signal);
    } catch (error) {
      await this.seal();
      throw error;
    }
    addFrame(segment, frame, writer.size);
  }

  /** The next batch begins a new file. */
  async seal(): Promise<void> {
    const writer = this.#writer;
    this.#writer = undefined;
    await writer?.close().catch(() => {});
    const last = this.#segments.at(-1);
    // Nothing was ever in it.
    if (last !== undefined && last.bytes <= SEGMENT_HEAD_BYTES) await this.remove(last);
  }

  async remove(segment: Segment): Promise<void> {
    if (this.isWritten(segment)) await this.seal();
    this.#segments = this.#segments.filter((other) => other !== segment);
    await rm(segment.path, { force: true });
  }

  /** Forgets what there is. With `isOurs`, files with nothing left to deliver go. */
  async close(isOurs: boolean): Promise<void> {
    const segments = this.#segments;
    this.#segments = [];
    const writer = this.#writer;
    this.#writer = undefined;
    await writer?.close().catch(() => {});
    if (!isOurs) return;
    const delivered = segments.filter(({ batches }) => batches === 0);
    for (const { path } of delivered) await rm(path, { force: true }).catch(() => {});
  }

  async #writable({ sequence, before }: FrameContent): Promise<{ writer: SegmentWriter; segment: Segment }> {
    const last = this.#segments.at(-1);
    if (this.#writer !== undefined && last !== undefined) {
      if (last.bytes < this.#segmentBytes) return { writer: this.#writer, segment: last };
      await this.seal();
    }
    const segment = newSegment(this.#folder, sequence, before);
    const writer = await SegmentWriter.create(segment.path).catch(async (error) => {
      // A disk that is full takes the name of a file, but nothing into it.
      if (errnoOf(error) !== 'EEXIST') await rm(segment.path, { force: true }).catch(() => {});
      throw error;
    });
    this.#writer = writer;
    this.#segments.push(segment);
    return { writer, segment };
  }
}
