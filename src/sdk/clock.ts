// Wall-clock time in nanoseconds that never repeats a value, so that a window's end lies after its start, also when
// the wall clock is set back; and times that can be kept while it is set, because they are read off a clock that is not.

/** A wall clock that is off by less than this is followed as it goes or waited for; by more, it was set. */
const STEP_NANOS = 1_000_000_000n;

/** Settings of the clock that are remembered: more make the oldest times the same instant as those after them. */
const MAX_SETTINGS = 100;

/** Milliseconds since the Unix epoch that a test has set. */
let fakeMillis: (() => number) | undefined;
let last = BigInt(Date.now()) * 1_000_000n;
let lastMillis = performance.now();
/** How far the wall clock has been set ahead in total, in nanoseconds; negative when it was set back. */
let ahead = 0n;
/** How far it was before, for steady times below `until`; in order. */
const settings: { readonly until: bigint; readonly ahead: bigint }[] = [];

/** Nanoseconds since the Unix epoch; later than the value before, unless the wall clock was set back. */
export function now(): bigint {
  if (fakeMillis !== undefined) return BigInt(fakeMillis()) * 1_000_000n;
  const wall = BigInt(Date.now()) * 1_000_000n;
  const millis = performance.now();
  const due = last + BigInt(Math.max(1, Math.round((millis - lastMillis) * 1e6)));
  lastMillis = millis;
  if (wall - due >= STEP_NANOS || last - wall >= STEP_NANOS) {
    settings.push({ until: due - ahead, ahead });
    if (settings.length > MAX_SETTINGS) settings.shift();
    ahead += wall - due;
    last = wall;
  } else if (wall > last) last = wall;
  else last++;
  return last;
}

/** A time that {@link now} has just given, on a clock that nobody sets: to be kept until {@link toWallTimes}. */
export function steadyTime(time: bigint): bigint {
  return time - ahead;
}

/**
 * Makes steady times the same instants on the wall clock as it is set now, so that none lies after {@link now}. Where the
 * clock has been set ahead since, a time stays what it was: a machine that slept looks the same, and nobody gains by
 * starts that move.
 */
export function toWallTimes(times: BigUint64Array): void {
  if (settings.length === 0) return;
  for (let i = 0; i < times.length; i++) {
    const steady = times[i]!;
    let then = ahead;
    for (let k = settings.length - 1; k >= 0 && steady < settings[k]!.until; k--) then = settings[k]!.ahead;
    times[i] = steady + (then < ahead ? then : ahead);
  }
}

/** Milliseconds for measuring how long something has lasted. */
export function elapsedMillis(): number {
  return fakeMillis?.() ?? performance.now();
}

/** Lets a test say what time it is; undefined goes back to the real time. */
export function setFakeMillis(millis: (() => number) | undefined): void {
  fakeMillis = millis;
}
