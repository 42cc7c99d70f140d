// Makes time pass faster for all that a process does with timers and clocks, so that an hour takes seconds while sockets and
// disks are the real ones. To be called before anything looks at a clock.
import { syncBuiltinESMExports } from 'node:module';
import timersPromises from 'node:timers/promises';

/** @param {number} factor */
export function speedUp(factor) {
  for (const name of /** @type {const} */ (['setTimeout', 'setInterval'])) {
    const real = globalThis[name];
    const fast = (/** @type {any} */ work, millis = 0, /** @type {unknown[]} */ ...rest) =>
      real(work, millis / factor, ...rest);
    globalThis[name] = Object.assign(/** @type {any} */ (fast), real);
  }
  const realDelay = timersPromises.setTimeout;
  timersPromises.setTimeout = (millis = 0, ...rest) => realDelay(millis / factor, ...rest);
  syncBuiltinESMExports();
  for (const clock of [performance, Date]) {
    const real = clock.now.bind(clock);
    const began = real();
    clock.now = () => began + (real() - began) * factor;
  }
}
