// SIGTERM and SIGINT: export what is left, then let the signal do what it would have done.
import { report } from '../data/diagnostics.ts';
import { bounded } from '../data/exporter.ts';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** Kubernetes sends SIGKILL 30 s after SIGTERM; most of that belongs to the application. */
const BUDGET_MILLIS = 5_000;

/**
 * @param flush what to do before the process ends; called once
 * @returns a function that takes the handlers away again
 */
export function onSignals(flush: () => Promise<void>): () => void {
  async function handle(signal: NodeJS.Signals): Promise<void> {
    remove();
    const hold = setTimeout(() => {}, BUDGET_MILLIS);
    try {
      await bounded(`the last export on ${signal}`, BUDGET_MILLIS, flush);
    } catch (error) {
      report('error', 'signal-flush', `the last export on ${signal} failed`, error);
    } finally {
      clearTimeout(hold);
    }
    // Another listener means that the application ends the process itself; a second signal would disturb it.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  }
  const remove = () => {
    for (const signal of SIGNALS) process.removeListener(signal, handle);
  };
  for (const signal of SIGNALS) process.on(signal, handle);
  return remove;
}
