// The contract between a MeterProvider and its readers, as in `@opentelemetry/sdk-metrics`: readers of either
// SDK plug into either provider.
import type { AggregationOption } from './aggregation-option.ts';
import type { ColumnMemory } from './column-memory.ts';
import type { AggregationTemporality, InstrumentType, ResourceMetrics } from './metric-data.ts';

/** Series of a stream beside the overflow series (OTel metrics SDK, "Cardinality limits"). */
export const DEFAULT_CARDINALITY_LIMIT = 2000;

export interface CollectionResult {
  resourceMetrics: ResourceMetrics;
  /** What went wrong in callbacks and producers; everything else was collected all the same. */
  errors: unknown[];
}

export interface MetricCollectOptions {
  /** Where the columns of the batch are to be; whoever gives it owns it, and with it the batch. Default: new memory. */
  memory?: ColumnMemory | undefined;
  /** Milliseconds that observable callbacks may take; later observations are discarded and reported. */
  timeoutMillis?: number;
}

export interface MetricProducer {
  collect(options?: MetricCollectOptions): Promise<CollectionResult>;
  /** Where the reader tells how collections and exports went. Ours have it unless it is switched off. */
  readonly selfMetrics?: SelfMetrics | undefined;
}

/** A reader or an exporter, as the metrics about it see it. */
export interface PipelineComponent {
  /** `otel.component.type`, for instance `periodic_metric_reader`. Default: the name of the class. */
  readonly componentType?: string;
}

/** How readers and exporters fare, for the provider's metrics about itself. */
export interface SelfMetrics {
  /** To be called once for each reader and each exporter; numbers those of one type from 0. */
  component(part: PipelineComponent): ComponentMetrics;
}

/** Each method says that something begins, and returns the function that says that it ended, and how. */
export interface ComponentMetrics {
  collection(): (error?: unknown) => void;
  /** An export of so many points, retries included. */
  operation(points: number): (error?: unknown) => void;
}

export interface ReaderCallOptions {
  /** Milliseconds after which the returned promise rejects. */
  timeoutMillis?: number;
}

export interface IMetricReader extends PipelineComponent {
  /** Whether the provider's metrics about itself are collected too; default false. */
  readonly receivesSelfMetrics?: boolean;
  /**
   * Whether exemplars stay until later ones take their place; default false: each is collected once. For readers that
   * several ask, none of whom would otherwise get what another has got. Read when instruments are made.
   */
  readonly keepsExemplars?: boolean;
  /** Called once, by the provider that the reader is given to. */
  setMetricProducer(metricProducer: MetricProducer): void;
  selectAggregation(instrumentType: InstrumentType): AggregationOption;
  selectAggregationTemporality(instrumentType: InstrumentType): AggregationTemporality;
  selectCardinalityLimit(instrumentType: InstrumentType): number;
  collect(options?: MetricCollectOptions): Promise<CollectionResult>;
  forceFlush(options?: ReaderCallOptions): Promise<void>;
  shutdown(options?: ReaderCallOptions): Promise<void>;
}
