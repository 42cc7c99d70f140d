// Which series were there and are no more.
import type { AttributeSet } from '../data/attribute-set.ts';
import { MetricBatch, type MetricColumns, type ScopeColumns } from '../data/metric-batch.ts';
import type { Resource } from '../data/resource.ts';
import { selectPoints } from '../data/select-points.ts';
import { BlockSet } from '../encoding/prometheus-duplicates.ts';
import { attributeLabels } from '../encoding/prometheus-labels.ts';

type Scope = ScopeColumns['scope'];

interface Piece {
  readonly scope: Scope;
  readonly metric: MetricColumns;
}

/** The metrics of one collection; a reader may export it in several batches. */
interface Collection {
  readonly nanos: bigint;
  readonly resource: Resource;
  readonly pieces: Map<string, Piece[]>;
}

export interface Ended {
  readonly batch: MetricBatch;
  /** The time of the first collection without them, in nanoseconds since the Unix epoch. */
  readonly nanos: bigint;
  /** Whether what is there now has other labels of its resource, so that the old ones ended too. */
  readonly withResource: boolean;
}

const ROWS_PER_STEP = 4_096;

/** Holds the columns of the last two collections, and compares attribute sets by identity where they are the provider's. */
export class EndedSeries {
  readonly #byScope: boolean;
  readonly #identityOf: (resource: Resource) => string;
  #before: Collection | undefined;
  #latest: Collection | undefined;

  /**
   * @param byScope whether series of different scopes are different ones, because their labels tell the scope
   * @param identityOf what labels all series of a resource have; a queue may bring those of an earlier process
   */
  constructor(byScope: boolean, identityOf: (resource: Resource) => string) {
    this.#byScope = byScope;
    this.#identityOf = identityOf;
  }

  /**
   * Takes note of a batch. What a collection ended is known once the next one begins, because it may come in several batches.
   * A batch that is older than the latest collection comes from a queue and says nothing. Nor does one that is tried again.
   *
   * @returns the series that ended with the collection before
   */
  *see(batch: MetricBatch): Generator<void, Ended | undefined> {
    const nanos = timeOf(batch);
    if (nanos === undefined || (this.#latest !== undefined && nanos < this.#latest.nanos)) return undefined;
    let ended: Ended | undefined;
    if (nanos !== this.#latest?.nanos) {
      ended = yield* this.ended();
      this.#before = this.#latest;
      this.#latest = { nanos, resource: batch.resource, pieces: new Map() };
    }
    for (const { scope, metrics } of batch.scopeMetrics) {
      for (const metric of metrics) {
        const key = keyOf(this.#byScope ? scope : undefined, metric);
        const pieces = this.#latest!.pieces.get(key);
        if (pieces === undefined) this.#latest!.pieces.set(key, [{ scope, metric }]);
        else if (!pieces.some((piece) => piece.metric === metric)) pieces.push({ scope, metric });
      }
    }
    return ended;
  }

  /** The series of the collection before that the latest one has not. */
  *ended(): Generator<void, Ended | undefined> {
    const before = this.#before;
    const latest = this.#latest;
    if (before === undefined || latest === undefined) return undefined;
    const withResource =
      before.resource !== latest.resource &&
      this.#identityOf(before.resource) !== this.#identityOf(latest.resource);
    const scopes: ScopeColumns[] = [];
    for (const [key, pieces] of before.pieces) {
      const present = withResource ? [] : (latest.pieces.get(key) ?? []);
      for (const [p, { scope, metric }] of pieces.entries()) {
        const rows = yield* absentRows(metric.attributes, p, present);
        for (let from = 0; from < rows.length; from += ROWS_PER_STEP) {
          yield;
          const some = Uint32Array.from(rows.slice(from, from + ROWS_PER_STEP));
          scopes.push({ scope, metrics: [selectPoints(metric, some)] });
        }
      }
    }
    if (scopes.length === 0) return undefined;
    return { batch: new MetricBatch(before.resource, scopes), nanos: latest.nanos, withResource };
  }

  /** All series of the latest collection, if there was one. */
  present(): MetricBatch | undefined {
    if (this.#latest === undefined) return undefined;
    const { resource, pieces } = this.#latest;
    return new MetricBatch(
      resource,
      [...pieces.values()].flat().map(({ scope, metric }) => ({ scope, metrics: [metric] })),
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
  // Not in a `Set`, which stops everything for milliseconds each time that it grows.
  const byId: AttributeSet[] = [];
  yield* forEachSet(present, (set) => {
    if (set.id >= 0) byId[set.id] = set;
  });
  const absent: number[] = [];
  const labels = new BlockSet();
  for (const [i, row] of moved.entries()) {
    if (i % ROWS_PER_STEP === ROWS_PER_STEP - 1) yield;
    const set = sets[row]!;
    if (set.id >= 0 && byId[set.id] === set) continue;
    absent.push(row);
    labels.add(attributeLabels(set));
  }
  if (absent.length === 0) return absent;
  // Another SDK makes new sets each time, and a series may have come back: the labels decide.
  yield* forEachSet(present, (set) => labels.delete(attributeLabels(set)));
  return absent.filter((row) => labels.has(attributeLabels(sets[row]!)));
}

function* forEachSet(pieces: readonly Piece[], visit: (set: AttributeSet) => void): Generator<void, void> {
  for (const { metric } of pieces) {
    for (const [i, set] of metric.attributes.entries()) {
      if (i % ROWS_PER_STEP === ROWS_PER_STEP - 1) yield;
      visit(set);
    }
  }
}

function timeOf({ scopeMetrics }: MetricBatch): bigint | undefined {
  for (const { metrics } of scopeMetrics)
    for (const { endTimes } of metrics) if (endTimes.length > 0) return endTimes[0];
  return undefined;
}

function keyOf(scope: Scope | undefined, { descriptor, dataPointType }: MetricColumns): string {
  return JSON.stringify([
    scope && [scope.name, scope.version, scope.schemaUrl, scope.attributes],
    descriptor.name,
    descriptor.unit,
    dataPointType,
  ]);
}
