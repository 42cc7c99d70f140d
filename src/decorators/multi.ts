// Every batch to several exporters, none of which slows down or harms the others.
import { bounded } from '../data/bounded.ts';
import { report } from '../data/diagnostics.ts';
import { ConfigError, ExportError } from '../data/errors.ts';
import { createExporter, type PushMetricExporter } from '../data/exporter.ts';
import { MetricBatch } from '../data/metric-batch.ts';
import { optionChecks } from '../data/option-checks.ts';
import { allOf } from './all-of.ts';
import { wrapped } from './decorate.ts';
import { type Failure, failedTogether, mostRefused, refusedTogether } from './failed-together.ts';
import { Lane } from './lane.ts';
import { sharedSelectors } from './shared-selectors.ts';

export interface MultiOptions {
  /**
   * Milliseconds that an export waits for its slowest exporter. After that it answers, the slow one goes on in the
   * background, and a failure of it is logged instead of answered. Default 1000: most exporters have answered by then,
   * and the others get their next batch on time with intervals from 1 s.
   */
  waitMillis?: number;
  /**
   * Points that may wait for one exporter that is slow or fails. Beyond it the oldest batches are joined: deltas add up,
   * cumulative points are superseded by newer ones. Default 100000: some 10 MB.
   */
  maxBacklogPoints?: number;
}

/** A third of what a reader gives a shutdown by default: the exporters must still be shut down within it. */
const DRAIN_MILLIS = 10_000;

let multis = 0;

/**
 * Delivers every batch to all of `exporters` at once. One that is slow or fails neither delays nor fails the others: what it
 * is owed waits for it alone, in order, and goes out before its next batch. Nothing is sent again to one that has it.
 *
 * When some fail, the export fails with the names and reasons of those, and `undelivered` is empty: nothing has to be sent
 * again by the caller. An abort by the caller does not reach the exporters. A `retry` around it makes those that failed try again; inside of it, one exporter alone.
 *
 * @throws ConfigError when one is no exporter, an option cannot work, or they want different temporalities: a reader
 *   collects once, so each temporality needs a reader of its own
 */
export function multi(
  exporters: readonly PushMetricExporter[],
  options: MultiOptions = {},
): PushMetricExporter {
  const { waitMillis, maxBacklogPoints } = validOptions(options);
  if (!Array.isArray(exporters) || exporters.length === 0) {
    throw new ConfigError('multi: exporters is not a list with at least one; use multi([exporter, …])');
  }
  const inner = exporters.map((exporter) => wrapped('multi', exporter));
  if (new Set(exporters).size < exporters.length) {
    throw new ConfigError('multi: an exporter is in the list twice and would count all twice; remove one');
  }
  const names = inner.map(({ name }, i) => `${name} (${i + 1} of ${inner.length})`);
  const lanes = inner.map((exporter, i) => new Lane(names[i]!, exporter, maxBacklogPoints));
  const number = multis++;

  function reportFailure({ name }: Lane, cause: unknown): void {
    const { code, message } = ExportError.from(cause);
    report('error', `multi:${number}:${name}:${code}`, `multi: an export to ${name} failed: ${message}`);
  }

  async function exportToAll(batch: MetricBatch): Promise<ExportError | undefined> {
    const failures: Failure[] = [];
    const refusals: Failure[] = [];
    let isWaiting = true;
    const watched = async (lane: Lane, run: Promise<ExportError | undefined>) => {
      const { name } = lane;
      try {
        const error = await run;
        if (error === undefined) return;
        if (isWaiting) refusals.push({ name, error });
        else reportFailure(lane, error);
      } catch (cause) {
        if (isWaiting) failures.push({ name, error: ExportError.from(cause) });
        else reportFailure(lane, cause);
      }
    };
    const runs = lanes.flatMap((lane) => {
      const run = lane.add(batch);
      return run === undefined ? [] : [watched(lane, run)];
    });
    await settledWithin(waitMillis, runs);
    isWaiting = false;
    if (failures.length > 0) {
      const summary = `${failures.length} of ${lanes.length} exporters failed`;
      throw failedTogether(summary, failures, {
        undelivered: new MetricBatch(batch.resource, []),
        rejectedDataPoints: mostRefused([...failures, ...refusals]),
      });
    }
    return refusals.length === 0 ? undefined : refusedTogether(lanes.length, refusals);
  }

  async function shutdown(lane: Lane): Promise<void> {
    const drained = bounded(`flush of ${lane.name}`, DRAIN_MILLIS, () => lane.forceFlush());
    await allOf([drained, drained.catch((error) => lane.abort(error)).then(() => lane.shutdown())]);
  }

  const exporter = createExporter({
    name: `multi(${inner.map(({ name }) => name).join(', ')})`,
    componentType: 'multi_metric_exporter',
    timeoutMillis: 0,
    ...sharedSelectors(
      'multi',
      exporters.map((exporter, i) => ({ name: names[i]!, exporter })),
    ),
    export: (batch) => exportToAll(batch),
    forceFlush: () =>
      allOf(lanes.map((lane) => bounded(`flush of ${lane.name}`, FLUSH_MILLIS, () => lane.forceFlush()))),
    shutdown: () => allOf(lanes.map(shutdown)),
  });
  return {
    ...exporter,
    export(metrics, resultCallback, options) {
      // Once it has begun, the batch is ours: an answer that it was aborted would make the caller send it to all again.
      exporter.export(metrics, resultCallback, options?.signal?.aborted ? options : undefined);
    },
  };
}

/** As a reader gives a flush by default. */
const FLUSH_MILLIS = 30_000;

/** Resolves when all have settled, or after the time. */
function settledWithin(millis: number, runs: readonly Promise<void>[]): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, millis);
    timer.unref();
    Promise.all(runs).then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function validOptions(options: MultiOptions): Required<MultiOptions> {
  const { demand, demandObject, demandNothing } = optionChecks('multi');
  demandObject('options', options);
  const { waitMillis = 1_000, maxBacklogPoints = 100_000, ...unknown } = options;
  demandNothing(unknown);
  demand(
    typeof waitMillis === 'number' && waitMillis > 0 && waitMillis < 2 ** 31,
    'waitMillis',
    waitMillis,
    'a number of milliseconds from 1 to 2147483647',
  );
  demand(
    typeof maxBacklogPoints === 'number' && maxBacklogPoints > 0,
    'maxBacklogPoints',
    maxBacklogPoints,
    'a number of points above 0',
  );
  return { waitMillis, maxBacklogPoints };
}
