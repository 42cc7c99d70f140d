// Which series were there and are no more.
import type { AttributeSet } from '../data/attribute-set.ts';
import { MetricBatch, type MetricColumns, type ScopeColumns } from '../data/metric-batch.ts';
import type { Resource } from '../data/resource.ts';
import { selectPoints } from '../data/select-points.ts';
import { attributeLabels } from '../encoding/prometheus-labels.ts';

type Scope = ScopeColumns['scope'];

interface Piece {
  readonly scope: Scope;
  readonly metric: MetricColumns;
}

/** The metrics of one collection; a reader may export it in several batches. */
interface Collection {
  readonly nanos: bigint;
  readonly pieces: Map<string, Piece[]>;
}

export interface Ended {
  readonly batch: MetricBatch;
  /** The time of the first collection without them, in nanoseconds since the Unix epoch. */
  readonly nanos: bigint;
}

const ROWS_PER_STEP = 4_096;

/** Holds the columns of the last two collections, and compares attribute sets by identity where they are the provider's. */
export class EndedSeries {
  #before: Collection | undefined;
  #latest: Collection | undefined;

  /**
   * Takes note of a batch. What a collection ended is known once the next one begins, because it may come in several batches.
   * A batch that is older than the latest collection comes from a queue and says nothing.
   *
   * @returns the series that ended with the collection before
   */
  *see(batch: MetricBatch): Generator<void, Ended | undefined> {
    const nanos = timeOf(batch);
    if (nanos === undefined || (this.#latest !== undefined && nanos < this.#latest.nanos)) return undefined;
    let ended: Ended | undefined;
    if (nanos !== this.#latest?.nanos) {
      ended = yield* this.ended(batch.resource);
      this.#before = this.#latest;
      this.#latest = { nanos, pieces: new Map() };
    }
    for (const { scope, metrics } of batch.scopeMetrics) {
      for (const metric of metrics) {
        const key = keyOf(scope, metric);
        const pieces = this.#latest!.pieces.get(key);
        if (pieces === undefined) this.#latest!.pieces.set(key, [{ scope, metric }]);
        else pieces.push({ scope, metric });
      }
    }
    return ended;
  }

  /** The series of the collection before that the latest one has not. */
  *ended(resource: Resource): Generator<void, Ended | undefined> {
    const before = this.#before;
    const latest = this.#latest;
    if (before === undefined || latest === undefined) return undefined;
    const scopes: ScopeColumns[] = [];
    for (const [key, pieces] of before.pieces) {
      const present = latest.pieces.get(key) ?? [];
      for (const [p, { scope, metric }] of pieces.entries()) {
        const rows = yield* absentRows(metric.attributes, p, present);
        if (rows.length > 0) scopes.push({ scope, metrics: [selectPoints(metric, Uint32Array.from(rows))] });
      }
    }
    return scopes.length === 0
      ? undefined
      : { batch: new MetricBatch(resource, scopes), nanos: latest.nanos };
  }

  /** All series of the latest collection. */
  present(resource: Resource): MetricBatch {
    const pieces = [...(this.#latest?.pieces.values() ?? [])].flat();
    return new MetricBatch(
      resource,
      pieces.map(({ scope, metric }) => ({ scope, metrics: [metric] })),
    );
  }
}

function* absentRows(
  sets: readonly AttributeSet[],
  piece: number,
  present: readonly Piece[],
): Generator<void, number[]> {
  const beside = present[piece]?.metric.attributes ?? [];
  // Series keep their rows, so mostly nothing has moved.
  const moved: number[] = [];
  for (let i = 0; i < sets.length; i++) {
    if (i % ROWS_PER_STEP === ROWS_PER_STEP - 1) yield;
    if (sets[i] !== beside[i]) moved.push(i);
  }
  if (moved.length === 0) return moved;
  const known = new Set<AttributeSet>();
  for (const { metric } of present) {
    for (const set of metric.attributes) {
      if (known.size % ROWS_PER_STEP === ROWS_PER_STEP - 1) yield;
      known.add(set);
    }
  }
  const absent = moved.filter((row) => !known.has(sets[row]!));
  if (absent.length === 0) return absent;
  // Another SDK makes new sets each time, and a series may have come back: the labels decide.
  const labels = new Set<string>();
  for (const set of known) {
    if (labels.size % ROWS_PER_STEP === ROWS_PER_STEP - 1) yield;
    labels.add(attributeLabels(set));
  }
  return absent.filter((row) => !labels.has(attributeLabels(sets[row]!)));
}

function timeOf({ scopeMetrics }: MetricBatch): bigint | undefined {
  for (const { metrics } of scopeMetrics)
    for (const { endTimes } of metrics) if (endTimes.length > 0) return endTimes[0];
  return undefined;
}

function keyOf(scope: Scope, { descriptor, dataPointType }: MetricColumns): string {
  const { name, version, schemaUrl, attributes } = scope;
  return JSON.stringify([
    name,
    version,
    schemaUrl,
    attributes,
    descriptor.name,
    descriptor.unit,
    dataPointType,
  ]);
}
