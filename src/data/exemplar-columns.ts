// Exemplars of all points of a metric, as columns: an export of 100 k series with one each makes no object for them.
import { type Attributes, isValidSpanId, isValidTraceId } from '@opentelemetry/api';
import { fromHrTime, toHrTime } from './hr-time.ts';
import type { Exemplar } from './metric-data.ts';

/** Exemplars of all points: point `i` owns the elements `starts[i]` … `starts[i + 1] - 1` of the other columns. */
export interface ExemplarColumns {
  /** `length + 1` elements. */
  readonly starts: Uint32Array;
  readonly values: Float64Array;
  /** Nanoseconds since the Unix epoch. */
  readonly times: BigUint64Array;
  /** The attributes that a View removed from the point: frozen objects, {@link NO_FILTERED_ATTRIBUTES} for none. */
  readonly filteredAttributes: readonly Attributes[];
  /** Lower-case hex, 32 digits; undefined without a valid span. */
  readonly traceIds: readonly (string | undefined)[];
  /** Lower-case hex, 16 digits; undefined without a valid span. */
  readonly spanIds: readonly (string | undefined)[];
}

export const NO_FILTERED_ATTRIBUTES: Attributes = Object.freeze({});

/** OpenTelemetry's objects, by point, to columns; undefined when there are none. */
export function toExemplarColumns(
  byPoint: readonly (readonly Exemplar[] | undefined)[],
): ExemplarColumns | undefined {
  const starts = new Uint32Array(byPoint.length + 1);
  byPoint.forEach((exemplars, i) => void (starts[i + 1] = starts[i]! + (exemplars?.length ?? 0)));
  const all = byPoint.flatMap((exemplars) => exemplars ?? []);
  if (all.length === 0) return undefined;
  // A trace without its span, or the other way round, is nothing that a backend could show.
  const isTraced = all.map(({ traceId, spanId }) => isValidTraceId(traceId!) && isValidSpanId(spanId!));
  return {
    starts,
    values: Float64Array.from(all, ({ value }) => value),
    times: BigUint64Array.from(all, ({ timestamp }) => fromHrTime(timestamp)),
    filteredAttributes: all.map(({ filteredAttributes }) => frozenCopy(filteredAttributes)),
    traceIds: all.map(({ traceId }, i) => (isTraced[i] ? traceId!.toLowerCase() : undefined)),
    spanIds: all.map(({ spanId }, i) => (isTraced[i] ? spanId!.toLowerCase() : undefined)),
  };
}

function frozenCopy(attributes: Attributes | undefined): Attributes {
  const copy = Object.freeze({ ...attributes });
  return Object.keys(copy).length === 0 ? NO_FILTERED_ATTRIBUTES : copy;
}

/** The exemplars of one point as OpenTelemetry's objects; undefined when it has none. */
export function exemplarsOf(columns: ExemplarColumns | undefined, point: number): Exemplar[] | undefined {
  if (columns === undefined) return undefined;
  const first = columns.starts[point]!;
  const length = columns.starts[point + 1]! - first;
  return length === 0 ? undefined : Array.from({ length }, (_, k) => exemplarAt(columns, first + k));
}

function exemplarAt(columns: ExemplarColumns, at: number): Exemplar {
  const traceId = columns.traceIds[at];
  const spanId = columns.spanIds[at];
  return {
    value: columns.values[at]!,
    timestamp: toHrTime(columns.times[at]!),
    filteredAttributes: columns.filteredAttributes[at]!,
    ...(traceId !== undefined && spanId !== undefined && { traceId, spanId }),
  };
}

/** Those of the points `from` to `to - 1`; undefined when they have none. */
export function sliceExemplars(
  columns: ExemplarColumns,
  from: number,
  to: number,
): ExemplarColumns | undefined {
  const first = columns.starts[from]!;
  const end = columns.starts[to]!;
  if (first === end) return undefined;
  return {
    starts: columns.starts.subarray(from, to + 1).map((start) => start - first),
    values: columns.values.subarray(first, end),
    times: columns.times.subarray(first, end),
    filteredAttributes: columns.filteredAttributes.slice(first, end),
    traceIds: columns.traceIds.slice(first, end),
    spanIds: columns.spanIds.slice(first, end),
  };
}

/** Exemplars of a merged point: as many as the largest reservoir holds by default, more when the newer part has more. */
const MAX_MERGED = 20;

/**
 * Those of two batches in one, the newer ones first.
 *
 * @param length how many points there are; the first ones are the newer ones
 * @param target by older point, the point that it becomes part of
 */
export function mergeExemplars(
  older: ExemplarColumns | undefined,
  newer: ExemplarColumns | undefined,
  length: number,
  target: Uint32Array,
): ExemplarColumns | undefined {
  if (older === undefined && newer === undefined) return undefined;
  const sources: [ExemplarColumns, (point: number) => number][] = [];
  if (newer) sources.push([newer, (point) => point]);
  if (older) sources.push([older, (point) => target[point]!]);
  const starts = new Uint32Array(length + 1);
  for (const [columns, pointOf] of sources) {
    for (let point = 0; point + 1 < columns.starts.length; point++) {
      starts[pointOf(point) + 1]! += columns.starts[point + 1]! - columns.starts[point]!;
    }
  }
  for (let point = 0; point < length; point++) {
    const own =
      newer && point + 1 < newer.starts.length ? newer.starts[point + 1]! - newer.starts[point]! : 0;
    starts[point + 1] = starts[point]! + Math.min(starts[point + 1]!, Math.max(MAX_MERGED, own));
  }
  const count = starts[length]!;
  const columns = {
    starts,
    values: new Float64Array(count),
    times: new BigUint64Array(count),
    filteredAttributes: new Array<Attributes>(count),
    traceIds: new Array<string | undefined>(count),
    spanIds: new Array<string | undefined>(count),
  };
  const next = starts.slice(0, length);
  for (const [source, pointOf] of sources) {
    for (let point = 0; point + 1 < source.starts.length; point++) {
      const to = pointOf(point);
      for (
        let at = source.starts[point]!;
        at < source.starts[point + 1]! && next[to]! < starts[to + 1]!;
        at++
      ) {
        const place = next[to]!++;
        columns.values[place] = source.values[at]!;
        columns.times[place] = source.times[at]!;
        columns.filteredAttributes[place] = source.filteredAttributes[at]!;
        columns.traceIds[place] = source.traceIds[at];
        columns.spanIds[place] = source.spanIds[at];
      }
    }
  }
  return columns;
}
