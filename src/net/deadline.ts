// Work with an end on the wall clock that is told of it, and answers for itself.
import { MAX_TIMER_MILLIS, setTimer } from '../data/bounded.ts';
import { ExportError } from '../data/errors.ts';

/** What `work` settles with, unless `signal` aborts first: for work that nobody can tell to stop. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort: (() => void) | undefined;
  try {
    return await new Promise<T>((resolve, reject) => {
      onAbort = () => reject(signal.reason);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
      // Also when it is too late: a rejection must not be left unhandled.
      work.then(resolve, reject);
    });
  } finally {
    signal.removeEventListener('abort', onAbort!);
  }
}

/**
 * Aborts the signal given to `work` after so many milliseconds, or when `outer` aborts, and waits for what `work` makes of
 * it: unlike `bounded` of `data`, so that work which knows what it has delivered can say so. The timer does not keep the
 * process alive.
 *
 * @param millis Infinity for no limit
 */
export async function withDeadline<T>(
  what: string,
  millis: number,
  outer: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const onAbort = () => {
    const { reason } = outer!;
    const isOurs = reason instanceof Error && reason.name === 'ExportError';
    controller.abort(
      isOurs ? reason : new ExportError('ABORTED', `${what} was aborted`, { retryable: true, cause: reason }),
    );
  };
  const onTimeout = () => {
    const message = `${what} did not end within ${Math.round(millis)} ms`;
    controller.abort(new ExportError('TIMEOUT', message, { retryable: true }));
  };
  const timer = millis <= MAX_TIMER_MILLIS ? setTimer(onTimeout, millis) : undefined;
  timer?.unref();
  if (outer?.aborted) onAbort();
  else outer?.addEventListener('abort', onAbort, { once: true });
  try {
    return await work(controller.signal);
  } finally {
    timer?.clear();
    outer?.removeEventListener('abort', onAbort);
  }
}
