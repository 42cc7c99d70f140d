// Data points as OTLP's messages.
import { ValueType } from '@opentelemetry/api';
import type { AttributeSet } from '../data/attribute-set.ts';
import type {
  ExemplarColumns,
  ExponentialBuckets,
  ExponentialHistogramColumns,
  HistogramColumns,
  MetricColumns,
  NumberColumns,
  PointColumns,
  SummaryColumns,
} from '../data/metric-batch.ts';
import { DataPointType, SUMMARY } from '../data/metric-data.ts';
import { attributesBytes, attributesText } from './otlp-protobuf-attributes.ts';
import { isInt64 } from './otlp-request.ts';
import {
  BYTES,
  FIXED64,
  FIXED64_FIELD_SIZE,
  fieldSize,
  MAX_VARINT32_SIZE,
  MAX_VARINT64_SIZE,
  nearestCount,
  type ProtobufWriter,
  tag,
  VARINT,
  zigzag,
} from './protobuf-writer.ts';

/** The points of one metric. */
export interface PointMessages {
  /** Appends point `i`, without the tag and the length in front. */
  write(out: ProtobufWriter, i: number): void;
}

export function pointMessages(metric: MetricColumns): PointMessages {
  switch (metric.dataPointType) {
    case DataPointType.SUM:
    case DataPointType.GAUGE:
      return new NumberPoints(metric);
    case DataPointType.HISTOGRAM:
      return new ExplicitPoints(metric);
    case DataPointType.EXPONENTIAL_HISTOGRAM:
      return new ExponentialPoints(metric);
    case SUMMARY:
      return new SummaryPoints(metric);
  }
}

// All kinds have these fields in common.
const START_TIME = tag(2, FIXED64);
const TIME = tag(3, FIXED64);

const AS_DOUBLE = tag(4, FIXED64);
/** Of number points and exemplars alike. */
const AS_INT = tag(6, FIXED64);
const COUNT = tag(4, FIXED64);
const SUM = tag(5, FIXED64);

class NumberPoints implements PointMessages {
  readonly #values: Float64Array;
  readonly #isInt: boolean;
  readonly #times: Times;
  readonly #attributes: readonly AttributeSet[];
  readonly #exemplars: Exemplars | undefined;

  constructor(metric: NumberColumns) {
    this.#values = metric.values;
    this.#isInt = metric.descriptor.valueType === ValueType.INT;
    this.#times = new Times(metric);
    this.#attributes = metric.attributes;
    this.#exemplars = exemplarsOf(metric, tag(5, BYTES));
  }

  write(out: ProtobufWriter, i: number): void {
    out.reserve(3 * FIXED64_FIELD_SIZE);
    this.#times.write(out, i);
    writeNumber(out, AS_DOUBLE, this.#values[i]!, this.#isInt);
    this.#exemplars?.write(out, i);
    // Its tag is the one that number points have.
    out.byteText(attributesText(this.#attributes[i]!));
  }
}

class ExplicitPoints implements PointMessages {
  readonly #metric: HistogramColumns;
  readonly #boundaries: Float64Array;
  readonly #maxFixedSize: number;
  readonly #times: Times;
  readonly #exemplars: Exemplars | undefined;

  constructor(metric: HistogramColumns) {
    this.#metric = metric;
    this.#boundaries = Float64Array.from(metric.boundaries);
    this.#times = new Times(metric);
    this.#exemplars = exemplarsOf(metric, tag(8, BYTES));
    const bounds = metric.boundaries.length;
    this.#maxFixedSize = 4 * FIXED64_FIELD_SIZE + fieldSize(8 * (bounds + 1)) + fieldSize(8 * bounds);
  }

  write(out: ProtobufWriter, i: number): void {
    const { counts, sums, mins, maxs, attributes, bucketCounts } = this.#metric;
    out.reserve(this.#maxFixedSize);
    this.#times.write(out, i);
    out.byte(COUNT);
    out.fixed64(counts[i]!);
    writeRecorded(out, SUM, sums[i]!);
    const bounds = this.#boundaries.length;
    out.header(tag(6, BYTES), 8 * (bounds + 1));
    out.fixed64s(bucketCounts, i * (bounds + 1), (i + 1) * (bounds + 1));
    if (bounds > 0) {
      out.header(tag(7, BYTES), 8 * bounds);
      out.doubles(this.#boundaries);
    }
    this.#exemplars?.write(out, i);
    writeAttributes(out, tag(9, BYTES), attributes[i]!);
    writeExtremes(out, tag(11, FIXED64), mins[i]!, tag(12, FIXED64), maxs[i]!);
  }
}

/** Times, count, sum, scale and zero count. */
const MAX_EXPONENTIAL_FIXED_SIZE = 5 * FIXED64_FIELD_SIZE + 1 + MAX_VARINT32_SIZE;

class ExponentialPoints implements PointMessages {
  readonly #metric: ExponentialHistogramColumns;
  readonly #times: Times;
  readonly #exemplars: Exemplars | undefined;

  constructor(metric: ExponentialHistogramColumns) {
    this.#metric = metric;
    this.#times = new Times(metric);
    this.#exemplars = exemplarsOf(metric, tag(11, BYTES));
  }

  write(out: ProtobufWriter, i: number): void {
    const { counts, sums, mins, maxs, scales, zeroCounts, positive, negative, attributes } = this.#metric;
    writeAttributes(out, tag(1, BYTES), attributes[i]!);
    out.reserve(MAX_EXPONENTIAL_FIXED_SIZE);
    this.#times.write(out, i);
    out.byte(COUNT);
    out.fixed64(counts[i]!);
    writeRecorded(out, SUM, sums[i]!);
    writeSint32(out, tag(6, VARINT), scales[i]!);
    if (zeroCounts[i]! !== 0) {
      out.byte(tag(7, FIXED64));
      out.fixed64(zeroCounts[i]!);
    }
    writeBuckets(out, tag(8, BYTES), positive, i);
    writeBuckets(out, tag(9, BYTES), negative, i);
    this.#exemplars?.write(out, i);
    writeExtremes(out, tag(12, FIXED64), mins[i]!, tag(13, FIXED64), maxs[i]!);
  }
}

const QUANTILE_VALUE = tag(6, BYTES);
const QUANTILE = tag(1, FIXED64);
const VALUE_AT_QUANTILE = tag(2, FIXED64);
const QUANTILE_VALUE_SIZE = fieldSize(2 * FIXED64_FIELD_SIZE);

class SummaryPoints implements PointMessages {
  readonly #metric: SummaryColumns;
  readonly #times: Times;

  constructor(metric: SummaryColumns) {
    this.#metric = metric;
    this.#times = new Times(metric);
  }

  write(out: ProtobufWriter, i: number): void {
    const { counts, sums, quantiles, quantileValues, attributes } = this.#metric;
    const width = quantiles.length;
    out.reserve(4 * FIXED64_FIELD_SIZE + width * QUANTILE_VALUE_SIZE);
    this.#times.write(out, i);
    // There is no way to say that the count is not known.
    out.byte(COUNT);
    out.fixed64(counts[i]!);
    // NaN as well: what is left out is read as zero.
    writeDouble(out, SUM, sums[i]!);
    for (let q = 0; q < width; q++) {
      const start = out.open(QUANTILE_VALUE);
      writeDouble(out, QUANTILE, quantiles[q]!);
      writeDouble(out, VALUE_AT_QUANTILE, quantileValues[i * width + q]!);
      out.close(start);
    }
    // Its tag is the one that number points have.
    out.byteText(attributesText(attributes[i]!));
  }
}

/** Start and end of each point, from the halves of their 64 bits: a bigint for each would take as long as all the rest. */
class Times {
  readonly #starts: Uint32Array;
  readonly #ends: Uint32Array;

  constructor({ startTimes, endTimes }: PointColumns) {
    this.#starts = halvesOf(startTimes);
    this.#ends = halvesOf(endTimes);
  }

  write(out: ProtobufWriter, i: number): void {
    out.halves(START_TIME, this.#starts, i);
    out.halves(TIME, this.#ends, i);
  }
}

function halvesOf(times: BigUint64Array): Uint32Array {
  return new Uint32Array(times.buffer, times.byteOffset, 2 * times.length);
}

function writeNumber(out: ProtobufWriter, doubleTag: number, value: number, isInt: boolean): void {
  if (isInt && isInt64(value)) {
    out.byte(AS_INT);
    out.sfixed64(value);
  } else {
    out.byte(doubleTag);
    out.double(value);
  }
}

/** NaN stands for what was not recorded; zero was. */
function writeRecorded(out: ProtobufWriter, fieldTag: number, value: number): void {
  if (Number.isNaN(value)) return;
  out.byte(fieldTag);
  out.double(value);
}

/** Zero, but not with a minus, is what is read where there is nothing. */
function writeDouble(out: ProtobufWriter, fieldTag: number, value: number): void {
  if (Object.is(value, 0)) return;
  out.byte(fieldTag);
  out.double(value);
}

function writeExtremes(out: ProtobufWriter, minTag: number, min: number, maxTag: number, max: number): void {
  out.reserve(2 * FIXED64_FIELD_SIZE);
  writeRecorded(out, minTag, min);
  writeRecorded(out, maxTag, max);
}

function writeAttributes(out: ProtobufWriter, fieldTag: number, set: AttributeSet): void {
  const start = out.at;
  out.byteText(attributesText(set));
  // The kept text has another kind's tag in front of each attribute. To keep one for each kind would take more memory.
  out.replaceTags(start, fieldTag);
}

const OFFSET = tag(1, VARINT);
const BUCKET_COUNTS = tag(2, BYTES);
/** The offset, and tag and length of the counts. */
const MAX_BUCKETS_FIXED_SIZE = 2 * (1 + MAX_VARINT32_SIZE);

function writeSint32(out: ProtobufWriter, fieldTag: number, value: number): void {
  if (value === 0) return;
  out.byte(fieldTag);
  out.varint(zigzag(value));
}

function writeBuckets(
  out: ProtobufWriter,
  fieldTag: number,
  { offsets, starts, counts }: ExponentialBuckets,
  i: number,
): void {
  const from = starts[i]!;
  const to = starts[i + 1]!;
  if (from === to) return;
  const start = out.open(fieldTag);
  out.reserve(MAX_BUCKETS_FIXED_SIZE + (to - from) * MAX_VARINT64_SIZE);
  writeSint32(out, OFFSET, offsets[i]!);
  const countsStart = out.open(BUCKET_COUNTS);
  for (let k = from; k < to; k++) out.varint(nearestCount(counts[k]!));
  out.close(countsStart);
  out.close(start);
}

const EXEMPLAR_TIME = tag(2, FIXED64);
const EXEMPLAR_AS_DOUBLE = tag(3, FIXED64);
const SPAN_ID = tag(4, BYTES);
const SPAN_ID_BYTES = 8;
const TRACE_ID = tag(5, BYTES);
const TRACE_ID_BYTES = 16;
const FILTERED_ATTRIBUTES = tag(7, BYTES);
/** All but the attributes. */
const MAX_EXEMPLAR_FIXED_SIZE = 2 * FIXED64_FIELD_SIZE + fieldSize(SPAN_ID_BYTES) + fieldSize(TRACE_ID_BYTES);

function exemplarsOf(metric: PointColumns, fieldTag: number): Exemplars | undefined {
  if (metric.exemplars === undefined) return undefined;
  return new Exemplars(metric.exemplars, fieldTag, metric.descriptor.valueType === ValueType.INT);
}

class Exemplars {
  readonly #columns: ExemplarColumns;
  readonly #tag: number;
  readonly #isInt: boolean;
  readonly #times: Uint32Array;

  constructor(columns: ExemplarColumns, fieldTag: number, isInt: boolean) {
    this.#columns = columns;
    this.#tag = fieldTag;
    this.#isInt = isInt;
    this.#times = halvesOf(columns.times);
  }

  /** Of all exemplars of point `i`, with their tags and lengths. */

  write(out: ProtobufWriter, i: number): void {
    const { starts, values, filteredAttributes, traceIds, spanIds } = this.#columns;
    for (let at = starts[i]!; at < starts[i + 1]!; at++) {
      const start = out.open(this.#tag);
      out.reserve(MAX_EXEMPLAR_FIXED_SIZE);
      out.halves(EXEMPLAR_TIME, this.#times, at);
      writeNumber(out, EXEMPLAR_AS_DOUBLE, values[at]!, this.#isInt);
      const traceId = traceIds[at];
      const spanId = spanIds[at];
      if (traceId !== undefined && spanId !== undefined) {
        out.header(SPAN_ID, SPAN_ID_BYTES);
        out.hex(spanId);
        out.header(TRACE_ID, TRACE_ID_BYTES);
        out.hex(traceId);
      }
      out.append(attributesBytes(FILTERED_ATTRIBUTES, filteredAttributes[at]!));
      out.close(start);
    }
  }
}
