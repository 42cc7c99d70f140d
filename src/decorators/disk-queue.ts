// A queue on disk in front of an exporter: what was accepted survives crashes, restarts and a backend that is away.
import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import { bounded } from '../data/bounded.ts';
import { report } from '../data/diagnostics.ts';
import { ExportError } from '../data/errors.ts';
import type { PushMetricExporter } from '../data/exporter.ts';
import { allOf } from './all-of.ts';
import { decorate, wrapped } from './decorate.ts';
import { Drain } from './disk-queue/drain.ts';
import type { LossReason } from './disk-queue/losses.ts';
import { type DiskQueueOptions, validDiskQueueOptions } from './disk-queue/options.ts';
import { BatchStore } from './disk-queue/store.ts';

export type { LossReason } from './disk-queue/losses.ts';
export type { DiskQueueOptions } from './disk-queue/options.ts';

/** What is in a queue, and what became of what is not. Counts are since this queue was made. */
export interface DiskQueueStats {
  /** The folder of this destination. */
  folder: string;
  /** False while it is not open: starting, refused because another queue is in the folder, or the disk cannot be written. */
  isOnDisk: boolean;
  /** Accepted and not yet delivered, those of earlier processes included. */
  batches: number;
  points: number;
  /** On disk. What is delivered may take some of it, until its file goes. */
  bytes: number;
  /** Of `points`: those that are not on disk, because it cannot be written. */
  memoryPoints: number;
  deliveredPoints: number;
  /** Why, and how many. Of damaged batches the number of points is not always known; the log has their number. */
  droppedPoints: Record<LossReason, number>;
  /** Left out because later batches have newer values; see `compact`. */
  supersededPoints: number;
}

export interface DiskQueue extends PushMetricExporter {
  stats(): DiskQueueStats;
}

/** A disk that does not answer fails an export; as long as a reader waits by default. */
const TIMEOUT_MILLIS = 30_000;
/** What is left is on the disk, so a shutdown need not take long. */
const DRAIN_MILLIS = 5_000;

/**
 * Puts every batch on disk (fsync) before the export counts as successful, and delivers in the background: in order, at least
 * once, across crashes and restarts, one export at a time. What fails in a way that may pass is tried again for as long as
 * `maxAgeMillis` and `maxBytes` allow; what is refused for good is dropped, counted and logged. What was dropped is also told in the
 * answers to later exports (`rejectedDataPoints`), and so in the provider's metrics about itself.
 *
 * It begins at once to deliver what an earlier process left. `docs/reliability.md` says what is promised and what is not.
 *
 * `forceFlush()` makes an attempt and rejects when it fails; what could not be delivered stays on disk. So does what is left after the
 * 5 s that `shutdown()` takes to deliver.
 *
 * @throws ConfigError when `exporter` is no exporter or an option cannot work
 */
export function diskQueue(exporter: PushMetricExporter, options: DiskQueueOptions): DiskQueue {
  const inner = wrapped('diskQueue', exporter);
  const valid = validDiskQueueOptions(options);
  const folder = resolve(join(valid.dir, valid.name ?? folderName(inner.name)));
  const store = new BatchStore(folder, valid);
  const drain = new Drain(store, inner, valid);

  /** The application waits, so the process has to, though nothing else in it may be left but our waits. */
  const flushed = (millis: number) =>
    bounded(`delivery of the queue ${folder}`, millis, () => drain.flush(), undefined, { keepsAlive: true });

  const queue = decorate(
    'diskQueue',
    exporter,
    inner,
    async (batch, signal) => {
      if (batch.pointCount > 0) await store.accept(batch, signal);
      drain.start();
      const dropped = store.losses.take(batch.pointCount);
      if (dropped === 0) return undefined;
      const message = `${dropped} points of earlier batches were dropped by the queue ${folder}; the log says why`;
      return new ExportError('REJECTED', message, { rejectedDataPoints: dropped });
    },
    {
      componentType: 'disk_queue_metric_exporter',
      // The newest ones are delivered without being read back.
      releasesBatches: false,
      timeoutMillis: TIMEOUT_MILLIS,
      async forceFlush() {
        const drained = flushed(TIMEOUT_MILLIS);
        await allOf([drained, drained.catch(() => {}).then(() => inner.forceFlush())]);
      },
      async shutdown() {
        await flushed(DRAIN_MILLIS).catch(() => {});
        const reason = new ExportError('SHUTDOWN', `the queue ${folder} has been shut down`);
        store.stopOpening(reason);
        await drain.stop(reason);
        const closed = store.close().then(({ batches, points }) => {
          if (batches === 0) return;
          const message = `queue ${folder}: ${points} points in ${batches} batches wait for the next start`;
          report('warn', `disk-queue:left:${folder}`, message);
        });
        await allOf([inner.shutdown(), closed]);
      },
    },
  );
  drain.start();

  return {
    ...queue,
    stats: () => ({
      folder,
      isOnDisk: store.isOnDisk,
      ...store.left,
      memoryPoints: store.memoryPoints,
      deliveredPoints: drain.deliveredPoints,
      droppedPoints: { ...store.losses.points },
      supersededPoints: store.supersededPoints,
    }),
  };
}

/** Readable, and different for different exporters. */
function folderName(name: string): string {
  const readable = name.replaceAll(/[^\w.-]+/g, '_').slice(0, 60);
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 8);
  return `${readable.replace(/^\.+/, '')}-${hash}`;
}
