// Delivers what is in a queue: in order, one batch at a time, and tries again what failed until it succeeds.
import { report } from '../../data/diagnostics.ts';
import { ExportError } from '../../data/errors.ts';
import type { MetricBatch } from '../../data/metric-batch.ts';
import { isAboutConnection, owedPoints } from '../../data/owed-points.ts';
import { retrying, waited } from '../../net/backoff.ts';
import type { WrappedExporter } from '../wrapped-exporter.ts';
import type { ValidDiskQueueOptions } from './options.ts';
import type { BatchStore } from './store.ts';
import type { StoredBatch } from './stored-batch.ts';

interface Flush {
  /** Up to which batch. */
  sequence: number;
  /** Attempts up to this one began earlier, and their failures do not count. */
  attempt: number;
  resolve(): void;
  reject(error: unknown): void;
}

export class Drain {
  readonly #store: BatchStore;
  readonly #exporter: WrappedExporter;
  readonly #options: ValidDiskQueueOptions;
  readonly #stopping = new AbortController();
  readonly #flushes = new Set<Flush>();
  /** Ends the wait between two attempts. */
  #retryNow = new AbortController();
  /** Ends the wait for a store that could not be opened. */
  #lookAgain = new AbortController();
  #attempts = 0;
  #lastStart = -Infinity;
  #running: Promise<void> | undefined;
  #hasMore = false;
  deliveredPoints = 0;

  constructor(store: BatchStore, exporter: WrappedExporter, options: ValidDiskQueueOptions) {
    this.#store = store;
    this.#exporter = exporter;
    this.#options = options;
  }

  /** There may be something to deliver. */
  start(): void {
    if (this.#stopping.signal.aborted) return;
    this.#hasMore = true;
    this.#lookAgain.abort();
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#hasMore) this.start();
    });
  }

  /** Resolves when all that was accepted before is delivered or dropped; rejects when an attempt after this call failed. */
  async flush(): Promise<void> {
    // What earlier processes left counts too. A store that cannot be opened is told of by its reader.
    await this.#store.open().catch(() => {});
    await new Promise<void>((resolve, reject) => {
      const sequence = this.#store.lastSequence;
      this.#flushes.add({ sequence, attempt: this.#attempts, resolve, reject });
      const { aborted, reason } = this.#stopping.signal;
      if (aborted) return this.#failFlushes(reason, Infinity);
      this.#retryNow.abort();
      this.start();
    });
  }

  /** Resolves when nothing is under way any more. */
  async stop(reason: ExportError): Promise<void> {
    this.#stopping.abort(reason);
    this.#retryNow.abort();
    this.#lookAgain.abort();
    await this.#running;
    this.#failFlushes(reason, Infinity);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (this.#hasMore && !signal.aborted) {
      this.#hasMore = false;
      try {
        for (let next = await this.#store.oldest(); next !== undefined; next = await this.#store.oldest()) {
          this.#settleFlushes(next.sequence - 1);
          await this.#deliver(next);
          await this.#store.done(next);
        }
        this.#settleFlushes(this.#store.lastSequence);
      } catch (cause) {
        if (signal.aborted) return;
        const error = ExportError.from(cause);
        this.#failFlushes(error, Infinity);
        report('error', `disk-queue:read:${this.#store.folder}:${error.code}`, error.message);
        this.#hasMore = true;
        this.#lookAgain = new AbortController();
        await waited(this.#options.retry.maxIntervalMillis, this.#lookAgain.signal);
      }
    }
  }

  /** Resolves when nothing of the batch is to be delivered any more; rejects when the queue stops before. */
  async #deliver(stored: StoredBatch): Promise<void> {
    let owed: MetricBatch | undefined = stored.batch;
    while (owed !== undefined) {
      this.#stopping.signal.throwIfAborted();
      this.#retryNow = new AbortController();
      try {
        await retrying(
          async () => {
            const failure = await this.#attempt(stored, owed!);
            owed = failure?.owed;
            if (failure !== undefined) throw failure.error;
          },
          this.#options.retry,
          { signal: this.#retryNow.signal },
        );
      } catch {
        // A flush has ended the wait: the next attempt comes at once. Or the queue stops.
      }
    }
  }

  /** Returns what is owed after a failure that may pass. */
  async #attempt(stored: StoredBatch, batch: MetricBatch): Promise<Failure | undefined> {
    const { signal } = this.#stopping;
    const { losses } = this.#store;
    await this.#paced();
    const attempt = ++this.#attempts;
    const fate = this.#store.fateOf(stored);
    if (fate !== 'wanted') {
      if (fate !== 'elsewhere') losses.add(fate, batch.pointCount);
      return undefined;
    }
    try {
      const refusal = await this.#exporter.export(batch, signal);
      const refused = Math.min(refusal?.rejectedDataPoints ?? 0, batch.pointCount);
      this.deliveredPoints += batch.pointCount - refused;
      losses.add('refusal', refused, refusal?.message);
      return undefined;
    } catch (cause) {
      const error = ExportError.from(cause);
      const { aborted } = signal;
      if (!aborted) {
        this.#failFlushes(error, attempt);
        if (error.code === 'SHUTDOWN') return this.#giveUp(error, batch);
      }
      // One that was stopped may say all the same what it has delivered.
      const isKept = (aborted || isAboutConnection(error)) && error.undelivered === undefined;
      const owed = isKept ? batch : owedPoints(batch, error);
      if (owed !== batch) {
        const taken = batch.pointCount - (owed?.pointCount ?? 0);
        // Without a number, a failure for good is about all points that it does not owe.
        const refused = error.undelivered === undefined ? taken : (error.rejectedDataPoints ?? 0);
        this.deliveredPoints += Math.max(0, taken - refused);
        losses.add('refusal', Math.min(refused, taken), error.message);
      }
      if (owed === undefined) return undefined;
      if (owed !== batch) await this.#store.keepRest(stored, owed);
      if (!aborted) this.#reportFailure(error);
      return { error: retryable(error), owed };
    }
  }

  /** Somebody else has shut the exporter down. Nothing is lost: what waits is there at the next start. */
  #giveUp(error: ExportError, owed: MetricBatch): Failure {
    const message = `queue ${this.#store.folder}: ${this.#exporter.name} has been shut down; what waits is kept for the next start`;
    report('error', `disk-queue:shutdown:${this.#store.folder}`, message);
    this.#stopping.abort(error);
    this.#retryNow.abort();
    return { error: retryable(error), owed };
  }

  #reportFailure({ code, message }: ExportError): void {
    const { batches, points } = this.#store.left;
    report(
      'warn',
      `disk-queue:export:${this.#store.folder}:${code}`,
      `queue ${this.#store.folder}: ${this.#exporter.name} failed: ${message}. ${points} points in ${batches} batches wait`,
    );
  }

  async #paced(): Promise<void> {
    const { signal } = this.#stopping;
    const gap = 1_000 / this.#options.maxExportsPerSecond;
    const wait = this.#lastStart + gap - performance.now();
    if (wait > 0) await waited(wait, signal);
    this.#lastStart = performance.now();
  }

  #settleFlushes(sequence: number): void {
    for (const flush of this.#flushes) {
      if (flush.sequence > sequence) continue;
      this.#flushes.delete(flush);
      flush.resolve();
    }
  }

  #failFlushes(error: unknown, attempt: number): void {
    for (const flush of this.#flushes) {
      if (flush.attempt >= attempt) continue;
      this.#flushes.delete(flush);
      flush.reject(error);
    }
  }
}

interface Failure {
  error: ExportError;
  owed: MetricBatch;
}

/** For the loop that tries again: whether it does is decided here. */
function retryable(error: ExportError): ExportError {
  const { code, retryAfterMs } = error;
  return new ExportError(code, error.message, { retryable: true, retryAfterMs, cause: error });
}
