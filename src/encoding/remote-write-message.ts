// The messages of remote write, series by series: `prometheus.WriteRequest` of version 1.0 and
// `io.prometheus.write.v2.Request` of version 2.0.

import { type NativeHistogram, writeNativeHistogram } from './native-histogram.ts';
import type { FamilyType } from './prometheus-families.ts';
import { byteString } from './prometheus-labels.ts';
import { ProtobufWriter, varintSize } from './protobuf-writer.ts';
import {
  encodedLabels,
  type Label,
  type LabelPlan,
  type OwnLabels,
  type PlanPart,
} from './remote-write-labels.ts';

export const REMOTE_WRITE_VERSIONS = ['1.0', '2.0'] as const;
export type RemoteWriteVersion = (typeof REMOTE_WRITE_VERSIONS)[number];

export interface Family {
  readonly family: string;
  readonly type: FamilyType;
  readonly help: string;
  readonly unit: string;
}

/** Milliseconds since the Unix epoch; `start` is 0 where it is not known. */
export interface SampleTime {
  readonly time: number;
  readonly start: number;
}

/** Stands for the end of a series, in place of a value (Prometheus, "staleness"). */
export const STALE = Symbol('stale');
export type SampleValue = number | typeof STALE;

/** Written from front to back; `rollback` takes back what came after the last `mark`, and then only `finish` is left. */
export interface RemoteWriteMessage {
  /** Bytes so far. */
  readonly size: number;
  mark(): void;
  rollback(): void;
  /** Begins a series; bound is the label of a bucket. */
  begin(plan: LabelPlan, own: OwnLabels, bound?: Label): void;
  sample(value: SampleValue, time: SampleTime): void;
  histogram(value: NativeHistogram, isStale: boolean, time: SampleTime): void;
  exemplar(labels: readonly Label[], value: number, time: number): void;
  /** Ends the series. */
  end(family: Family): void;
  finish(): Uint8Array;
}

export function remoteWriteMessage(version: RemoteWriteVersion): RemoteWriteMessage {
  return version === '1.0' ? new WriteRequest() : new Request();
}

const INITIAL_BYTES = 32 * 1024;
const TYPES: Record<FamilyType, number> = { counter: 1, gauge: 2, histogram: 3 };

class WriteRequest implements RemoteWriteMessage {
  readonly #out = new ProtobufWriter(INITIAL_BYTES);
  /** Each request describes a family once. */
  readonly #described = new Set<string>();
  readonly #bounds = new Map<Label, Uint8Array>();
  #start = 0;
  #mark = 0;

  get size(): number {
    return this.#out.at;
  }

  mark(): void {
    this.#mark = this.#out.at;
  }

  rollback(): void {
    this.#out.at = this.#mark;
  }

  begin({ parts, boundAt }: LabelPlan, own: OwnLabels, bound?: Label): void {
    const out = this.#out;
    own.encoded ??= encodedLabels(own.names.map((name, i) => ({ name, value: own.values[i]! })));
    const { bytes, ends } = own.encoded;
    this.#start = out.open(0x0a);
    for (let p = 0; p <= parts.length; p++) {
      if (p === boundAt) out.append(this.#boundBytes(bound!));
      const part = parts[p];
      if (part === undefined) break;
      if (part.fixed !== undefined) out.append(part.bytes);
      else out.append(bytes.subarray(part.from === 0 ? 0 : ends[part.from - 1], ends[part.to - 1]));
    }
  }

  sample(value: SampleValue, { time }: SampleTime): void {
    const start = this.#out.open(0x12);
    writeSample(this.#out, value, time);
    this.#out.close(start);
  }

  histogram(value: NativeHistogram, isStale: boolean, { time }: SampleTime): void {
    const start = this.#out.open(0x22);
    writeHistogram(this.#out, value, isStale, time);
    this.#out.close(start);
  }

  exemplar(labels: readonly Label[], value: number, time: number): void {
    const start = this.#out.open(0x1a);
    this.#out.append(encodedLabels(labels).bytes);
    writeExemplarValue(this.#out, value, time);
    this.#out.close(start);
  }

  end({ family, type, help, unit }: Family): void {
    const out = this.#out;
    out.close(this.#start);
    if (this.#described.has(family)) return;
    this.#described.add(family);
    const start = out.open(0x1a);
    out.reserve(2);
    out.byte(0x08);
    out.byte(TYPES[type]);
    out.text(0x12, family);
    out.text(0x22, help);
    out.text(0x2a, unit);
    out.close(start);
  }

  finish(): Uint8Array {
    return this.#out.bytes.subarray(0, this.#out.at);
  }

  #boundBytes(bound: Label): Uint8Array {
    let bytes = this.#bounds.get(bound);
    if (bytes === undefined) {
      ({ bytes } = encodedLabels([bound]));
      this.#bounds.set(bound, bytes);
    }
    return bytes;
  }
}

class Request implements RemoteWriteMessage {
  readonly #out = new ProtobufWriter(INITIAL_BYTES);
  /** Byte strings, in the order of their numbers; the first one is empty, as the protocol has it. */
  readonly #symbols: string[] = [''];
  readonly #numbers = new Map<string, number>([['', 0]]);
  #mark = 0;
  #markedSymbols = 1;
  #symbolBytes = 2;
  #start = 0;
  /** The numbers of the last set's labels: a histogram asks for them with every bucket. */
  #own: OwnLabels | undefined;
  #ownRefs: number[] = [];
  readonly #fixedRefs = new Map<PlanPart | Label, number[]>();

  get size(): number {
    return this.#out.at + this.#symbolBytes;
  }

  mark(): void {
    this.#mark = this.#out.at;
    this.#markedSymbols = this.#symbols.length;
  }

  rollback(): void {
    this.#out.at = this.#mark;
    for (const symbol of this.#symbols.splice(this.#markedSymbols)) this.#symbolBytes -= symbolSize(symbol);
  }

  begin({ parts, boundAt }: LabelPlan, own: OwnLabels, bound?: Label): void {
    const out = this.#out;
    if (own !== this.#own) {
      this.#own = own;
      this.#ownRefs = own.names.flatMap((name, i) => [this.#number(name), this.#number(own.values[i]!)]);
    }
    this.#start = out.open(0x2a);
    const refs = out.open(0x0a);
    for (let p = 0; p <= parts.length; p++) {
      if (p === boundAt) this.#write(this.#refsOf(bound!, [bound!]), 0, 2);
      const part = parts[p];
      if (part === undefined) break;
      if (part.fixed !== undefined) this.#write(this.#refsOf(part, part.fixed), 0, 2 * part.fixed.length);
      else this.#write(this.#ownRefs, 2 * part.from, 2 * part.to);
    }
    out.close(refs);
  }

  sample(value: SampleValue, { time, start: began }: SampleTime): void {
    const out = this.#out;
    const start = out.open(0x12);
    writeSample(out, value, time);
    if (began > 0) {
      out.byte(0x18);
      out.int64(began);
    }
    out.close(start);
  }

  histogram(value: NativeHistogram, isStale: boolean, { time, start: began }: SampleTime): void {
    const out = this.#out;
    const start = out.open(0x1a);
    writeHistogram(out, value, isStale, time);
    if (began > 0) {
      // Field 17.
      out.byte(0x88);
      out.byte(0x01);
      out.int64(began);
    }
    out.close(start);
  }

  exemplar(labels: readonly Label[], value: number, time: number): void {
    const out = this.#out;
    const start = out.open(0x22);
    const refs = out.open(0x0a);
    const numbers = labels.flatMap((label) => [this.#number(label.name), this.#number(label.value)]);
    this.#write(numbers, 0, numbers.length);
    out.close(refs);
    writeExemplarValue(out, value, time);
    out.close(start);
  }

  end({ type, help, unit }: Family): void {
    const out = this.#out;
    const start = out.open(0x2a);
    out.reserve(16);
    out.byte(0x08);
    out.byte(TYPES[type]);
    if (help !== '') {
      out.byte(0x18);
      out.varint(this.#number(byteString(help)));
    }
    if (unit !== '') {
      out.byte(0x20);
      out.varint(this.#number(byteString(unit)));
    }
    out.close(start);
    out.close(this.#start);
  }

  finish(): Uint8Array {
    const table = new ProtobufWriter(this.#symbolBytes + 16);
    for (const symbol of this.#symbols) {
      table.reserve(symbolSize(symbol));
      table.header(0x22, symbol.length);
      table.byteText(symbol);
    }
    return Buffer.concat([table.bytes.subarray(0, table.at), this.#out.bytes.subarray(0, this.#out.at)]);
  }

  #number(symbol: string): number {
    let number = this.#numbers.get(symbol);
    if (number === undefined) {
      number = this.#symbols.push(symbol) - 1;
      this.#numbers.set(symbol, number);
      this.#symbolBytes += symbolSize(symbol);
    }
    return number;
  }

  #refsOf(key: PlanPart | Label, labels: readonly Label[]): number[] {
    let refs = this.#fixedRefs.get(key);
    if (refs === undefined) {
      refs = labels.flatMap(({ name, value }) => [this.#number(name), this.#number(value)]);
      this.#fixedRefs.set(key, refs);
    }
    return refs;
  }

  #write(refs: readonly number[], from: number, to: number): void {
    this.#out.reserve(5 * (to - from));
    for (let i = from; i < to; i++) this.#out.varint(refs[i]!);
  }
}

function symbolSize(symbol: string): number {
  return 1 + varintSize(symbol.length) + symbol.length;
}

/** With room for a start time behind it. */
function writeSample(out: ProtobufWriter, value: SampleValue, time: number): void {
  out.reserve(40);
  // Zero, but not with a minus, is what is read where there is nothing.
  if (!Object.is(value, 0)) {
    out.byte(0x09);
    writeValue(out, value);
  }
  out.byte(0x10);
  out.int64(time);
}

function writeHistogram(out: ProtobufWriter, value: NativeHistogram, isStale: boolean, time: number): void {
  writeNativeHistogram(out, value, () => writeValue(out, isStale ? STALE : value.sum));
  out.reserve(24);
  out.byte(0x78);
  out.int64(time);
}

function writeExemplarValue(out: ProtobufWriter, value: number, time: number): void {
  out.reserve(24);
  out.byte(0x11);
  writeValue(out, value);
  out.byte(0x18);
  out.int64(time);
}

/** The bits of a NaN are written by hand: one of them says that the series has ended, and engines keep or change them. */
function writeValue(out: ProtobufWriter, value: SampleValue): void {
  if (value === STALE) out.raw(STALE_BYTES);
  else if (Number.isNaN(value)) out.raw(NAN_BYTES);
  else out.double(value);
}

const STALE_BYTES = Uint8Array.of(2, 0, 0, 0, 0, 0, 0xf0, 0x7f);
const NAN_BYTES = Uint8Array.of(1, 0, 0, 0, 0, 0, 0xf8, 0x7f);
