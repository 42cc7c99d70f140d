// A batch as bytes; `batch-record-format.ts` says how they look.
import type { ExemplarColumns } from '../data/exemplar-columns.ts';
import type {
  DistributionColumns,
  ExponentialBuckets,
  MetricBatch,
  MetricColumns,
} from '../data/metric-batch.ts';
import { DataPointType, type InstrumentationScope, SUMMARY } from '../data/metric-data.ts';
import { RECORD_VERSION, SCOPE } from './batch-record-format.ts';
import { RecordWriter } from './batch-record-writer.ts';

/** The chunks stay as they are until the batch is no longer needed: some are views of its columns. */
export function* encodeBatchRecord(batch: MetricBatch): Generator<Uint8Array, void, undefined> {
  const out = new RecordWriter();
  out.byte(RECORD_VERSION);
  out.attributes(batch.resource.attributes);
  out.optionalText(batch.resource.schemaUrl);
  out.count(batch.scopeMetrics.length);
  for (const { scope, metrics } of batch.scopeMetrics) {
    writeScope(out, scope);
    out.count(metrics.length);
    for (const metric of metrics) yield* metricChunks(out, metric);
  }
  yield* out.rest();
}

function writeScope(out: RecordWriter, { name, version, schemaUrl, attributes }: InstrumentationScope): void {
  out.text(name);
  out.byte(
    (version == null ? 0 : SCOPE.version) |
      (schemaUrl == null ? 0 : SCOPE.schemaUrl) |
      (attributes == null ? 0 : SCOPE.attributes),
  );
  if (version != null) out.text(version);
  if (schemaUrl != null) out.text(schemaUrl);
  if (attributes != null) out.attributes(attributes);
}

function* metricChunks(out: RecordWriter, metric: MetricColumns): Generator<Uint8Array> {
  const { descriptor, aggregationTemporality, dataPointType, length } = metric;
  out.byte(dataPointType);
  out.byte(aggregationTemporality);
  out.byte(descriptor.valueType);
  out.text(descriptor.name);
  // Other makers leave them out.
  out.text(descriptor.description ?? '');
  out.text(descriptor.unit ?? '');
  out.byte(descriptor.metadata == null ? 0 : 1);
  if (descriptor.metadata != null) out.attributes(descriptor.metadata);
  out.count(length);
  for (const set of metric.attributes) {
    out.set(set);
    yield* out.full();
  }
  yield* out.column(metric.startTimes);
  yield* out.column(metric.endTimes);
  switch (dataPointType) {
    case DataPointType.SUM:
      out.byte(metric.isMonotonic ? 1 : 0);
      yield* out.column(metric.values);
      break;
    case DataPointType.GAUGE:
      yield* out.column(metric.values);
      break;
    case DataPointType.HISTOGRAM:
      yield* distributionChunks(out, metric);
      out.count(metric.boundaries.length);
      yield* out.elements(Float64Array.from(metric.boundaries));
      yield* out.elements(metric.bucketCounts);
      break;
    case DataPointType.EXPONENTIAL_HISTOGRAM:
      yield* distributionChunks(out, metric);
      yield* out.column(metric.scales);
      yield* out.column(metric.zeroCounts);
      yield* bucketChunks(out, metric.positive);
      yield* bucketChunks(out, metric.negative);
      break;
    case SUMMARY:
      yield* out.column(metric.counts);
      yield* out.column(metric.sums);
      out.count(metric.quantiles.length);
      yield* out.elements(Float64Array.from(metric.quantiles));
      yield* out.elements(metric.quantileValues);
      break;
  }
  out.byte(metric.exemplars === undefined ? 0 : 1);
  if (metric.exemplars !== undefined) yield* exemplarChunks(out, metric.exemplars);
}

function* distributionChunks(out: RecordWriter, { counts, sums, mins, maxs }: DistributionColumns) {
  yield* out.column(counts);
  yield* out.column(sums);
  yield* out.column(mins);
  yield* out.column(maxs);
}

function* bucketChunks(out: RecordWriter, { offsets, starts, counts }: ExponentialBuckets) {
  yield* out.column(offsets);
  yield* out.elements(starts);
  out.count(counts.length);
  yield* out.elements(counts);
}

function* exemplarChunks(out: RecordWriter, exemplars: ExemplarColumns): Generator<Uint8Array> {
  yield* out.elements(exemplars.starts);
  out.count(exemplars.values.length);
  yield* out.elements(exemplars.values);
  yield* out.elements(exemplars.times);
  for (let i = 0; i < exemplars.values.length; i++) {
    out.attributes(exemplars.filteredAttributes[i]!);
    out.optionalText(exemplars.traceIds[i]);
    out.optionalText(exemplars.spanIds[i]);
    yield* out.full();
  }
}
