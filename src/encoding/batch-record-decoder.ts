// Bytes of a record back to the batch. Damaged and hostile bytes end in a RecordError, never in more memory than a small
// multiple of what they are.
import type { Attributes } from '@opentelemetry/api';
import type { AttributeSet } from '../data/attribute-set.ts';
import { type ExemplarColumns, NO_FILTERED_ATTRIBUTES } from '../data/exemplar-columns.ts';
import {
  type ExponentialBuckets,
  exponentialHistogramColumns,
  gaugeColumns,
  histogramColumns,
  MetricBatch,
  type MetricColumns,
  type PointColumns,
  type ScopeColumns,
  sumColumns,
  summaryColumns,
} from '../data/metric-batch.ts';
import { DataPointType, type InstrumentationScope, SUMMARY } from '../data/metric-data.ts';
import { resourceFromAttributes } from '../data/resource.ts';
import { RecordError } from './batch-record-error.ts';
import { RECORD_VERSION, SCOPE } from './batch-record-format.ts';
import { KnownSets } from './batch-record-known-sets.ts';
import { RecordReader } from './batch-record-reader.ts';

/** Points between two chances to give the event loop back. */
const POINTS_A_STEP = 64;

const TRACE_ID = /^[0-9a-f]{32}$/;
const SPAN_ID = /^[0-9a-f]{16}$/;

/**
 * Yields whenever the event loop may have its turn, and returns the batch. Nothing of it refers to `bytes`.
 *
 * @param known attribute sets of records read before
 * @throws RecordError
 */
export function* decodeBatchRecord(
  bytes: Uint8Array,
  known = new KnownSets(),
): Generator<void, MetricBatch, undefined> {
  const input = new RecordReader(bytes, known);
  const version = input.byte();
  if (version !== RECORD_VERSION) {
    throw new RecordError(
      'version',
      `the record has version ${version}, and this one reads ${RECORD_VERSION}`,
    );
  }
  const attributes = input.attributes();
  const resource = resourceFromAttributes(attributes, { schemaUrl: input.optionalText() });
  const scopes: ScopeColumns[] = [];
  for (let left = input.count(); left > 0; left--) {
    const scope = readScope(input);
    const metrics: MetricColumns[] = [];
    for (let more = input.count(); more > 0; more--) metrics.push(yield* readMetric(input));
    scopes.push({ scope, metrics });
    yield;
  }
  input.end();
  return new MetricBatch(resource, scopes);
}

function readScope(input: RecordReader): InstrumentationScope {
  const name = input.text();
  const present = input.oneOf(0, 7);
  return {
    name,
    ...(present & SCOPE.version && { version: input.text() }),
    ...(present & SCOPE.schemaUrl && { schemaUrl: input.text() }),
    ...(present & SCOPE.attributes && { attributes: input.attributes() }),
  };
}

function* readMetric(input: RecordReader): Generator<void, MetricColumns> {
  const dataPointType = input.oneOf(0, SUMMARY);
  const aggregationTemporality = input.oneOf(0, 1);
  const valueType = input.oneOf(0, 1);
  const [name, description, unit] = [input.text(), input.text(), input.text()];
  const metadata = input.oneOf(0, 1) === 1 && { metadata: input.attributes() };
  // Each point takes a byte at least.
  const length = input.count();
  const attributes: AttributeSet[] = [];
  for (let i = 0; i < length; i++) {
    attributes.push(input.set());
    if (i % POINTS_A_STEP === 0) yield;
  }
  const common = {
    descriptor: { name, description, unit, valueType, ...metadata },
    aggregationTemporality,
    length,
    attributes,
    startTimes: yield* input.column(new BigUint64Array(length)),
    endTimes: yield* input.column(new BigUint64Array(length)),
  };
  switch (dataPointType) {
    case DataPointType.SUM: {
      const isMonotonic = input.oneOf(0, 1) === 1;
      const values = yield* input.column(new Float64Array(length));
      return sumColumns({ ...common, values, ...(yield* readExemplars(input, common)) }, isMonotonic);
    }
    case DataPointType.GAUGE: {
      const values = yield* input.column(new Float64Array(length));
      return gaugeColumns({ ...common, values, ...(yield* readExemplars(input, common)) });
    }
    case DataPointType.HISTOGRAM: {
      const distribution = yield* readDistribution(input, length);
      const boundaries = [...(yield* input.elements(Float64Array, input.count(8)))];
      const bucketCounts = yield* input.elements(Float64Array, length * (boundaries.length + 1));
      return histogramColumns({
        ...common,
        ...distribution,
        boundaries,
        bucketCounts,
        ...(yield* readExemplars(input, common)),
      });
    }
    case SUMMARY: {
      const counts = yield* input.column(new Float64Array(length));
      const sums = yield* input.column(new Float64Array(length));
      const quantiles = [...(yield* input.elements(Float64Array, input.count(8)))];
      const quantileValues = yield* input.elements(Float64Array, length * quantiles.length);
      const exemplars = yield* readExemplars(input, common);
      return summaryColumns({ ...common, counts, sums, quantiles, quantileValues, ...exemplars });
    }
    default: {
      const distribution = yield* readDistribution(input, length);
      const scales = yield* input.column(new Int32Array(length));
      const zeroCounts = yield* input.column(new Float64Array(length));
      const positive = yield* readBuckets(input, length);
      const negative = yield* readBuckets(input, length);
      return exponentialHistogramColumns({
        ...common,
        ...distribution,
        scales,
        zeroCounts,
        positive,
        negative,
        ...(yield* readExemplars(input, common)),
      });
    }
  }
}

function* readDistribution(input: RecordReader, length: number) {
  return {
    counts: yield* input.column(new Float64Array(length)),
    sums: yield* input.column(new Float64Array(length)),
    mins: yield* input.column(new Float64Array(length)),
    maxs: yield* input.column(new Float64Array(length)),
  };
}

function* readBuckets(input: RecordReader, length: number): Generator<void, ExponentialBuckets> {
  const offsets = yield* input.column(new Int32Array(length));
  const starts = yield* input.elements(Uint32Array, length + 1);
  const counts = yield* input.elements(Float64Array, input.count(8));
  input.demandRanges(starts, counts.length);
  return { offsets, starts, counts };
}

function* readExemplars(
  input: RecordReader,
  { length }: Pick<PointColumns, 'length'>,
): Generator<void, { exemplars?: ExemplarColumns }> {
  if (input.oneOf(0, 1) === 0) return {};
  const starts = yield* input.elements(Uint32Array, length + 1);
  const total = input.count(8);
  input.demandRanges(starts, total);
  const values = yield* input.elements(Float64Array, total);
  const times = yield* input.elements(BigUint64Array, total);
  const filteredAttributes: Attributes[] = [];
  const traceIds: (string | undefined)[] = [];
  const spanIds: (string | undefined)[] = [];
  for (let i = 0; i < total; i++) {
    const filtered = input.attributes();
    filteredAttributes.push(
      Object.keys(filtered).length === 0 ? NO_FILTERED_ATTRIBUTES : Object.freeze(filtered),
    );
    traceIds.push(input.id(TRACE_ID));
    spanIds.push(input.id(SPAN_ID));
    if (i % POINTS_A_STEP === 0) yield;
  }
  return { exemplars: { starts, values, times, filteredAttributes, traceIds, spanIds } };
}
