// How old batches are, across restarts, though clocks jump.

const YEAR_MILLIS = 366 * 86_400_000;

export class AgeClock {
  readonly #maxAgeMillis: number;
  readonly #startedAt = Date.now();
  readonly #started = performance.now();

  constructor(maxAgeMillis: number) {
    this.#maxAgeMillis = maxAgeMillis;
  }

  /** Milliseconds since the Unix epoch, by the clock as it was at the start: setting it does not age what waits. */
  now(): number {
    return this.#startedAt + performance.now() - this.#started;
  }

  /**
   * Between two processes there is only the wall clock. Where that makes no sense, because a batch is of the future or more than a
   * year beyond its time, it was wrong then or is wrong now: the batch counts as accepted when this process started.
   */
  isTooOld(acceptedAt: number): boolean {
    const age = this.now() - acceptedAt;
    const isSensible = age >= 0 && age <= this.#maxAgeMillis + YEAR_MILLIS;
    return (isSensible ? age : this.now() - this.#startedAt) > this.#maxAgeMillis;
  }
}
