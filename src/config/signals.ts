// SIGTERM and SIGINT: export what is left, then let the signal do what it would have done.

import { bounded } from '../data/bounded.ts';
import { report } from '../data/diagnostics.ts';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** Kubernetes sends SIGKILL 30 s after SIGTERM; most of that belongs to the application. */
const BUDGET_MILLIS = 5_000;

/**
 * @param flush exports what was recorded so far, for an application that listens itself: it goes on counting until
 *   it has served what is under way, and ends metrics and the process when it is done
 * @param shutdown exports for the last time, where nobody else listens
 * @returns a function that takes the handlers away again
 */
export function onSignals(flush: () => Promise<void>, shutdown: () => Promise<void>): () => void {
  async function handle(signal: NodeJS.Signals): Promise<void> {
    const isAlone = process.listenerCount(signal) === 1;
    if (isAlone) remove();
    const hold = setTimeout(() => {}, BUDGET_MILLIS);
    try {
      await bounded(`the last export on ${signal}`, BUDGET_MILLIS, isAlone ? shutdown : flush);
    } catch (error) {
      report('error', 'signal-flush', `the last export on ${signal} failed`, error);
    } finally {
      clearTimeout(hold);
    }
    if (isAlone) process.kill(process.pid, signal);
  }
  const remove = () => {
    for (const signal of SIGNALS) process.removeListener(signal, handle);
  };
  for (const signal of SIGNALS) process.on(signal, handle);
  return remove;
}
