// The part of a queue that is on disk: files of batches, the oldest first, of which the last one is written to.
//
// Whoever calls takes turns: nothing here expects to be called while it is at work.
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ExportError } from '../../data/errors.ts';
import { errnoOf, fileError } from '../../data/file-error.ts';
import type { MetricBatch } from '../../data/metric-batch.ts';
import { encodeBatchRecord } from '../../encoding/batch-record.ts';
import { decodeBatchRecord, RecordError } from '../../encoding/batch-record-decoder.ts';
import { inSlices } from '../../net/time-slice.ts';
import type { AgeClock } from './age-clock.ts';
import { compacted } from './compacted.ts';
import { QueueLock } from './lock.ts';
import type { Losses } from './losses.ts';
import type { ValidDiskQueueOptions } from './options.ts';
import { Progress } from './progress.ts';
import { foundSegment, isSegmentName, newSegment, type Segment } from './segment.ts';
import { FRAME_HEAD_BYTES, SEGMENT_HEAD_BYTES } from './segment-format.ts';
import { type Frame, SegmentReader } from './segment-reader.ts';
import { type EncodedRecord, gathered, SegmentWriter } from './segment-writer.ts';
import { Superseding } from './superseded.ts';
import { survived } from './survived.ts';

export interface StoredBatch {
  /** Its number; rises from batch to batch. */
  sequence: number;
  acceptedAt: number;
  batch: MetricBatch;
}

/** So that dropping the oldest drops little, and many small files are not made either. */
const SEGMENTS = 16;
const MAX_SEGMENT_BYTES = 16 * 1024 * 1024;
/** A file that is delivered is removed at once from this size on, also while it is written to. */
const WORTH_REMOVING_BYTES = 1024 * 1024;

/** Half of what is usual: the exporter may have its own slices in the same turns of the event loop. */
const SLICES = { budgetMillis: 1 };

export class DiskBatches {
  readonly #folder: string;
  readonly #options: ValidDiskQueueOptions;
  readonly #clock: AgeClock;
  readonly #losses: Losses;
  #lock: QueueLock | undefined;
  #progress: Progress | undefined;
  /** Oldest first; the last one is written to while there is a writer. */
  #segments: Segment[] = [];
  #writer: SegmentWriter | undefined;
  /** Of the first segment. */
  #reader: SegmentReader | undefined;
  /** What is left of the oldest batch, on disk as well. */
  #rest: StoredBatch | undefined;
  /** The newest batch while it is also the oldest, so that it need not be read back. */
  #newest: StoredBatch | undefined;
  /** Given out by `oldest` and not yet done. */
  #out: { sequence: number; points: number } | undefined;
  /** Of the frame read last. */
  #framePoints = 0;
  #doneSequence = 0;
  /** Of batches that were given out from memory and got here meanwhile: done before those that they are behind now. */
  readonly #doneAhead = new Set<number>();
  /** The number given last, here or to a batch in memory. */
  lastSequence = 0;
  supersededPoints = 0;

  constructor(folder: string, options: ValidDiskQueueOptions, clock: AgeClock, losses: Losses) {
    this.#folder = folder;
    this.#options = options;
    this.#clock = clock;
    this.#losses = losses;
  }

  get isOpen(): boolean {
    return this.#lock !== undefined;
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

  /** The highest number that is here, or has been. */
  get lastOnDisk(): number {
    return Math.max(this.#doneSequence, this.#segments.at(-1)?.last ?? 0);
  }

  /**
   * Reads what an earlier process left, unless it is open; then looks whether the folder is still there, and ours.
   *
   * @param signal ends the wait for a lock
   */
  async open(signal: AbortSignal): Promise<void> {
    if (this.#lock === undefined) return this.#open(signal);
    if (await this.#lock.isHeld()) return;
    const before = this.left;
    await this.close();
    await this.#open(signal);
    // What is under way may yet be delivered.
    const points = before.points - this.left.points - (this.#out?.points ?? 0);
    if (points <= 0) return;
    this.#losses.add('damage', before.batches - this.left.batches, points, 'the folder was removed');
  }

  /** False for a batch that was given out and dropped since. */
  has(sequence: number): boolean {
    return sequence >= (this.#segments.find(({ batches }) => batches > 0)?.first ?? Infinity);
  }

  /** Resolves when the batch is on disk; when it fails, or `signal` aborts before, nothing of it is. */
  async append(stored: StoredBatch, signal?: AbortSignal): Promise<void> {
    const record = await encoded(stored.batch, signal);
    await this.#makeRoom(FRAME_HEAD_BYTES + record.length, stored.batch);
    const segment = await this.#segmentFor(stored.sequence);
    try {
      await this.#writer!.append(frameOf(stored), record, signal);
    } catch (error) {
      await this.#seal();
      throw error;
    }
    this.#newest = this.left.batches === 0 ? stored : undefined;
    this.lastSequence = Math.max(this.lastSequence, stored.sequence);
    segment.bytes = this.#writer!.size;
    segment.last = stored.sequence;
    segment.batches++;
    segment.points += stored.batch.pointCount;
  }

  async #segmentFor(sequence: number): Promise<Segment> {
    const { maxBytes } = this.#options;
    const last = this.#segments.at(-1);
    if (this.#writer !== undefined && last !== undefined) {
      if (last.bytes < Math.min(maxBytes / SEGMENTS, MAX_SEGMENT_BYTES)) return last;
      await this.#seal();
    }
    const segment = newSegment(this.#folder, sequence);
    this.#writer = await SegmentWriter.create(segment.path).catch(async (error) => {
      // A disk that is full takes the name of a file, but nothing into it.
      if (errnoOf(error) !== 'EEXIST') await rm(segment.path, { force: true }).catch(() => {});
      throw error;
    });
    this.#segments.push(segment);
    return segment;
  }

  /** The next batch begins a new file. */
  async #seal(): Promise<void> {
    const writer = this.#writer;
    this.#writer = undefined;
    await writer?.close().catch(() => {});
    const last = this.#segments.at(-1);
    // Nothing was ever in it.
    if (last !== undefined && last.bytes <= SEGMENT_HEAD_BYTES) await this.#remove(last);
  }

  async #makeRoom(bytes: number, newest: MetricBatch): Promise<void> {
    const { maxBytes, compact } = this.#options;
    if (SEGMENT_HEAD_BYTES + bytes > maxBytes) {
      const message = `a batch of ${newest.pointCount} points takes ${bytes} bytes on disk, more than the maxBytes of ${maxBytes}`;
      throw new ExportError('TOO_LARGE', message);
    }
    let superseding: Superseding | undefined;
    while (this.left.bytes + SEGMENT_HEAD_BYTES + bytes > maxBytes && this.#segments.length > 0) {
      const delivered = this.#segments.find(({ batches }) => batches === 0);
      const large = compact ? this.#segments.find(({ isCompacted }) => !isCompacted) : undefined;
      const victim = delivered ?? large ?? this.#segments[0]!;
      if (victim === this.#segments.at(-1)) await this.#seal();
      if (victim === large && delivered === undefined) {
        superseding ??= await inSlices(Superseding.of(newest), SLICES);
        await this.#compact(victim, superseding);
      } else {
        // What is under way may yet be delivered; who delivers it will see.
        const { sequence, points } = this.#out ?? { sequence: 0, points: 0 };
        const isOut = sequence >= victim.first && sequence <= victim.last;
        this.#losses.add('size', victim.batches - (isOut ? 1 : 0), victim.points - (isOut ? points : 0));
        await this.#remove(victim);
      }
    }
  }

  async #compact(segment: Segment, superseding: Superseding): Promise<void> {
    segment.isCompacted = true;
    const from = Math.max(this.#doneSequence, this.#out?.sequence ?? 0);
    const left = await compacted(segment, this.#doneSequence, from, superseding);
    if (left === undefined) return;
    this.supersededPoints += segment.points - left.points;
    if (segment === this.#segments[0]) await this.#closeReader();
    Object.assign(segment, left);
    if (left.batches === 0) await this.#remove(segment);
  }

  /** The oldest batch that is still to be delivered; the same one until it is `done`. */
  async oldest(): Promise<StoredBatch | undefined> {
    for (let segment = this.#segments[0]; segment !== undefined; segment = this.#segments[0]) {
      const frame = await this.#nextFrame(segment);
      if (frame === undefined) {
        this.#losses.add('damage', segment.batches, segment.points, segment.path);
        const isWritten = segment === this.#segments.at(-1) && this.#writer !== undefined;
        segment.batches = 0;
        segment.points = 0;
        if (isWritten) return undefined;
        await this.#remove(segment);
        continue;
      }
      this.#framePoints = frame.points;
      const isDone = this.#doneAhead.delete(frame.sequence);
      const stored = isDone ? undefined : await this.#readBack(frame);
      if (stored !== undefined) {
        this.#out = { sequence: stored.sequence, points: stored.batch.pointCount };
        return stored;
      }
      await this.#doneUpTo(frame.sequence);
    }
    return undefined;
  }

  /** The first one that is not done. */
  async #nextFrame(segment: Segment): Promise<Frame | undefined> {
    try {
      if (this.#reader === undefined) {
        const reader = await SegmentReader.open(segment.path);
        if ('problem' in reader) return undefined;
        this.#reader = reader;
      }
      for (;;) {
        const before = this.#reader.at;
        const frame = await this.#reader.next(segment.bytes);
        if (frame === undefined) return undefined;
        if (frame.sequence <= this.#doneSequence) continue;
        if (frame.at - FRAME_HEAD_BYTES > before) this.#countGap(segment, frame);
        // Given out again until it is done.
        this.#reader.at = frame.at - FRAME_HEAD_BYTES;
        return frame;
      }
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw fileError(segment.path, error);
    }
  }

  /** Those before a frame that begins later than the one before it ends. */
  #countGap(segment: Segment, { sequence }: Frame): void {
    const expected = Math.max(this.#doneSequence + 1, segment.first);
    this.#losses.add('damage', sequence - expected, 0, segment.path);
    this.#doneSequence = sequence - 1;
  }

  async #readBack(frame: Frame): Promise<StoredBatch | undefined> {
    const { sequence, acceptedAt, points, length } = frame;
    if (length === 0) return undefined;
    if (this.#clock.isTooOld(acceptedAt)) {
      this.#losses.add('age', 1, points);
      return undefined;
    }
    if (this.#rest?.sequence === sequence) return this.#rest;
    if (this.#newest?.sequence === sequence) return this.#newest;
    const stored = await this.#batchOf(this.#reader!, frame);
    if (stored === undefined) this.#losses.add('damage', 1, points, this.#segments[0]!.path);
    return stored;
  }

  async #batchOf(reader: SegmentReader, frame: Frame): Promise<StoredBatch | undefined> {
    const record = await reader.record(frame);
    if (record === undefined) return undefined;
    try {
      const batch = await inSlices(decodeBatchRecord(record), SLICES);
      return { sequence: frame.sequence, acceptedAt: frame.acceptedAt, batch };
    } catch (error) {
      if (error instanceof RecordError) return undefined;
      throw error;
    }
  }

  /** Nothing of the batch is to be delivered any more. */
  async done(sequence: number): Promise<void> {
    if (this.#out?.sequence === sequence) await this.#doneUpTo(sequence);
    else if (this.has(sequence)) this.#doneAhead.add(sequence);
  }

  /** Nor of earlier ones. */
  async #doneUpTo(sequence: number): Promise<void> {
    this.#out = undefined;
    if (this.#newest?.sequence === sequence) this.#newest = undefined;
    const hadRest = this.#rest !== undefined && this.#rest.sequence <= sequence;
    if (hadRest) this.#rest = undefined;
    this.#doneSequence = Math.max(this.#doneSequence, sequence);
    await survived(this.#folder, 'after a crash some batches will be delivered again', async () => {
      await this.#progress?.write(this.#doneSequence);
      if (hadRest) await rm(join(this.#folder, 'rest'), { force: true });
    });
    await survived(this.#folder, 'the file of what is delivered stays', () => this.#forget(sequence));
  }

  /** Only this is left of the batch given out last, also after a crash. */
  async keepRest(stored: StoredBatch, rest: MetricBatch): Promise<void> {
    if (this.#out?.sequence === stored.sequence) this.#out.points = rest.pointCount;
    const kept = { ...stored, batch: rest };
    this.#rest = kept;
    await survived(this.#folder, 'after a crash a batch will be delivered again', async () => {
      const path = join(this.#folder, `rest-${randomUUID()}.tmp`);
      const writer = await SegmentWriter.create(path);
      try {
        await writer.append(frameOf(kept), await encoded(rest));
      } finally {
        await writer.close();
      }
      await rename(path, join(this.#folder, 'rest'));
    });
  }

  /** Files with nothing left to deliver go. */
  async close(): Promise<void> {
    await this.#closeReader();
    await this.#seal();
    const lock = this.#lock;
    const progress = this.#progress;
    const segments = this.#segments;
    this.#lock = undefined;
    this.#progress = undefined;
    this.#segments = [];
    if (lock === undefined) return;
    if (await lock.isHeld().catch(() => false)) {
      const delivered = segments.filter(({ batches }) => batches === 0);
      for (const { path } of delivered) await rm(path, { force: true }).catch(() => {});
    }
    await progress?.close().catch(() => {});
    await lock.release().catch(() => {});
  }

  async #open(signal: AbortSignal): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const lock = await QueueLock.acquire(this.#folder, signal);
    try {
      this.#progress = await Progress.open(this.#folder);
      this.#doneSequence = Math.max(this.#doneSequence, this.#progress.sequence);
      await this.#find();
      this.#lock = lock;
    } catch (error) {
      await this.close();
      await lock.release();
      throw error;
    }
  }

  async #find(): Promise<void> {
    const names = (await readdir(this.#folder)).sort();
    for (const name of names.filter((name) => name.endsWith('.tmp'))) await rm(join(this.#folder, name));
    const segmentNames = names.filter(isSegmentName);
    this.#segments = [];
    let after = this.#doneSequence;
    for (const [i, name] of segmentNames.entries()) {
      const isLast = i === segmentNames.length - 1;
      const segment = await foundSegment(join(this.#folder, name), after, isLast);
      if (segment === undefined) continue;
      this.#segments.push(segment);
      after = segment.last;
    }
    this.lastSequence = Math.max(this.lastSequence, after);
    this.#rest = await this.#foundRest();
  }

  async #foundRest(): Promise<StoredBatch | undefined> {
    const path = join(this.#folder, 'rest');
    try {
      const reader = await SegmentReader.open(path);
      if ('problem' in reader) return undefined;
      try {
        const frame = await reader.next(await reader.size());
        if (frame === undefined || frame.sequence <= this.#doneSequence) return undefined;
        return await this.#batchOf(reader, frame);
      } finally {
        await reader.close();
      }
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Counts down what is left in the first segment, and removes it when that was all. */
  async #forget(sequence: number): Promise<void> {
    const segment = this.#segments[0];
    if (segment === undefined || sequence < segment.first || sequence > segment.last) return;
    segment.batches = Math.max(0, segment.batches - 1);
    segment.points = Math.max(0, segment.points - this.#framePoints);
    if (segment.batches > 0) return;
    const isWritten = segment === this.#segments.at(-1) && this.#writer !== undefined;
    if (isWritten && segment.bytes < WORTH_REMOVING_BYTES) return;
    if (isWritten) await this.#seal();
    await this.#remove(segment);
  }

  async #remove(segment: Segment): Promise<void> {
    if (segment === this.#segments[0]) await this.#closeReader();
    this.#segments = this.#segments.filter((other) => other !== segment);
    await rm(segment.path, { force: true });
  }

  async #closeReader(): Promise<void> {
    const reader = this.#reader;
    this.#reader = undefined;
    await reader?.close().catch(() => {});
  }
}

const frameOf = ({ sequence, acceptedAt, batch }: StoredBatch) => ({
  sequence,
  acceptedAt,
  points: batch.pointCount,
});

function encoded(batch: MetricBatch, signal?: AbortSignal): Promise<EncodedRecord> {
  return inSlices(gathered(encodeBatchRecord(batch)), { signal, ...SLICES });
}
