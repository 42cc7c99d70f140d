// One output that several exporters of the process write to: one export after the other, or their lines would mix.

/** By output with an export under way: what wakes those who wait for its end. */
const waiting = new Map<unknown, Set<() => void>>();

/**
 * Does `work` once nobody else works on the same output.
 *
 * @param output the stream, or the whole path of the file
 * @param signal ends the wait
 */
export async function inTurn<T>(output: unknown, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (let others = waiting.get(output); others !== undefined; others = waiting.get(output)) {
    await woken(others, signal);
  }
  const others = new Set<() => void>();
  waiting.set(output, others);
  try {
    return await work();
  } finally {
    waiting.delete(output);
    for (const wake of others) wake();
  }
}

/** Those who stop waiting leave nothing behind: an output that hangs must not keep the batch of each export given up on. */
function woken(others: Set<() => void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const wake = () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    };
    const onAbort = () => {
      others.delete(wake);
      reject(signal.reason);
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    others.add(wake);
  });
}
