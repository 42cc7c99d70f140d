// What `compact` leaves out and what it must not, against a ledger of every point.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { captureLogs } from '../../test/support/collected.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { ExportError } from '../data/errors.ts';
import { exportTo } from '../data/export-to.ts';
import { createExporter } from '../data/exporter.ts';
import { type MetricBatch, sumColumns } from '../data/metric-batch.ts';
import { AggregationTemporality } from '../data/metric-data.ts';
import { batchOf, counter } from '../encoding/fixtures/metrics.ts';
import { type DiskQueueStats, diskQueue } from './disk-queue.ts';

captureLogs();

/** Each batch waits for the disk, which may be slow. */
const TIMEOUT_MILLIS = 60_000;

const SERIES = 200;

interface Step {
  /** The series from this one on, this many, have points. */
  from: number;
  length: number;
  /** The first so many of them begin anew. */
  restarting: number;
  /** Series of deltas, which nothing supersedes. */
  deltas: number;
  /** How many batches the receiver takes after this one; it is away then. */
  taken: number;
  isRestart: boolean;
}

const step: fc.Arbitrary<Step> = fc.record({
  from: fc.oneof(fc.constant(0), fc.nat(SERIES)),
  length: fc.oneof(fc.constant(SERIES), fc.integer({ min: 1, max: SERIES })),
  restarting: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(5) }),
  deltas: fc.constantFrom(1, 1, 1, SERIES),
  taken: fc.oneof({ weight: 15, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(5) }),
  isRestart: fc.oneof(
    { weight: 9, arbitrary: fc.constant(false) },
    { weight: 1, arbitrary: fc.constant(true) },
  ),
});

interface Point {
  /** Name, series and start. */
  key: string;
  value: number;
  isDelta: boolean;
}

function pointsOf(batch: MetricBatch): Point[] {
  return batch.scopeMetrics.flatMap(({ metrics }) =>
    metrics.flatMap(({ descriptor, attributes, startTimes, dataPoints, aggregationTemporality }) =>
      dataPoints.map(({ value }, i) => ({
        key: `${descriptor.name} ${attributes[i]!.attributes.s} ${startTimes[i]}`,
        value: Number(value),
        isDelta: aggregationTemporality === AggregationTemporality.DELTA,
      })),
    ),
  );
}

/** By key: the last value of cumulative points, the sum of deltas. */
function totalsOf(points: readonly Point[]): Map<string, number> {
  const totals = new Map<string, number>();
  for (const { key, value, isDelta } of points) {
    const known = totals.get(key) ?? 0;
    // Behind a newer value an older one would make a counter go back.
    if (!isDelta) expect(value).toBeGreaterThan(known);
    totals.set(key, isDelta ? known + value : value);
  }
  return totals;
}

async function run(steps: readonly Step[], dir: string) {
  const accepted: Point[] = [];
  const delivered: Point[] = [];
  const starts = Array<bigint>(SERIES).fill(1n);
  const ended: DiskQueueStats[] = [];
  let allowance = 0;
  const receiver = () =>
    createExporter({
      name: 'receiver',
      async export(batch) {
        if (allowance-- <= 0) throw new ExportError('UNAVAILABLE', 'away', { retryable: true });
        delivered.push(...pointsOf(batch));
      },
    });
  const queueOf = () =>
    diskQueue(receiver(), {
      dir,
      name: 'q',
      maxBytes: 65_536,
      compact: true,
      maxExportsPerSecond: Infinity,
      retry: { initialIntervalMillis: 1e9, maxIntervalMillis: 1e9 },
    });
  let queue = queueOf();
  for (const [i, { from, length, restarting, deltas, taken, isRestart }] of steps.entries()) {
    const series = Array.from({ length: Math.min(length, SERIES - from) }, (_, k) => from + k);
    for (const s of series.slice(0, restarting)) starts[s] = BigInt(i + 2);
    const { dataPoints, ...columns } = counter(
      'c',
      series.map((s) => [{ s }, i + 1] as const),
    );
    const startTimes = BigUint64Array.from(series, (s) => starts[s]!);
    const added = Array.from({ length: deltas }, (_, s) => [{ s }, i + 1] as const);
    const delta = counter('d', added, { temporality: AggregationTemporality.DELTA });
    const batch = batchOf([[{ name: 'scope' }, [sumColumns({ ...columns, startTimes }, true), delta]]]);
    await exportTo(queue, batch);
    accepted.push(...pointsOf(batch));
    allowance = taken;
    if (taken > 0) await queue.forceFlush().catch(() => {});
    allowance = 0;
    if (!isRestart) continue;
    await queue.shutdown();
    ended.push(queue.stats());
    queue = queueOf();
  }
  allowance = Infinity;
  await queue.forceFlush();
  await queue.shutdown();
  ended.push(queue.stats());
  return { accepted, delivered, ended };
}

test(
  'totals stay right, order is kept, and all points are delivered, superseded or counted as dropped',
  async () => {
    let superseded = 0;
    const property = fc.asyncProperty(fc.array(step, { minLength: 40, maxLength: 80 }), async (steps) => {
      const { accepted, delivered, ended } = await run(steps, temporaryFolder());
      const sum = (count: (stats: DiskQueueStats) => number) =>
        ended.reduce((all, one) => all + count(one), 0);
      const dropped = sum(({ droppedPoints }) => droppedPoints.size);
      expect(sum(({ deliveredPoints }) => deliveredPoints)).toBe(delivered.length);
      expect(delivered.length + sum(({ supersededPoints }) => supersededPoints) + dropped).toBe(
        accepted.length,
      );
      expect(sum(({ droppedPoints }) => droppedPoints.damage)).toBe(0);
      superseded += sum(({ supersededPoints }) => supersededPoints);
      const totals = totalsOf(delivered);
      if (dropped === 0) expect(totals).toEqual(totalsOf(accepted));
    });
    await fc.assert(property, { numRuns: 6 });
    expect(superseded).toBeGreaterThan(1_000);
  },
  TIMEOUT_MILLIS,
);
