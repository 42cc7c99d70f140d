// How long a call may take, as its caller said. A caller without types may pass anything, and the call must do its work
// all the same: a shutdown that stumbles over its options would lose what has not been exported.
import { shown } from './checked-options.ts';
import { report } from './diagnostics.ts';

/**
 * @param call names the call in the message, such as `shutdown`
 * @returns 0 or Infinity for no limit; `fallback` when nothing usable was said
 */
export function callTimeout<T>(call: string, options: unknown, fallback: T): number | T {
  let given: string;
  try {
    const timeoutMillis: unknown = (options as { timeoutMillis?: unknown } | null | undefined)?.timeoutMillis;
    if (timeoutMillis === undefined) return fallback;
    if (typeof timeoutMillis === 'number' && timeoutMillis >= 0) return timeoutMillis;
    given = `is ${shown(timeoutMillis)}`;
  } catch {
    given = 'cannot be read';
  }
  report(
    'warn',
    `timeout:${call}`,
    `timeoutMillis of ${call} ${given} and counts as not given; use a number of milliseconds, 0 for no limit`,
  );
  return fallback;
}
