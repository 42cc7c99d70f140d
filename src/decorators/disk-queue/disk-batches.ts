// The part of a queue that is on disk: which batches are in its files, which are done, and which got lost.
//
// Whoever calls takes turns: nothing here expects to be called while it is at work.
import { mkdir } from 'node:fs/promises';
import { ExportError } from '../../data/errors.ts';
import { errnoOf } from '../../data/file-error.ts';
import type { MetricBatch } from '../../data/metric-batch.ts';
import { inSlices } from '../../data/time-slice.ts';
import type { AgeClock } from './age-clock.ts';
import { compacted } from './compacted.ts';
import { encodedRecord } from './encoded-record.ts';
import { QueueLock } from './lock.ts';
import type { Losses } from './losses.ts';
import { later, START } from './mark.ts';
import type { ValidDiskQueueOptions } from './options.ts';
import { Progress } from './progress.ts';
import { RecentBatches } from './recent-batches.ts';
import { RestFile } from './rest-file.ts';
import { endOf, type Segment, subtractAll, subtractFrame } from './segment.ts';
import { SegmentCursor } from './segment-cursor.ts';
import { FRAME_HEAD_BYTES, SEGMENT_HEAD_BYTES } from './segment-format.ts';
import { SegmentLog } from './segment-log.ts';
import type { Frame } from './segment-reader.ts';
import { SLICES } from './slices.ts';
import type { StoredBatch } from './stored-batch.ts';
import { Superseding } from './superseded.ts';
import { survived } from './survived.ts';

/** A file that is delivered is removed at once from this size on, also while it is written to. */
const WORTH_REMOVING_BYTES = 1024 * 1024;

export class DiskBatches {
  readonly #folder: string;
  readonly #options: ValidDiskQueueOptions;
  readonly #clock: AgeClock;
  readonly #losses: Losses;
  readonly #log: SegmentLog;
  readonly #cursor = new SegmentCursor();
  readonly #rest: RestFile;
  readonly #recent = new RecentBatches();
  #lock: QueueLock | undefined;
  #progress: Progress | undefined;
  /** What is before it is delivered, or counted as lost. */
  #done = START;
  #accepted = START;
  /** Of batches that were given out from memory and got here meanwhile: done before those that they are behind now. */
  readonly #doneAhead = new Set<number>();
  /** Given out by `oldest` and not yet done. */
  #out: Frame | undefined;
  /** The number of the one that was out when its file was dropped for room. */
  #dropped = 0;
  /** Another queue has the folder. */
  #isElsewhere = false;
  /** The number given last, here or to a batch in memory. */
  lastSequence = 0;
  supersededPoints = 0;

  constructor(folder: string, options: ValidDiskQueueOptions, clock: AgeClock, losses: Losses) {
    this.#folder = folder;
    this.#options = options;
    this.#clock = clock;
    this.#losses = losses;
    this.#log = new SegmentLog(folder, options.maxBytes);
    this.#rest = new RestFile(folder);
  }

  get isOpen(): boolean {
    return this.#lock !== undefined;
  }

  get left(): { batches: number; points: number; bytes: number } {
    return this.#log.left;
  }

  /**
   * Reads what an earlier process left, unless it is open; then looks whether the folder is still there, and ours.
   *
   * @param signal ends the wait for a lock
   */
  async open(signal: AbortSignal): Promise<void> {
    if (this.#lock !== undefined) {
      if (await this.#lock.isHeld()) return;
      await this.close();
    }
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const lock = await this.#acquired(signal);
    try {
      await this.#find();
      this.#lock = lock;
    } catch (error) {
      await this.close();
      await lock.release();
      throw error;
    }
  }

  /** The highest number that is here, or has been. */
  get lastOnDisk(): number {
    return this.#accepted.sequence;
  }

  /** What is to become of a batch that was given out. */
  fateOf(sequence: number): 'wanted' | 'size' | 'elsewhere' {
    if (sequence === this.#dropped) return 'size';
    return sequence > this.#done.sequence && !this.#isElsewhere ? 'wanted' : 'elsewhere';
  }

  /** Resolves when the batch is on disk; when it fails, or `signal` aborts before, nothing of it is. */
  async append(stored: StoredBatch, signal?: AbortSignal): Promise<void> {
    const { sequence, acceptedAt, batch } = stored;
    const record = await encodedRecord(batch, signal);
    await this.#makeRoom(FRAME_HEAD_BYTES + record.length, batch);
    const points = batch.pointCount;
    const frame = { sequence, acceptedAt, before: this.#accepted.points, accepted: points, points };
    await this.#log.append(frame, record, signal);
    this.#accepted = endOf(frame);
    this.lastSequence = Math.max(this.lastSequence, sequence);
    this.#recent.add(stored);
    await this.#writeProgress('after a crash damage to the newest batch will not be counted');
  }

  async #makeRoom(bytes: number, newest: MetricBatch): Promise<void> {
    const { maxBytes, compact } = this.#options;
    if (SEGMENT_HEAD_BYTES + bytes > maxBytes) {
      const message = `a batch of ${newest.pointCount} points takes ${bytes} bytes on disk, more than the maxBytes of ${maxBytes}`;
      throw new ExportError('TOO_LARGE', message);
    }
    let superseding: Superseding | undefined;
    for (let first = this.#log.first; first !== undefined; first = this.#log.first) {
      if (this.left.bytes + SEGMENT_HEAD_BYTES + bytes <= maxBytes) return;
      const large = compact ? this.#log.segments.find(({ isCompacted }) => !isCompacted) : undefined;
      if (large === undefined || first.batches === 0) {
        if (this.#isOutIn(first)) this.#dropped = this.#out!.sequence;
        this.#losses.add('size', this.#givenUp(first));
        await this.#remove(first);
      } else {
        superseding ??= await inSlices(Superseding.of(newest), SLICES);
        await this.#compact(large, superseding);
      }
    }
  }

  async #compact(segment: Segment, superseding: Superseding): Promise<void> {
    if (this.#log.isWritten(segment)) await this.#log.seal();
    segment.isCompacted = true;
    const done = this.#done.sequence;
    const out = Math.max(done, this.#out?.sequence ?? 0);
    const left = await compacted(segment, done, out, superseding, this.#cursor.known);
    if (left === undefined) return;
    this.supersededPoints += segment.points - left.points;
    this.#recent.forget(segment.end.sequence);
    if (segment === this.#log.first) await this.#cursor.close();
    Object.assign(segment, left);
  }

  /** The oldest batch that is still to be delivered; the same one until it is `done`. */
  async oldest(): Promise<StoredBatch | undefined> {
    if (!this.isOpen) return undefined;
    this.#out = undefined;
    for (let first = this.#log.first; first !== undefined; first = this.#log.first) {
      const frame = await this.#cursor.next(first, this.#done.sequence);
      if (frame === undefined) {
        await this.#countDamage(this.#givenUp(first), first.path);
        if (this.#log.isWritten(first)) break;
        await this.#remove(first);
        continue;
      }
      const gap = frame.before - this.#done.points;
      this.#done = later(this.#done, { sequence: frame.sequence - 1, points: frame.before });
      await this.#countDamage(gap, first.path);
      this.#out = frame;
      const isDone = this.#doneAhead.delete(frame.sequence);
      const stored = isDone ? undefined : await this.#readBack(frame);
      if (stored !== undefined) return stored;
      await this.#outDone(frame);
    }
    // The last ones were damaged, or the files with them are gone.
    const missing = this.#accepted.points - this.#done.points;
    this.#done = later(this.#done, this.#accepted);
    await this.#countDamage(missing, this.#folder);
    return undefined;
  }

  /** Once `#done` is behind it; by writing that down no later process counts it again. */
  async #countDamage(points: number, where: string): Promise<void> {
    if (points === 0) return;
    this.#losses.add('damage', points, where);
    await this.#writeProgress('after a restart damage will be counted again');
  }

  async #readBack(frame: Frame): Promise<StoredBatch | undefined> {
    const { sequence, acceptedAt, points, length } = frame;
    if (length === 0) return undefined;
    const rest = this.#rest.of(sequence);
    if (this.#clock.isTooOld(acceptedAt)) {
      this.#losses.add('age', rest?.batch.pointCount ?? points);
      return undefined;
    }
    const inMemory = rest ?? this.#recent.get(sequence);
    if (inMemory !== undefined) {
      this.#cursor.notRead();
      return inMemory;
    }
    const stored = await this.#cursor.batch(frame);
    if (stored === undefined) this.#losses.add('damage', points, this.#log.first!.path);
    return stored;
  }

  /** Nothing of the batch is to be delivered any more. */
  async done(sequence: number): Promise<void> {
    if (this.#isElsewhere) this.#out = undefined;
    else if (this.#out?.sequence === sequence) await this.#outDone(this.#out);
    else if (sequence > this.#done.sequence) this.#doneAhead.add(sequence);
  }

  async #outDone(frame: Frame): Promise<void> {
    this.#out = undefined;
    this.#recent.forget(frame.sequence);
    this.#done = later(this.#done, endOf(frame));
    await this.#writeProgress('after a crash some batches will be delivered again');
    await survived(this.#folder, 'the file of what is delivered stays', async () => {
      await this.#rest.forget(frame.sequence);
      await this.#forget(frame);
    });
  }

  /** Only this is left of the batch given out last, also after a crash. */
  async keepRest(stored: StoredBatch, rest: MetricBatch): Promise<void> {
    await survived(this.#folder, 'after a crash a batch will be delivered again', () =>
      this.#rest.keep({ ...stored, batch: rest }),
    );
  }

  async close(): Promise<void> {
    const lock = this.#lock;
    const progress = this.#progress;
    this.#lock = undefined;
    this.#progress = undefined;
    await this.#cursor.close();
    this.#cursor.known.clear();
    this.#recent.forget(Infinity);
    await this.#log.close((await lock?.isHeld().catch(() => false)) ?? false);
    await progress?.close().catch(() => {});
    await lock?.release().catch(() => {});
  }

  async #find(): Promise<void> {
    const progress = await Progress.open(this.#folder);
    this.#progress = progress;
    this.#done = later(this.#done, progress.done ?? START);
    await this.#log.find(this.#done.sequence);
    this.#accepted = [this.#done, progress.accepted, this.#log.end].reduce(later, this.#accepted);
    this.lastSequence = Math.max(this.lastSequence, this.#accepted.sequence);
    await this.#rest.find();
    const { first } = this.#log;
    if (progress.done !== undefined || this.#done.sequence > 0 || first === undefined) return;
    // Nobody knows what there was before the first one.
    const frame = await this.#cursor.next(first, 0);
    if (frame !== undefined) this.#done = { sequence: frame.sequence - 1, points: frame.before };
  }

  /** Counts down what is left in the first segment, and removes it when that was all. */
  async #forget(frame: Frame): Promise<void> {
    const { first } = this.#log;
    if (first === undefined || frame.sequence < first.first) return;
    subtractFrame(first, frame);
    if (first.batches > 0) return;
    if (!this.#log.isWritten(first) || first.bytes >= WORTH_REMOVING_BYTES) await this.#remove(first);
  }

  /**
   * Nothing of the first segment is to be delivered any more, but for the batch that is out: it may yet be, and who delivers it
   * will see.
   *
   * @returns how many points are lost with it
   */
  #givenUp(segment: Segment): number {
    const { end, superseded } = segment;
    const out = this.#isOutIn(segment) ? this.#out!.points : 0;
    const lost = end.points - this.#done.points - superseded - out;
    this.#done = later(this.#done, end);
    subtractAll(segment);
    return lost;
  }

  #isOutIn(segment: Segment): boolean {
    return this.#out !== undefined && this.#out.sequence >= segment.first;
  }

  async #acquired(signal: AbortSignal): Promise<QueueLock> {
    try {
      const lock = await QueueLock.acquire(this.#folder, signal);
      this.#isElsewhere = false;
      return lock;
    } catch (error) {
      this.#isElsewhere = errnoOf(error) === undefined;
      throw error;
    }
  }

  async #remove(segment: Segment): Promise<void> {
    if (segment === this.#log.first) await this.#cursor.close();
    await this.#log.remove(segment);
  }

  async #writeProgress(harm: string): Promise<void> {
    await survived(this.#folder, harm, async () => this.#progress?.write(this.#done, this.#accepted));
  }
}
