// Some points of a metric, in order; column by column, so that no object is made for a point.
import {
  type DistributionColumns,
  type ExemplarColumns,
  type ExponentialBuckets,
  exponentialHistogramColumns,
  gaugeColumns,
  histogramColumns,
  type MetricColumns,
  type PointColumns,
  sumColumns,
  summaryColumns,
} from './metric-batch.ts';
import { DataPointType, SUMMARY } from './metric-data.ts';

/** @param rows in ascending order */
export function selectPoints(metric: MetricColumns, rows: Uint32Array): MetricColumns {
  if (rows.length === metric.length) return metric;
  const points = selectCommon(metric, rows);
  switch (metric.dataPointType) {
    case DataPointType.SUM:
      return sumColumns({ ...points, values: numbers(metric.values, rows) }, metric.isMonotonic);
    case DataPointType.GAUGE:
      return gaugeColumns({ ...points, values: numbers(metric.values, rows) });
    case DataPointType.HISTOGRAM:
      return histogramColumns({
        ...points,
        ...selectDistribution(metric, rows),
        boundaries: metric.boundaries,
        bucketCounts: rowsOf(metric.bucketCounts, metric.boundaries.length + 1, rows),
      });
    case DataPointType.EXPONENTIAL_HISTOGRAM:
      return exponentialHistogramColumns({
        ...points,
        ...selectDistribution(metric, rows),
        scales: Int32Array.from(rows, (row) => metric.scales[row]!),
        zeroCounts: numbers(metric.zeroCounts, rows),
        positive: selectBuckets(metric.positive, rows),
        negative: selectBuckets(metric.negative, rows),
      });
    case SUMMARY:
      return summaryColumns({
        ...points,
        counts: numbers(metric.counts, rows),
        sums: numbers(metric.sums, rows),
        quantiles: metric.quantiles,
        quantileValues: rowsOf(metric.quantileValues, metric.quantiles.length, rows),
      });
  }
}

const numbers = (column: Float64Array, rows: Uint32Array) => Float64Array.from(rows, (row) => column[row]!);

/** Of a row-major column. */
function rowsOf(column: Float64Array, width: number, rows: Uint32Array): Float64Array {
  const selected = new Float64Array(rows.length * width);
  rows.forEach((row, i) => {
    selected.set(column.subarray(row * width, (row + 1) * width), i * width);
  });
  return selected;
}

const times = (column: BigUint64Array, rows: Uint32Array) => {
  const selected = new BigUint64Array(rows.length);
  rows.forEach((row, i) => {
    selected[i] = column[row]!;
  });
  return selected;
};

const items = <T>(column: readonly T[], rows: Uint32Array) => Array.from(rows, (row) => column[row]!);

function selectCommon(metric: PointColumns, rows: Uint32Array): PointColumns {
  const exemplars = metric.exemplars && selectExemplars(metric.exemplars, rows);
  return {
    descriptor: metric.descriptor,
    aggregationTemporality: metric.aggregationTemporality,
    length: rows.length,
    attributes: items(metric.attributes, rows),
    startTimes: times(metric.startTimes, rows),
    endTimes: times(metric.endTimes, rows),
    ...(exemplars && { exemplars }),
  };
}

function selectDistribution({ counts, sums, mins, maxs }: DistributionColumns, rows: Uint32Array) {
  return {
    counts: numbers(counts, rows),
    sums: numbers(sums, rows),
    mins: numbers(mins, rows),
    maxs: numbers(maxs, rows),
  };
}

function selectBuckets({ offsets, starts, counts }: ExponentialBuckets, rows: Uint32Array) {
  const ranges = rangesOf(starts, rows);
  return {
    offsets: Int32Array.from(rows, (row) => offsets[row]!),
    starts: ranges.starts,
    counts: numbers(counts, ranges.elements),
  };
}

/** Undefined when none of the points has any. */
function selectExemplars(exemplars: ExemplarColumns, rows: Uint32Array): ExemplarColumns | undefined {
  const { starts, elements } = rangesOf(exemplars.starts, rows);
  if (elements.length === 0) return undefined;
  return {
    starts,
    values: numbers(exemplars.values, elements),
    times: times(exemplars.times, elements),
    filteredAttributes: items(exemplars.filteredAttributes, elements),
    traceIds: items(exemplars.traceIds, elements),
    spanIds: items(exemplars.spanIds, elements),
  };
}

/** Of columns in which a point owns a range: where the selected points' ranges begin now, and the elements in them. */
function rangesOf(starts: Uint32Array, rows: Uint32Array): { starts: Uint32Array; elements: Uint32Array } {
  const selected = new Uint32Array(rows.length + 1);
  rows.forEach((row, i) => {
    selected[i + 1] = selected[i]! + starts[row + 1]! - starts[row]!;
  });
  const elements = new Uint32Array(selected[rows.length]!);
  rows.forEach((row, i) => {
    for (let k = selected[i]!, from = starts[row]!; k < selected[i + 1]!; k++) elements[k] = from++;
  });
  return { starts: selected, elements };
}
