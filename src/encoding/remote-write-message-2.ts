// `io.prometheus.write.v2.Request` of version 2.0, which has each text once.
import type { AttributeSet } from '../data/attribute-set.ts';
import type { NativeHistogram } from './native-histogram.ts';
import { byteString } from './prometheus-labels.ts';
import { MAX_VARINT32_SIZE, ProtobufWriter, varintSize } from './protobuf-writer.ts';
import type { Label, LabelNames, LabelPlan, LabelValues, PlanPart } from './remote-write-labels.ts';
import {
  type Family,
  INITIAL_BYTES,
  type LabelSource,
  METRIC_TYPES,
  type MessageOptions,
  type RemoteWriteMessage,
  SAMPLE_ROOM,
  TimeField,
  valueSize,
  writeExemplarValue,
  writeHistogram,
  writeValue,
} from './remote-write-message.ts';

export class Request implements RemoteWriteMessage<LabelValues> {
  readonly #isStale: boolean;
  readonly #out: ProtobufWriter;
  /** Byte strings, in the order of their numbers; the first one is empty, as the protocol has it. */
  readonly #symbols: string[] = [''];
  readonly #numbers = new Map<string, number>([['', 0]]);
  #mark = 0;
  #markedSymbols = 1;
  #symbolBytes = symbolSize('');
  #start = 0;
  readonly #sampleTime = new TimeField(0x10);
  readonly #histogramTime = new TimeField(0x78);
  readonly #startTime = new TimeField(0x18);
  #began = 0;
  /** The numbers of the last set's labels, name and value in turn: a histogram asks for them with every bucket. */
  #own: LabelValues | undefined;
  #names: LabelNames | undefined;
  readonly #ownRefs: number[] = [];
  /** Those of the last series, how many they are, and which of them is the bound. */
  readonly #seriesRefs: number[] = [];
  #length = 0;
  #plan: LabelPlan | undefined;
  #boundAt = 0;
  readonly #fixedRefs = new Map<PlanPart | Label, number[]>();
  /** The metadata of the last family. */
  #family: Family | undefined;
  readonly #metadata = new ProtobufWriter(32);

  constructor({ isStale, memory }: MessageOptions) {
    this.#isStale = isStale;
    this.#out = new ProtobufWriter(memory ?? INITIAL_BYTES);
  }

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

  at(time: number, start: number): void {
    this.#sampleTime.set(time);
    this.#histogramTime.set(time);
    this.#startTime.set(start);
    this.#began = start;
  }

  labelsOf(source: LabelSource, set: AttributeSet): LabelValues {
    return source.labelValues(set);
  }

  begin(plan: LabelPlan, own: LabelValues, bound?: Label): void {
    const out = this.#out;
    this.#start = out.open(0x2a);
    const refs = out.open(0x0a);
    // The buckets of a histogram differ in their bound alone.
    if (bound !== undefined && plan === this.#plan && own === this.#own) this.#repeat(bound);
    else this.#assemble(plan, own, bound);
    this.#write(this.#seriesRefs, this.#length);
    out.close(refs);
    out.reserve(SAMPLE_ROOM);
  }

  #repeat(bound: Label): void {
    const refs = this.#fixedRefs.get(bound) ?? this.#newRefs(bound, [bound]);
    this.#seriesRefs[this.#boundAt] = refs[1]!;
  }

  #assemble(plan: LabelPlan, own: LabelValues, bound: Label | undefined): void {
    const { parts, boundAt } = plan;
    this.#plan = plan;
    if (own !== this.#own) this.#take(own);
    this.#length = 0;
    for (let p = 0; p <= parts.length; p++) {
      if (p === boundAt) {
        const refs = this.#fixedRefs.get(bound!) ?? this.#newRefs(bound!, [bound!]);
        this.#append(refs, 0, refs.length);
        this.#boundAt = this.#length - 1;
      }
      const part = parts[p];
      if (part === undefined) break;
      if (part.fixed !== undefined) {
        const refs = this.#fixedRefs.get(part) ?? this.#newRefs(part, part.fixed);
        this.#append(refs, 0, refs.length);
      } else this.#append(this.#ownRefs, 2 * part.from, 2 * part.to);
    }
  }

  /** In place of what the series before had: an array that is emptied gives its memory back, and takes new one. */
  #append(refs: readonly number[], from: number, to: number): void {
    for (let i = from; i < to; i++) this.#seriesRefs[this.#length++] = refs[i]!;
  }

  #take(own: LabelValues): void {
    const { names, values } = own;
    this.#own = own;
    for (let i = 0; i < names.length; i++) {
      if (names !== this.#names) this.#ownRefs[2 * i] = this.#number(names[i]!);
      this.#ownRefs[2 * i + 1] = this.#number(values[i]!);
    }
    this.#names = names;
  }

  sample(value: number): void {
    const out = this.#out;
    const hasStart = this.#began > 0;
    out.byte(0x12);
    out.byte(
      valueSize(value, this.#isStale) + this.#sampleTime.length + (hasStart ? this.#startTime.length : 0),
    );
    writeValue(out, value, this.#isStale);
    this.#sampleTime.write(out);
    if (hasStart) this.#startTime.write(out);
  }

  histogram(value: NativeHistogram): void {
    const out = this.#out;
    const start = out.open(0x1a, 2);
    writeHistogram(out, value, this.#isStale, this.#histogramTime);
    if (this.#began > 0) {
      // Field 17.
      out.byte(0x88);
      out.byte(0x01);
      out.int64(this.#began);
    }
    out.close(start, 2);
  }

  exemplar(labels: readonly Label[], value: number, time: number): void {
    const out = this.#out;
    const start = out.open(0x22);
    const refs = out.open(0x0a);
    const numbers = labels.flatMap((label) => [this.#number(label.name), this.#number(label.value)]);
    this.#write(numbers, numbers.length);
    out.close(refs);
    writeExemplarValue(out, value, time);
    out.close(start);
  }

  end(family: Family): void {
    const out = this.#out;
    if (family !== this.#family) this.#describe(family);
    const { bytes, at } = this.#metadata;
    out.reserve(at);
    for (let i = 0; i < at; i++) out.byte(bytes[i]!);
    out.close(this.#start);
  }

  #describe(family: Family): void {
    this.#family = family;
    const out = this.#metadata;
    out.at = 0;
    const start = out.open(0x2a);
    out.reserve(16);
    out.byte(0x08);
    out.byte(METRIC_TYPES[family.type]);
    if (family.help !== '') {
      out.byte(0x18);
      out.varint(this.#number(byteString(family.help)));
    }
    if (family.unit !== '') {
      out.byte(0x20);
      out.varint(this.#number(byteString(family.unit)));
    }
    out.close(start);
  }

  /** The symbols come first, because whoever reads the series looks them up. */
  finish(): Uint8Array {
    const out = this.#out;
    const length = out.at;
    out.reserve(this.#symbolBytes);
    out.bytes.copyWithin(this.#symbolBytes, 0, length);
    out.at = 0;
    for (const symbol of this.#symbols) {
      out.header(0x22, symbol.length);
      out.byteText(symbol);
    }
    out.at += length;
    return out.written;
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

  #newRefs(key: PlanPart | Label, labels: readonly Label[]): number[] {
    const refs = labels.flatMap(({ name, value }) => [this.#number(name), this.#number(value)]);
    this.#fixedRefs.set(key, refs);
    return refs;
  }

  /** In a loop of its own, which keeps the position in a register. */
  #write(refs: readonly number[], length: number): void {
    const out = this.#out;
    out.reserve(MAX_VARINT32_SIZE * length);
    const { bytes } = out;
    let { at } = out;
    for (let i = 0; i < length; i++) {
      let ref = refs[i]!;
      for (; ref >= 0x80; ref >>>= 7) bytes[at++] = (ref & 0x7f) | 0x80;
      bytes[at++] = ref;
    }
    out.at = at;
  }
}

function symbolSize(symbol: string): number {
  return 1 + varintSize(symbol.length) + symbol.length;
}
