// Exponential histograms as the native ones of Prometheus: in the message `Histogram` of a scrape, and in that of remote write.
import type { ExponentialColumns } from '../data/metric-batch.ts';
import {
  MAX_SCHEMA,
  type NativeBuckets,
  nativeBuckets,
  ZERO_THRESHOLD,
} from './prometheus-native-buckets.ts';
import {
  BYTES,
  FIXED64,
  MAX_VARINT64_SIZE,
  nearestCount,
  type ProtobufWriter,
  tag,
  VARINT,
  varintSize,
  zigzag,
} from './protobuf-writer.ts';

export interface NativeHistogram {
  readonly schema: number;
  readonly count: number;
  readonly sum: number;
  readonly zeroCount: number;
  readonly positive: NativeBuckets;
  readonly negative: NativeBuckets;
}

/** @returns a point; valid until the next one is asked for */
export function nativeHistograms(columns: ExponentialColumns): (row: number) => NativeHistogram {
  const positive: NativeBuckets = { offsets: [], lengths: [], deltas: [] };
  const negative: NativeBuckets = { offsets: [], lengths: [], deltas: [] };
  return (row) => {
    const scale = columns.scales[row]!;
    nativeBuckets(columns.positive, row, scale, positive);
    nativeBuckets(columns.negative, row, scale, negative);
    const zeroCount = nearestCount(columns.zeroCounts[row]!);
    return {
      schema: Math.min(scale, MAX_SCHEMA),
      // Receivers refuse one that is smaller than its parts.
      count: Math.max(nearestCount(columns.counts[row]!), total(positive) + total(negative) + zeroCount),
      sum: columns.sums[row]!,
      zeroCount,
      positive,
      negative,
    };
  };
}

function total({ deltas }: NativeBuckets): number {
  let count = 0;
  let sum = 0;
  for (const delta of deltas) {
    count += delta;
    sum += count;
  }
  return sum;
}

/** The numbers of the fields, which is all that the two messages differ in. */
interface FieldNumbers {
  readonly count: number;
  readonly sum: number;
  readonly schema: number;
  readonly zeroThreshold: number;
  readonly zeroCount: number;
  readonly negativeSpan: number;
  readonly negativeDelta: number;
  readonly positiveSpan: number;
  readonly positiveDelta: number;
}

/** With room in `out` for all but the buckets. */
export type WriteNativeHistogram = (
  out: ProtobufWriter,
  native: NativeHistogram,
  writeSum: (out: ProtobufWriter, sum: number) => void,
) => void;

/** `io.prometheus.client.Histogram`. */
export const writeScrapedHistogram = writerWith({
  count: 1,
  sum: 2,
  schema: 5,
  zeroThreshold: 6,
  zeroCount: 7,
  negativeSpan: 9,
  negativeDelta: 10,
  positiveSpan: 12,
  positiveDelta: 13,
});

/** `prometheus.Histogram` and `io.prometheus.write.v2.Histogram`. */
export const writeSentHistogram = writerWith({
  count: 1,
  sum: 3,
  schema: 4,
  zeroThreshold: 5,
  zeroCount: 6,
  negativeSpan: 8,
  negativeDelta: 9,
  positiveSpan: 11,
  positiveDelta: 12,
});

function writerWith(numbers: FieldNumbers): WriteNativeHistogram {
  const count = tag(numbers.count, VARINT);
  const sum = tag(numbers.sum, FIXED64);
  const schema = tag(numbers.schema, VARINT);
  const zeroThreshold = tag(numbers.zeroThreshold, FIXED64);
  const zeroCount = tag(numbers.zeroCount, VARINT);
  const negative = [tag(numbers.negativeSpan, BYTES), tag(numbers.negativeDelta, BYTES)] as const;
  const positive = [tag(numbers.positiveSpan, BYTES), tag(numbers.positiveDelta, BYTES)] as const;
  return (out, native, writeSum) => {
    out.byte(count);
    out.varint(native.count);
    out.byte(sum);
    writeSum(out, native.sum);
    out.byte(schema);
    out.varint(zigzag(native.schema));
    // It is also what tells a native histogram without any value from a classic one.
    out.byte(zeroThreshold);
    out.double(ZERO_THRESHOLD);
    out.byte(zeroCount);
    out.varint(native.zeroCount);
    writeBuckets(out, native.negative, ...negative);
    writeBuckets(out, native.positive, ...positive);
  };
}

function writeBuckets(
  out: ProtobufWriter,
  { offsets, lengths, deltas }: NativeBuckets,
  spanTag: number,
  deltaTag: number,
): void {
  for (let s = 0; s < offsets.length; s++) {
    const span = out.open(spanTag);
    out.reserve(2 + 2 * MAX_VARINT64_SIZE);
    out.byte(tag(1, VARINT));
    out.varint(zigzag(offsets[s]!));
    out.byte(tag(2, VARINT));
    out.varint(lengths[s]!);
    out.close(span);
  }
  if (deltas.length === 0) return;
  let size = 0;
  for (const delta of deltas) size += varintSize(zigzagged(delta));
  out.reserve(size + 1 + MAX_VARINT64_SIZE);
  out.header(deltaTag, size);
  for (const delta of deltas) out.varint(zigzagged(delta));
}

/** Zigzag of more than 32 bits. */
function zigzagged(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}
