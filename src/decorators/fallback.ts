// A second exporter for what the first could not deliver.
import { ExportError } from '../data/errors.ts';
import { owedOf } from '../data/export-to.ts';
import { createExporter, type PushMetricExporter } from '../data/exporter.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { optionChecks } from '../data/option-checks.ts';
import { allOf } from './all-of.ts';
import { GRACE_MILLIS, wrapped } from './decorate.ts';
import { type Failure, failedTogether, refusedInAll } from './failed-together.ts';
import { limitedExport } from './limited-export.ts';
import { Resumable } from './resumable.ts';
import { sharedSelectors } from './shared-selectors.ts';

export interface FallbackOptions {
  /**
   * Milliseconds that the primary may take before the batch goes to the secondary; Infinity for no limit. Default 10000:
   * a third of what a reader gives an export by default, so that there is time left for the secondary. One that delivers in
   * parts has 2 s more to say which points it still owes; only these go to the secondary.
   */
  timeoutMillis?: number;
  /**
   * Milliseconds for which batches go to the secondary first once the primary has failed; the primary is then asked
   * only for what the secondary cannot take. Default 0: each batch tries the primary first, which costs each of them
   * `timeoutMillis` while the primary hangs.
   */
  stickyMillis?: number;
}

/**
 * Delivers each batch to `primary`, and to `secondary` what `primary` did not take, for whatever reason. Points that the
 * primary has delivered, or refused out of a batch it accepted, are not sent to the secondary.
 *
 * When the primary ran out of time and does not say what it owes, nobody knows whether it has the batch: both may then have it.
 *
 * @throws ConfigError when one is no exporter, an option cannot work, or the two want different temporalities
 */
export function fallback(
  primary: PushMetricExporter,
  secondary: PushMetricExporter,
  options: FallbackOptions = {},
): PushMetricExporter {
  const first = wrapped('fallback', primary);
  const second = wrapped('fallback', secondary);
  const { timeoutMillis, stickyMillis } = validOptions(options);
  let stickyUntil = 0;

  const toPrimary = {
    name: first.name,
    async deliver(batch: MetricBatch, signal: AbortSignal) {
      try {
        // Its whole time would pass in waiting for what it was given before.
        if (first.isStuck) {
          const message = `${first.name} is still busy with an earlier batch`;
          throw new ExportError('UNAVAILABLE', message, { retryable: true });
        }
        const refusal = await limitedExport(first, timeoutMillis, batch, signal);
        stickyUntil = 0;
        return refusal;
      } catch (error) {
        if (!signal.aborted) stickyUntil = performance.now() + stickyMillis;
        throw error;
      }
    },
  };
  const toSecondary = {
    name: second.name,
    deliver: (batch: MetricBatch, signal: AbortSignal) => second.export(batch, signal),
  };

  const exports = new Resumable(async (batch, signal) => {
    const isSticky = performance.now() < stickyUntil;
    const failures: Failure[] = [];
    let owed = batch;
    let refused = 0;
    for (const { name, deliver } of isSticky ? [toSecondary, toPrimary] : [toPrimary, toSecondary]) {
      try {
        return refusedInAll(await deliver(owed, signal), refused);
      } catch (cause) {
        const error = ExportError.from(cause);
        if (isTaken(error, owed)) throw error;
        failures.push({ name, error });
        // Without a part that is owed, all of it is: the other one may take what this one refused.
        if (error.undelivered !== undefined) refused += error.rejectedDataPoints ?? 0;
        owed = owedOf(error, owed);
        if (signal.aborted) break;
      }
    }
    const undelivered = owed === batch ? undefined : owed;
    throw failedTogether('not delivered', failures, { undelivered, rejectedDataPoints: refused });
  });

  return createExporter({
    name: `fallback(${first.name}, ${second.name})`,
    componentType: 'fallback_metric_exporter',
    timeoutMillis: 0,
    graceMillis: GRACE_MILLIS,
    ...sharedSelectors('fallback', [
      { name: first.name, exporter: primary },
      { name: second.name, exporter: secondary },
    ]),
    export: (batch, { signal }) => exports.export(batch, signal),
    forceFlush: () => allOf([first.forceFlush(), second.forceFlush()]),
    shutdown: () => allOf([first.shutdown(), second.shutdown()]),
  });
}

/** Whether an exporter accepted the batch and owes nothing of it: it refused some points, or will go on by itself. */
function isTaken(error: ExportError, batch: MetricBatch): boolean {
  if (error.undelivered !== undefined) return owedOf(error, batch).pointCount === 0;
  return !error.retryable && (error.rejectedDataPoints ?? Infinity) < batch.pointCount;
}

function validOptions(options: FallbackOptions): Required<FallbackOptions> {
  const { demand, demandObject, demandNothing } = optionChecks('fallback');
  demandObject('options', options);
  const { timeoutMillis = 10_000, stickyMillis = 0, ...unknown } = options;
  demandNothing(unknown);
  demand(
    typeof timeoutMillis === 'number' && timeoutMillis > 0,
    'timeoutMillis',
    timeoutMillis,
    'a number of milliseconds above 0',
  );
  demand(
    typeof stickyMillis === 'number' && stickyMillis >= 0,
    'stickyMillis',
    stickyMillis,
    'a number of milliseconds, or 0',
  );
  return { timeoutMillis, stickyMillis };
}
