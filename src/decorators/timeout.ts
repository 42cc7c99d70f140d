// Less time for an exporter than it takes for itself.
import { bounded } from '../data/bounded.ts';
import type { PushMetricExporter } from '../data/exporter.ts';
import { optionChecks } from '../data/option-checks.ts';
import { decorate, wrapped } from './decorate.ts';
import { limitedExport } from './limited-export.ts';

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
  const within = (what: string, work: () => Promise<void>) => bounded(`${what} ${inner.name}`, millis, work);
  return decorate(
    'timeout',
    exporter,
    inner,
    (batch, signal) => limitedExport(inner, millis, batch, signal),
    {
      forceFlush: () => within('flush of', () => inner.forceFlush()),
      shutdown: () => within('shutdown of', () => inner.shutdown()),
    },
  );
}
