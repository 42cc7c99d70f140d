// Work that ends in bounded time, whatever it waits for.
import { ExportError } from './errors.ts';

/** The longest delay that a Node timer takes; with a longer one it would fire at once. */
export const MAX_TIMER_MILLIS = 2 ** 31 - 1;

/**
 * Runs `work` until it ends, `timeoutMillis` have passed, or `outer` aborts; the signal it gets tells it so.
 *
 * @param timeoutMillis 0 or Infinity for no limit
 * @param options.graceMillis how long `work` may take to answer once its signal has aborted; its answer counts then. Default
 *   0: nobody waits for it.
 * @param options.keepsAlive whether the process waits for `work`. Default false: a hanging peer must not keep
 *   a process alive that has nothing else to do. True where the application itself waits.
 */
export async function bounded<T>(
  what: string,
  timeoutMillis: number,
  work: (signal: AbortSignal) => Promise<T>,
  outer?: AbortSignal,
  options: { keepsAlive?: boolean; graceMillis?: number } = {},
): Promise<T> {
  const controller = new AbortController();
  let timer: Timer | undefined;
  let grace: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  try {
    return await new Promise<T>((resolve, reject) => {
      const give = (error: ExportError) => {
        controller.abort(error);
        if (!options.graceMillis) return reject(error);
        grace ??= setTimeout(reject, options.graceMillis, error);
        if (!options.keepsAlive) grace.unref();
      };
      const aborted = () =>
        new ExportError('ABORTED', `${what} was aborted`, { retryable: true, cause: outer?.reason });
      if (outer?.aborted) return reject(aborted());
      onAbort = () => give(aborted());
      outer?.addEventListener('abort', onAbort, { once: true });
      const isLimited = timeoutMillis > 0 && timeoutMillis <= MAX_TIMER_MILLIS;
      if (isLimited || options.keepsAlive) {
        timer = setTimer(
          () => {
            const message = `${what} did not end within ${timeoutMillis} ms`;
            give(new ExportError('TIMEOUT', message, { retryable: true }));
          },
          isLimited ? timeoutMillis : MAX_TIMER_MILLIS,
        );
        if (!options.keepsAlive) timer.unref();
      }
      // In a `then`, so that a synchronous throw becomes a rejection.
      Promise.resolve(controller.signal).then(work).then(resolve, reject);
    });
  } finally {
    timer?.clear();
    clearTimeout(grace);
    if (onAbort) outer?.removeEventListener('abort', onAbort);
  }
}

export interface Timer {
  clear(): void;
  unref(): void;
}

/** More than a busy event loop takes for a turn. */
const LATE_MILLIS = 100;

/**
 * A timer that, when it comes late, lets what has come in meanwhile be heard first. A process that stood still, as functions do
 * between invocations, finds its timers due before it reads the answers that were in time.
 */
export function setTimer(work: () => void, millis: number): Timer {
  const due = performance.now() + millis;
  let turn: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    if (performance.now() - due < LATE_MILLIS) work();
    else turn = setImmediate(work);
  }, millis);
  return {
    clear() {
      clearTimeout(timer);
      clearImmediate(turn);
    },
    unref: () => void timer.unref(),
  };
}
