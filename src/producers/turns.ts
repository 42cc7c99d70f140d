// When work that waits for others in between has to give the event loop back.
import { ownTurn } from '../data/time-slice.ts';

/** The same as for exports; see `src/data/time-slice.ts`. */
const BUDGET_MILLIS = 2;

/** To be asked often: a promise of a later turn when a slice of work is over, and otherwise nothing to wait for. */
export function turns(): () => Promise<void> | undefined {
  let sliceEnd = performance.now() + BUDGET_MILLIS;
  return () => {
    if (performance.now() < sliceEnd) return undefined;
    return ownTurn().then(() => {
      sliceEnd = performance.now() + BUDGET_MILLIS;
    });
  };
}
