// From an aggregation option and an instrument kind to the aggregator.
import { type AggregationOption, AggregationType } from '../../data/aggregation-option.ts';
import { AggregationTemporality, InstrumentType } from '../../data/metric-data.ts';
import type { InstrumentDescriptor } from '../instrument-descriptor.ts';
import type { Aggregator } from './aggregator.ts';
import { ExplicitBucketHistogramAggregator } from './explicit-bucket-histogram.ts';
import {
  DEFAULT_MAX_SCALE,
  DEFAULT_MAX_SIZE,
  ExponentialHistogramAggregator,
} from './exponential-histogram.ts';
import { LastValueAggregator } from './last-value.ts';
import { ObservedSumAggregator } from './observed-sum.ts';
import { SumAggregator } from './sum.ts';

/** OTel metrics SDK, "Explicit Bucket Histogram Aggregation". */
export const DEFAULT_BOUNDARIES: readonly number[] = [
  0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000,
];

const MONOTONIC = new Set<InstrumentType>([
  InstrumentType.COUNTER,
  InstrumentType.HISTOGRAM,
  InstrumentType.OBSERVABLE_COUNTER,
]);

const OBSERVED_SUMS = new Set<InstrumentType>([
  InstrumentType.OBSERVABLE_COUNTER,
  InstrumentType.OBSERVABLE_UP_DOWN_COUNTER,
]);

/** Undefined means that the stream is dropped. */
export function chooseAggregator(
  instrument: InstrumentDescriptor,
  option: AggregationOption,
  temporality: AggregationTemporality,
): Aggregator | undefined {
  const isMonotonic = MONOTONIC.has(instrument.type);
  switch (option.type) {
    case AggregationType.DROP:
      return undefined;
    case AggregationType.SUM:
      if (!OBSERVED_SUMS.has(instrument.type)) return new SumAggregator(isMonotonic);
      return new ObservedSumAggregator(isMonotonic, temporality === AggregationTemporality.DELTA);
    case AggregationType.LAST_VALUE:
      return new LastValueAggregator();
    case AggregationType.EXPLICIT_BUCKET_HISTOGRAM:
      return new ExplicitBucketHistogramAggregator(finite(option.options?.boundaries ?? DEFAULT_BOUNDARIES), {
        // A sum that can fall would be read as a counter that was reset (OTel metrics SDK).
        recordSum: isMonotonic,
        recordMinMax: option.options?.recordMinMax ?? true,
      });
    case AggregationType.EXPONENTIAL_HISTOGRAM:
      return new ExponentialHistogramAggregator({
        maxSize: option.options?.maxSize ?? DEFAULT_MAX_SIZE,
        maxScale: option.options?.maxScale ?? DEFAULT_MAX_SCALE,
        recordSum: isMonotonic,
        recordMinMax: option.options?.recordMinMax ?? true,
      });
    case AggregationType.DEFAULT:
      return chooseAggregator(instrument, defaultAggregation(instrument), temporality);
  }
}

/** What the specification gives the kind, with the boundaries that its creator advised. */
export function defaultAggregation({ type, advice }: InstrumentDescriptor): AggregationOption {
  switch (type) {
    case InstrumentType.HISTOGRAM:
      return {
        type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM,
        options: { boundaries: advice.explicitBucketBoundaries ?? [...DEFAULT_BOUNDARIES] },
      };
    case InstrumentType.GAUGE:
    case InstrumentType.OBSERVABLE_GAUGE:
      return { type: AggregationType.LAST_VALUE };
    default:
      return { type: AggregationType.SUM };
  }
}

const GAUGES = new Set<InstrumentType>([InstrumentType.GAUGE, InstrumentType.OBSERVABLE_GAUGE]);

/** Whether the aggregation makes sense for the instrument: sums of gauges and last values of counters do not. */
export function isCompatible({ type }: InstrumentDescriptor, option: AggregationOption): boolean {
  if (option.type === AggregationType.SUM) return !GAUGES.has(type);
  if (option.type === AggregationType.LAST_VALUE) return GAUGES.has(type);
  return true;
}

/** An infinite bound says what is so without it: the first bucket has no lower end, the last no upper. */
function finite(boundaries: readonly number[]): number[] {
  return boundaries.filter((boundary) => Number.isFinite(boundary));
}
