// CPU time of one call, for calls that are much shorter than the clock's resolution. CPU time is what a busy neighbour
// cannot take; on an idle machine it is the time of the clock.
import { median } from './statistics.js';

/** Long enough for the optimising compiler to have finished with the loop and what it calls. */
const WARM_UP_MS = 250;

/** At least; long against the microseconds in which CPU time is counted, and holds many garbage collections. */
const SAMPLE_MICROS = 30_000;
const SAMPLES = 5;
const QUICK_SAMPLES = 2;

/**
 * @param {(calls: number) => void} loop makes that many calls
 * @param {() => Promise<number>} recorded how many calls have arrived, so that nothing timed can be dead code
 * @returns nanoseconds, garbage collection included
 */
export async function callCost(loop, recorded, { quick }) {
  let calls = 0;
  const cpuMicros = (count) => {
    calls += count;
    const before = process.cpuUsage();
    loop(count);
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  const warmUntil = performance.now() + WARM_UP_MS;
  while (performance.now() < warmUntil) cpuMicros(1_000);
  let count = 1_000;
  while (cpuMicros(count) < SAMPLE_MICROS) count *= 2;
  const samples = Array.from({ length: quick ? QUICK_SAMPLES : SAMPLES }, () => cpuMicros(count));
  const arrived = await recorded();
  if (arrived !== calls) throw new Error(`${arrived} of ${calls} calls were recorded`);
  return { value: (1_000 * median(samples)) / count };
}
