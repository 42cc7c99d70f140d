// A piece of a batch, for backends that limit how much one request may hold.
import { sliceExemplars } from './exemplar-columns.ts';
import {
  type DistributionColumns,
  type ExponentialBuckets,
  exponentialHistogramColumns,
  gaugeColumns,
  histogramColumns,
  MetricBatch,
  type MetricColumns,
  type PointColumns,
  type ScopeColumns,
  sumColumns,
  summaryColumns,
} from './metric-batch.ts';
import { DataPointType, SUMMARY } from './metric-data.ts';

/**
 * The points `from` to `to - 1` of a batch, counted over all its metrics in order. A metric that lies across a border is cut.
 * Costs no copy of the values, only views of them.
 */
export function sliceBatch(batch: MetricBatch, from: number, to: number): MetricBatch {
  if (from <= 0 && to >= batch.pointCount) return batch;
  const scopes: ScopeColumns[] = [];
  let before = 0;
  for (const { scope, metrics } of batch.scopeMetrics) {
    const own: MetricColumns[] = [];
    for (const metric of metrics) {
      const first = Math.max(from - before, 0);
      const end = Math.min(to - before, metric.length);
      if (end - first === metric.length) own.push(metric);
      else if (first < end) own.push(sliceMetric(metric, first, end));
      before += metric.length;
    }
    if (own.length > 0) scopes.push({ scope, metrics: own });
  }
  return new MetricBatch(batch.resource, scopes);
}

function sliceMetric(metric: MetricColumns, from: number, to: number): MetricColumns {
  const points = slicePoints(metric, from, to);
  switch (metric.dataPointType) {
    case DataPointType.SUM:
      return sumColumns({ ...points, values: metric.values.subarray(from, to) }, metric.isMonotonic);
    case DataPointType.GAUGE:
      return gaugeColumns({ ...points, values: metric.values.subarray(from, to) });
    case DataPointType.HISTOGRAM: {
      const width = metric.boundaries.length + 1;
      return histogramColumns({
        ...points,
        ...sliceDistribution(metric, from, to),
        boundaries: metric.boundaries,
        bucketCounts: metric.bucketCounts.subarray(from * width, to * width),
      });
    }
    case DataPointType.EXPONENTIAL_HISTOGRAM:
      return exponentialHistogramColumns({
        ...points,
        ...sliceDistribution(metric, from, to),
        scales: metric.scales.subarray(from, to),
        zeroCounts: metric.zeroCounts.subarray(from, to),
        positive: sliceBuckets(metric.positive, from, to),
        negative: sliceBuckets(metric.negative, from, to),
      });
    case SUMMARY: {
      const width = metric.quantiles.length;
      return summaryColumns({
        ...points,
        counts: metric.counts.subarray(from, to),
        sums: metric.sums.subarray(from, to),
        quantiles: metric.quantiles,
        quantileValues: metric.quantileValues.subarray(from * width, to * width),
      });
    }
  }
}

/** Field by field: spreading a metric would make its points. */
function slicePoints(metric: PointColumns, from: number, to: number): PointColumns {
  const exemplars = metric.exemplars && sliceExemplars(metric.exemplars, from, to);
  return {
    descriptor: metric.descriptor,
    aggregationTemporality: metric.aggregationTemporality,
    length: to - from,
    attributes: metric.attributes.slice(from, to),
    startTimes: metric.startTimes.subarray(from, to),
    endTimes: metric.endTimes.subarray(from, to),
    ...(exemplars && { exemplars }),
  };
}

function sliceDistribution({ counts, sums, mins, maxs }: DistributionColumns, from: number, to: number) {
  return {
    counts: counts.subarray(from, to),
    sums: sums.subarray(from, to),
    mins: mins.subarray(from, to),
    maxs: maxs.subarray(from, to),
  };
}

function sliceBuckets({ offsets, starts, counts }: ExponentialBuckets, from: number, to: number) {
  const first = starts[from]!;
  return {
    offsets: offsets.subarray(from, to),
    starts: starts.subarray(from, to + 1).map((start) => start - first),
    counts: counts.subarray(first, starts[to]),
  };
}
