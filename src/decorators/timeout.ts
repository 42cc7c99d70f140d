// Less time for an exporter than it takes for itself.
import { bounded } from '../data/bounded.ts';
import { ExportError } from '../data/errors.ts';
import type { PushMetricExporter } from '../data/exporter.ts';
import { optionChecks } from '../data/option-checks.ts';
import { decorate, GRACE_MILLIS, wrapped } from './decorate.ts';

/**
 * Fails an export, a flush or a shutdown of `exporter` that has not ended after so many milliseconds, with `TIMEOUT`,
 * retryable, and aborts the signal that the exporter was given. The next export waits for one that goes on all the same.
 *
 * An exporter that delivers in parts has 2 s more to say which points are still owed; only these are to be sent again.
 *
 * Inside `retry` it limits each attempt; around it, all of them.
 *
 * @param millis above 0. There is no default: an exporter without this decorator keeps its own time, mostly 30 s.
 * @throws ConfigError when `exporter` is no exporter or `millis` cannot work
 */
export function timeout(exporter: PushMetricExporter, millis: number): PushMetricExporter {
  const inner = wrapped('timeout', exporter);
  optionChecks('timeout').demand(
    typeof millis === 'number' && millis > 0,
    'millis',
    millis,
    'a number of milliseconds above 0',
  );
  const within = <T>(what: string, work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal) =>
    bounded(`${what} ${inner.name}`, millis, work, signal, { graceMillis: signal && GRACE_MILLIS });
  return decorate(
    'timeout',
    exporter,
    inner,
    (batch, signal) =>
      within(
        'export to',
        (bound) =>
          inner.export(batch, bound).catch((error: unknown) => {
            throw ofTimeout(bound.reason, error);
          }),
        signal,
      ),
    {
      forceFlush: () => within('flush of', () => inner.forceFlush()),
      shutdown: () => within('shutdown of', () => inner.shutdown()),
    },
  );
}

/** The exporter only knows that it was told to stop, and what it owes; `reason` says why. */
function ofTimeout(reason: unknown, cause: unknown): unknown {
  const { code, undelivered, rejectedDataPoints } = ExportError.from(cause);
  if (!(reason instanceof ExportError) || code !== 'ABORTED') return cause;
  const text = reason.message.replace(`[${reason.code}] `, '');
  return new ExportError(reason.code, text, { retryable: true, undelivered, rejectedDataPoints, cause });
}
