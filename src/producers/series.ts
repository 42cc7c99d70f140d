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
  /** The labels in the order in which they are given, and their values. */
  readonly names: readonly string[];
  readonly values: readonly string[];
  /** The one that followed it in the latest reading; most likely it does again. */
  next: Series | undefined;
  isGone: boolean;
  start: bigint;
  /** What was read last, and when. */
  latest: number;
  read: ReadingTime;
}

export type Labels = Readonly<Record<string, unknown>>;

/** The series of one metric. */
export class SeriesMemory {
  readonly #series = new Map<string, Series>();
  /** A series that was not there then, or not yet, began after it. */
  #before: ReadingTime;
  #first: Series | undefined;
  /** The series asked for before, in this reading. */
  #latest: Series | undefined;

  /** @param before nothing counted before that time */
  constructor(before: bigint) {
    this.#before = { number: -1, time: before };
  }

  /** The series of a label set, without the label `without`. */
  at(labels: Labels, without?: string): Series {
    // Registries keep their order. To see that takes a tenth of the time of a look-up, and leaves no garbage.
    const expected = this.#latest === undefined ? this.#first : this.#latest.next;
    const series =
      expected !== undefined && !expected.isGone && hasLabels(expected, labels, without)
        ? expected
        : this.#lookUp(labels, without);
    if (this.#latest === undefined) this.#first = series;
    else this.#latest.next = series;
    this.#latest = series;
    return series;
  }

  #lookUp(labels: Labels, without: string | undefined): Series {
    const names = Object.keys(labels).filter((name) => name !== without);
    const values = names.map((name) => labelText(labels[name]));
    const { sorted, texts } = inOrder(names, values);
    let key = '';
    // Lengths, because a value may have any character.
    for (let i = 0; i < sorted.length; i++) key += `${sorted[i]}=${texts[i]!.length}:${texts[i]}`;
    let series = this.#series.get(key);
    if (series === undefined) {
      series = {
        attributes: new AttributeSet(sorted, texts),
        names,
        values,
        next: undefined,
        isGone: false,
        start: this.#before.time,
        latest: 0,
        read: this.#before,
      };
      this.#series.set(key, series);
    }
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
    this.#latest = undefined;
    let count = 0;
    for (const [key, series] of this.#series) {
      if (series.read.number < read.number) {
        series.isGone = true;
        this.#series.delete(key);
      }
      if (++count % 1_000 === 0) yield;
    }
    if (read.number > this.#before.number) this.#before = read;
  }

  /** The number of the latest complete reading. */
  get readNumber(): number {
    return this.#before.number;
  }
}

/** Whether two label sets differ at most in one label, which tells the samples of a series apart. */
export function areSameBeside(without: string, a: Labels, b: Labels): boolean {
  let names = 0;
  for (const name in a) {
    if (name === without) continue;
    names++;
    if (a[name] !== b[name]) return false;
  }
  for (const name in b) if (name !== without) names--;
  return names === 0;
}

/** Of two samples with the same labels the first stays; NaN is none. */
export function firstOf(known: number, value: number): number {
  return Number.isNaN(known) ? value : known;
}

/** A label's value as the client would write it. */
export function labelText(value: unknown): string {
  return typeof value === 'string' ? value : textOf(value);
}

function hasLabels({ names, values }: Series, labels: Labels, without: string | undefined): boolean {
  let count = 0;
  for (const name in labels) {
    if (name === without) continue;
    if (names[count] !== name || values[count] !== labelText(labels[name])) return false;
    count++;
  }
  return count === names.length;
}

/** The same arrays where they are in order already. */
function inOrder(names: readonly string[], values: readonly string[]) {
  if (names.every((name, i) => i === 0 || names[i - 1]! < name)) return { sorted: names, texts: values };
  const order = names.map((_, i) => i).sort((a, b) => (names[a]! < names[b]! ? -1 : 1));
  return { sorted: order.map((i) => names[i]!), texts: order.map((i) => values[i]!) };
}
