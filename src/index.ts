// The front door: what `import … from 'meterline'` gives.

/** The value of a sum's point; OpenTelemetry JS has a name for it. */
export type Sum = number;
/** The value of a gauge's point. */
export type LastValue = number;

export type { MetricsConfig } from './config/schema.ts';
export { type MetricsHandle, type StartMetricsOptions, startMetrics } from './config/start-metrics.ts';
export {
  type AggregationOption,
  type AggregationSelector,
  type AggregationTemporalitySelector,
  AggregationType,
} from './data/aggregation-option.ts';
export { AttributeSet } from './data/attribute-set.ts';
export { ConfigError, EXPORT_ERROR_CODES, ExportError, type ExportErrorCode } from './data/errors.ts';
export { type ExportResult, ExportResultCode, type PushMetricExporter } from './data/exporter.ts';
export { MetricBatch, type MetricColumns, type ScopeColumns } from './data/metric-batch.ts';
export {
  AggregationTemporality,
  type DataPoint,
  DataPointType,
  type Exemplar,
  type ExponentialHistogram,
  type ExponentialHistogramMetricData,
  type GaugeMetricData,
  type Histogram,
  type HistogramMetricData,
  type InstrumentationScope,
  InstrumentType,
  type MetricData,
  type MetricDescriptor,
  type ProducedMetrics,
  type ResourceMetrics,
  type ScopeMetrics,
  SUMMARY,
  type SumMetricData,
  type Summary,
  type SummaryMetricData,
} from './data/metric-data.ts';
export type {
  CollectionResult,
  IMetricReader,
  MetricCollectOptions,
  MetricProducer,
  ReaderCallOptions,
} from './data/reader.ts';
export { type Resource, resourceFromAttributes } from './data/resource.ts';
export {
  TEMPORALITY_PREFERENCES,
  type TemporalityPreference,
  temporalityPreference,
} from './data/temporality-preference.ts';
export { TimeoutError } from './data/timeout-error.ts';
export { toBatch } from './data/to-batch.ts';
export { VERSION } from './data/version.ts';
export { ConsoleMetricExporter, type ConsoleMetricExporterOptions } from './exporters/console.ts';
export { InMemoryMetricExporter } from './exporters/in-memory.ts';
export {
  createAllowListAttributesProcessor,
  createDenyListAttributesProcessor,
  type IAttributesProcessor,
} from './sdk/attribute-filter.ts';
export { defaultResource } from './sdk/default-resource.ts';
export { EXEMPLAR_FILTERS, type ExemplarFilter } from './sdk/exemplars/exemplar-filter.ts';
export type { ExemplarReservoir } from './sdk/exemplars/exemplar-reservoir.ts';
export type { InstrumentAdvice, InstrumentOptions } from './sdk/instrument-descriptor.ts';
export type {
  BoundCounter,
  BoundGauge,
  BoundHistogram,
  BoundUpDownCounter,
  Counter as CounterInstrument,
  Gauge as GaugeInstrument,
  Histogram as HistogramInstrument,
  UpDownCounter as UpDownCounterInstrument,
} from './sdk/instruments.ts';
export type { Meter } from './sdk/meter.ts';
export { MeterProvider, type MeterProviderOptions } from './sdk/meter-provider.ts';
export type { CardinalityLimits } from './sdk/readers/cardinality-limits.ts';
export { ManualMetricReader } from './sdk/readers/manual-metric-reader.ts';
export { MetricReader, type MetricReaderOptions } from './sdk/readers/metric-reader.ts';
export {
  PeriodicExportingMetricReader,
  type PeriodicExportingMetricReaderOptions,
} from './sdk/readers/periodic-exporting-metric-reader.ts';
export type { ViewOptions } from './sdk/view.ts';
