// A process of the demo's own: the service or the load.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** How long the service may take to stop: its own 5 s for requests under way, and as much for the last export. */
const STOP_MILLIS = 10_000;

/** @typedef {ReturnType<typeof startChild>} Child */

/**
 * Starts a script of this example. It stops when the channel to it closes: by {@link stop}, or because this process
 * has died, however it died.
 *
 * @param {string} script @param {string[]} args
 */
export function startChild(script, args) {
  const child = spawn(process.execPath, [fileURLToPath(new URL(`../${script}`, import.meta.url)), ...args], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    // In a group of its own, or Ctrl-C would reach the service too and end it before the load.
    detached: true,
    windowsHide: true,
  });
  const exited = once(child, 'exit').then(([code, signal]) => signal ?? `exit code ${code}`);
  let isStopping = false;

  return {
    child,
    /** Never settles unless the process ends without having been told to; then it rejects. */
    died: new Promise((_, /** @type {(error: Error) => void} */ reject) => {
      exited.then((end) => isStopping || reject(new Error(`${script} ended on its own (${end})`)), reject);
    }),
    async stop() {
      isStopping = true;
      if (child.connected) child.disconnect();
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MILLIS);
      const end = await exited;
      clearTimeout(timer);
      if (end !== 'exit code 0') throw new Error(`${script} did not stop in good order (${end})`);
    },
  };
}
