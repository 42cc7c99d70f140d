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

interface Collection {
  readonly batch: Promise<MetricBatch>;
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
  readonly #collect: (timeoutMillis: number) => Promise<MetricBatch>;
  /** The oldest first. */
  readonly #held = new Set<Collection>();
  /** The latest, while it is being collected. */
  #running: Collection | undefined;

  constructor(collect: (timeoutMillis: number) => Promise<MetricBatch>) {
    this.#collect = collect;
  }

  /** Scrapes at the same time share a collection, and callbacks run once for all of them. */
  async acquire(timeoutMillis: number): Promise<HeldBatch> {
    const collection = this.#running ?? this.#recent() ?? this.#start(timeoutMillis);
    collection.users++;
    let isReleased = false;
    const release = () => {
      if (isReleased) return;
      isReleased = true;
      if (--collection.users === 0) this.#held.delete(collection);
    };
    try {
      return { batch: await collection.batch, signal: collection.outdated.signal, release };
    } catch (error) {
      release();
      throw error;
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
      batch: this.#collect(timeoutMillis).finally(() => {
        this.#running = undefined;
      }),
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
