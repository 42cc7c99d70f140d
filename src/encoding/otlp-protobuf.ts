// MetricBatch to OTLP's ExportMetricsServiceRequest in protobuf, in one pass: lengths, which protobuf puts first, get the room
// that they will most likely take, and what follows is moved where that was wrong.
import type { MetricBatch, MetricColumns } from '../data/metric-batch.ts';
import { DataPointType, type InstrumentationScope, SUMMARY } from '../data/metric-data.ts';
import type { Resource } from '../data/resource.ts';
import { attributesBytes } from './otlp-protobuf-attributes.ts';
import { type PointMessages, pointMessages } from './otlp-protobuf-points.ts';
import {
  type EncodedRequest,
  otlpTemporality,
  POINTS_PER_STEP,
  REFUSED_POINT_ROOM,
  type RequestRange,
} from './otlp-request.ts';
import { BYTES, MAX_VARINT32_SIZE, ProtobufWriter, tag, VARINT, varintSize } from './protobuf-writer.ts';

const RESOURCE_METRICS = tag(1, BYTES);
const SCOPE_METRICS = tag(2, BYTES);
const METRICS = tag(2, BYTES);
const DATA_POINTS = tag(1, BYTES);

/** See {@link EncodeRequest} of `otlp-request.ts`. */
export function* encodeOtlpProtobuf(
  batch: MetricBatch,
  range: RequestRange,
): Generator<void, EncodedRequest> {
  const { from, to } = range;
  const request = new RequestWriter(batch.resource, range);
  let next = from;
  let before = 0;
  fill: for (const { scope, metrics } of batch.scopeMetrics) {
    for (const metric of metrics) {
      const end = Math.min(to - before, metric.length);
      let i = Math.max(from - before, 0);
      if (i < end) request.beginMetric(scope, metric, end - i);
      while (i < end) {
        const stepEnd = Math.min(i + POINTS_PER_STEP, end);
        i = request.addPoints(i, stepEnd);
        next = before + i;
        if (i < stepEnd) break fill;
        yield;
      }
      before += metric.length;
    }
  }
  if (next > from) return { body: request.end(), next };
  const oversizedBytes = request.refusedSize;
  return oversizedBytes === undefined
    ? { body: NOTHING, next }
    : { body: NOTHING, next: from + 1, oversizedBytes };
}

const NOTHING = new Uint8Array(0);

/** A message with other messages in the middle. */
interface Envelope {
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
}

/** A message that has begun. */
interface OpenMessage {
  /** Where its content starts. */
  readonly start: number;
  /** Bytes left for its length, in front of it. */
  readonly lengthSize: number;
  readonly tail: Uint8Array;
}

/** A guess at what a point takes; it only says how much room to leave for lengths. */
const TYPICAL_POINT_SIZE = 256;

/** Of a point: from 128 bytes to 16 KiB. */
const POINT_LENGTH_SIZE = 2;

/** How many messages are open around the points: resource, scope, metric and its data. */
const RESOURCE_DEPTH = 1;
const SCOPE_DEPTH = 2;

class RequestWriter {
  readonly #out: ProtobufWriter;
  readonly #maxBytes: number;
  readonly #open: OpenMessage[] = [];
  #scope: InstrumentationScope | undefined;
  #points: PointMessages | undefined;
  /** Where the last metric, and its scope when it is the first of it, can be taken back to. */
  #beforeMetric = { at: 0, depth: 0 };
  /** Up to here there is room for the ends of all open messages, whatever their lengths take. */
  #safeEnd = 0;
  /** What the request would have with the point that did not fit. */
  refusedSize: number | undefined;

  constructor(resource: Resource, { from, to, maxBytes, memory }: RequestRange) {
    this.#maxBytes = maxBytes;
    this.#out = new ProtobufWriter(
      memory ?? Math.min(maxBytes + REFUSED_POINT_ROOM, (to - from) * TYPICAL_POINT_SIZE),
    );
    this.#begin(RESOURCE_METRICS, resourceEnvelope(resource), to - from);
  }

  /** To be called only where there are points to add, since empty envelopes must not be sent. */
  beginMetric(scope: InstrumentationScope, metric: MetricColumns, length: number): void {
    this.#endDownTo(scope === this.#scope ? SCOPE_DEPTH : RESOURCE_DEPTH);
    this.#beforeMetric = { at: this.#out.at, depth: this.#open.length };
    if (scope !== this.#scope) this.#begin(SCOPE_METRICS, scopeEnvelope(scope), length);
    this.#scope = scope;
    this.#begin(METRICS, metricEnvelope(metric), length);
    this.#begin(tag(DATA_FIELDS[metric.dataPointType], BYTES), dataEnvelope(metric), length);
    this.#points = pointMessages(metric);
    const ends = this.#open.reduce((size, { tail }) => size + MAX_VARINT32_SIZE + tail.length, 0);
    this.#safeEnd = this.#maxBytes - ends;
  }

  /** Adds points of the last metric up to `end`, as far as they fit, and returns how far that is. */
  addPoints(from: number, end: number): number {
    const out = this.#out;
    const points = this.#points!;
    for (let i = from; i < end; i++) {
      const before = out.at;
      const start = out.open(DATA_POINTS, POINT_LENGTH_SIZE);
      points.write(out, i);
      out.close(start, POINT_LENGTH_SIZE);
      if (out.at > this.#safeEnd && this.#size() > this.#maxBytes) {
        this.refusedSize = this.#size();
        out.at = before;
        return i;
      }
    }
    return end;
  }

  /** Returns the request. */
  end(): Uint8Array {
    // The first point of the last metric may not have fitted.
    if (this.#out.at === this.#open.at(-1)!.start) {
      this.#out.at = this.#beforeMetric.at;
      this.#open.length = this.#beforeMetric.depth;
    }
    this.#endDownTo(0);
    return this.#out.written;
  }

  #begin(fieldTag: number, { head, tail }: Envelope, points: number): void {
    const lengthSize = varintSize(Math.min(this.#maxBytes, points * TYPICAL_POINT_SIZE));
    const start = this.#out.open(fieldTag, lengthSize);
    this.#out.append(head);
    this.#open.push({ start, lengthSize, tail });
  }

  #endDownTo(depth: number): void {
    while (this.#open.length > depth) {
      const { start, lengthSize, tail } = this.#open.pop()!;
      this.#out.append(tail);
      this.#out.close(start, lengthSize);
    }
  }

  /** Of the request, if it ended here. */
  #size(): number {
    let size = this.#out.at;
    for (let depth = this.#open.length - 1; depth >= 0; depth--) {
      const { start, lengthSize, tail } = this.#open[depth]!;
      size += tail.length;
      size += varintSize(size - start) - lengthSize;
    }
    return size;
  }
}

function resourceEnvelope({ attributes, schemaUrl }: Resource): Envelope {
  return {
    head: message((out) => {
      const start = out.open(tag(1, BYTES));
      out.append(attributesBytes(tag(1, BYTES), attributes));
      out.close(start);
    }),
    tail: message((out) => out.text(tag(3, BYTES), schemaUrl)),
  };
}

function scopeEnvelope({ name, version, attributes = {}, schemaUrl }: InstrumentationScope): Envelope {
  return {
    head: message((out) => {
      const start = out.open(tag(1, BYTES));
      out.text(tag(1, BYTES), name);
      out.text(tag(2, BYTES), version);
      out.append(attributesBytes(tag(3, BYTES), attributes));
      out.close(start);
    }),
    tail: message((out) => out.text(tag(3, BYTES), schemaUrl)),
  };
}

function metricEnvelope({ descriptor }: MetricColumns): Envelope {
  const { name, description, unit, metadata } = descriptor;
  return {
    head: message((out) => {
      out.text(tag(1, BYTES), name);
      out.text(tag(2, BYTES), description);
      out.text(tag(3, BYTES), unit);
    }),
    tail: metadata ? message((out) => out.append(attributesBytes(tag(12, BYTES), metadata))) : NOTHING,
  };
}

const DATA_FIELDS: Record<MetricColumns['dataPointType'], number> = {
  [DataPointType.GAUGE]: 5,
  [DataPointType.SUM]: 7,
  [DataPointType.HISTOGRAM]: 9,
  [DataPointType.EXPONENTIAL_HISTOGRAM]: 10,
  [SUMMARY]: 11,
};

/** Temporality and monotonicity come behind the points. */
function dataEnvelope(metric: MetricColumns): Envelope {
  const { dataPointType } = metric;
  if (dataPointType === DataPointType.GAUGE || dataPointType === SUMMARY)
    return { head: NOTHING, tail: NOTHING };
  const temporality = [tag(2, VARINT), otlpTemporality(metric.aggregationTemporality)];
  const isMonotonic = metric.dataPointType === DataPointType.SUM && metric.isMonotonic;
  return {
    head: NOTHING,
    tail: Uint8Array.from(isMonotonic ? [...temporality, tag(3, VARINT), 1] : temporality),
  };
}

function message(write: (out: ProtobufWriter) => void): Uint8Array {
  const out = new ProtobufWriter(256);
  write(out);
  return out.written;
}
