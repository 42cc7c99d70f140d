// Where the points of a metric go that is merged into a newer one: those of the newer keep their rows, further ones follow.
import { AttributeSet, encodedForm } from './attribute-set.ts';
import { report } from './diagnostics.ts';
import type { PointColumns } from './metric-batch.ts';

export interface JoinedRows {
  /** By row. */
  readonly attributes: AttributeSet[];
  /** By older point: its row. */
  readonly target: Uint32Array;
  /** By older point: 1 when nothing was in its row before it. */
  readonly isFirst: Uint8Array;
}

/**
 * Points of a metric that are kept apart while a backend is down. It bounds the memory when each window has new series.
 */
const MAX_KEPT = 10_000;

const OVERFLOW = AttributeSet.from({ 'otel.metric.overflow': true });

/** A text that is the same for equal attributes and differs for all others. */
export const contentKey = encodedForm((set: AttributeSet) =>
  JSON.stringify([set.keys, set.values.map(tagged)]),
);

/** With its type, because JSON has the same text for NaN, undefined and null. */
function tagged(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(tagged);
  return typeof value === 'object' && value !== null ? { value } : `${typeof value}:${String(value)}`;
}

export function joinRows(older: PointColumns, newer: PointColumns): JoinedRows {
  const attributes = [...newer.attributes];
  const target = new Uint32Array(older.length);
  const isFirst = new Uint8Array(older.length);
  const rowOfSet = new Map(attributes.map((set, row) => [set, row]));
  let rowOfContent: Map<string, number> | undefined;
  const rowOf = (set: AttributeSet): number | undefined => {
    const row = rowOfSet.get(set);
    // Released since, or never interned: an equal set is then another object.
    if (row !== undefined || set.id >= 0) return row;
    rowOfContent ??= new Map(attributes.map((other, i) => [contentKey(other), i]));
    return rowOfContent.get(contentKey(set));
  };
  older.attributes.forEach((set, point) => {
    let own = set;
    let row = rowOf(set);
    if (row === undefined && attributes.length >= MAX_KEPT) {
      own = OVERFLOW;
      row = rowOf(OVERFLOW);
    }
    if (row === undefined) {
      if (own === OVERFLOW) reportFull(newer.descriptor.name);
      row = attributes.push(own) - 1;
      isFirst[point] = 1;
      rowOfContent?.set(contentKey(own), row);
    }
    target[point] = row;
  });
  return { attributes, target, isFirst };
}

function reportFull(name: string): void {
  report(
    'warn',
    `delta-backlog:${name}`,
    `${name}: more than ${MAX_KEPT} series wait for a backend that fails; further ones are counted together ` +
      'under otel.metric.overflow=true',
  );
}
