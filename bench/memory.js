// What a process holds once everything that can be freed has been.
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
export const collectGarbage = runInNewContext('gc');

/** The memory of typed arrays is freed by a second thread some time after a collection. */
const SETTLE_MS = 25;

/** Bytes on the JavaScript heap and outside of it. */
export async function memoryInUse() {
  for (let i = 0; i < 8; i++) {
    await sleep(SETTLE_MS);
    collectGarbage();
  }
  const { heapUsed, external } = process.memoryUsage();
  return { heap: heapUsed, external };
}
