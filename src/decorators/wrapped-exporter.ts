// The exporter inside a decorator, of any maker, held to the contract: one export at a time, bounded, nothing thrown.
import { bounded } from '../data/bounded.ts';
import type { ExportError } from '../data/errors.ts';
import { exportTo } from '../data/export-to.ts';
import { exporterName, type PushMetricExporter } from '../data/exporter.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { Resumable } from './resumable.ts';

/** For exporters that may not keep time themselves; that of `createExporter`. */
const TIMEOUT_MILLIS = 30_000;

export class WrappedExporter {
  /** For messages: the name given to `createExporter`, else that of the class. */
  readonly name: string;
  readonly componentType: string | undefined;
  readonly #exporter: PushMetricExporter;
  readonly #timeoutMillis: number;
  readonly #exports: Resumable;
  /** The signal of the export that the exporter has not answered yet. */
  #open: AbortSignal | undefined;
  readonly #waiting = new Set<() => void>();

  constructor(exporter: PushMetricExporter) {
    const name = exporterName(exporter);
    const className = exporter.constructor?.name;
    const makersName = className === 'Object' ? undefined : className;
    this.name = name ?? makersName ?? 'an exporter without a name';
    this.componentType = exporter.componentType ?? (name === undefined ? makersName : undefined);
    this.#exporter = exporter;
    this.#timeoutMillis = name === undefined ? TIMEOUT_MILLIS : 0;
    this.#exports = new Resumable((batch, signal) => exportTo(exporter, batch, signal));
  }

  /** Whether an export that was given up on has not been answered. Further ones have to wait for the answer. */
  get isStuck(): boolean {
    return this.#open?.aborted ?? false;
  }

  /** Of a batch that was given up on and delivered all the same, wholly or in part, only what is owed is sent again. */
  export(batch: MetricBatch, signal: AbortSignal): Promise<ExportError | undefined> {
    if (this.#timeoutMillis === 0) return this.#send(batch, signal);
    return bounded(
      `export to ${this.name}`,
      this.#timeoutMillis,
      (bound) => this.#send(batch, bound),
      signal,
    );
  }

  /** What is owed of a batch that was given up on. Waits for the exporter's answer, however long it takes. */
  async owedAfterAll(batch: MetricBatch): Promise<MetricBatch> {
    while (this.#open !== undefined) await this.#answered();
    return this.#exports.takeOwed(batch);
  }

  forceFlush(): Promise<void> {
    return bounded(`flush of ${this.name}`, this.#timeoutMillis, async () => this.#exporter.forceFlush());
  }

  shutdown(): Promise<void> {
    return bounded(`shutdown of ${this.name}`, this.#timeoutMillis, async () => this.#exporter.shutdown());
  }

  async #send(batch: MetricBatch, signal: AbortSignal): Promise<ExportError | undefined> {
    while (this.#open !== undefined) await this.#answered(signal);
    signal.throwIfAborted();
    this.#open = signal;
    try {
      return await this.#exports.export(batch, signal);
    } finally {
      this.#open = undefined;
      for (const wake of this.#waiting) wake();
      this.#waiting.clear();
    }
  }

  /** Those who stop waiting leave nothing behind, or an exporter that never answers would gather them. */
  #answered(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiting.delete(wake);
        reject(signal?.reason);
      };
      const wake = () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      if (signal?.aborted) return onAbort();
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(wake);
    });
  }
}
