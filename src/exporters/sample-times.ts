// Times of samples: Prometheus has milliseconds, and refuses a second sample for one of them.
import { floorMillis } from '../encoding/remote-write.ts';

/** How many collections that fell into the millisecond of the one before are remembered, for when they are sent again. */
const MAX_MOVED = 1_000;

/** The same collection has the same time, however often it is asked for; a later one has a later time. */
export class SampleTimes {
  readonly #moved = new Map<bigint, number>();
  #nanos = -1n;
  #millis = -1;

  /** The latest time that was given. */
  get latest(): number {
    return this.#millis;
  }

  /** @param nanos since the Unix epoch */
  of(nanos: bigint): number {
    if (nanos === this.#nanos) return this.#millis;
    const own = floorMillis(nanos);
    // An older one comes from a queue, and keeps its place.
    if (nanos < this.#nanos) return this.#moved.get(nanos) ?? own;
    this.#nanos = nanos;
    this.#millis = Math.max(own, this.#millis + 1);
    if (this.#millis !== own) {
      if (this.#moved.size >= MAX_MOVED) this.#moved.delete(this.#moved.keys().next().value!);
      this.#moved.set(nanos, this.#millis);
    }
    return this.#millis;
  }
}
