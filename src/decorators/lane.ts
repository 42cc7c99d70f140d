// What one exporter of several still has to get, in order and in bounded memory.
import { ExportError } from '../data/errors.ts';
import { owedOf } from '../data/export-to.ts';
import { mergeDeltas } from '../data/merge-deltas.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import type { WrappedExporter } from './wrapped-exporter.ts';

export class Lane {
  readonly name: string;
  readonly #exporter: WrappedExporter;
  readonly #maxPoints: number;
  /** Oldest first; without the batch that is under way. */
  #backlog: MetricBatch[] = [];
  #sending: Promise<void> | undefined;
  /** Of the batch under way. */
  #abort: AbortController | undefined;

  /** @param maxPoints how many points may wait; the newest batch always may */
  constructor(name: string, exporter: WrappedExporter, maxPoints: number) {
    this.name = name;
    this.#exporter = exporter;
    this.#maxPoints = maxPoints;
  }

  /** Returns undefined when the exporter is busy: the batch goes after what is under way. */
  add(batch: MetricBatch): Promise<void> | undefined {
    if (batch.pointCount > 0) this.#backlog.push(batch);
    this.#joinOldest();
    return this.#sending === undefined ? this.#send() : undefined;
  }

  /** Ends what is under way early; its batch stays owed. */
  abort(reason: unknown): void {
    this.#abort?.abort(reason);
  }

  /** Delivers all that waits, then flushes the exporter. */
  async forceFlush(): Promise<void> {
    // What is under way may have failed before: its batch gets another attempt.
    if (this.#sending !== undefined) await this.#sending.catch(() => {});
    await this.#send();
    await this.#exporter.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  #send(): Promise<void> {
    if (this.#sending === undefined && this.#backlog.length > 0) this.#sending = this.#sendBacklog();
    return this.#sending ?? Promise.resolve();
  }

  /** Ends at the first failure that may pass. A batch refused for good does not hold up those behind it. */
  async #sendBacklog(): Promise<void> {
    let refusal: ExportError | undefined;
    try {
      for (let batch = this.#backlog.shift(); batch !== undefined; batch = this.#backlog.shift()) {
        const error = await this.#deliver(batch);
        if (error?.retryable) throw error;
        refusal ??= error;
      }
    } finally {
      this.#sending = undefined;
    }
    if (refusal !== undefined) throw refusal;
  }

  /** Returns the failure; what may yet be delivered is then the oldest of the backlog again. */
  async #deliver(batch: MetricBatch): Promise<ExportError | undefined> {
    this.#abort = new AbortController();
    try {
      await this.#exporter.export(batch, this.#abort.signal);
      return undefined;
    } catch (cause) {
      const error = ExportError.from(cause);
      // One that was given up on may yet deliver.
      const owed = owedOf(error, await this.#exporter.owedAfterAll(batch));
      if (owed.pointCount === 0 && error.undelivered === undefined) return undefined;
      if (error.retryable && owed.pointCount > 0) {
        this.#backlog.unshift(owed);
        this.#joinOldest();
      }
      return error;
    } finally {
      this.#abort = undefined;
    }
  }

  /** The deltas add up; older cumulative points are superseded. */
  #joinOldest(): void {
    let points = this.#backlog.reduce((sum, { pointCount }) => sum + pointCount, 0);
    while (points > this.#maxPoints && this.#backlog.length > 1) {
      const [oldest, next] = this.#backlog.splice(0, 2) as [MetricBatch, MetricBatch];
      const joined = mergeDeltas(oldest, next);
      points += joined.pointCount - oldest.pointCount - next.pointCount;
      this.#backlog.unshift(joined);
    }
  }
}
