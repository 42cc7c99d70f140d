// The batches of a queue, in order: on disk, and in memory behind them while the disk cannot be written.
//
// Everything runs in turns, one thing after the other, so that accepting, reading back and dropping never meet.
import { report } from '../../data/diagnostics.ts';
import type { ExportError } from '../../data/errors.ts';
import { errnoOf, fileError } from '../../data/file-error.ts';
import type { MetricBatch } from '../../data/metric-batch.ts';
import { AgeClock } from './age-clock.ts';
import { DiskBatches } from './disk-batches.ts';
import { Losses } from './losses.ts';
import type { ValidDiskQueueOptions } from './options.ts';
import type { StoredBatch } from './stored-batch.ts';
import { survived } from './survived.ts';

export class BatchStore {
  readonly folder: string;
  readonly losses: Losses;
  readonly #maxMemoryPoints: number;
  readonly #clock: AgeClock;
  readonly #disk: DiskBatches;
  /** Oldest first. */
  #memory: StoredBatch[] = [];
  #turn: Promise<unknown> = Promise.resolve();
  readonly #closing = new AbortController();

  constructor(folder: string, options: ValidDiskQueueOptions) {
    this.folder = folder;
    this.losses = new Losses(folder);
    this.#maxMemoryPoints = options.maxMemoryPoints;
    this.#clock = new AgeClock(options.maxAgeMillis);
    this.#disk = new DiskBatches(folder, options, this.#clock, this.losses);
  }

  get lastSequence(): number {
    return this.#disk.lastSequence;
  }

  get isOnDisk(): boolean {
    return this.#disk.isOpen && this.#memory.length === 0;
  }

  get memoryPoints(): number {
    return this.#memory.reduce((sum, { batch }) => sum + batch.pointCount, 0);
  }

  get supersededPoints(): number {
    return this.#disk.supersededPoints;
  }

  get left(): { batches: number; points: number; bytes: number } {
    const { batches, points, bytes } = this.#disk.left;
    return { batches: batches + this.#memory.length, points: points + this.memoryPoints, bytes };
  }

  /** Reads what an earlier process left, if that is not done yet. */
  open(): Promise<void> {
    return this.#inTurn(() => this.#disk.open(this.#closing.signal));
  }

  /**
   * Resolves when the batch is on disk, or in memory because the disk cannot be written.
   *
   * @throws ExportError when it is neither; the caller keeps it then
   */
  accept(batch: MetricBatch, signal: AbortSignal): Promise<void> {
    // One who gave up must not have its batch kept in memory by a disk that hangs.
    let held: MetricBatch | undefined = batch;
    signal.addEventListener('abort', () => void (held = undefined), { once: true });
    return this.#inTurn(async () => {
      signal.throwIfAborted();
      await this.#accept({ sequence: 0, acceptedAt: this.#clock.now(), batch: held! }, signal);
    });
  }

  /** The oldest batch that is still to be delivered. It stays until it is `done`. */
  oldest(): Promise<StoredBatch | undefined> {
    return this.#inTurn(async () => {
      // What is in memory is delivered also while the disk is away; whoever accepts the next batch looks for it again.
      const harm = 'what may be there from earlier is not delivered';
      await survived(this.folder, harm, () => this.#disk.open(this.#closing.signal));
      return (await this.#disk.oldest()) ?? this.#oldestInMemory();
    });
  }

  /**
   * Whether a batch given out is still to be delivered, or was dropped meanwhile, or has become too old; or another queue has the
   * folder now, and delivers it.
   */
  fateOf(stored: StoredBatch): 'wanted' | 'age' | 'size' | 'elsewhere' {
    if (this.#clock.isTooOld(stored.acceptedAt)) return 'age';
    return this.#memory.includes(stored) ? 'wanted' : this.#disk.fateOf(stored.sequence);
  }

  /** Nothing of the batch is to be delivered any more. */
  done(stored: StoredBatch): Promise<void> {
    return this.#inTurn(async () => {
      // Its number says nothing of what is on disk, and may change until it gets there.
      if (this.#memory[0] === stored) this.#memory.shift();
      else await this.#disk.done(stored.sequence);
    });
  }

  /** Only this is left of the batch given out last, also after a crash. */
  keepRest(stored: StoredBatch, rest: MetricBatch): Promise<void> {
    return this.#inTurn(async () => {
      const inMemory = this.#inMemory(stored.sequence);
      if (inMemory !== undefined) inMemory.batch = rest;
      else await this.#disk.keepRest(stored, rest);
    });
  }

  /** Ends the wait for a lock. */
  stopOpening(reason: ExportError): void {
    this.#closing.abort(reason);
  }

  /**
   * What is in memory gets a last chance to be written.
   *
   * @returns what stays on disk
   */
  close(): Promise<{ batches: number; points: number }> {
    return this.#inTurn(async () => {
      if (this.#memory.length > 0) {
        await this.#memoryToDisk().catch((error) => {
          report('error', `disk-queue:close:${this.folder}`, fileError(this.folder, error).message);
        });
      }
      this.losses.add('memory', this.memoryPoints);
      this.#memory = [];
      const { left } = this.#disk;
      await this.#disk.close();
      return left;
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  #inMemory(sequence: number): StoredBatch | undefined {
    return this.#memory.find((stored) => stored.sequence === sequence);
  }

  async #accept(pending: StoredBatch, signal: AbortSignal): Promise<void> {
    try {
      await this.#memoryToDisk();
      await this.#disk.append({ ...pending, sequence: this.#disk.lastSequence + 1 }, signal);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      const reason = fileError(this.folder, error);
      const isFull = this.memoryPoints + pending.batch.pointCount > this.#maxMemoryPoints;
      if (isFull || signal.aborted) throw reason;
      this.#memory.push({ ...pending, sequence: ++this.#disk.lastSequence });
      report(
        'error',
        `disk-queue:degraded:${this.folder}`,
        `queue ${this.folder}: ${reason.message}. Until then up to ${this.#maxMemoryPoints} points are kept in memory, ` +
          'and a crash loses them',
      );
    }
  }

  async #memoryToDisk(): Promise<void> {
    await this.#disk.open(this.#closing.signal);
    if (this.#memory.length === 0) return;
    this.#renumberMemory();
    for (let stored = this.#memory[0]; stored !== undefined; stored = this.#memory[0]) {
      await this.#disk.append(stored);
      this.#memory.shift();
    }
    report(
      'info',
      `disk-queue:back:${this.folder}`,
      `queue ${this.folder}: the disk can be written again, and what was in memory is on it`,
    );
  }

  /** It got its numbers before it was known what an earlier process has left, which must stay before it. */
  #renumberMemory(): void {
    let last = this.#disk.lastOnDisk;
    for (const stored of this.#memory) {
      last = Math.max(stored.sequence, last + 1);
      stored.sequence = last;
    }
    this.#disk.lastSequence = Math.max(this.#disk.lastSequence, last);
  }

  #oldestInMemory(): StoredBatch | undefined {
    for (let stored = this.#memory[0]; stored !== undefined; stored = this.#memory[0]) {
      if (!this.#clock.isTooOld(stored.acceptedAt)) return stored;
      this.losses.add('age', stored.batch.pointCount);
      this.#memory.shift();
    }
    return undefined;
  }
}
