// MetricBatch to JSON documents of the shape that backends of one's own commonly take: metrics, each with its data points.
import type { MetricBatch, MetricColumns } from '../data/metric-batch.ts';
import { AggregationTemporality, DataPointType, type InstrumentationScope } from '../data/metric-data.ts';
import { attributesText, exemplarsMember, metricType, scopeText } from './json-lines.ts';
import { jsonAttributes, jsonText } from './json-text.ts';
import { valueWriter } from './json-value.ts';
import { LineBuffer } from './line-buffer.ts';
import { type EncodedRequest, POINTS_PER_STEP, type RequestRange } from './otlp-request.ts';

const END_OF_METRIC = Buffer.from(']}');
const END = Buffer.from(']}');
const COMMA = Buffer.from(',');
const VALUE = Buffer.from(',"value":');
const ATTRIBUTES = Buffer.from('{"attributes":');

/** One document with as many points as fit; see `EncodeRequest` of `otlp-request.ts`. `docs/http-json.md` has the fields. */
export function* encodeJsonDocument(
  batch: MetricBatch,
  { from, to, maxBytes }: RequestRange,
): Generator<void, EncodedRequest> {
  const pieces: Uint8Array[] = [
    Buffer.from(`{"resource":${jsonAttributes(batch.resource.attributes)},"metrics":[`),
  ];
  const point = new LineBuffer(true);
  let size = pieces[0]!.length + END_OF_METRIC.length + END.length;
  let next = from;
  let before = 0;
  fill: for (const { scope, metrics } of batch.scopeMetrics) {
    for (const metric of metrics) {
      const [first, end] = [Math.max(from - before, 0), Math.min(to - before, metric.length)];
      before += metric.length;
      const write = pointWriter(metric, point);
      for (let i = first; i < end; i++) {
        const opening = i === first ? metricOpening(scope, metric, next > from) : COMMA;
        const bytes = write(i);
        const larger = size + opening.length + bytes.length;
        if (larger > maxBytes) {
          if (next > from) break fill;
          return { body: new Uint8Array(0), next: from + 1, oversizedBytes: larger };
        }
        // The writer uses its buffer again.
        pieces.push(opening, Buffer.from(bytes));
        size = larger;
        next++;
        if ((next - from) % POINTS_PER_STEP === 0) yield;
      }
    }
  }
  if (next === from) return { body: new Uint8Array(0), next };
  return { body: Buffer.concat([...pieces, END_OF_METRIC, END], size), next };
}

function metricOpening(
  scope: InstrumentationScope,
  metric: MetricColumns,
  isAfterAnother: boolean,
): Uint8Array {
  const { name, description, unit } = metric.descriptor;
  const temporality = metric.aggregationTemporality === AggregationTemporality.DELTA ? 'delta' : 'cumulative';
  const monotonic = metric.dataPointType === DataPointType.SUM ? `,"monotonic":${metric.isMonotonic}` : '';
  return Buffer.from(
    `${isAfterAnother ? ']},' : ''}{"name":${jsonText(name)},"description":${jsonText(description)},"unit":${jsonText(unit)}` +
      `,"type":"${metricType(metric)}","temporality":"${temporality}"${monotonic},"scope":${scopeText(scope)},"data_points":[`,
  );
}

/** The bytes that it returns are valid until the next call but one. */
function pointWriter(metric: MetricColumns, out: LineBuffer): (i: number) => Uint8Array {
  const value = valueWriter(metric);
  return (i) => {
    const attributes = attributesText(metric.attributes[i]!);
    const end = metric.endTimes[i]!;
    const rest =
      `,"timestamp":${end / 1_000_000_000n},"start_time_unix_nano":"${metric.startTimes[i]}"` +
      `,"time_unix_nano":"${end}"${value.rest(i)}${exemplarsMember(metric.exemplars, i)}}`;
    const most = ATTRIBUTES.length + attributes.length + VALUE.length + value.maxBytes + rest.length;
    if (!out.fits(most)) out.take(most);
    out.bytes(ATTRIBUTES);
    out.text(attributes);
    out.bytes(VALUE);
    value.write(out, i);
    out.text(rest);
    return out.take();
  };
}
