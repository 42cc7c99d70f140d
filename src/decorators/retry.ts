// Failed exports tried again.
import type { PushMetricExporter } from '../data/exporter.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { type RetryOptions, retrying, retryPolicy } from '../net/backoff.ts';
import { decorate, wrapped } from './decorate.ts';
import { refusedInAll } from './failed-together.ts';
import { Resumable } from './resumable.ts';

/**
 * Tries again what failed in a way that may pass, after growing random waits, until it is delivered, refused for good, or
 * the time is up; then the failure is told to the caller. Only the points still owed are sent again. An exporter that
 * asks for a wait gets it. Each attempt has the time that `exporter` allows itself; see `timeout`.
 *
 * For exporters without a `retry` option of their own: those over the network have one. The reader's
 * `exportTimeoutMillis` (30 s) ends the retries when it is shorter than `maxElapsedTimeMillis`. `shutdown()` ends them too.
 *
 * @throws ConfigError when `exporter` is no exporter or an option cannot work
 */
export function retry(exporter: PushMetricExporter, options: RetryOptions = {}): PushMetricExporter {
  const inner = wrapped('retry', exporter);
  const policy = retryPolicy('retry', options, '');
  const underWay = new Set<AbortController>();

  const exports = new Resumable(async (batch, signal) => {
    const waits = new AbortController();
    const stop = () => waits.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    underWay.add(waits);
    try {
      const attempt = async (undelivered: MetricBatch | undefined, rejected: number) =>
        refusedInAll(await inner.export(undelivered ?? batch, signal), rejected);
      return await retrying(attempt, policy, { signal: waits.signal });
    } finally {
      underWay.delete(waits);
    }
  });

  const retried = decorate('retry', exporter, inner, (batch, signal) => exports.export(batch, signal));
  return {
    ...retried,
    shutdown() {
      const ended = retried.shutdown();
      for (const waits of underWay) waits.abort();
      return ended;
    },
  };
}
