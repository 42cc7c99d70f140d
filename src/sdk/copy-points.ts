// The copy that a collection makes of a stream: in steps, so that it can be done in slices. Between two steps the host records,
// makes series and ends them, and each series is in the batch as it was when its step came.
import type { AttributeSet } from '../data/attribute-set.ts';
import type { MetricColumns } from '../data/metric-batch.ts';
import type { MetricDescriptor } from '../data/metric-data.ts';
import { toWallTimes } from './clock.ts';
import { ROWS_PER_STEP, type SeriesTable } from './series-table.ts';
import type { StreamOptions } from './stream.ts';

export interface Window {
  readonly end: bigint;
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
  { end, start, copied }: Window,
): Generator<void, MetricColumns | undefined> {
  const sets = rows.length === table.size ? table.sets.slice() : Array.from(rows, (row) => table.sets[row]!);
  const columns = table.aggregator.copier(rows);
  const exemplars = table.exemplarCopier(rows.length);
  const startTimes = new BigUint64Array(rows.length);
  let length = 0;
  for (let from = 0; from < rows.length; from += ROWS_PER_STEP) {
    if (from > 0) yield;
    const step = present(table, sets, rows, from, length);
    columns.copy(step);
    exemplars?.copy(step, table.sets);
    if (start === undefined) copyTimes(table.startTimes, step, startTimes, length);
    copied?.(step);
    length += step.length;
  }
  if (length === 0) return undefined;
  sets.length = length;
  const times = startTimes.subarray(0, length);
  if (start !== undefined) times.fill(start);
  toWallTimes(times);
  const kept = exemplars?.finish();
  return columns.finish({
    descriptor,
    aggregationTemporality: temporality,
    length,
    attributes: sets,
    startTimes: times,
    endTimes: new BigUint64Array(length).fill(end),
    ...(kept && { exemplars: kept }),
  });
}

/**
 * Where the series of a step are now. Those that have ended are left out, and the sets after them close up.
 *
 * @param to where the first set of the step is to be
 */
function present(
  table: SeriesTable,
  sets: AttributeSet[],
  rows: Uint32Array,
  from: number,
  to: number,
): Uint32Array {
  const step = rows.subarray(from, from + ROWS_PER_STEP);
  let count = 0;
  for (let i = 0; i < step.length; i++) {
    const set = sets[from + i]!;
    const row = table.sets[step[i]!] === set ? step[i]! : table.rowOf(set);
    if (row < 0) continue;
    step[count] = row;
    sets[to + count] = set;
    count++;
  }
  return step.subarray(0, count);
}

/** In halves, since a bigint on its way from one column to another may become an object. */
function copyTimes(source: BigUint64Array, rows: Uint32Array, target: BigUint64Array, to: number): void {
  const from = new Uint32Array(source.buffer);
  const halves = new Uint32Array(target.buffer);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    halves[2 * (to + i)] = from[2 * row]!;
    halves[2 * (to + i) + 1] = from[2 * row + 1]!;
  }
}
