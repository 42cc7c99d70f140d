// The contract between a MeterProvider and its readers, as in `@opentelemetry/sdk-metrics`: readers of either
// SDK plug into either provider.
import type { AggregationOption } from './aggregation-option.ts';
import type { AggregationTemporality, InstrumentType, ResourceMetrics } from './metric-data.ts';

export interface CollectionResult {
  resourceMetrics: ResourceMetrics;
  /** What went wrong in callbacks and producers; everything else was collected all the same. */
  errors: unknown[];
}

export interface MetricCollectOptions {
  /** Milliseconds that observable callbacks may take; later observations are discarded and reported. */
  timeoutMillis?: number;
}

export interface MetricProducer {
  collect(options?: MetricCollectOptions): Promise<CollectionResult>;
}

export interface ReaderCallOptions {
  /** Milliseconds after which the returned promise rejects. */
  timeoutMillis?: number;
}

export interface IMetricReader {
  /** Called once, by the provider that the reader is given to. */
  setMetricProducer(metricProducer: MetricProducer): void;
  selectAggregation(instrumentType: InstrumentType): AggregationOption;
  selectAggregationTemporality(instrumentType: InstrumentType): AggregationTemporality;
  selectCardinalityLimit(instrumentType: InstrumentType): number;
  collect(options?: MetricCollectOptions): Promise<CollectionResult>;
  forceFlush(options?: ReaderCallOptions): Promise<void>;
  shutdown(options?: ReaderCallOptions): Promise<void>;
}
