// The protobuf exposition format: messages `io.prometheus.client.MetricFamily`, each with its length in front. The only
// one that has native histograms.
import type { MetricBatch, MetricColumns } from '../data/metric-batch.ts';
import { duplicateChecks } from './prometheus-duplicates.ts';
import { byteString, escapedName } from './prometheus-escaping.ts';
import { type Family, METRICS_PER_STEP, NOTHING, nativeFamilies } from './prometheus-families.ts';
import { labelStyles } from './prometheus-labels.ts';
import { membersOf } from './prometheus-members.ts';
import {
  duplicateIn,
  type Plan,
  type PrometheusEncodingOptions,
  planOf,
  TARGET_INFO,
} from './prometheus-options.ts';
import { pointWriter } from './prometheus-protobuf-points.ts';
import { type ToldType, toldType } from './prometheus-types.ts';
import { BYTES, fieldSize, ProtobufWriter, tag, VARINT } from './protobuf-writer.ts';

const NAME = tag(1, BYTES);
const HELP = tag(2, BYTES);
const TYPE = tag(3, VARINT);
const METRIC = tag(4, BYTES);
const UNIT = tag(5, BYTES);

/** What the format calls each type, where it has it. */
const TYPES: Record<ToldType, number> = {
  counter: 0,
  gauge: 1,
  summary: 2,
  unknown: 3,
  histogram: 4,
  info: 1,
  stateset: 1,
};

/** A chunk is given away when it has so many bytes; the series that brings it there may take some more. */
const CHUNK_SIZE = 64 * 1024;
const MEMORY = CHUNK_SIZE + 4 * 1024;
const FAMILY_HEADER_SIZE = 32;
/** What the length of nearly every series takes. */
const LENGTH_SIZE = 2;

/** A label as the bytes of a field of a `Metric`. */
export const protobufLabels = labelStyles({
  write(name, text) {
    const pair = lengthDelimited(1, byteString(name)) + lengthDelimited(2, byteString(text));
    return lengthDelimited(1, pair);
  },
  separator: '',
});

function lengthDelimited(field: number, bytes: string): string {
  let length = '';
  let rest = bytes.length;
  for (; rest >= 0x80; rest >>>= 7) length += String.fromCharCode((rest & 0x7f) | 0x80);
  return `${String.fromCharCode(tag(field, BYTES))}${length}${String.fromCharCode(rest)}${bytes}`;
}

/**
 * Encodes a batch in chunks of about 64 KiB. The length of a family stands in front of it, so each series is encoded
 * twice: keeping the bytes would take memory without bound. Chunks may be empty, where there is nothing but time to give
 * back.
 */
export function* encodePrometheusProtobuf(
  batch: MetricBatch,
  options: PrometheusEncodingOptions = {},
): Generator<Uint8Array> {
  const plan = planOf(batch, options);
  const out = new ProtobufWriter(MEMORY);
  writeTarget(out, plan);
  const families = yield* nativeFamilies(batch, plan);
  for (const [f, family] of families.entries()) {
    if (f % METRICS_PER_STEP === METRICS_PER_STEP - 1) yield NOTHING;
    yield* writeFamily(out, family, plan);
  }
  if (out.at > 0) yield taken(out);
}

function writeTarget(out: ProtobufWriter, { target, naming, escaping }: Plan): void {
  const labels = target === undefined ? '' : protobufLabels(naming).blockOf(target);
  if (labels === '') return;
  const metric = new ProtobufWriter(labels.length + FAMILY_HEADER_SIZE);
  metric.byteText(labels);
  const gauge = metric.open(tag(2, BYTES));
  metric.byte(tag(1, 1));
  metric.double(1);
  metric.close(gauge);
  const family = new ProtobufWriter(metric.at + FAMILY_HEADER_SIZE);
  writeDescription(family, {
    name: escapedName(TARGET_INFO, escaping),
    help: 'Attributes of the resource.',
    type: 'gauge',
    unit: '',
  });
  writeMessage(family, metric);
  out.reserve(family.at + FAMILY_HEADER_SIZE);
  out.varint(family.at);
  out.raw(family.bytes.subarray(0, family.at));
}

function* writeFamily(out: ProtobufWriter, family: Family<MetricColumns>, plan: Plan): Generator<Uint8Array> {
  const members = yield* membersOf(family, plan, protobufLabels(plan.naming));
  const type = toldType(family);
  const description = new ProtobufWriter(FAMILY_HEADER_SIZE);
  writeDescription(description, { ...family, type });

  const point = new ProtobufWriter(1024);
  const writers: ReturnType<typeof pointWriter>[] = [];
  const checks = duplicateChecks(members);
  /** By member, the points that are not shown. */
  const leftOut: Set<number>[] = [];
  let size = description.at;
  let isEmpty = true;
  for (const [m, { metric, labels }] of members.entries()) {
    if (m % METRICS_PER_STEP === METRICS_PER_STEP - 1) yield NOTHING;
    writers.push(pointWriter(metric, plan.naming, type === 'unknown'));
    leftOut.push(new Set());
    for (let i = 0; i < metric.length; i++) {
      if (i % POINTS_PER_STEP === POINTS_PER_STEP - 1) yield NOTHING;
      let first = checks[m]!(i);
      for (; first === undefined; first = checks[m]!(i)) yield NOTHING;
      if (!first) plan.onProblem(duplicateIn(family.name));
      point.at = 0;
      // Of the labels the size is known.
      const why = first ? writers[m]!(point, '', i) : 'a duplicate';
      if (why !== undefined) {
        leftOut[m]!.add(i);
        if (first) plan.onProblem(cannotBeNative(family.name, why));
        continue;
      }
      const set = metric.attributes[i]!;
      const own = labels.ownBlock(set);
      const labelsSize = own === undefined ? labels.blockOf(set).length : labels.shared.length + own.length;
      size += fieldSize(labelsSize + point.at);
      isEmpty = false;
    }
  }
  if (isEmpty) return;

  out.reserve(description.at + FAMILY_HEADER_SIZE);
  out.varint(size);
  out.raw(description.bytes.subarray(0, description.at));
  for (const [m, { metric, labels }] of members.entries()) {
    if (m % METRICS_PER_STEP === METRICS_PER_STEP - 1) yield NOTHING;
    const shared = Buffer.from(labels.shared, 'latin1');
    const hidden = leftOut[m]!;
    for (let i = 0; i < metric.length; i++) {
      if (hidden.size > 0 && hidden.has(i)) continue;
      if (out.at >= CHUNK_SIZE) yield taken(out);
      const start = out.open(METRIC, LENGTH_SIZE);
      const set = metric.attributes[i]!;
      const own = labels.ownBlock(set);
      if (own !== undefined) out.append(shared);
      writers[m]!(out, own ?? labels.blockOf(set), i);
      out.close(start, LENGTH_SIZE);
    }
  }
}

/** Encoding so many takes well below a millisecond. */
const POINTS_PER_STEP = 200;

function writeDescription(
  out: ProtobufWriter,
  { name, help, type, unit }: Pick<Family, 'name' | 'help' | 'unit'> & { type: ToldType },
): void {
  out.text(NAME, name);
  out.text(HELP, help);
  out.reserve(2);
  out.byte(TYPE);
  out.byte(TYPES[type]);
  out.text(UNIT, unit);
}

function writeMessage(out: ProtobufWriter, message: ProtobufWriter): void {
  out.reserve(message.at + FAMILY_HEADER_SIZE);
  out.header(METRIC, message.at);
  out.raw(message.bytes.subarray(0, message.at));
}

function taken(out: ProtobufWriter): Uint8Array {
  const bytes = Buffer.from(out.bytes.subarray(0, out.at));
  out.at = 0;
  return bytes;
}

function cannotBeNative(family: string, why: string) {
  return {
    cause: `native:${family}`,
    message: `series of ${family} are left out of native histograms: ${why}`,
  };
}
