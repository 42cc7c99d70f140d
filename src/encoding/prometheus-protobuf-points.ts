// One series as a message `io.prometheus.client.Metric`.
import type {
  ExemplarColumns,
  ExponentialHistogramColumns,
  HistogramColumns,
  MetricColumns,
  NumberColumns,
  SummaryColumns,
} from '../data/metric-batch.ts';
import { DataPointType, SUMMARY } from '../data/metric-data.ts';
import { nativeHistograms, writeScrapedHistogram } from './native-histogram.ts';
import { exemplarLabels, exemplarPerBucket, latestExemplar } from './prometheus-exemplars.ts';
import type { LabelNaming } from './prometheus-label-shape.ts';
import { MIN_SCHEMA } from './prometheus-native-buckets.ts';
import {
  BYTES,
  FIXED64,
  MAX_VARINT64_SIZE,
  nearestCount,
  type ProtobufWriter,
  tag,
  VARINT,
} from './protobuf-writer.ts';

/** Writes the labels and then point `i`; returns why it cannot be told, having written anything or nothing. */
export type PointWriter = (out: ProtobufWriter, labels: string, i: number) => string | undefined;

const GAUGE = tag(2, BYTES);
const COUNTER = tag(3, BYTES);
const SUMMARY_TAG = tag(4, BYTES);
const UNTYPED = tag(5, BYTES);
const HISTOGRAM = tag(7, BYTES);
/** Of a counter, a gauge and an untyped sample. */
const VALUE = tag(1, FIXED64);

/** Of a histogram and a summary. */
const SAMPLE_COUNT = tag(1, VARINT);
const SAMPLE_SUM = tag(2, FIXED64);
const BUCKET = tag(3, BYTES);
const QUANTILE = tag(3, BYTES);
const QUANTILE_NUMBER = tag(1, FIXED64);
const QUANTILE_VALUE = tag(2, FIXED64);
/** Tag, length, and two numbers with their tags. */
const QUANTILE_SIZE = 2 + 2 * 9;
const SUMMARY_START = tag(4, BYTES);
const HISTOGRAM_START = tag(15, BYTES);
/** 16 and wire type 2, in two bytes. */
const NATIVE_EXEMPLAR = [0x82, 0x01] as const;

const CUMULATIVE_COUNT = tag(1, VARINT);
const UPPER_BOUND = tag(2, FIXED64);
const BUCKET_EXEMPLAR = tag(3, BYTES);
const COUNTER_EXEMPLAR = tag(2, BYTES);
const COUNTER_START = tag(3, BYTES);

/** More than all fields of a point that have a fixed number. */
const FIXED_SIZE = 128;
/** What the length of a histogram with ten buckets or more takes. */
const CLASSIC_LENGTH_SIZE = 2;
/** Tag, length, count, tag and bound. */
const BUCKET_SIZE = 2 + 2 * MAX_VARINT64_SIZE + 9;

/** @param isUntyped whether a gauge is told as a metric of which the type is not known */
export function pointWriter(metric: MetricColumns, naming: LabelNaming, isUntyped: boolean): PointWriter {
  switch (metric.dataPointType) {
    case DataPointType.SUM:
      return metric.isMonotonic ? counterWriter(metric, naming) : gaugeWriter(metric, GAUGE);
    case DataPointType.GAUGE:
      return gaugeWriter(metric, isUntyped ? UNTYPED : GAUGE);
    case DataPointType.HISTOGRAM:
      return classicWriter(metric, naming);
    case DataPointType.EXPONENTIAL_HISTOGRAM:
      return nativeWriter(metric, naming);
    case SUMMARY:
      return summaryWriter(metric);
  }
}

function gaugeWriter({ values }: NumberColumns, kind: number): PointWriter {
  return (out, labels, i) => {
    begin(out, labels);
    const start = out.open(kind);
    double(out, VALUE, values[i]!);
    out.close(start);
    return undefined;
  };
}

function counterWriter({ values, exemplars, startTimes }: NumberColumns, naming: LabelNaming): PointWriter {
  return (out, labels, i) => {
    begin(out, labels);
    const start = out.open(COUNTER);
    double(out, VALUE, values[i]!);
    const at = exemplars && latestExemplar(exemplars, i);
    if (exemplars && at !== undefined) writeExemplar(out, COUNTER_EXEMPLAR, exemplars, at, naming);
    writeTime(out, COUNTER_START, startTimes[i]!);
    out.close(start);
    return undefined;
  };
}

function classicWriter(metric: HistogramColumns, naming: LabelNaming): PointWriter {
  const { boundaries, bucketCounts, counts, sums, exemplars, startTimes } = metric;
  const bounds = [...boundaries, Number.POSITIVE_INFINITY];
  const width = bounds.length;
  return (out, labels, i) => {
    begin(out, labels);
    out.reserve(FIXED_SIZE + width * BUCKET_SIZE);
    const start = out.open(HISTOGRAM, CLASSIC_LENGTH_SIZE);
    out.byte(SAMPLE_COUNT);
    out.varint(nearestCount(counts[i]!));
    // One that was not recorded is no number: left out, it would be read as zero.
    double(out, SAMPLE_SUM, sums[i]!);
    const found = exemplars && exemplarPerBucket(exemplars, i, boundaries);
    let cumulative = 0;
    for (let b = 0; b < width; b++) {
      cumulative += bucketCounts[i * width + b]!;
      const bucket = out.open(BUCKET);
      out.reserve(BUCKET_SIZE);
      out.byte(CUMULATIVE_COUNT);
      out.varint(nearestCount(b === width - 1 ? counts[i]! : cumulative));
      double(out, UPPER_BOUND, bounds[b]!);
      const at = found?.[b];
      if (exemplars && at !== undefined) writeExemplar(out, BUCKET_EXEMPLAR, exemplars, at, naming);
      out.close(bucket);
    }
    writeTime(out, HISTOGRAM_START, startTimes[i]!);
    out.close(start, CLASSIC_LENGTH_SIZE);
    return undefined;
  };
}

function summaryWriter(metric: SummaryColumns): PointWriter {
  const { quantiles, quantileValues, counts, sums, startTimes } = metric;
  const width = quantiles.length;
  return (out, labels, i) => {
    begin(out, labels);
    out.reserve(FIXED_SIZE + width * QUANTILE_SIZE);
    const start = out.open(SUMMARY_TAG);
    out.byte(SAMPLE_COUNT);
    out.varint(nearestCount(counts[i]!));
    // One that is not known is no number: left out, it would be read as zero.
    double(out, SAMPLE_SUM, sums[i]!);
    for (let q = 0; q < width; q++) {
      out.header(QUANTILE, 2 * 9);
      double(out, QUANTILE_NUMBER, quantiles[q]!);
      double(out, QUANTILE_VALUE, quantileValues[i * width + q]!);
    }
    writeTime(out, SUMMARY_START, startTimes[i]!);
    out.close(start);
    return undefined;
  };
}

function nativeWriter(metric: ExponentialHistogramColumns, naming: LabelNaming): PointWriter {
  const { sums, scales, exemplars, startTimes } = metric;
  const nativeAt = nativeHistograms(metric);
  return (out, labels, i) => {
    const scale = scales[i]!;
    if (scale < MIN_SCHEMA) return `their scale ${scale} is coarser than Prometheus has`;
    if (Number.isNaN(sums[i]!)) return 'they have no sum, which Prometheus demands';
    begin(out, labels);
    const start = out.open(HISTOGRAM);
    out.reserve(FIXED_SIZE);
    writeScrapedHistogram(out, nativeAt(i), writeDouble);
    writeTime(out, HISTOGRAM_START, startTimes[i]!);
    if (exemplars) {
      for (let at = exemplars.starts[i]!; at < exemplars.starts[i + 1]!; at++) {
        out.reserve(2);
        out.byte(NATIVE_EXEMPLAR[0]);
        writeExemplar(out, NATIVE_EXEMPLAR[1], exemplars, at, naming);
      }
    }
    out.close(start);
    return undefined;
  };
}

function begin(out: ProtobufWriter, labels: string): void {
  out.reserve(labels.length + FIXED_SIZE);
  out.byteText(labels);
}

/** Zero too: old parsers take nothing for granted. */
function double(out: ProtobufWriter, fieldTag: number, value: number): void {
  out.reserve(9);
  out.byte(fieldTag);
  out.double(value);
}

function writeDouble(out: ProtobufWriter, value: number): void {
  out.double(value);
}

function writeExemplar(
  out: ProtobufWriter,
  fieldTag: number,
  exemplars: ExemplarColumns,
  at: number,
  naming: LabelNaming,
): void {
  const start = out.open(fieldTag);
  for (const [name, text] of exemplarLabels(exemplars, at, naming)) {
    const pair = out.open(tag(1, BYTES));
    out.string(tag(1, BYTES), name);
    out.string(tag(2, BYTES), text);
    out.close(pair);
  }
  double(out, tag(2, FIXED64), exemplars.values[at]!);
  writeTime(out, tag(3, BYTES), exemplars.times[at]!);
  out.close(start);
}

const NANOS = 1_000_000_000n;

/** The time of the latest call: most series began together, and dividing it takes longer than a bucket. */
let known = 0n;
let knownSeconds = 0;
let knownNanos = 0;

/** A time that is not known is left out. */
function writeTime(out: ProtobufWriter, fieldTag: number, nanoseconds: bigint): void {
  if (nanoseconds === 0n) return;
  if (nanoseconds !== known) {
    known = nanoseconds;
    knownSeconds = Number(nanoseconds / NANOS);
    knownNanos = Number(nanoseconds % NANOS);
  }
  const start = out.open(fieldTag);
  out.reserve(2 + 2 * MAX_VARINT64_SIZE);
  out.byte(tag(1, VARINT));
  out.varint(knownSeconds);
  out.byte(tag(2, VARINT));
  out.varint(knownNanos);
  out.close(start);
}
