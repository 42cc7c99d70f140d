// The `value` of a line, by kind of point: a number, or an object for histograms and summaries.
import type {
  DistributionColumns,
  ExponentialBuckets,
  ExponentialHistogramColumns,
  HistogramColumns,
  MetricColumns,
  NumberColumns,
  SummaryColumns,
} from '../data/metric-batch.ts';
import { DataPointType, SUMMARY } from '../data/metric-data.ts';
import { numberText } from './json-text.ts';
import { type LineBuffer, MAX_NUMBER_BYTES } from './line-buffer.ts';

export interface ValueWriter {
  /** More than this `write` never writes. */
  readonly maxBytes: number;
  write(out: LineBuffer, i: number): void;
  /** Members at the end of the line that only this kind of point has, starting with a comma; or nothing. */
  rest(i: number): string;
}

export function valueWriter(metric: MetricColumns): ValueWriter {
  switch (metric.dataPointType) {
    case DataPointType.SUM:
    case DataPointType.GAUGE:
      return numberWriter(metric);
    case DataPointType.HISTOGRAM:
      return explicitWriter(metric);
    case DataPointType.EXPONENTIAL_HISTOGRAM:
      return exponentialWriter(metric);
    case SUMMARY:
      return summaryWriter(metric);
  }
}

function numberWriter({ values }: NumberColumns): ValueWriter {
  return {
    maxBytes: MAX_NUMBER_BYTES,
    write: (out, i) => out.number(values[i]!),
    rest: () => '',
  };
}

function explicitWriter(metric: HistogramColumns): ValueWriter {
  const { boundaries, bucketCounts } = metric;
  const width = boundaries.length + 1;
  const bounds = [...boundaries.map(numberText), '"+Inf"'];
  const beforeCounts = bounds.map((bound, k) =>
    Buffer.from(`${k === 0 ? BEFORE_BUCKETS : '},'}{"upper_bound":${bound},"count":`),
  );
  const end = Buffer.from('}]}');
  const beforeCountsBytes = beforeCounts.reduce((sum, piece) => sum + piece.length, 0);
  return {
    maxBytes: DISTRIBUTION_BYTES + beforeCountsBytes + width * MAX_NUMBER_BYTES + end.length,
    write(out, i) {
      writeDistribution(out, metric, i);
      for (let k = 0; k < width; k++) {
        out.bytes(beforeCounts[k]!);
        out.number(bucketCounts[i * width + k]!);
      }
      out.bytes(end);
    },
    rest: () => '',
  };
}

function exponentialWriter(metric: ExponentialHistogramColumns): ValueWriter {
  const noBuckets = Buffer.from(`${BEFORE_BUCKETS}]}`);
  return {
    maxBytes: DISTRIBUTION_BYTES + noBuckets.length,
    write(out, i) {
      writeDistribution(out, metric, i);
      out.bytes(noBuckets);
    },
    rest: (i) =>
      `,"exponential_histogram":{"scale":${metric.scales[i]},"zero_count":${metric.zeroCounts[i]}` +
      `,"positive":${exponentialBuckets(metric.positive, i)},"negative":${exponentialBuckets(metric.negative, i)}}`,
  };
}

function exponentialBuckets({ offsets, starts, counts }: ExponentialBuckets, i: number): string {
  return `{"offset":${offsets[i]},"counts":[${counts.subarray(starts[i], starts[i + 1]).join()}]}`;
}

function summaryWriter({ counts, sums, quantiles, quantileValues }: SummaryColumns): ValueWriter {
  const width = quantiles.length;
  const beforeValues = quantiles.map((quantile, q) =>
    Buffer.from(`${q === 0 ? '{"quantiles":[' : '},'}{"quantile":${numberText(quantile)},"value":`),
  );
  const end = Buffer.from(width === 0 ? '{"quantiles":[]' : '}]');
  const texts = [...beforeValues, end, NEXT_COUNT, SUM, CLOSE];
  return {
    maxBytes: texts.reduce((sum, text) => sum + text.length, 0) + (width + 2) * MAX_NUMBER_BYTES,
    write(out, i) {
      for (let q = 0; q < width; q++) {
        out.bytes(beforeValues[q]!);
        out.number(quantileValues[i * width + q]!);
      }
      out.bytes(end);
      writeRecorded(out, NEXT_COUNT, counts[i]!);
      writeRecorded(out, SUM, sums[i]!);
      out.bytes(CLOSE);
    },
    rest: () => '',
  };
}

const COUNT = Buffer.from('{"count":');
const NEXT_COUNT = Buffer.from(',"count":');
const SUM = Buffer.from(',"sum":');
const MIN = Buffer.from(',"min":');
const MAX = Buffer.from(',"max":');
const CLOSE = Buffer.from('}');
const BEFORE_BUCKETS = ',"buckets":[';
const DISTRIBUTION_BYTES = COUNT.length + SUM.length + MIN.length + MAX.length + 4 * MAX_NUMBER_BYTES;

function writeDistribution(
  out: LineBuffer,
  { counts, sums, mins, maxs }: DistributionColumns,
  i: number,
): void {
  out.bytes(COUNT);
  out.number(counts[i]!);
  writeRecorded(out, SUM, sums[i]!);
  writeRecorded(out, MIN, mins[i]!);
  writeRecorded(out, MAX, maxs[i]!);
}

function writeRecorded(out: LineBuffer, name: Uint8Array, value: number): void {
  if (Number.isNaN(value)) return;
  out.bytes(name);
  out.number(value);
}
