// A place in the stream of batches that a queue accepts.

export interface Mark {
  /** Of the last batch before it. */
  sequence: number;
  /** Accepted up to it, since the queue began. */
  points: number;
}

export const START: Mark = { sequence: 0, points: 0 };

export function later(one: Mark, other: Mark): Mark {
  return { sequence: Math.max(one.sequence, other.sequence), points: Math.max(one.points, other.points) };
}
