// What the recorder says that the queue has accepted, against what a receiver got.
import { closeSync, openSync, readSync } from 'node:fs';

export interface Point {
  /** Which process recorded it. */
  readonly life: number;
  /** Metric and attributes. */
  readonly series: string;
  /** Nanoseconds. */
  readonly time: string;
  readonly value: number;
}

export interface Arrival {
  /** Which process sent it: mostly, but not always, the one that recorded it. */
  readonly sender: number;
  readonly points: Point[];
  /** By `performance.now()`. */
  readonly at: number;
  /** Whether the receiver's answer went out as a whole. */
  isAnswered: boolean;
}

type Line = { life: number } & (
  | { points: [series: string, time: string, value: number][] }
  | { ticks: number }
  | { end: true }
);

export interface LedgerOptions {
  temporality: 'delta' | 'cumulative';
  /** Digits of times that the receiver does not keep. */
  cutDigits?: number;
}

export class Ledger {
  readonly #path: string;
  readonly #options: LedgerOptions;
  #read = 0;
  /** Points accepted and not received. */
  readonly #owed = new Map<string, number>();
  /** Values by life, series and time: what is left of what was received without duplicates. */
  readonly #received = new Map<string, number>();
  /** Of each life: how often each worker's work was recorded, or one more. */
  readonly #recorded = new Map<number, number>();
  /** Of each life and series: the sum of deltas, or the highest total. */
  readonly #totals = new Map<string, number>();
  /** Lives that ended in good order. */
  readonly #ended = new Set<number>();
  readonly #arrivals = new Map<string, Arrival>();
  /** Processes of which an answered batch came again. */
  readonly #unheard = new Set<number>();
  #newest = { life: 0, tick: 0 };
  /** Batches that arrived, and again. */
  accepted = 0;
  duplicates = 0;

  constructor(path: string, options: LedgerOptions) {
    this.#path = path;
    this.#options = options;
  }

  /** Reads what was written since the last time. */
  read(): void {
    for (const line of this.#lines()) {
      if ('points' in line) {
        this.accepted++;
        for (const [series, time, value] of line.points) {
          const key = this.#key({ life: line.life, series, time });
          const known = this.#received.get(key);
          if (known === undefined) this.#owed.set(key, value);
          else if (known !== value)
            throw new Error(`${key} is ${value} in the ledger and arrived as ${known}`);
        }
      } else if ('ticks' in line) this.#recorded.set(line.life, line.ticks);
      else this.#ended.add(line.life);
    }
  }

  /**
   * A request as it arrived, in order.
   *
   * @param resumedAt when the recorder last went on after standing still: answers of before may have come too late for it
   */
  arrived(arrival: Arrival, resumedAt: number): void {
    const ticks = arrival.points.filter(({ series }) => series.startsWith('tick'));
    if (ticks.length !== 1) throw new Error(`a request has ${ticks.length} batches`);
    const { life, value: tick, time } = ticks[0]!;
    // The last one of a life may have the same tick as the one before.
    const name = `batch ${tick} of life ${life} at ${time}`;
    const earlier = this.#arrivals.get(name);
    this.#arrivals.set(name, arrival);
    if (earlier === undefined) {
      const isLater = life > this.#newest.life || (life === this.#newest.life && tick >= this.#newest.tick);
      if (!isLater)
        throw new Error(`${name} came after batch ${this.#newest.tick} of life ${this.#newest.life}`);
      this.#newest = { life, tick };
    } else {
      this.duplicates++;
      if (this.#isHeard(earlier, arrival, resumedAt))
        throw new Error(`${name} was answered, and came again after ${arrival.at - earlier.at} ms`);
    }
    this.received(arrival.points);
  }

  /** A process that is killed may have one answer on its way. */
  #isHeard(earlier: Arrival, { sender }: Arrival, resumedAt: number): boolean {
    if (!earlier.isAnswered || earlier.at < resumedAt) return false;
    if (earlier.sender === sender || this.#unheard.has(earlier.sender)) return true;
    this.#unheard.add(earlier.sender);
    return false;
  }

  /** Points in any order, and as often as it pleases. */
  received(points: Point[]): void {
    for (const point of points) {
      const key = this.#key(point);
      const { value } = point;
      const before = this.#owed.get(key) ?? this.#received.get(key) ?? value;
      if (before !== value) throw new Error(`${key} arrived as ${value}, and is ${before}`);
      this.#owed.delete(key);
      if (this.#received.has(key)) continue;
      this.#received.set(key, value);
      const total = `${point.life} ${point.series}`;
      const isDelta = this.#options.temporality === 'delta';
      const known = this.#totals.get(total) ?? 0;
      this.#totals.set(total, isDelta ? known + value : Math.max(known, value));
    }
  }

  /** Accepted, and not received. */
  get owed(): ReadonlyMap<string, number> {
    return this.#owed;
  }

  /** Whether something was counted twice; of lives that ended in good order, also whether anything is missing. */
  checkTotals(): void {
    for (const [name, total] of this.#totals) {
      const [life, series] = name.split(' ');
      if (series !== 'work') continue;
      const recorded = this.#recorded.get(Number(life)) ?? 0;
      const isWhole = this.#ended.has(Number(life));
      if (total > recorded || (isWhole && total < recorded))
        throw new Error(`${name}: recorded ${recorded} times, and ${total} arrived`);
    }
  }

  #key({ life, series, time }: Omit<Point, 'value'>): string {
    return `${life} ${series} ${this.#options.cutDigits ? time.slice(0, -this.#options.cutDigits) : time}`;
  }

  /** One that is being written is read the next time. */
  #lines(): Line[] {
    const file = openSync(this.#path, 'r');
    const chunks: Buffer[] = [];
    try {
      for (let length = 1; length > 0; ) {
        const chunk = Buffer.alloc(64 * 1024);
        const at = this.#read + chunks.reduce((sum, { length }) => sum + length, 0);
        length = readSync(file, chunk, 0, chunk.length, at);
        if (length > 0) chunks.push(chunk.subarray(0, length));
      }
    } finally {
      closeSync(file);
    }
    const text = Buffer.concat(chunks);
    const end = text.lastIndexOf('\n') + 1;
    this.#read += end;
    return text
      .subarray(0, end)
      .toString()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  }
}
