// Prints metrics for a person to look at.
import console from 'node:console';
import type { AggregationTemporalitySelector } from '../data/aggregation-option.ts';
import { createExporter, type PushMetricExporter } from '../data/exporter.ts';
import { AggregationTemporality, type InstrumentType } from '../data/metric-data.ts';

export interface ConsoleMetricExporterOptions {
  /** Default: cumulative for all instrument kinds, as specified. */
  temporalitySelector?: AggregationTemporalitySelector;
}

/** As in `@opentelemetry/sdk-metrics`: one object a metric, in full. For debugging; it holds the loop while it prints. */
export class ConsoleMetricExporter implements PushMetricExporter {
  readonly #temporality: AggregationTemporalitySelector;
  readonly #exporter = createExporter({
    name: 'ConsoleMetricExporter',
    async export({ scopeMetrics }) {
      for (const { descriptor, dataPointType, dataPoints } of scopeMetrics.flatMap(
        ({ metrics }) => metrics,
      )) {
        console.dir({ descriptor, dataPointType, dataPoints }, { depth: null });
      }
    },
  });

  constructor(options: ConsoleMetricExporterOptions = {}) {
    this.#temporality = options.temporalitySelector ?? (() => AggregationTemporality.CUMULATIVE);
  }

  export(...[metrics, resultCallback, options]: Parameters<PushMetricExporter['export']>): void {
    this.#exporter.export(metrics, resultCallback, options);
  }

  selectAggregationTemporality(instrumentType: InstrumentType): AggregationTemporality {
    return this.#temporality(instrumentType);
  }

  forceFlush(): Promise<void> {
    return this.#exporter.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }
}
