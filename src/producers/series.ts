// What the bridge remembers of a series between collections: its attributes, so that exporters format them once, and since
// when it counts, which the client does not know.
import { AttributeSet } from '../data/attribute-set.ts';
import { textOf } from '../data/diagnostics.ts';

/** One reading of a metric. Readings by several readers may overlap, so they are numbered. */
export interface ReadingTime {
  readonly number: number;
  /** Nanoseconds since the Unix epoch. */
  readonly time: bigint;
}

export interface Series {
  readonly attributes: AttributeSet;
  start: bigint;
  /** What was read last, and when. */
  latest: number;
  read: ReadingTime;
}

/** The series of one metric. */
export class SeriesMemory {
  readonly #series = new Map<string, Series>();
  /** A series that was not there then, or not yet, began after it. */
  #before: ReadingTime;

  /** @param before nothing counted before that time */
  constructor(before: bigint) {
    this.#before = { number: -1, time: before };
  }

  /** The series of a label set, without the label `without`. */
  at(labels: Readonly<Record<string, unknown>>, without?: string): Series {
    let names = Object.keys(labels);
    if (without !== undefined) names = names.filter((name) => name !== without);
    if (!isSorted(names)) names.sort();
    const values: string[] = [];
    let key = '';
    for (const name of names) {
      const value = labelText(labels[name]);
      values.push(value);
      // Lengths, because a value may have any character.
      key += `${name}=${value.length}:${value}`;
    }
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const start = this.#before.time;
    const series = { attributes: new AttributeSet(names, values), start, latest: 0, read: this.#before };
    this.#series.set(key, series);
    return series;
  }

  /**
   * Takes note of the value that a series was read with.
   *
   * @param canFall whether a smaller value than before says nothing; otherwise the series began anew after that reading
   */
  note(series: Series, value: number, read: ReadingTime, canFall = false): void {
    // A later reading has been here already.
    if (series.read.number > read.number) return;
    if (!canFall && value < series.latest) series.start = series.read.time;
    series.latest = value;
    series.read = read;
  }

  /** Forgets the series that are gone; yields now and then. */
  *end(read: ReadingTime): Generator<void> {
    let count = 0;
    for (const [key, series] of this.#series) {
      if (series.read.number < read.number) this.#series.delete(key);
      if (++count % 1_000 === 0) yield;
    }
    if (read.number > this.#before.number) this.#before = read;
  }

  /** The number of the latest complete reading. */
  get readNumber(): number {
    return this.#before.number;
  }
}

/** A label's value as the client would write it. */
export function labelText(value: unknown): string {
  return typeof value === 'string' ? value : textOf(value);
}

function isSorted(names: readonly string[]): boolean {
  for (let i = 1; i < names.length; i++) if (names[i - 1]! > names[i]!) return false;
  return true;
}
