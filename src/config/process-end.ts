// What ends a process: export what is left, then let it end as it would have.
import { constants } from 'node:os';
import { bounded } from '../data/bounded.ts';
import { report } from '../data/diagnostics.ts';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** Kubernetes sends SIGKILL 30 s after SIGTERM; most of that belongs to the application. */
const BUDGET_MILLIS = 5_000;

/** What is told how long it may take, so that nothing of it keeps the process alive any longer. */
type Exporting = (options: { timeoutMillis: number }) => Promise<void>;

export interface ProcessEnds {
  /** SIGTERM and SIGINT. */
  signals: boolean;
  /** Nothing is left to do. */
  beforeExit: boolean;
  /** Also rejections that nobody handles. */
  uncaughtExceptions: boolean;
}

/**
 * @param flush exports what was recorded so far, for an application that listens itself: it goes on counting until
 *   it has served what is under way, and ends metrics and the process when it is done
 * @param shutdown exports for the last time, where nobody else listens; only its first call does anything
 * @returns a function that takes the handlers away again
 */
export function onProcessEnd(ends: ProcessEnds, flush: Exporting, shutdown: Exporting): () => void {
  async function handleSignal(signal: NodeJS.Signals): Promise<void> {
    const isAlone = process.listenerCount(signal) === 1;
    // A second one ends the process at once.
    if (isAlone) remove();
    await withinBudget(signal, isAlone ? shutdown : flush);
    if (isAlone) endBy(signal);
  }

  let isFlushing = false;
  async function handleException(error: unknown): Promise<void> {
    const isAlone = process.listenerCount('uncaughtException') === 1;
    if (isAlone) remove();
    // An application that survives its exceptions may have many.
    else if (isFlushing) return;
    isFlushing = true;
    await withinBudget('an uncaught exception', isAlone ? shutdown : flush);
    isFlushing = false;
    // Outside of this promise, so that it is not taken for a rejection.
    if (isAlone) process.nextTick(rethrow, error);
  }

  const handleExit = () => withinBudget('beforeExit', shutdown);

  function remove(): void {
    for (const signal of SIGNALS) process.removeListener(signal, handleSignal);
    process.removeListener('uncaughtException', handleException);
    process.removeListener('beforeExit', handleExit);
  }

  // Before the others, because one that listens once is no longer counted when it has been called.
  if (ends.signals) for (const signal of SIGNALS) process.prependListener(signal, handleSignal);
  if (ends.uncaughtExceptions) process.prependListener('uncaughtException', handleException);
  if (ends.beforeExit) process.once('beforeExit', handleExit);
  return remove;
}

function endBy(signal: NodeJS.Signals): void {
  process.kill(process.pid, signal);
  // The first process of a container does not end by a signal that it does not handle.
  if (process.pid === 1) process.exit(128 + constants.signals[signal]);
}

function rethrow(error: unknown): void {
  throw error;
}

async function withinBudget(end: string, exporting: Exporting): Promise<void> {
  const what = `the last export on ${end}`;
  try {
    const options = { timeoutMillis: BUDGET_MILLIS };
    // Nothing else may be left that keeps the process alive; and the application may have begun a shutdown that takes longer.
    await bounded(what, BUDGET_MILLIS, () => exporting(options), undefined, { keepsAlive: true });
  } catch (error) {
    report('error', 'last-export', `${what} failed`, error);
  }
}
