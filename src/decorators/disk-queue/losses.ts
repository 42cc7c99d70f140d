// What a queue could not keep or deliver, counted and said.
import { report } from '../../data/diagnostics.ts';

/** Why points were dropped. */
export const LOSS_REASONS = ['age', 'damage', 'memory', 'refusal', 'size'] as const;
export type LossReason = (typeof LOSS_REASONS)[number];

const TEXTS: Record<LossReason, string> = {
  age: 'are older than maxAgeMillis and were dropped',
  damage: 'could not be read back from the disk',
  memory: 'were in memory, because the disk could not be written, and are lost with the queue',
  refusal: 'were refused for good by the receiver and were dropped',
  size: 'were dropped, the oldest first, to keep within maxBytes',
};

export class Losses {
  readonly #folder: string;
  readonly points: Record<LossReason, number> = { age: 0, damage: 0, memory: 0, refusal: 0, size: 0 };
  /** Not yet told in the answer to an export. */
  #untold = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  add(reason: LossReason, points: number, detail = ''): void {
    if (points <= 0) return;
    this.points[reason] += points;
    this.#untold += points;
    report(
      'error',
      `disk-queue:${reason}:${this.#folder}`,
      `queue ${this.#folder}: ${points} points ${TEXTS[reason]}${detail && `: ${detail}`}. ` +
        `${this.points[reason]} in all since the start`,
    );
  }

  /** How many of those that no answer has told yet fit into one about so many points. */
  take(points: number): number {
    const told = Math.min(points, this.#untold);
    this.#untold -= told;
    return told;
  }
}
