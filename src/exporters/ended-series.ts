// Which series were there and are no more.
import type { AttributeSet } from '../data/attribute-set.ts';
import { MetricBatch, type MetricColumns, type ScopeColumns } from '../data/metric-batch.ts';
import type { Resource } from '../data/resource.ts';
import { zeroPoints } from '../data/zero-points.ts';
import { BlockSet } from '../encoding/prometheus-duplicates.ts';
import { attributeLabels } from '../encoding/prometheus-labels.ts';

type Scope = ScopeColumns['scope'];

/** A metric without its numbers, whose memory is used again once the batch has been delivered. */
interface Piece {
  readonly scope: Scope;
  readonly nanos: bigint;
  readonly sets: readonly AttributeSet[];
  /** The metric with other series, all of them zero. */
  readonly withSets: (sets: readonly AttributeSet[]) => MetricColumns;
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

/** Holds the attribute sets of the last two collections, and compares attribute sets by identity where they are the provider's. */
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
   * Takes note of a batch. What a collection ended is known once the next one begins, because it may come in several batches,
   * and with metrics of producers that have times of their own: the next one begins where a metric comes again with a later
   * time. One that comes with an earlier time is of a queue and says nothing; nor does a batch that is tried again.
   *
   * @returns the series that ended with the collection before
   */
  *see(batch: MetricBatch): Generator<void, Ended | undefined> {
    const found: [key: string, piece: Piece][] = [];
    for (const { scope, metrics } of batch.scopeMetrics) {
      for (const metric of metrics) {
        if (metric.length > 0)
          found.push([keyOf(this.#byScope ? scope : undefined, metric), pieceOf(scope, metric)]);
      }
    }
    const [first] = found;
    if (first === undefined) return undefined;
    let ended: Ended | undefined;
    const order = this.#latest === undefined ? 1 : this.#orderOf(batch.resource, found, this.#latest);
    if (order < 0) return undefined;
    if (order > 0) {
      ended = yield* this.ended();
      this.#before = this.#latest;
      this.#latest = { nanos: first[1].nanos, resource: batch.resource, pieces: new Map() };
    }
    for (const [key, piece] of found) {
      const pieces = this.#latest!.pieces.get(key);
      if (pieces === undefined) this.#latest!.pieces.set(key, [piece]);
      else if (!pieces.some(({ sets }) => sets === piece.sets)) pieces.push(piece);
    }
    return ended;
  }

  /** Above 0 when they are of a later collection, 0 when they are of this one. */
  #orderOf(resource: Resource, found: readonly [string, Piece][], collection: Collection): number {
    if (this.#areApart(resource, collection.resource)) return 1;
    for (const [key, piece] of found) {
      const known = collection.pieces.get(key)?.[0];
      if (known !== undefined) return Number(piece.nanos - known.nanos);
    }
    return 0;
  }

  #areApart(one: Resource, other: Resource): boolean {
    return one !== other && this.#identityOf(one) !== this.#identityOf(other);
  }

  /** The series of the collection before that the latest one has not. */
  *ended(): Generator<void, Ended | undefined> {
    const before = this.#before;
    const latest = this.#latest;
    if (before === undefined || latest === undefined) return undefined;
    const withResource = this.#areApart(before.resource, latest.resource);
    const scopes: ScopeColumns[] = [];
    for (const [key, pieces] of before.pieces) {
      const present = withResource ? [] : (latest.pieces.get(key) ?? []);
      for (const [p, { scope, sets, withSets }] of pieces.entries()) {
        const rows = yield* absentRows(sets, p, present);
        for (let from = 0; from < rows.length; from += ROWS_PER_STEP) {
          yield;
          const some = rows.slice(from, from + ROWS_PER_STEP).map((row) => sets[row]!);
          scopes.push({ scope, metrics: [withSets(some)] });
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
      [...pieces.values()].flat().map(({ scope, sets, withSets }) => ({ scope, metrics: [withSets(sets)] })),
    );
  }
}

function* absentRows(
  sets: readonly AttributeSet[],
  piece: number,
  present: readonly Piece[],
): Generator<void, number[]> {
  const beside = present[piece]?.sets ?? [];
  // As long as no series begins or ends.
  if (beside === sets) return [];
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
  for (const { sets } of pieces) {
    for (const [i, set] of sets.entries()) {
      if (i % ROWS_PER_STEP === ROWS_PER_STEP - 1) yield;
      visit(set);
    }
  }
}

function pieceOf(scope: Scope, metric: MetricColumns): Piece {
  return { scope, nanos: metric.endTimes[0]!, sets: metric.attributes, withSets: zeroPoints(metric) };
}

function keyOf(scope: Scope | undefined, { descriptor, dataPointType }: MetricColumns): string {
  return JSON.stringify([
    scope && [scope.name, scope.version, scope.schemaUrl, scope.attributes],
    descriptor.name,
    descriptor.unit,
    dataPointType,
  ]);
}
