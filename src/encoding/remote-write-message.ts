// What the messages of both versions of remote write have in common; they are written series by series.
import type { AttributeSet } from '../data/attribute-set.ts';
import { type NativeHistogram, writeSentHistogram } from './native-histogram.ts';
import type { ToldType } from './prometheus-types.ts';
import { MAX_VARINT64_SIZE, type ProtobufWriter } from './protobuf-writer.ts';
import type { EncodedLabels, Label, LabelPlan, LabelValues, OwnLabels } from './remote-write-labels.ts';

export const REMOTE_WRITE_VERSIONS = ['1.0', '2.0'] as const;
export type RemoteWriteVersion = (typeof REMOTE_WRITE_VERSIONS)[number];

export interface Family {
  readonly family: string;
  readonly type: ToldType;
  readonly help: string;
  readonly unit: string;
}

/** The labels of the sets of a metric, in the forms of the two versions. */
export interface LabelSource {
  encodedLabels(set: AttributeSet): EncodedLabels;
  labelValues(set: AttributeSet): LabelValues;
}

/** Written from front to back; `rollback` takes back what came after the last `mark`, and then only `finish` is left. */
export interface RemoteWriteMessage<Own extends OwnLabels = OwnLabels> {
  /** Bytes so far. */
  readonly size: number;
  mark(): void;
  rollback(): void;
  /** Of what follows, in milliseconds since the Unix epoch; `start` is 0 where it is not known. */
  at(time: number, start: number): void;
  labelsOf(source: LabelSource, set: AttributeSet): Own;
  /** Begins a series; bound is the label of a bucket. */
  begin(plan: LabelPlan, own: Own, bound?: Label): void;
  sample(value: number): void;
  histogram(value: NativeHistogram): void;
  exemplar(labels: readonly Label[], value: number, time: number): void;
  /** Ends the series. */
  end(family: Family): void;
  finish(): Uint8Array;
}

export interface MessageOptions {
  /** Whether the value of each sample is the mark of a series that has ended (Prometheus, "staleness"). */
  readonly isStale: boolean;
  /** Where to write to, over what is there. */
  readonly memory?: Buffer<ArrayBuffer> | undefined;
}

export const INITIAL_BYTES = 32 * 1024;

/** Room for what surrounds a series' labels: tags, lengths, a sample and its times. */
export const SAMPLE_ROOM = 80;

export const METRIC_TYPES: Record<ToldType, number> = {
  unknown: 0,
  counter: 1,
  gauge: 2,
  histogram: 3,
  summary: 5,
  info: 6,
  stateset: 7,
};

/** The times of samples, which mostly are those of the sample before. */
export class TimeField {
  readonly #bytes = new Uint8Array(1 + MAX_VARINT64_SIZE);
  #length = 0;
  #millis = -1;

  constructor(tag: number) {
    this.#bytes[0] = tag;
  }

  /** How many bytes it takes. */
  get length(): number {
    return this.#length;
  }

  set(millis: number): void {
    if (millis === this.#millis) return;
    this.#millis = millis;
    let at = 1;
    let rest = millis;
    for (; rest >= 0x80000000; rest = Math.floor(rest / 128)) this.#bytes[at++] = (rest % 128) | 0x80;
    for (; rest >= 0x80; rest >>>= 7) this.#bytes[at++] = (rest & 0x7f) | 0x80;
    this.#bytes[at++] = rest;
    this.#length = at;
  }

  write(out: ProtobufWriter): void {
    const { bytes } = out;
    let { at } = out;
    for (let i = 0; i < this.#length; i++) bytes[at++] = this.#bytes[i]!;
    out.at = at;
  }
}

/** How many bytes {@link writeValue} takes. */
export function valueSize(value: number, isStale: boolean): number {
  return !isStale && Object.is(value, 0) ? 0 : 9;
}

/** Field 1. Zero, but not with a minus, is what is read where there is nothing. */
export function writeValue(out: ProtobufWriter, value: number, isStale: boolean): void {
  if (valueSize(value, isStale) === 0) return;
  out.byte(0x09);
  double(out, value, isStale);
}

/** The bits of a NaN are written by hand: one of them says that the series has ended, and engines keep or change them. */
function double(out: ProtobufWriter, value: number, isStale: boolean): void {
  if (isStale) out.raw(STALE_BYTES);
  else if (Number.isNaN(value)) out.raw(NAN_BYTES);
  else out.double(value);
}

const STALE_BYTES = Uint8Array.of(2, 0, 0, 0, 0, 0, 0xf0, 0x7f);
const NAN_BYTES = Uint8Array.of(1, 0, 0, 0, 0, 0, 0xf8, 0x7f);

export function writeHistogram(
  out: ProtobufWriter,
  value: NativeHistogram,
  isStale: boolean,
  time: TimeField,
): void {
  out.reserve(SAMPLE_ROOM);
  writeSentHistogram(out, value, (_, sum) => double(out, sum, isStale));
  out.reserve(SAMPLE_ROOM);
  time.write(out);
}

export function writeExemplarValue(out: ProtobufWriter, value: number, time: number): void {
  out.reserve(24);
  out.byte(0x11);
  double(out, value, false);
  out.byte(0x18);
  out.int64(time);
}
