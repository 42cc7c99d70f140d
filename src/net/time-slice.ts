// Long work in short slices, so that the host's event loop never waits for us.
import { setImmediate } from 'node:timers/promises';

export interface SliceOptions {
  /** Ends the work between two items; the generator is closed and the iteration rejects with the signal's reason. */
  signal?: AbortSignal;
  /**
   * Milliseconds of work after which the event loop gets its turn. Default 2: a fifth of the 10 ms that a pause
   * may last, so that work beside ours fits too. A slice ends with an item, so items must be small.
   */
  budgetMillis?: number;
}

/** Passes on what a synchronous generator yields and gives the event loop back after each slice of work. */
export async function* sliced<T>(
  work: Iterable<T>,
  { signal, budgetMillis = 2 }: SliceOptions = {},
): AsyncGenerator<T, void, undefined> {
  let sliceEnd = performance.now() + budgetMillis;
  for (const item of work) {
    if (performance.now() >= sliceEnd) {
      await setImmediate();
      sliceEnd = performance.now() + budgetMillis;
    }
    signal?.throwIfAborted();
    yield item;
  }
}

/** Runs a generator to its end, gives the event loop back after each slice of work, and resolves with what it returns. */
export async function inSlices<R>(
  work: Generator<unknown, R>,
  { signal, budgetMillis = 2 }: SliceOptions = {},
): Promise<R> {
  let sliceEnd = performance.now() + budgetMillis;
  try {
    for (;;) {
      signal?.throwIfAborted();
      const step = work.next();
      if (step.done) return step.value;
      if (performance.now() < sliceEnd) continue;
      await setImmediate();
      sliceEnd = performance.now() + budgetMillis;
    }
  } finally {
    work.return(undefined as R);
  }
}
