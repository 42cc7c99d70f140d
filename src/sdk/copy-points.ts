// The copy that a collection makes of a stream: in steps, so that it can be done in slices. Between two steps the host records,
// makes series and ends them, and each series is in the batch as it was when its step came.
import type { AttributeSet } from '../data/attribute-set.ts';
import type { MetricColumns } from '../data/metric-batch.ts';
import type { MetricDescriptor } from '../data/metric-data.ts';
import { now, steadyTime, toWallTimes } from './clock.ts';
import { ROWS_PER_STEP, type SeriesTable } from './series-table.ts';
import type { Collection, StreamOptions } from './stream.ts';

export interface Window extends Collection {
  /** When all points began, as a steady time; default: each when its series did. */
  readonly start?: bigint | undefined;
  /** Called with rows that have just been copied. */
  readonly copied?: ((rows: Uint32Array) => void) | undefined;
}

/** @param rows those to copy, as they are now */
export function* copyPoints(
  descriptor: MetricDescriptor,
  { table, temporality }: StreamOptions,
  rows: Uint32Array,
  { end, steadyEnd, start, memory, copied }: Window,
): Generator<void, MetricColumns | undefined> {
  const isAll = rows.length === table.size;
  const sets = isAll ? table.sharedSets() : Array.from(rows, (row) => table.sets[row]!);
  /** The places in `sets` of series that have ended meanwhile, or begun. */
  const gone = new Set<number>();
  const columns = table.aggregator.copier(rows, memory);
  const exemplars = table.exemplarCopier(rows.length);
  const startTimes = memory.bigUint64(rows.length);
  let length = 0;
  for (let from = 0; from < rows.length; from += ROWS_PER_STEP) {
    if (from > 0) yield;
    const step = present(table, sets, rows, from, gone, start === undefined ? steadyEnd : undefined);
    columns.copy(step);
    if (start === undefined) copyTimes(table.startTimes, step, startTimes, length);
    copied?.(step);
    // Last, because it calls reservoirs of the user's, which may do whatever the host does between two steps.
    exemplars?.copy(step, table.sets);
    length += step.length;
  }
  if (length === 0) return undefined;
  const times = startTimes.subarray(0, length);
  if (start !== undefined) times.fill(start);
  toWallTimes(times);
  const kept = exemplars?.finish();
  return columns.finish({
    descriptor,
    aggregationTemporality: temporality,
    length,
    attributes: gone.size === 0 ? sets : sets.filter((_, i) => !gone.has(i)),
    startTimes: times,
    endTimes: memory.bigUint64(length).fill(end),
    ...(kept && { exemplars: kept }),
  });
}

/**
 * Where the series of a step are now.
 *
 * @param end leaves out those that began later, if only anew: their points would end before
 */
function present(
  table: SeriesTable,
  sets: readonly AttributeSet[],
  rows: Uint32Array,
  from: number,
  gone: Set<number>,
  end: bigint | undefined,
): Uint32Array {
  // Each time that is looked at may become an object. What began in the future began by another clock, such as a test's.
  const hasLater = end !== undefined && table.latestStart > end;
  const latest = hasLater ? steadyTime(now()) : 0n;
  const step = rows.subarray(from, from + ROWS_PER_STEP);
  let count = 0;
  for (let i = 0; i < step.length; i++) {
    const set = sets[from + i]!;
    const row = table.sets[step[i]!] === set ? step[i]! : table.rowOf(set);
    const isLater = hasLater && table.startTimes[row]! > end && table.startTimes[row]! <= latest;
    if (row < 0 || isLater) gone.add(from + i);
    else step[count++] = row;
  }
  return step.subarray(0, count);
}

/** In halves, since a bigint on its way from one column to another may become an object. */
function copyTimes(source: BigUint64Array, rows: Uint32Array, target: BigUint64Array, to: number): void {
  const from = halvesOf(source);
  const halves = halvesOf(target);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    halves[2 * (to + i)] = from[2 * row]!;
    halves[2 * (to + i) + 1] = from[2 * row + 1]!;
  }
}

function halvesOf({ buffer, byteOffset, length }: BigUint64Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, 2 * length);
}
