// MetricBatch to OTLP in JSON, as requests for a receiver and as lines for a file.
import type { MetricBatch, MetricColumns } from '../data/metric-batch.ts';
import { DataPointType, type InstrumentationScope, SUMMARY } from '../data/metric-data.ts';
import type { Resource } from '../data/resource.ts';
import { utf8Bytes } from './json-text.ts';
import { LineBuffer } from './line-buffer.ts';
import { keyValues, stringText } from './otlp-json-attributes.ts';
import { JsonPoints } from './otlp-json-points.ts';
import { type EncodedRequest, otlpTemporality, POINTS_PER_STEP, type RequestRange } from './otlp-request.ts';

const END_OF_METRIC = ']}}';
const END_OF_SCOPE = ']}';
const END_OF_REQUEST = ']}]}';
const END = Buffer.from(END_OF_METRIC + END_OF_SCOPE + END_OF_REQUEST);
const NOTHING = new Uint8Array(0);
const NEWLINE = Buffer.from('\n');

/** See {@link EncodeRequest} of `otlp-request.ts`. */
export function* encodeOtlpJson(batch: MetricBatch, range: RequestRange): Generator<void, EncodedRequest> {
  const chunks: Uint8Array[] = [];
  const encoding = requestChunks(batch, range, new LineBuffer(false));
  for (;;) {
    const step = encoding.next();
    if (step.done) {
      const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
      return { body, ...step.value };
    }
    chunks.push(step.value);
    yield;
  }
}

export interface OtlpJsonLineOptions {
  /** Lets two buffers take turns: a chunk is then valid only until the next but one is asked for. Default false. */
  reuseBuffers?: boolean;
}

/** The whole batch as one line, with its end; nothing for a batch without points. Chunks may be empty. */
export function* encodeOtlpJsonLine(
  batch: MetricBatch,
  { reuseBuffers = false }: OtlpJsonLineOptions = {},
): Generator<Uint8Array, void> {
  if (batch.pointCount === 0) return;
  const whole = { from: 0, to: batch.pointCount, maxBytes: Number.POSITIVE_INFINITY };
  const out = new LineBuffer(reuseBuffers);
  yield* requestChunks(batch, whole, out, NEWLINE);
}

/** The request in chunks, the last of which ends with `lineEnd`. */
function* requestChunks(
  batch: MetricBatch,
  { from, to, maxBytes }: RequestRange,
  out: LineBuffer,
  lineEnd: Uint8Array = NOTHING,
): Generator<Uint8Array, Omit<EncodedRequest, 'body'>> {
  let next = from;
  let taken = 0;
  let refusedSize = 0;
  fill: for (const { opening, points, first, end } of sections(batch, from, to)) {
    for (let i = first; i < end; i++) {
      const separator = i === first ? opening : ',';
      const point = points.at(i);
      const room = separator.length + point.maxBytes + END.length + lineEnd.length;
      if (!out.fits(room)) {
        taken += out.length;
        yield out.take(room);
      } else if ((next - from) % POINTS_PER_STEP === POINTS_PER_STEP - 1) yield NOTHING;
      const start = out.length;
      out.text(separator);
      point.write(out);
      const size = taken + out.length + END.length;
      if (size > maxBytes) {
        out.truncate(start);
        refusedSize = size;
        break fill;
      }
      next++;
    }
  }
  if (next > from) {
    out.bytes(END);
    out.bytes(lineEnd);
    yield out.take();
    return { next };
  }
  return refusedSize > 0 ? { next: from + 1, oversizedBytes: refusedSize } : { next };
}

interface Section {
  /** What is between the points before and these. */
  opening: string;
  points: JsonPoints;
  first: number;
  end: number;
}

/** The points of each metric in the range, without metrics and scopes that have none. */
function* sections(batch: MetricBatch, from: number, to: number): Generator<Section> {
  let before = 0;
  let last: InstrumentationScope | undefined;
  for (const { scope, metrics } of batch.scopeMetrics) {
    for (const metric of metrics) {
      const first = Math.max(from - before, 0);
      const end = Math.min(to - before, metric.length);
      before += metric.length;
      if (first >= end) continue;
      let opening = metricStart(metric);
      if (last === undefined) opening = requestStart(batch.resource) + scopeStart(scope) + opening;
      else if (last === scope) opening = `${END_OF_METRIC},${opening}`;
      else opening = `${END_OF_METRIC}${END_OF_SCOPE},${scopeStart(scope)}${opening}`;
      last = scope;
      yield { opening: utf8Bytes(opening), points: new JsonPoints(metric), first, end };
    }
  }
}

function requestStart({ attributes, schemaUrl }: Resource): string {
  return `{"resourceMetrics":[{"resource":{"attributes":${keyValues(attributes)}},${schemaMember(schemaUrl)}"scopeMetrics":[`;
}

function scopeStart({ name, version, attributes, schemaUrl }: InstrumentationScope): string {
  const members = [`"name":${stringText(name)}`];
  if (version) members.push(`"version":${stringText(version)}`);
  if (attributes) members.push(`"attributes":${keyValues(attributes)}`);
  return `{"scope":{${members.join()}},${schemaMember(schemaUrl)}"metrics":[`;
}

function schemaMember(schemaUrl: string | undefined): string {
  return schemaUrl ? `"schemaUrl":${stringText(schemaUrl)},` : '';
}

function metricStart(metric: MetricColumns): string {
  const { name, description, unit, metadata } = metric.descriptor;
  const members = [`"name":${stringText(name)}`];
  if (description) members.push(`"description":${stringText(description)}`);
  if (unit) members.push(`"unit":${stringText(unit)}`);
  if (metadata) members.push(`"metadata":${keyValues(metadata)}`);
  return `{${members.join()},"${DATA_FIELDS[metric.dataPointType]}":{${kindMembers(metric)}"dataPoints":[`;
}

const DATA_FIELDS: Record<MetricColumns['dataPointType'], string> = {
  [DataPointType.GAUGE]: 'gauge',
  [DataPointType.SUM]: 'sum',
  [DataPointType.HISTOGRAM]: 'histogram',
  [DataPointType.EXPONENTIAL_HISTOGRAM]: 'exponentialHistogram',
  [SUMMARY]: 'summary',
};

function kindMembers(metric: MetricColumns): string {
  if (metric.dataPointType === DataPointType.GAUGE || metric.dataPointType === SUMMARY) return '';
  const temporality = `"aggregationTemporality":${otlpTemporality(metric.aggregationTemporality)},`;
  if (metric.dataPointType !== DataPointType.SUM) return temporality;
  return `${temporality}"isMonotonic":${metric.isMonotonic},`;
}
