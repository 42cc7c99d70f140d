// A batch as requests of Prometheus's remote write.
import type { ExemplarColumns } from '../data/metric-batch.ts';
import { DataPointType } from '../data/metric-data.ts';
import { goFloat } from './go-float.ts';
import { nativeHistograms } from './native-histogram.ts';
import type { EncodedRequest, RequestRange } from './otlp-request.ts';
import { exemplarLabels } from './prometheus-exemplars.ts';
import { labelNaming } from './prometheus-label-shape.ts';
import { byteString } from './prometheus-labels.ts';
import { byName, type Label, type OwnLabels } from './remote-write-labels.ts';
import {
  type RemoteWriteMessage,
  type RemoteWriteVersion,
  remoteWriteMessage,
  type SampleTime,
  type SampleValue,
  STALE,
} from './remote-write-message.ts';
import type { Plans, PreparedSeries, SeriesMetric } from './remote-write-series.ts';

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

/** As `EncodeRequest` of OTLP, for the points of a prepared batch. The body is empty where none of them has a place. */
export function* encodeRemoteWrite(
  batch: RemoteWriteBatch,
  { from, to, maxBytes, maxSamples, version }: RemoteWriteRange,
): Generator<void, EncodedWrite> {
  const message = remoteWriteMessage(version);
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
  const endMillis = millisColumn(metric.endTimes, batch.timeOf);
  const startMillis = millisColumn(metric.startTimes, floorMillis);
  // A gauge has no beginning.
  const hasStart = series.type !== 'gauge';
  const exemplarsAt = batch.isStale ? undefined : metric.exemplars;

  function timeAt(row: number): SampleTime {
    const time = endMillis(row);
    const start = hasStart ? startMillis(row) : 0;
    return { time, start: start < time ? start : 0 };
  }

  function one(plans: Plans, own: OwnLabels, value: SampleValue, time: SampleTime): void {
    message.begin(plans(own.names), own);
    message.sample(value, time);
    counts.samples++;
    message.end(series);
  }

  switch (metric.dataPointType) {
    case DataPointType.EXPONENTIAL_HISTOGRAM: {
      const nativeAt = nativeHistograms(metric);
      return (row) => {
        const own = series.ownLabels(metric.attributes[row]!);
        message.begin(series.plans(own.names), own);
        message.histogram(nativeAt(row), batch.isStale, timeAt(row));
        counts.histograms++;
        for (const exemplar of exemplarsOf(exemplarsAt, row)) {
          message.exemplar(exemplar.labels, exemplar.value, exemplar.time);
          counts.exemplars++;
        }
        message.end(series);
      };
    }
    case DataPointType.HISTOGRAM: {
      const bounds = [...metric.boundaries, Number.POSITIVE_INFINITY];
      const labels = bounds.map((bound): Label => ({ name: 'le', value: goFloat(bound) }));
      const { bucket, sum, count } = series.buckets!;
      return (row) => {
        const own = series.ownLabels(metric.attributes[row]!);
        const time = timeAt(row);
        const plan = bucket(own.names);
        const exemplars = exemplarsOf(exemplarsAt, row);
        let nextExemplar = 0;
        // Exemplars belong to the bucket that they fell into, and each bucket wants its own in the order of time.
        if (exemplars.length > 1)
          exemplars.sort((a, b) => bucketOf(bounds, a.value) - bucketOf(bounds, b.value) || a.time - b.time);
        let cumulative = 0;
        for (let b = 0; b < bounds.length; b++) {
          cumulative += metric.bucketCounts[row * bounds.length + b]!;
          const value = b === bounds.length - 1 ? metric.counts[row]! : cumulative;
          message.begin(plan, own, labels[b]);
          message.sample(batch.isStale ? STALE : value, time);
          counts.samples++;
          for (
            ;
            nextExemplar < exemplars.length && bucketOf(bounds, exemplars[nextExemplar]!.value) === b;
            nextExemplar++
          ) {
            const exemplar = exemplars[nextExemplar]!;
            message.exemplar(exemplar.labels, exemplar.value, exemplar.time);
            counts.exemplars++;
          }
          message.end(series);
        }
        const total = metric.sums[row]!;
        const all = metric.counts[row]!;
        // NaN means that no sum was kept, as for instruments that record negative values.
        if (batch.isStale || !Number.isNaN(total)) one(sum, own, batch.isStale ? STALE : total, time);
        one(count, own, batch.isStale ? STALE : all, time);
      };
    }
    default:
      return (row) => {
        const own = series.ownLabels(metric.attributes[row]!);
        message.begin(series.plans(own.names), own);
        message.sample(batch.isStale ? STALE : metric.values[row]!, timeAt(row));
        counts.samples++;
        for (const exemplar of exemplarsOf(exemplarsAt, row)) {
          message.exemplar(exemplar.labels, exemplar.value, exemplar.time);
          counts.exemplars++;
        }
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

/** Points mostly have the time of the one before, and a bigint division takes longer than all else of a sample. */
function millisColumn(nanos: BigUint64Array, toMillis: (nanos: bigint) => number): (row: number) => number {
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
function exemplarsOf(columns: ExemplarColumns | undefined, row: number): RemoteExemplar[] {
  if (columns === undefined) return [];
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
  return exemplars.length > 1 ? exemplars.sort((a, b) => a.time - b.time) : exemplars;
}
