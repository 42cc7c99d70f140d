// Data points as OTLP's messages in JSON, where 64-bit integers are strings.
import { ValueType } from '@opentelemetry/api';
import type {
  DistributionColumns,
  ExemplarColumns,
  ExponentialBuckets,
  ExponentialHistogramColumns,
  HistogramColumns,
  MetricColumns,
  NumberColumns,
  SummaryColumns,
} from '../data/metric-batch.ts';
import { DataPointType, SUMMARY } from '../data/metric-data.ts';
import { numberText, utf8Bytes } from './json-text.ts';
import { type LineBuffer, MAX_NUMBER_BYTES } from './line-buffer.ts';
import { attributesMember, keyValues } from './otlp-json-attributes.ts';
import { isInt64 } from './otlp-request.ts';
import { nearestCount } from './protobuf-writer.ts';
import { MAX_TIME_BYTES, TimeColumn } from './time-column.ts';

const START_TIME = Buffer.from('"startTimeUnixNano":"');
const TIME = Buffer.from('","timeUnixNano":"');
const AS_INT = Buffer.from('","asInt":"');
const AS_DOUBLE = Buffer.from('","asDouble":');
const COUNT = Buffer.from('","count":"');
const QUOTE = Buffer.from('"');
const SUM = Buffer.from(',"sum":');
const MIN = Buffer.from(',"min":');
const MAX = Buffer.from(',"max":');
const BUCKET_COUNTS = Buffer.from(',"bucketCounts":["');
const NEXT_COUNT = Buffer.from('","');

/** More than what all kinds of points have: braces, two times, four numbers, and their names. */
const COMMON_BYTES = 200 + 2 * MAX_TIME_BYTES + 4 * MAX_NUMBER_BYTES;

export class JsonPoints {
  readonly #metric: MetricColumns;
  readonly #starts: TimeColumn;
  readonly #ends: TimeColumn;
  readonly #value: ValueWriter;

  constructor(metric: MetricColumns) {
    this.#metric = metric;
    this.#starts = new TimeColumn(metric.startTimes);
    this.#ends = new TimeColumn(metric.endTimes);
    this.#value = valueWriter(metric);
  }

  /**
   * Makes point `i` ready to be written.
   *
   * @returns a writer of at most `maxBytes`
   */
  at(i: number): { maxBytes: number; write(out: LineBuffer): void } {
    const attributes = attributesMember(this.#metric.attributes[i]!);
    const rest = this.#value.rest(i) + exemplarsMember(this.#metric, i);
    return {
      maxBytes: COMMON_BYTES + attributes.length + this.#value.maxBytes + rest.length,
      write: (out) => {
        out.text('{');
        out.text(attributes);
        out.bytes(START_TIME);
        this.#starts.write(out, i);
        out.bytes(TIME);
        this.#ends.write(out, i);
        this.#value.write(out, i);
        out.text(rest);
        out.text('}');
      },
    };
  }
}

/** What follows the times: the value, by kind. Begins with the end of the time's string. */
interface ValueWriter {
  /** More than this `write` never writes, beside what all kinds have. */
  readonly maxBytes: number;
  write(out: LineBuffer, i: number): void;
  /** Members that only this kind has, starting with a comma; or nothing. */
  rest(i: number): string;
}

function valueWriter(metric: MetricColumns): ValueWriter {
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

function numberWriter({ values, descriptor }: NumberColumns): ValueWriter {
  const isInt = descriptor.valueType === ValueType.INT;
  return {
    maxBytes: 0,
    write(out, i) {
      const value = values[i]!;
      if (isInt && isInt64(value)) {
        out.bytes(AS_INT);
        writeInteger(out, value);
        out.bytes(QUOTE);
      } else {
        out.bytes(AS_DOUBLE);
        out.number(value);
      }
    },
    rest: () => '',
  };
}

function explicitWriter(metric: HistogramColumns): ValueWriter {
  const { boundaries, bucketCounts } = metric;
  const width = boundaries.length + 1;
  const bounds = boundaries.length > 0 ? `,"explicitBounds":[${boundaries.map(numberText).join()}]` : '';
  const end = Buffer.from(`"]${bounds}`);
  return {
    maxBytes: BUCKET_COUNTS.length + width * (MAX_NUMBER_BYTES + NEXT_COUNT.length) + end.length,
    write(out, i) {
      writeDistribution(out, metric, i);
      out.bytes(BUCKET_COUNTS);
      for (let k = i * width; k < (i + 1) * width; k++) {
        if (k > i * width) out.bytes(NEXT_COUNT);
        writeInteger(out, nearestCount(bucketCounts[k]!));
      }
      out.bytes(end);
    },
    rest: () => '',
  };
}

function exponentialWriter(metric: ExponentialHistogramColumns): ValueWriter {
  return {
    maxBytes: 0,
    write: (out, i) => writeDistribution(out, metric, i),
    rest: (i) =>
      `,"scale":${metric.scales[i]},"zeroCount":"${integerText(nearestCount(metric.zeroCounts[i]!))}"` +
      bucketsMember('positive', metric.positive, i) +
      bucketsMember('negative', metric.negative, i),
  };
}

function summaryWriter({ counts, sums, quantiles, quantileValues }: SummaryColumns): ValueWriter {
  const width = quantiles.length;
  const before = quantiles.map((quantile) => `{"quantile":${numberText(quantile)},"value":`);
  return {
    maxBytes: 0,
    write(out, i) {
      out.bytes(COUNT);
      writeInteger(out, nearestCount(counts[i]!));
      out.bytes(QUOTE);
      // Left out it would be read as zero.
      out.bytes(SUM);
      out.number(sums[i]!);
    },
    rest(i) {
      const values = before.map((text, q) => `${text}${numberText(quantileValues[i * width + q]!)}}`);
      return width === 0 ? '' : `,"quantileValues":[${values.join()}]`;
    },
  };
}

function bucketsMember(name: string, { offsets, starts, counts }: ExponentialBuckets, i: number): string {
  const own = Array.from(
    counts.subarray(starts[i], starts[i + 1]),
    (count) => `"${integerText(nearestCount(count))}"`,
  );
  return own.length === 0 ? '' : `,"${name}":{"offset":${offsets[i]},"bucketCounts":[${own.join()}]}`;
}

function writeDistribution(
  out: LineBuffer,
  { counts, sums, mins, maxs }: DistributionColumns,
  i: number,
): void {
  out.bytes(COUNT);
  writeInteger(out, nearestCount(counts[i]!));
  out.bytes(QUOTE);
  writeRecorded(out, SUM, sums[i]!);
  writeRecorded(out, MIN, mins[i]!);
  writeRecorded(out, MAX, maxs[i]!);
}

/** NaN stands for what was not recorded; zero was. */
function writeRecorded(out: LineBuffer, name: Uint8Array, value: number): void {
  if (Number.isNaN(value)) return;
  out.bytes(name);
  out.number(value);
}

/** All digits of a whole number: beyond 2^53 the shortest text of a double has zeros for the last ones. */
function integerText(value: number): string {
  return Number.isSafeInteger(value) ? String(value) : String(BigInt(value));
}

function writeInteger(out: LineBuffer, value: number): void {
  if (value === (value | 0) && value >= 0) out.number(Math.abs(value));
  else out.text(integerText(value));
}

function exemplarsMember({ exemplars, descriptor }: MetricColumns, point: number): string {
  if (exemplars === undefined) return '';
  const isInt = descriptor.valueType === ValueType.INT;
  const texts = [];
  for (let at = exemplars.starts[point]!; at < exemplars.starts[point + 1]!; at++) {
    texts.push(exemplarText(exemplars, at, isInt));
  }
  return texts.length === 0 ? '' : utf8Bytes(`,"exemplars":[${texts.join()}]`);
}

function exemplarText(exemplars: ExemplarColumns, at: number, isInt: boolean): string {
  const value = exemplars.values[at]!;
  const traceId = exemplars.traceIds[at];
  const spanId = exemplars.spanIds[at];
  const filtered = exemplars.filteredAttributes[at]!;
  const members = [
    `"timeUnixNano":"${exemplars.times[at]}"`,
    isInt && isInt64(value) ? `"asInt":"${integerText(value)}"` : `"asDouble":${numberText(value)}`,
  ];
  if (traceId !== undefined && spanId !== undefined)
    members.push(`"spanId":"${spanId}","traceId":"${traceId}"`);
  if (Object.keys(filtered).length > 0) members.push(`"filteredAttributes":${keyValues(filtered)}`);
  return `{${members.join()}}`;
}
