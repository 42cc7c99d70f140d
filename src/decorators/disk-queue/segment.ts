// One file of a queue and what is known of it: how much is left in it to deliver.
import { rename, rm, stat, truncate } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { report } from '../../data/diagnostics.ts';
import { type Mark, START } from './mark.ts';
import { type FrameContent, SEGMENT_HEAD_BYTES } from './segment-format.ts';
import { SegmentReader } from './segment-reader.ts';

export interface Segment {
  readonly path: string;
  bytes: number;
  /** The number of its first batch. */
  readonly first: number;
  /** Still to be delivered. */
  batches: number;
  points: number;
  /** Accepted with them, and left out since. */
  superseded: number;
  /** Behind its last batch. */
  end: Mark;
  /** What later batches supersede has been taken out once. */
  isCompacted: boolean;
}

const NAME = /^[0-9a-f]{14}\.queue$/;

export const isSegmentName = (name: string) => NAME.test(name);

export function newSegment(folder: string, first: number, before: number): Segment {
  const path = join(folder, `${first.toString(16).padStart(14, '0')}.queue`);
  return emptySegment(path, first, { sequence: first - 1, points: before });
}

function emptySegment(path: string, first: number, end: Mark): Segment {
  const nothing = { batches: 0, points: 0, superseded: 0 };
  return { path, bytes: SEGMENT_HEAD_BYTES, first, ...nothing, end, isCompacted: false };
}

/** The frame is at the end of the segment, which has so many bytes with it. */
export function addFrame(segment: Segment, frame: FrameContent, bytes: number): void {
  segment.bytes = bytes;
  segment.batches++;
  segment.points += frame.points;
  segment.superseded += frame.accepted - frame.points;
  segment.end = endOf(frame);
}

/** The frame is done. */
export function subtractFrame(segment: Segment, { accepted, points }: FrameContent): void {
  segment.batches--;
  segment.points -= points;
  segment.superseded -= accepted - points;
}

/** So are all. */
export function subtractAll(segment: Segment): void {
  Object.assign(segment, { batches: 0, points: 0, superseded: 0 });
}

export function endOf({ sequence, before, accepted }: FrameContent): Mark {
  return { sequence, points: before + accepted };
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
    const segment = emptySegment(path, Number.parseInt(basename(path), 16), START);
    let end = SEGMENT_HEAD_BYTES;
    for (let frame = await reader.next(size); frame !== undefined; frame = await reader.next(size)) {
      // A power cut may leave the size of a file without what was to be in it.
      const isTorn = isLast && frame.end === size && (await reader.record(frame)) === undefined;
      if (isTorn) break;
      end = frame.end;
      if (frame.sequence > Math.max(after, segment.end.sequence)) addFrame(segment, frame, frame.end);
    }
    segment.bytes = size;
    if (isLast && end < size) await cutTornEnd(segment, end);
    if (segment.batches > 0) return segment;
  } finally {
    await reader.close();
  }
  await rm(path, { force: true });
  return undefined;
}

/** What was being written when the process or the machine went down: it was not accepted, unless progress says so. */
async function cutTornEnd(segment: Segment, end: number): Promise<void> {
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
    `${path} cannot be read: ${problem}; it is kept as ${aside} and not delivered. Remove it, or give it its name back in ` +
      'an empty folder for a queue that can read it',
  );
}
