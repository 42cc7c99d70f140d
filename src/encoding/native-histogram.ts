// Exponential histograms as the message `Histogram` of both versions of remote write.
import type { ExponentialColumns } from '../data/metric-batch.ts';
import {
  MAX_SCHEMA,
  type NativeBuckets,
  nativeBuckets,
  ZERO_THRESHOLD,
} from './prometheus-native-buckets.ts';
import { nearestCount, type ProtobufWriter, zigzag } from './protobuf-writer.ts';

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
    const sum = columns.sums[row]!;
    return {
      schema: Math.min(scale, MAX_SCHEMA),
      // Receivers refuse one that is smaller than its parts.
      count: Math.max(nearestCount(columns.counts[row]!), total(positive) + total(negative) + zeroCount),
      // NaN stands for a sum that is not kept; there is no way to leave it out.
      sum: Number.isNaN(sum) ? 0 : sum,
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

/** The fields 1 to 12. */
export function writeNativeHistogram(
  out: ProtobufWriter,
  native: NativeHistogram,
  writeSum: () => void,
): void {
  out.reserve(64);
  out.byte(0x08);
  out.varint(native.count);
  out.byte(0x19);
  writeSum();
  out.byte(0x20);
  out.varint(zigzag(native.schema));
  out.byte(0x29);
  out.double(ZERO_THRESHOLD);
  out.byte(0x30);
  out.varint(native.zeroCount);
  writeBuckets(out, native.negative, 0x42, 0x4a);
  writeBuckets(out, native.positive, 0x5a, 0x62);
}

function writeBuckets(
  out: ProtobufWriter,
  { offsets, lengths, deltas }: NativeBuckets,
  spanTag: number,
  deltaTag: number,
): void {
  offsets.forEach((offset, i) => {
    const start = out.open(spanTag);
    out.reserve(12);
    out.byte(0x08);
    out.varint(zigzag(offset));
    out.byte(0x10);
    out.varint(lengths[i]!);
    out.close(start);
  });
  if (deltas.length === 0) return;
  const start = out.open(deltaTag);
  out.reserve(10 * deltas.length);
  // Zigzag beyond 32 bits.
  for (const delta of deltas) out.varint(delta >= 0 ? 2 * delta : -2 * delta - 1);
  out.close(start);
}
