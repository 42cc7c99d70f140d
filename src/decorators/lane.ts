// What one exporter of several still has to get, in order and in bounded memory.
import { ExportError } from '../data/errors.ts';
import { mergeDeltas } from '../data/merge-deltas.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { owedPoints } from '../data/owed-points.ts';
import type { WrappedExporter } from './wrapped-exporter.ts';

interface Outcome {
  /** What the receiver refused of what it took. */
  readonly refusal?: ExportError | undefined;
  readonly failure?: ExportError;
  /** What may yet be delivered. */
  readonly owed?: MetricBatch | undefined;
}

export class Lane {
  readonly name: string;
  readonly #exporter: WrappedExporter;
  readonly #maxPoints: number;
  /** Oldest first; without the batch that is under way. */
  #backlog: MetricBatch[] = [];
  #sending: Promise<ExportError | undefined> | undefined;
  /** Of the batch under way. */
  #abort: AbortController | undefined;

  /** @param maxPoints how many points may wait; the newest batch always may */
  constructor(name: string, exporter: WrappedExporter, maxPoints: number) {
    this.name = name;
    this.#exporter = exporter;
    this.#maxPoints = maxPoints;
  }

  /**
   * Returns undefined when the exporter is busy: the batch goes after what is under way. Otherwise resolves with what the
   * receiver refused of what it took, if anything.
   */
  add(batch: MetricBatch): Promise<ExportError | undefined> | undefined {
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

  #send(): Promise<ExportError | undefined> {
    if (this.#sending === undefined && this.#backlog.length > 0) this.#sending = this.#sendBacklog();
    return this.#sending ?? Promise.resolve(undefined);
  }

  /** Ends at the first failure that leaves something owed. A batch refused for good does not hold up those behind it. */
  async #sendBacklog(): Promise<ExportError | undefined> {
    let failure: ExportError | undefined;
    let refusal: ExportError | undefined;
    try {
      for (let batch = this.#backlog.shift(); batch !== undefined; batch = this.#backlog.shift()) {
        const outcome = await this.#deliver(batch);
        refusal = outcome.refusal ?? refusal;
        failure = outcome.failure ?? failure;
        if (outcome.owed === undefined) continue;
        this.#backlog.unshift(outcome.owed);
        this.#joinOldest();
        break;
      }
    } finally {
      this.#sending = undefined;
    }
    if (failure !== undefined) throw failure;
    return refusal;
  }

  async #deliver(batch: MetricBatch): Promise<Outcome> {
    this.#abort = new AbortController();
    try {
      return { refusal: await this.#exporter.export(batch, this.#abort.signal) };
    } catch (cause) {
      const failure = ExportError.from(cause);
      // One that was given up on may yet deliver.
      const rest = await this.#exporter.owedAfterAll(batch);
      if (rest.pointCount === 0 && failure.undelivered === undefined) return {};
      return { failure, owed: owedPoints(rest, failure) };
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
