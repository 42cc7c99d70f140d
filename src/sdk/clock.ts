// Wall-clock time in nanoseconds that never repeats a value, so that a window's end lies after its start.

/** Behind by more than this, the wall clock has been set, and we follow it back. */
const STEP_NANOS = 10_000_000_000n;

let last = 0n;

/** Nanoseconds since the Unix epoch; later than the value before, unless the wall clock was set back. */
export function now(): bigint {
  const wall = BigInt(Date.now()) * 1_000_000n;
  last = wall > last || last - wall > STEP_NANOS ? wall : last + 1n;
  return last;
}
