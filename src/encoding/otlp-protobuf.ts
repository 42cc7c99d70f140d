// MetricBatch to OTLP's ExportMetricsServiceRequest in protobuf. Protobuf puts lengths first, so a request is planned,
// which tells how many points fit, and then written in one go into a buffer of exactly its size.
import type { MetricBatch, MetricColumns } from '../data/metric-batch.ts';
import { DataPointType, type InstrumentationScope } from '../data/metric-data.ts';
import type { Resource } from '../data/resource.ts';
import { attributesBytes } from './otlp-protobuf-attributes.ts';
import { type PointMessages, pointMessages } from './otlp-protobuf-points.ts';
import { type EncodedRequest, otlpTemporality, POINTS_PER_STEP, type RequestRange } from './otlp-request.ts';
import { BYTES, fieldSize, ProtobufWriter, tag, VARINT } from './protobuf-writer.ts';

const RESOURCE_METRICS = tag(1, BYTES);
const SCOPE_METRICS = tag(2, BYTES);
const METRICS = tag(2, BYTES);
const DATA_POINTS = tag(1, BYTES);

/** See {@link EncodeRequest} of `otlp-request.ts`. */
export function* encodeOtlpProtobuf(
  batch: MetricBatch,
  { from, to, maxBytes, memory }: RequestRange,
): Generator<void, EncodedRequest> {
  const request = new RequestPlan(batch.resource, maxBytes);
  let next = from;
  let before = 0;
  fill: for (const { scope, metrics } of batch.scopeMetrics) {
    for (const metric of metrics) {
      const end = Math.min(to - before, metric.length);
      let i = Math.max(from - before, 0);
      if (i < end) request.beginMetric(scope, metric, i);
      while (i < end) {
        const stepEnd = Math.min(i + POINTS_PER_STEP, end);
        i = request.addPoints(stepEnd);
        next = before + i;
        if (i < stepEnd) break fill;
        yield;
      }
      before += metric.length;
    }
  }
  if (next > from) return { body: yield* request.write(memory), next };
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

interface ScopePlan extends Envelope {
  readonly scope: InstrumentationScope;
  readonly metrics: MetricPlan[];
}

interface MetricPlan {
  /** Name, description and unit. */
  readonly head: Uint8Array;
  /** Of the message that holds the points, by their kind. */
  readonly dataTag: number;
  /** Temporality and monotonicity, behind the points. */
  readonly tail: Uint8Array;
  readonly points: PointMessages;
  readonly first: number;
  end: number;
  pointsSize: number;
}

/** More than the tags and lengths of all messages around a point can take. */
const MAX_HEADERS_SIZE = 64;

class RequestPlan {
  readonly #resource: Envelope;
  readonly #maxBytes: number;
  readonly #scopes: ScopePlan[] = [];
  /** Of the scopes before the last one. */
  #scopesSize = 0;
  /** Of the metrics before the last one in its scope. */
  #metricsSize = 0;
  /** What the request would have with the point that did not fit. */
  refusedSize: number | undefined;

  constructor(resource: Resource, maxBytes: number) {
    this.#resource = resourceEnvelope(resource);
    this.#maxBytes = maxBytes;
  }

  /** To be called only where there are points to add, since empty envelopes must not be sent. */
  beginMetric(scope: InstrumentationScope, metric: MetricColumns, first: number): void {
    const last = this.#scopes.at(-1);
    if (last?.scope === scope) {
      this.#metricsSize += fieldSize(metricSize(last.metrics.at(-1)!));
    } else {
      if (last !== undefined) this.#scopesSize += fieldSize(scopeSize(last));
      this.#scopes.push({ ...scopeEnvelope(scope), scope, metrics: [] });
      this.#metricsSize = 0;
    }
    this.#scopes.at(-1)!.metrics.push(metricPlan(metric, first));
  }

  /** Adds points of the last metric up to `end`, as far as they fit, and returns how far that is. */
  addPoints(end: number): number {
    const metric = this.#scopes.at(-1)!.metrics.at(-1)!;
    const { points } = metric;
    const roomForSure = this.#maxBytes - MAX_HEADERS_SIZE - (this.#size() - metric.pointsSize);
    while (metric.end < end) {
      const before = metric.pointsSize;
      metric.pointsSize += fieldSize(points.size(metric.end));
      if (metric.pointsSize > roomForSure) {
        const size = this.#size();
        if (size > this.#maxBytes) {
          this.refusedSize = size;
          metric.pointsSize = before;
          break;
        }
      }
      metric.end++;
    }
    return metric.end;
  }

  /** Returns the request. */
  *write(memory: RequestRange['memory']): Generator<void, Uint8Array> {
    this.#dropEmptyEnd();
    const resourceSize =
      envelopeSize(this.#resource) +
      this.#scopes.reduce((size, scope) => size + fieldSize(scopeSize(scope)), 0);
    const size = fieldSize(resourceSize);
    const out = new ProtobufWriter(memory && size <= memory.length ? memory.subarray(0, size) : size);
    out.header(RESOURCE_METRICS, resourceSize);
    out.raw(this.#resource.head);
    for (const scope of this.#scopes) {
      out.header(SCOPE_METRICS, scopeSize(scope));
      out.raw(scope.head);
      for (const metric of scope.metrics) yield* writeMetric(out, metric);
      out.raw(scope.tail);
    }
    out.raw(this.#resource.tail);
    return out.bytes;
  }

  /** The first point of the last metric may not have fitted. */
  #dropEmptyEnd(): void {
    const { metrics } = this.#scopes.at(-1)!;
    if (metrics.at(-1)!.pointsSize === 0) metrics.pop();
    if (metrics.length === 0) this.#scopes.pop();
  }

  /** With the points so far. */
  #size(): number {
    const scope = this.#scopes.at(-1)!;
    const metrics = this.#metricsSize + fieldSize(metricSize(scope.metrics.at(-1)!));
    const scopes = this.#scopesSize + fieldSize(envelopeSize(scope) + metrics);
    return fieldSize(envelopeSize(this.#resource) + scopes);
  }
}

function* writeMetric(out: ProtobufWriter, metric: MetricPlan): Generator<void, void> {
  const { head, dataTag, tail, points, first, end } = metric;
  out.header(METRICS, metricSize(metric));
  out.raw(head);
  out.header(dataTag, dataSize(metric));
  for (let from = first; from < end; from += POINTS_PER_STEP) {
    writePoints(out, points, from, Math.min(from + POINTS_PER_STEP, end));
    yield;
  }
  out.raw(tail);
}

/** Outside of the generator, whose variables V8 does not keep in registers. */
function writePoints(out: ProtobufWriter, points: PointMessages, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    out.header(DATA_POINTS, points.size(i));
    points.write(out, i);
  }
}

function envelopeSize({ head, tail }: Envelope): number {
  return head.length + tail.length;
}

function scopeSize(scope: ScopePlan): number {
  return scope.metrics.reduce((size, metric) => size + fieldSize(metricSize(metric)), envelopeSize(scope));
}

function metricSize(metric: MetricPlan): number {
  return metric.head.length + fieldSize(dataSize(metric));
}

function dataSize({ pointsSize, tail }: MetricPlan): number {
  return pointsSize + tail.length;
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

function metricPlan(metric: MetricColumns, first: number): MetricPlan {
  const { name, description, unit } = metric.descriptor;
  return {
    head: message((out) => {
      out.text(tag(1, BYTES), name);
      out.text(tag(2, BYTES), description);
      out.text(tag(3, BYTES), unit);
    }),
    dataTag: tag(DATA_FIELDS[metric.dataPointType], BYTES),
    tail: dataTail(metric),
    points: pointMessages(metric),
    first,
    end: first,
    pointsSize: 0,
  };
}

const DATA_FIELDS: Record<DataPointType, number> = {
  [DataPointType.GAUGE]: 5,
  [DataPointType.SUM]: 7,
  [DataPointType.HISTOGRAM]: 9,
  [DataPointType.EXPONENTIAL_HISTOGRAM]: 10,
};

function dataTail(metric: MetricColumns): Uint8Array {
  if (metric.dataPointType === DataPointType.GAUGE) return NOTHING;
  const temporality = [tag(2, VARINT), otlpTemporality(metric.aggregationTemporality)];
  const isMonotonic = metric.dataPointType === DataPointType.SUM && metric.isMonotonic;
  return Uint8Array.from(isMonotonic ? [...temporality, tag(3, VARINT), 1] : temporality);
}

function message(write: (out: ProtobufWriter) => void): Uint8Array {
  const out = new ProtobufWriter(256);
  write(out);
  return out.bytes.subarray(0, out.at);
}
