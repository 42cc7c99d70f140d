// Exemplars as Prometheus takes them: one for each counter and bucket, with few labels.
import type { ExemplarColumns } from '../data/metric-batch.ts';
import type { LabelNaming } from './prometheus-label-shape.ts';
import { valueText } from './prometheus-labels.ts';

/** OpenMetrics: characters in all names and values of an exemplar's labels. */
const MAX_CHARACTERS = 128;

export type ExemplarLabel = readonly [name: string, text: string];

/** The latest exemplar of a point; undefined when it has none. */
export function latestExemplar(columns: ExemplarColumns, point: number): number | undefined {
  let latest: number | undefined;
  for (let at = columns.starts[point]!; at < columns.starts[point + 1]!; at++) {
    if (latest === undefined || columns.times[at]! > columns.times[latest]!) latest = at;
  }
  return latest;
}

/** The latest exemplar in each bucket of a point, by bucket; undefined when the point has none. */
export function exemplarPerBucket(
  columns: ExemplarColumns,
  point: number,
  boundaries: readonly number[],
): (number | undefined)[] | undefined {
  const first = columns.starts[point]!;
  const end = columns.starts[point + 1]!;
  if (first === end) return undefined;
  const latest = new Array<number | undefined>(boundaries.length + 1).fill(undefined);
  for (let at = first; at < end; at++) {
    const value = columns.values[at]!;
    // NaN is in no bucket.
    if (Number.isNaN(value)) continue;
    const found = boundaries.findIndex((bound) => value <= bound);
    const bucket = found < 0 ? boundaries.length : found;
    const before = latest[bucket];
    if (before === undefined || columns.times[at]! > columns.times[before]!) latest[bucket] = at;
  }
  return latest;
}

/**
 * Trace and span first; the attributes that a View took from the point follow if all of them fit. An attribute never
 * takes the place of the two.
 */
export function exemplarLabels(
  { traceIds, spanIds, filteredAttributes }: ExemplarColumns,
  at: number,
  { nameOf }: LabelNaming,
): ExemplarLabel[] {
  const ids: ExemplarLabel[] = [];
  const traceId = traceIds[at];
  const spanId = spanIds[at];
  if (traceId !== undefined) ids.push(['trace_id', traceId]);
  if (spanId !== undefined) ids.push(['span_id', spanId]);

  const attributes = new Map<string, string>();
  for (const key of Object.keys(filteredAttributes[at]!).sort()) {
    const value = filteredAttributes[at]![key];
    const name = nameOf(key);
    if (value == null || ids.some(([id]) => id === name)) continue;
    const before = attributes.get(name);
    attributes.set(name, before === undefined ? valueText(value) : `${before};${valueText(value)}`);
  }
  const all = [...ids, ...attributes];
  let room = MAX_CHARACTERS;
  for (const [name, text] of all) {
    room -= name.length;
    for (const _ of text) {
      // A value may be a megabyte.
      if (--room < 0) return ids;
    }
  }
  return room < 0 ? ids : all;
}
