// Checked by the compiler, never run: each type of the official package and ours of the same name stand in for each
// other. Comparing the classes leaves their private members out, which no other class can have.
import type * as theirs from '@opentelemetry/sdk-metrics';
import type * as ours from 'meterline';

/** A compile error unless `A` may be used where `B` is expected. */
type Fits<A extends B, B> = A;
type Same<A extends B, B extends C, C = A> = [A, B, C];
type Public<T> = { [K in keyof T]: T[K] };
type Arguments<T extends abstract new (...args: never[]) => unknown> = ConstructorParameters<T>;

export type Data = [
  Same<ours.Sum, theirs.Sum>,
  Same<ours.LastValue, theirs.LastValue>,
  Same<ours.Histogram, theirs.Histogram>,
  Same<ours.ExponentialHistogram, theirs.ExponentialHistogram>,
  Same<ours.DataPoint<number>, theirs.DataPoint<number>>,
  Same<ours.DataPoint<ours.Histogram>, theirs.DataPoint<theirs.Histogram>>,
  Same<ours.SumMetricData, theirs.SumMetricData>,
  Same<ours.GaugeMetricData, theirs.GaugeMetricData>,
  Same<ours.HistogramMetricData, theirs.HistogramMetricData>,
  Same<ours.ExponentialHistogramMetricData, theirs.ExponentialHistogramMetricData>,
  Same<ours.MetricData, theirs.MetricData>,
  Same<ours.MetricDescriptor, theirs.MetricDescriptor>,
  Same<ours.ScopeMetrics, theirs.ScopeMetrics>,
  Same<ours.ResourceMetrics, theirs.ResourceMetrics>,
  Same<ours.CollectionResult, theirs.CollectionResult>,
];

export type Enums = [
  Same<ours.AggregationTemporality, theirs.AggregationTemporality>,
  Same<ours.AggregationType, theirs.AggregationType>,
  Same<ours.DataPointType, theirs.DataPointType>,
  Same<ours.InstrumentType, theirs.InstrumentType>,
];

export type Contracts = [
  Same<ours.AggregationOption, theirs.AggregationOption>,
  Same<ours.AggregationSelector, theirs.AggregationSelector>,
  Same<ours.AggregationTemporalitySelector, theirs.AggregationTemporalitySelector>,
  Same<ours.IAttributesProcessor, theirs.IAttributesProcessor>,
  Same<ours.IMetricReader, theirs.IMetricReader>,
  Same<ours.MetricCollectOptions, theirs.MetricCollectOptions>,
  Same<ours.MetricProducer, theirs.MetricProducer>,
  Same<ours.PushMetricExporter, theirs.PushMetricExporter>,
];

/** What applications pass in: theirs is taken by ours. The other way round ours may offer more. */
export type Options = [
  Fits<theirs.MeterProviderOptions, ours.MeterProviderOptions>,
  Fits<theirs.MetricReaderOptions, ours.MetricReaderOptions>,
  Fits<theirs.PeriodicExportingMetricReaderOptions, ours.PeriodicExportingMetricReaderOptions>,
  Fits<theirs.ViewOptions, ours.ViewOptions>,
];

export type Classes = [
  Fits<Public<ours.MeterProvider>, Public<theirs.MeterProvider>>,
  Fits<Public<ours.PeriodicExportingMetricReader>, theirs.IMetricReader>,
  Fits<Public<ours.MetricReader>, Public<Omit<theirs.MetricReader, '_setSelfObsMeterProvider'>>>,
  Fits<Public<ours.ConsoleMetricExporter>, Public<theirs.ConsoleMetricExporter>>,
  Fits<Public<ours.InMemoryMetricExporter>, Public<theirs.InMemoryMetricExporter>>,
  Fits<Public<ours.TimeoutError>, Public<theirs.TimeoutError>>,
  Fits<Arguments<typeof theirs.MeterProvider>, Arguments<typeof ours.MeterProvider>>,
  Fits<
    Arguments<typeof theirs.PeriodicExportingMetricReader>,
    Arguments<typeof ours.PeriodicExportingMetricReader>
  >,
  Fits<Arguments<typeof theirs.MetricReader>, Arguments<typeof ours.MetricReader>>,
  Fits<Arguments<typeof theirs.ConsoleMetricExporter>, Arguments<typeof ours.ConsoleMetricExporter>>,
  Fits<Arguments<typeof theirs.InMemoryMetricExporter>, Arguments<typeof ours.InMemoryMetricExporter>>,
  Fits<Arguments<typeof theirs.TimeoutError>, Arguments<typeof ours.TimeoutError>>,
];

export type Functions = [
  Same<typeof ours.createAllowListAttributesProcessor, typeof theirs.createAllowListAttributesProcessor>,
  Same<typeof ours.createDenyListAttributesProcessor, typeof theirs.createDenyListAttributesProcessor>,
];

/** Every option of theirs is one of ours. */
type Missing<Theirs, Ours> = Exclude<keyof Theirs, keyof Ours>;
export type MissingOptions = [
  Fits<Missing<theirs.MeterProviderOptions, ours.MeterProviderOptions>, never>,
  Fits<Missing<theirs.MetricReaderOptions, ours.MetricReaderOptions>, never>,
  Fits<
    Missing<theirs.PeriodicExportingMetricReaderOptions, ours.PeriodicExportingMetricReaderOptions>,
    never
  >,
  Fits<Missing<theirs.ViewOptions, ours.ViewOptions>, never>,
];
