// Wall-clock time in nanoseconds that never repeats a value, so that a window's end lies after its start, also when
// the wall clock is set back.

/** Behind by less than this, we wait until the wall clock has caught up; by more, it was set back and we follow it. */
const STEP_NANOS = 1_000_000_000n;

/** Milliseconds since the Unix epoch that a test has set. */
let fakeMillis: (() => number) | undefined;
let last = 0n;
let lastMillis = 0;
let setBack = 0n;

/** Nanoseconds since the Unix epoch; later than the value before, unless the wall clock was set back. */
export function now(): bigint {
  if (fakeMillis !== undefined) return BigInt(fakeMillis()) * 1_000_000n;
  const wall = BigInt(Date.now()) * 1_000_000n;
  const millis = performance.now();
  if (wall > last) last = wall;
  else if (last - wall < STEP_NANOS) last++;
  else {
    setBack += last + BigInt(Math.round((millis - lastMillis) * 1e6)) - wall;
    last = wall;
  }
  lastMillis = millis;
  return last;
}

/**
 * By how many nanoseconds the wall clock has been set back so far, as far as {@link now} has seen. A time read earlier is
 * the same instant on today's clock after what came in between has been subtracted.
 */
export function totalSetBack(): bigint {
  return setBack;
}

/** Milliseconds for measuring how long something has lasted. */
export function elapsedMillis(): number {
  return fakeMillis?.() ?? performance.now();
}

/** Lets a test say what time it is; undefined goes back to the real time. */
export function setFakeMillis(millis: (() => number) | undefined): void {
  fakeMillis = millis;
}
