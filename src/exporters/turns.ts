// One output that several exporters of the process write to: one export after the other, or their lines would mix.

const underWay = new Map<unknown, Promise<unknown>>();

/**
 * Does `work` once nobody else works on the same output.
 *
 * @param output the stream, or the whole path of the file
 * @param signal an export that is given up while it waits must not keep its batch in memory until a hung output goes on
 */
export async function inTurn<T>(output: unknown, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (let busy = underWay.get(output); busy !== undefined; busy = underWay.get(output)) {
    await settledOrAborted(busy, signal);
  }
  const working = work().finally(() => underWay.delete(output));
  underWay.set(output, working);
  return working;
}

function settledOrAborted(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    work.then(
      () => resolve(),
      () => resolve(),
    );
  });
}
