// Long work in short slices, so that the host's event loop never waits for us.
// Node's own timer and not the global one: a test that fakes that one while a turn is waited for would end all turns for good.
import { setImmediate } from 'node:timers';

export interface SliceOptions {
  /** Ends the work between two items; the generator is closed and the iteration rejects with the signal's reason. */
  signal?: AbortSignal;
  /**
   * Milliseconds of work after which the event loop gets its turn. Default 2: a fifth of the 10 ms that a pause
   * may last, so that work beside ours fits too. A slice ends with an item, so items must be small.
   */
  budgetMillis?: number;
}

/** Who waits for a slice, in the order of their coming. */
const waiting: (() => void)[] = [];

/**
 * Resolves in a later turn of the event loop, and for nobody else in the same one: however many work at the same time, the
 * loop waits for one slice.
 */
export function ownTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (waiting.push(resolve) === 1) setImmediate(giveTurn);
  });
}

function giveTurn(): void {
  waiting.shift()!();
  if (waiting.length > 0) setImmediate(giveTurn);
}

/**
 * Passes on what a synchronous generator yields and gives the event loop back after each slice of work. An item is asked
 * for when the one before it has been dealt with.
 */
export async function* sliced<T>(
  work: Iterable<T>,
  { signal, budgetMillis = 2 }: SliceOptions = {},
): AsyncGenerator<T, void, undefined> {
  if (waiting.length > 0) await ownTurn();
  let sliceEnd = performance.now() + budgetMillis;
  for (const item of work) {
    signal?.throwIfAborted();
    yield item;
    // After the item and not before it: whoever takes it may have waited, and others may have had this turn meanwhile.
    if (performance.now() < sliceEnd) continue;
    await ownTurn();
    sliceEnd = performance.now() + budgetMillis;
  }
}

/** Runs a generator to its end, gives the event loop back after each slice of work, and resolves with what it returns. */
export async function inSlices<R>(
  work: Generator<unknown, R>,
  { signal, budgetMillis = 2 }: SliceOptions = {},
): Promise<R> {
  try {
    // Those who wait have had this turn.
    if (waiting.length > 0) await ownTurn();
    let sliceEnd = performance.now() + budgetMillis;
    for (;;) {
      signal?.throwIfAborted();
      const step = work.next();
      if (step.done) return step.value;
      if (performance.now() < sliceEnd) continue;
      await ownTurn();
      sliceEnd = performance.now() + budgetMillis;
    }
  } finally {
    work.return(undefined as R);
  }
}
