// A batch as requests of Prometheus's remote write.
import type { ExemplarColumns } from '../data/metric-batch.ts';
import { DataPointType, SUMMARY } from '../data/metric-data.ts';
import { nativeHistograms } from './native-histogram.ts';
import type { EncodedRequest, RequestRange } from './otlp-request.ts';
import { exemplarLabels } from './prometheus-exemplars.ts';
import { labelNaming } from './prometheus-label-shape.ts';
import { byteString } from './prometheus-labels.ts';
import { byName, type Label, type OwnLabels } from './remote-write-labels.ts';
import type { RemoteWriteMessage, RemoteWriteVersion } from './remote-write-message.ts';
import { WriteRequest } from './remote-write-message-1.ts';
import { Request } from './remote-write-message-2.ts';
import type { Plans, PreparedSeries, SeriesMetric } from './remote-write-series.ts';
import { wholeMillis } from './time-column.ts';

export interface RemoteWriteBatch {
  readonly series: PreparedSeries;
  /** Goes with the first point. */
  readonly resource: SeriesMetric | undefined;
  /** Nanoseconds since the Unix epoch to the milliseconds of a sample. */
  readonly timeOf: (nanos: bigint) => number;
  /** Whether each point says that its series have ended. */
  readonly isStale: boolean;
}

export interface RemoteWriteRange extends RequestRange {
  /** The most samples and native histograms. A point with more goes alone. */
  readonly maxSamples: number;
  readonly version: RemoteWriteVersion;
}

/** What a request holds, to be compared with what the receiver says that it wrote. */
export interface WriteCounts {
  samples: number;
  histograms: number;
  exemplars: number;
}

export interface EncodedWrite extends EncodedRequest {
  readonly counts: WriteCounts;
}

const CLASSIC = labelNaming('UnderscoreEscapingWithSuffixes', 'underscores');
const POINTS_PER_STEP = 64;
const NOTHING = new Uint8Array(0);
const NO_EXEMPLARS: readonly RemoteExemplar[] = [];

/** As `EncodeRequest` of OTLP, for the points of a prepared batch. The body is empty where none of them has a place. */
export function* encodeRemoteWrite(
  batch: RemoteWriteBatch,
  { from, to, maxBytes, maxSamples, version, memory }: RemoteWriteRange,
): Generator<void, EncodedWrite> {
  const { isStale } = batch;
  const message: RemoteWriteMessage =
    version === '1.0' ? new WriteRequest({ isStale, memory }) : new Request({ isStale, memory });
  const counts: WriteCounts = { samples: 0, histograms: 0, exemplars: 0 };
  const written = () => counts.samples + counts.histograms;
  const done = (next: number, oversizedBytes?: number): EncodedWrite => ({
    body: written() === 0 ? NOTHING : message.finish(),
    next,
    counts,
    ...(oversizedBytes !== undefined && { oversizedBytes }),
  });

  if (from === 0 && batch.resource !== undefined) pointWriter(batch.resource, batch, message, counts)(0);
  const preamble = written();
  for (const { from: start, series } of batch.series) {
    const end = Math.min(to - start, series.metric.length);
    let write: ((row: number) => void) | undefined;
    for (let row = Math.max(from - start, 0); row < end; row++) {
      if (row % POINTS_PER_STEP === 0) yield;
      if (series.left?.has(row)) continue;
      write ??= pointWriter(series, batch, message, counts);
      const { samples, histograms, exemplars } = counts;
      const isAlone = written() === preamble;
      message.mark();
      write(row);
      if (message.size <= maxBytes && written() <= maxSamples) continue;
      if (isAlone && message.size <= maxBytes) return done(start + row + 1);
      const bytes = message.size;
      message.rollback();
      Object.assign(counts, { samples, histograms, exemplars });
      // What came before it and has no place is done, so the request is that of this point, or ends before it.
      return isAlone && start + row === from ? done(start + row + 1, bytes) : done(start + row);
    }
  }
  return done(to);
}

function pointWriter(
  series: SeriesMetric,
  batch: RemoteWriteBatch,
  message: RemoteWriteMessage,
  counts: WriteCounts,
): (row: number) => void {
  const { metric } = series;
  const endMillis = sameMillis(metric.endTimes, batch.timeOf);
  const startMillis = wholeMillis(metric.startTimes);
  // A gauge has no beginning, whatever it was in Prometheus.
  const hasStart = metric.dataPointType !== DataPointType.GAUGE && series.type !== 'gauge';
  const exemplarsAt = batch.isStale ? undefined : metric.exemplars;

  function timed(row: number, isBegun: boolean): void {
    const time = endMillis(row);
    const start = isBegun ? startMillis(row) : 0;
    message.at(time, start < time ? start : 0);
  }

  function begun(row: number): OwnLabels {
    timed(row, hasStart);
    return message.labelsOf(series, metric.attributes[row]!);
  }

  function write(exemplars: readonly RemoteExemplar[]): void {
    for (const { labels, value, time } of exemplars) {
      message.exemplar(labels, value, time);
      counts.exemplars++;
    }
  }

  function one(plans: Plans, own: OwnLabels, value: number): void {
    message.begin(plans(own.names), own);
    message.sample(value);
    counts.samples++;
    message.end(series);
  }

  switch (metric.dataPointType) {
    case DataPointType.EXPONENTIAL_HISTOGRAM: {
      const nativeAt = nativeHistograms(metric);
      return (row) => {
        const own = begun(row);
        message.begin(series.plans(own.names), own);
        message.histogram(nativeAt(row));
        counts.histograms++;
        write(exemplarsOf(exemplarsAt, row));
        message.end(series);
      };
    }
    case DataPointType.HISTOGRAM: {
      const { bounds, labels, bucket, sum, count } = series.buckets!;
      const { bucketCounts, counts: totals, sums } = metric;
      const width = bounds.length;
      return (row) => {
        const own = begun(row);
        const plan = bucket(own.names);
        const exemplars = exemplarsOf(exemplarsAt, row);
        const total = totals[row]!;
        let cumulative = 0;
        for (let b = 0; b < width; b++) {
          cumulative += bucketCounts[row * width + b]!;
          message.begin(plan, own, labels[b]);
          message.sample(b === width - 1 ? total : cumulative);
          // Exemplars belong to the bucket that they fell into.
          if (exemplars.length > 0) write(exemplars.filter(({ value }) => bucketOf(bounds, value) === b));
          message.end(series);
        }
        counts.samples += width;
        // NaN means that no sum was kept, as for instruments that record negative values.
        if (batch.isStale || !Number.isNaN(sums[row]!)) one(sum, own, sums[row]!);
        one(count, own, total);
      };
    }
    case SUMMARY: {
      const { labels, sum, count } = series.quantiles!;
      const { quantileValues, counts: totals, sums } = metric;
      const width = labels.length;
      return (row) => {
        const own = begun(row);
        const plan = series.plans(own.names);
        // A quantile did not begin at zero, as a sum did.
        timed(row, false);
        for (let q = 0; q < width; q++) {
          message.begin(plan, own, labels[q]);
          message.sample(quantileValues[row * width + q]!);
          message.end(series);
        }
        counts.samples += width;
        timed(row, hasStart);
        // NaN means that it is not known.
        if (batch.isStale || !Number.isNaN(sums[row]!)) one(sum, own, sums[row]!);
        if (batch.isStale || !Number.isNaN(totals[row]!)) one(count, own, totals[row]!);
      };
    }
    default:
      return (row) => {
        const own = begun(row);
        message.begin(series.plans(own.names), own);
        message.sample(metric.values[row]!);
        counts.samples++;
        write(exemplarsOf(exemplarsAt, row));
        message.end(series);
      };
  }
}

/** Bounds are inclusive. NaN, which is in no bucket, counts as beyond the last one. */
function bucketOf(bounds: readonly number[], value: number): number {
  const bucket = bounds.findIndex((bound) => value <= bound);
  return bucket < 0 ? bounds.length - 1 : bucket;
}

export function floorMillis(nanos: bigint): number {
  return Number(nanos / 1_000_000n);
}

/** The points of a collection have one time, and a bigint takes longer than all else of a sample. */
function sameMillis(nanos: BigUint64Array, toMillis: (nanos: bigint) => number): (row: number) => number {
  const halves = new Uint32Array(nanos.buffer, nanos.byteOffset, 2 * nanos.length);
  let low = -1;
  let high = -1;
  let millis = 0;
  return (row) => {
    if (halves[2 * row] !== low || halves[2 * row + 1] !== high) {
      low = halves[2 * row]!;
      high = halves[2 * row + 1]!;
      millis = toMillis(nanos[row]!);
    }
    return millis;
  };
}

interface RemoteExemplar {
  readonly labels: readonly Label[];
  readonly value: number;
  readonly time: number;
}

/** In the order of time, as Prometheus wants them. */
function exemplarsOf(columns: ExemplarColumns | undefined, row: number): readonly RemoteExemplar[] {
  if (columns === undefined || columns.starts[row] === columns.starts[row + 1]) return NO_EXEMPLARS;
  const exemplars: RemoteExemplar[] = [];
  for (let at = columns.starts[row]!; at < columns.starts[row + 1]!; at++) {
    exemplars.push({
      labels: exemplarLabels(columns, at, CLASSIC)
        .filter(([, text]) => text !== '')
        .map(([name, text]) => ({ name, value: byteString(text) }))
        .sort(byName),
      value: columns.values[at]!,
      time: floorMillis(columns.times[at]!),
    });
  }
  return exemplars.sort((a, b) => a.time - b.time);
}
