// Keeps what it is given, for tests and for looking around.
import { createExporter, type PushMetricExporter } from '../data/exporter.ts';
import type { AggregationTemporality, ResourceMetrics } from '../data/metric-data.ts';

/** As in `@opentelemetry/sdk-metrics`. Grows with each export until {@link InMemoryMetricExporter.reset}. */
export class InMemoryMetricExporter implements PushMetricExporter {
  readonly #temporality: AggregationTemporality;
  /** Answers, and refuses after shutdown. */
  readonly #exporter = createExporter({ name: 'InMemoryMetricExporter', export: async () => {} });
  #metrics: ResourceMetrics[] = [];
  #isShutdown = false;

  constructor(aggregationTemporality: AggregationTemporality) {
    this.#temporality = aggregationTemporality;
  }

  export(...[metrics, resultCallback, options]: Parameters<PushMetricExporter['export']>): void {
    // At once and as they are: tests look right after the call, and compare.
    if (!this.#isShutdown) this.#metrics.push(metrics);
    this.#exporter.export(metrics, resultCallback, options);
  }

  /** What was exported since the last {@link reset}, oldest first; stays after shutdown. */
  getMetrics(): ResourceMetrics[] {
    return this.#metrics;
  }

  /** Forgets all; lists handed out before stay as they are. */
  reset(): void {
    this.#metrics = [];
  }

  selectAggregationTemporality(): AggregationTemporality {
    return this.#temporality;
  }

  forceFlush(): Promise<void> {
    return this.#exporter.forceFlush();
  }

  shutdown(): Promise<void> {
    this.#isShutdown = true;
    return this.#exporter.shutdown();
  }
}
