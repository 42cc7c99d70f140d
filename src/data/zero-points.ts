// Points without numbers: for what has to be said of series and not of their values, such as that they have ended.
import type { AttributeSet } from './attribute-set.ts';
import {
  exponentialHistogramColumns,
  gaugeColumns,
  histogramColumns,
  type MetricColumns,
  sumColumns,
  summaryColumns,
} from './metric-batch.ts';
import { DataPointType, SUMMARY } from './metric-data.ts';

const numbers = (length: number) => new Float64Array(length);

/** Makes metrics that are like the given one, of which nothing is kept but what it is. */
export function zeroPoints(metric: MetricColumns): (sets: readonly AttributeSet[]) => MetricColumns {
  const { descriptor, aggregationTemporality } = metric;
  const points = (sets: readonly AttributeSet[]) => ({
    descriptor,
    aggregationTemporality,
    length: sets.length,
    attributes: sets,
    startTimes: new BigUint64Array(sets.length),
    endTimes: new BigUint64Array(sets.length),
  });
  const distribution = (sets: readonly AttributeSet[]) => ({
    ...points(sets),
    counts: numbers(sets.length),
    sums: numbers(sets.length),
    mins: numbers(sets.length),
    maxs: numbers(sets.length),
  });
  switch (metric.dataPointType) {
    case DataPointType.SUM: {
      const { isMonotonic } = metric;
      return (sets) => sumColumns({ ...points(sets), values: numbers(sets.length) }, isMonotonic);
    }
    case DataPointType.GAUGE:
      return (sets) => gaugeColumns({ ...points(sets), values: numbers(sets.length) });
    case DataPointType.HISTOGRAM: {
      const { boundaries } = metric;
      return (sets) => {
        const bucketCounts = numbers(sets.length * (boundaries.length + 1));
        return histogramColumns({ ...distribution(sets), boundaries, bucketCounts });
      };
    }
    case DataPointType.EXPONENTIAL_HISTOGRAM:
      return (sets) =>
        exponentialHistogramColumns({
          ...distribution(sets),
          scales: new Int32Array(sets.length),
          zeroCounts: numbers(sets.length),
          positive: noBuckets(sets.length),
          negative: noBuckets(sets.length),
        });
    case SUMMARY: {
      const { quantiles } = metric;
      return (sets) => {
        const quantileValues = numbers(sets.length * quantiles.length);
        return summaryColumns({ ...distribution(sets), quantiles, quantileValues });
      };
    }
  }
}

function noBuckets(length: number) {
  return { offsets: new Int32Array(length), starts: new Uint32Array(length + 1), counts: numbers(0) };
}
