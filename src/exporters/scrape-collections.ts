// Collections that scrapers share, and a bound for those that slow scrapers hold in memory.
import { setMaxListeners } from 'node:events';
import { report } from '../data/diagnostics.ts';
import type { MetricBatch } from '../data/metric-batch.ts';

/** A collection in use by a scrape. */
export interface HeldBatch {
  readonly batch: MetricBatch;
  /** Aborted when the scrape has to end, because it has been slow for so long that many newer ones wait. */
  readonly signal: AbortSignal;
  /** Says that it is no longer needed; once. */
  release(): void;
}

export interface Collected {
  readonly batch: MetricBatch;
  /** False when something is missing, such as what a callback did not observe in time. */
  readonly isWhole: boolean;
  /** Called when nobody reads the batch any more. */
  release?(): void;
}

interface Collection {
  readonly collected: Promise<Collected>;
  /** What callbacks get. */
  readonly timeoutMillis: number;
  readonly begun: number;
  readonly outdated: AbortController;
  users: number;
}

/**
 * Collections held at the same time. A scraper that reads slowly holds one for up to 30 seconds, so without a bound some
 * hundred of them would hold the registry a hundred times.
 */
const MAX_HELD = 10;

/** When so many are held, the latest one serves for so long; a slow scrape thus has ten times as long to end. */
const SHARED_MILLIS = 1_000;

export class SharedCollections {
  readonly #collect: (timeoutMillis: number) => Promise<Collected>;
  readonly #maxTimeoutMillis: number;
  /** The oldest first. */
  readonly #held = new Set<Collection>();
  /** The latest, while it is being collected. */
  #running: Collection | undefined;

  /** @param maxTimeoutMillis the most that callbacks get */
  constructor(collect: (timeoutMillis: number) => Promise<Collected>, maxTimeoutMillis: number) {
    this.#collect = collect;
    this.#maxTimeoutMillis = maxTimeoutMillis;
  }

  /**
   * Scrapes at the same time share a collection, and callbacks run once for all of them. Only where something is missing from
   * it, those that can wait for longer than it did collect again: a scrape loses nothing to another's haste.
   *
   * @param patienceMillis how long the scrape can wait for callbacks
   */
  async acquire(patienceMillis: number): Promise<HeldBatch> {
    const asked = performance.now();
    let timeoutMillis = Math.min(this.#maxTimeoutMillis, patienceMillis);
    for (;;) {
      const running = this.#running;
      const collection = running ?? this.#recent() ?? this.#start(timeoutMillis);
      const { isWhole, held } = await use(collection, this.#held);
      timeoutMillis = Math.min(this.#maxTimeoutMillis, patienceMillis - (performance.now() - asked));
      if (isWhole || collection !== running || timeoutMillis <= collection.timeoutMillis) return held;
      held.release();
    }
  }

  #start(timeoutMillis: number): Collection {
    if (this.#held.size >= MAX_HELD) {
      const [oldest] = this.#held;
      this.#held.delete(oldest!);
      oldest!.outdated.abort();
      report(
        'warn',
        'prometheus-slow-scrapers',
        `scrapers that read too slowly are cut off: ${MAX_HELD} later collections wait in memory for others`,
      );
    }
    const collection: Collection = {
      collected: this.#collect(timeoutMillis).finally(() => {
        this.#running = undefined;
      }),
      timeoutMillis,
      begun: performance.now(),
      outdated: new AbortController(),
      users: 0,
    };
    // Any number of scrapers may share it.
    setMaxListeners(0, collection.outdated.signal);
    this.#running = collection;
    this.#held.add(collection);
    return collection;
  }

  #recent(): Collection | undefined {
    if (this.#held.size < MAX_HELD) return undefined;
    const latest = [...this.#held].at(-1)!;
    return performance.now() - latest.begun < SHARED_MILLIS ? latest : undefined;
  }
}

async function use(
  collection: Collection,
  all: Set<Collection>,
): Promise<{ isWhole: boolean; held: HeldBatch }> {
  collection.users++;
  let isReleased = false;
  let collected: Collected | undefined;
  const release = () => {
    if (isReleased) return;
    isReleased = true;
    if (--collection.users > 0) return;
    all.delete(collection);
    collected?.release?.();
  };
  try {
    collected = await collection.collected;
    const { batch, isWhole } = collected;
    return { isWhole, held: { batch, signal: collection.outdated.signal, release } };
  } catch (error) {
    release();
    throw error;
  }
}
