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

/** Reasons for which the queue says that it dropped points, and how many. */
type Dropped = Record<'age' | 'damage' | 'memory' | 'refusal' | 'size', number>;

type Line = { life: number } & (
  | { points: [series: string, time: string, value: number][]; isInMemory?: true }
  | { ticks: number }
  | { dropped: Dropped }
  | { end: true; isWhole: boolean }
);

/** Accepted, and yet it may be missing. */
interface Excuse {
  readonly name: string;
  readonly life: number;
  readonly value: number;
  /** It was in memory when its process ended, or on disk and damaged there. */
  readonly reason: 'memory' | 'damage';
}

/** A batch that arrived. */
interface Tick {
  readonly life: number;
  readonly tick: number;
  readonly key: string;
}

/** Within it a request is answered, by a receiver that answers at all. */
const ANSWER_MILLIS = 1_000;

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
  /** Of these, as far as they are in memory. */
  readonly #inMemory = new Set<string>();
  /** Accepted, missing so far, and that is allowed. */
  readonly #excused = new Map<string, Excuse>();
  readonly #dropped = new Map<number, Dropped>();
  #life = 0;
  /** Values by life, series and time: what is left of what was received without duplicates. */
  readonly #received = new Map<string, number>();
  /** Of each life: how often each worker's work was recorded, or one more. */
  readonly #recorded = new Map<number, number>();
  /** Of each life and series: the sum of deltas, or the highest total. */
  readonly #totals = new Map<string, number>();
  /** Lives that ended in good order. */
  readonly #ended = new Set<number>();
  /** Of these, those of which the queue has taken all. */
  readonly #whole = new Set<number>();
  readonly #arrivals = new Map<string, Arrival>();
  /** Processes of which an answered batch came again. */
  readonly #unheard = new Set<number>();
  readonly #ticks: Tick[] = [];
  /** When the disk could not be written, by `performance.now()`. */
  readonly #diskAway: { since: number; until: number }[] = [];
  /** Points that were in memory when they were accepted. */
  readonly #wereInMemory = new Set<string>();
  /** Batches accepted, those of them that were in memory then, points damaged on disk, and batches that arrived again. */
  accepted = 0;
  acceptedInMemory = 0;
  damagedPoints = 0;
  duplicates = 0;

  constructor(path: string, options: LedgerOptions) {
    this.#path = path;
    this.#options = options;
  }

  /** Reads what was written since the last time. */
  read(): void {
    for (const line of this.#lines()) {
      if (line.life !== this.#life) this.#excuseMemory();
      this.#life = line.life;
      if ('points' in line) {
        this.accepted++;
        if (line.isInMemory) this.acceptedInMemory++;
        // The queue's memory goes to disk first.
        if (line.isInMemory === undefined) this.#inMemory.clear();
        for (const [series, time, value] of line.points) {
          const key = this.#key({ life: line.life, series, time });
          const known = this.#received.get(key);
          if (line.isInMemory) {
            this.#inMemory.add(key);
            this.#wereInMemory.add(key);
          }
          if (known === undefined) this.#owed.set(key, value);
          else if (known !== value)
            throw new Error(`${key} is ${value} in the ledger and arrived as ${known}`);
        }
      } else if ('ticks' in line) this.#recorded.set(line.life, line.ticks);
      else if ('dropped' in line) this.#drop(line.life, line.dropped);
      else {
        this.#ended.add(line.life);
        if (line.isWhole) this.#whole.add(line.life);
        this.#excuseMemory();
      }
    }
  }

  #drop(life: number, dropped: Dropped): void {
    const { age, refusal, size } = dropped;
    if (age + refusal + size > 0) throw new Error(`life ${life} dropped ${JSON.stringify(dropped)}`);
    this.#dropped.set(life, dropped);
  }

  /** What is in memory when a process ends was not promised. */
  #excuseMemory(): void {
    for (const key of this.#inMemory) this.#excuse(key, 'memory');
    this.#inMemory.clear();
  }

  #excuse(key: string, reason: Excuse['reason']): void {
    const value = this.#owed.get(key);
    if (value === undefined) return;
    const [life, series, worker] = key.split(' ');
    this.#excused.set(key, { name: `${life} ${series} ${worker}`, life: Number(life), value, reason });
    this.#owed.delete(key);
  }

  /** Points that are on disk and can no longer be read. */
  damaged(points: readonly Omit<Point, 'value'>[]): void {
    this.damagedPoints += points.length;
    for (const point of points) this.#excuse(this.#key(point), 'damage');
  }

  /** Damaged points that are missing and that the queue should have counted by now. */
  get uncounted(): number {
    const missing = [...this.#excused.values()].filter(({ reason }) => reason === 'damage');
    return Math.max(0, missing.length - this.#counted);
  }

  /** As damaged. */
  get #counted(): number {
    return [...this.#dropped.values()].reduce((sum, { damage }) => sum + damage, 0);
  }

  diskGoes(): void {
    this.#diskAway.push({ since: performance.now() - ANSWER_MILLIS, until: Infinity });
  }

  diskComes(): void {
    this.#diskAway.at(-1)!.until = performance.now();
  }

  owes(point: Omit<Point, 'value'>): boolean {
    return this.#owed.has(this.#key(point));
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
      const key = this.#key(ticks[0]!);
      const overtaking = this.#overtaking(life, tick);
      this.#ticks.push({ life, tick, key });
      if (overtaking !== undefined) throw new Error(`${name} came after ${overtaking}`);
    } else {
      this.duplicates++;
      if (this.#isHeard(earlier, arrival, resumedAt))
        throw new Error(
          `${name} was answered to life ${earlier.sender}, and came again from life ${arrival.sender} after ` +
            `${arrival.at - earlier.at} ms`,
        );
    }
    this.received(arrival.points);
  }

  /**
   * The batch that came before an earlier one. What a process kept in memory, since it could not even look at its disk, may come
   * before what earlier processes left there.
   */
  #overtaking(life: number, tick: number): string | undefined {
    const isLater = (other: Tick) => other.life > life || (other.life === life && other.tick > tick);
    const later = this.#ticks.filter(isLater);
    if (later.length > 0) this.read();
    const wrong = later.find((other) => other.life === life || !this.#wereInMemory.has(other.key));
    return wrong && `batch ${wrong.tick} of life ${wrong.life}`;
  }

  /** A process that is killed may have one answer on its way, and any number that it could not write down. */
  #isHeard(earlier: Arrival, { sender }: Arrival, resumedAt: number): boolean {
    if (!earlier.isAnswered || earlier.at < resumedAt) return false;
    if (earlier.sender === sender) return true;
    if (this.#diskAway.some(({ since, until }) => earlier.at >= since && earlier.at <= until)) return false;
    if (this.#unheard.has(earlier.sender)) return true;
    this.#unheard.add(earlier.sender);
    return false;
  }

  /** Points in any order, and as often as it pleases. */
  received(points: Point[]): void {
    for (const point of points) {
      const key = this.#key(point);
      const { value } = point;
      const excused = this.#excused.get(key)?.value;
      const before = this.#owed.get(key) ?? excused ?? this.#received.get(key) ?? value;
      if (before !== value) throw new Error(`${key} arrived as ${value}, and is ${before}`);
      this.#owed.delete(key);
      this.#excused.delete(key);
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

  /**
   * Whether something was counted twice; of lives that ended in good order, also whether anything is missing; and whether
   * the queue has counted what it could not deliver.
   */
  checkTotals(): void {
    const excused = [...this.#excused.values()];
    for (const [name, total] of this.#totals) {
      const [life, series] = name.split(' ');
      if (series !== 'work') continue;
      const recorded = this.#recorded.get(Number(life)) ?? 0;
      const missing = excused.filter((excuse) => excuse.name === name).map(({ value }) => value);
      const isDelta = this.#options.temporality === 'delta';
      const known = total + (isDelta ? missing.reduce((sum, value) => sum + value, 0) : 0);
      const isWhole = this.#whole.has(Number(life)) && (isDelta || missing.length === 0);
      if (known > recorded || (isWhole && known < recorded)) {
        throw new Error(
          `${name}: recorded ${recorded} times, and ${total} arrived; ${missing.length} points may be missing`,
        );
      }
    }
    if (this.#counted > this.damagedPoints)
      throw new Error(`${this.#counted} points counted as damage, of ${this.damagedPoints} damaged`);
    for (const life of this.#ended) {
      const missing = excused.filter((excuse) => excuse.reason === 'memory' && excuse.life === life).length;
      const counted = this.#dropped.get(life)?.memory ?? 0;
      if (missing > counted)
        throw new Error(`life ${life} ended with ${missing} points in memory, and said ${counted}`);
    }
  }

  /** How many points were accepted and may stay missing. */
  get excused(): number {
    return this.#excused.size;
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
