// One file of a queue and what is known of it: how much is left in it to deliver.
import { rename, rm, stat, truncate } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { report } from '../../data/diagnostics.ts';
import { SEGMENT_HEAD_BYTES } from './segment-format.ts';
import { type Frame, SegmentReader } from './segment-reader.ts';

export interface Segment {
  readonly path: string;
  bytes: number;
  /** Numbers of the batches in it. */
  readonly first: number;
  last: number;
  /** Still to be delivered. */
  batches: number;
  points: number;
  /** What later batches supersede has been taken out once. */
  isCompacted: boolean;
}

const NAME = /^[0-9a-f]{14}\.queue$/;

export const isSegmentName = (name: string) => NAME.test(name);

export function newSegment(folder: string, first: number): Segment {
  const path = join(folder, `${first.toString(16).padStart(14, '0')}.queue`);
  return {
    path,
    bytes: SEGMENT_HEAD_BYTES,
    first,
    last: first - 1,
    batches: 0,
    points: 0,
    isCompacted: false,
  };
}

/**
 * Looks at what an earlier process left. Records are not read, but for the last one: a crash may have torn it.
 *
 * @param after the number of the last batch that is not needed any more
 * @param isLast whether no file follows
 * @returns undefined when there is nothing to deliver in it; it is gone then, or kept aside
 */
export async function foundSegment(
  path: string,
  after: number,
  isLast: boolean,
): Promise<Segment | undefined> {
  const reader = await SegmentReader.open(path);
  if ('problem' in reader) {
    await putAside(path, reader.problem, isLast);
    return undefined;
  }
  try {
    const size = await reader.size();
    const first = Number.parseInt(basename(path), 16);
    const segment = { path, bytes: size, first, last: 0, batches: 0, points: 0, isCompacted: false };
    let newest: Frame | undefined;
    for (let frame = await reader.next(size); frame !== undefined; frame = await reader.next(size)) {
      newest = frame;
      if (frame.sequence <= Math.max(after, segment.last)) continue;
      segment.last = frame.sequence;
      segment.batches++;
      segment.points += frame.points;
    }
    if (isLast) await cutTornEnd(reader, segment, newest, after);
    if (segment.batches > 0) return segment;
  } finally {
    await reader.close();
  }
  await rm(path, { force: true });
  return undefined;
}

/** Only what was being written when the process or the machine went down can be at the end, and it was not accepted. */
async function cutTornEnd(
  reader: SegmentReader,
  segment: Segment,
  newest: Frame | undefined,
  after: number,
): Promise<void> {
  let end = newest?.end ?? SEGMENT_HEAD_BYTES;
  // A power cut may leave the size of a file without what was to be in it.
  if (newest !== undefined && (await reader.record(newest)) === undefined) {
    end = newest.at;
    if (newest.sequence > after) {
      segment.batches--;
      segment.points -= newest.points;
    }
  }
  if (end === segment.bytes) return;
  const torn = segment.bytes - end;
  const message = `${torn} bytes of a batch whose writing was interrupted are cut off the end of ${segment.path}`;
  report('info', `disk-queue:torn:${segment.path}`, message);
  await truncate(segment.path, end);
  segment.bytes = end;
}

/** Nothing that may be somebody's is deleted. */
async function putAside(path: string, problem: string, isLast: boolean): Promise<void> {
  const { size } = await stat(path);
  if (isLast && size <= SEGMENT_HEAD_BYTES) {
    // Torn when it was begun: there never was a batch in it.
    await rm(path, { force: true });
    return;
  }
  const aside = `${path}.kept`;
  await rename(path, aside);
  report(
    'error',
    `disk-queue:kept:${path}`,
    `${path} cannot be read: ${problem}; it is kept as ${aside} and not delivered. Remove it, or give it its name back ` +
      'where it can be read',
  );
}
