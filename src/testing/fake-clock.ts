// The time that points carry, as a test says it.
import { ConfigError } from '../data/errors.ts';
import { setFakeMillis } from '../sdk/clock.ts';

export interface FakeClock extends Disposable {
  readonly now: Date;
  set(time: Date | string | number): void;
  advance(millis: number): void;
  /** Goes back to the real time. */
  restore(): void;
}

/**
 * Stops the clock that gives points their times and ends idle series, for all providers of the process, until it is
 * restored. Timers go on: use your test runner's for the interval of a reader.
 *
 * @param start a time as `new Date` takes it; milliseconds are the finest that there is
 * @throws ConfigError when it is not a time
 */
export function fakeClock(start: Date | string | number = '2026-01-01T00:00:00Z'): FakeClock {
  let millis = millisOf(start);
  const restore = () => setFakeMillis(undefined);
  setFakeMillis(() => millis);
  return {
    get now() {
      return new Date(millis);
    },
    set(time) {
      millis = millisOf(time);
    },
    advance(by) {
      millis = millisOf(millis + by);
    },
    restore,
    [Symbol.dispose]: restore,
  };
}

function millisOf(time: Date | string | number): number {
  const millis = new Date(time).getTime();
  if (!Number.isNaN(millis)) return millis;
  throw new ConfigError(`${String(time)} is not a time for a clock; use what new Date(…) understands`);
}
