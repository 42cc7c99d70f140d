// `prometheus.WriteRequest` of version 1.0, which has all labels with every series.
import type { AttributeSet } from '../data/attribute-set.ts';
import type { NativeHistogram } from './native-histogram.ts';
import { ProtobufWriter } from './protobuf-writer.ts';
import {
  type EncodedLabels,
  encodedLabels,
  type Label,
  type LabelPlan,
  type PlanPart,
} from './remote-write-labels.ts';
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

/** What a copy in words may write behind its end. */
const WORD = 4;

/** Encoded labels in a memory that holds those of all parts and bounds. */
interface Piece {
  readonly from: number;
  readonly length: number;
}

/** From Node's pool: memory of its own for each request would occupy the garbage collector. */
const scratchMemory = () => new ProtobufWriter(Buffer.allocUnsafe(1024));

export class WriteRequest implements RemoteWriteMessage<EncodedLabels> {
  readonly #isStale: boolean;
  readonly #out: ProtobufWriter;
  /** Each request describes a family once. */
  readonly #described = new Set<string>();
  #latest: string | undefined;
  readonly #pieces = new Map<PlanPart | Label, Piece>();
  readonly #pieceBytes = scratchMemory();
  readonly #sampleTime = new TimeField(0x10);
  readonly #histogramTime = new TimeField(0x78);
  #start = 0;
  #mark = 0;
  /** The labels of the last set, and where each ends. */
  readonly #ownBytes = scratchMemory();
  readonly #ends: number[] = [];
  #own: EncodedLabels | undefined;
  /** Of the last series: where its labels begin, how many bytes come before the bound, where those behind it begin and end. */
  #plan: LabelPlan | undefined;
  #labels = 0;
  #before = 0;
  #behind = 0;
  #end = 0;

  constructor({ isStale, memory }: MessageOptions) {
    this.#isStale = isStale;
    this.#out = new ProtobufWriter(memory ?? INITIAL_BYTES);
  }

  get size(): number {
    return this.#out.at;
  }

  mark(): void {
    this.#mark = this.#out.at;
  }

  rollback(): void {
    this.#out.at = this.#mark;
  }

  at(time: number): void {
    this.#sampleTime.set(time);
    this.#histogramTime.set(time);
  }

  labelsOf(source: LabelSource, set: AttributeSet): EncodedLabels {
    return source.encodedLabels(set);
  }

  begin(plan: LabelPlan, own: EncodedLabels, bound?: Label): void {
    const out = this.#out;
    // The length mostly takes two bytes.
    this.#start = out.open(0x0a, 2);
    if (bound !== undefined && plan === this.#plan && own === this.#own) this.#repeat(bound);
    else this.#assemble(plan, own, bound);
    out.reserve(SAMPLE_ROOM);
  }

  /** The buckets of a histogram differ in their bound alone. */
  #repeat(bound: Label): void {
    const out = this.#out;
    const piece = this.#pieces.get(bound) ?? this.#newPiece(bound, [bound]);
    const before = this.#before;
    const behind = this.#behind;
    const end = this.#end;
    out.reserve(before - this.#labels + piece.length + end - behind + WORD);
    const labels = out.at;
    copy(out, out.view, this.#labels, before - this.#labels);
    this.#before = out.at;
    copy(out, this.#pieceBytes.view, piece.from, piece.length);
    this.#behind = out.at;
    copy(out, out.view, behind, end - behind);
    this.#labels = labels;
    this.#end = out.at;
  }

  #assemble(plan: LabelPlan, own: EncodedLabels, bound: Label | undefined): void {
    const out = this.#out;
    if (own !== this.#own) this.#take(own);
    this.#plan = plan;
    this.#labels = out.at;
    this.#before = out.at;
    this.#behind = out.at;
    const { parts, boundAt } = plan;
    for (let p = 0; p <= parts.length; p++) {
      if (p === boundAt) {
        this.#before = out.at;
        const piece = this.#pieces.get(bound!) ?? this.#newPiece(bound!, [bound!]);
        out.reserve(piece.length + WORD);
        copy(out, this.#pieceBytes.view, piece.from, piece.length);
        this.#behind = out.at;
      }
      const part = parts[p];
      if (part === undefined) break;
      if (part.fixed !== undefined) {
        const piece = this.#pieces.get(part) ?? this.#newPiece(part, part.fixed);
        out.reserve(piece.length + WORD);
        copy(out, this.#pieceBytes.view, piece.from, piece.length);
      } else {
        const from = part.from === 0 ? 0 : this.#ends[part.from - 1]!;
        const length = this.#ends[part.to - 1]! - from;
        out.reserve(length + WORD);
        copy(out, this.#ownBytes.view, from, length);
      }
    }
    this.#end = out.at;
  }

  #take(own: EncodedLabels): void {
    this.#own = own;
    const scratch = this.#ownBytes;
    scratch.at = 0;
    scratch.reserve(own.bytes.length + WORD);
    scratch.byteText(own.bytes);
    const { bytes } = scratch;
    let at = 0;
    for (let i = 0; i < own.names.length; i++) {
      let length = 0;
      let shift = 0;
      let byte = 0x80;
      for (at++; byte >= 0x80; shift += 7) {
        byte = bytes[at++]!;
        length += (byte & 0x7f) * 2 ** shift;
      }
      at += length;
      this.#ends[i] = at;
    }
  }

  sample(value: number): void {
    const out = this.#out;
    out.byte(0x12);
    out.byte(valueSize(value, this.#isStale) + this.#sampleTime.length);
    writeValue(out, value, this.#isStale);
    this.#sampleTime.write(out);
  }

  histogram(value: NativeHistogram): void {
    const out = this.#out;
    const start = out.open(0x22, 2);
    writeHistogram(out, value, this.#isStale, this.#histogramTime);
    out.close(start, 2);
  }

  exemplar(labels: readonly Label[], value: number, time: number): void {
    const start = this.#out.open(0x1a);
    this.#out.byteText(encodedLabels(labels));
    writeExemplarValue(this.#out, value, time);
    this.#out.close(start);
  }

  end({ family, type, help, unit }: Family): void {
    const out = this.#out;
    const { at } = out;
    out.close(this.#start, 2);
    this.#moved(out.at - at);
    if (family === this.#latest) return;
    this.#latest = family;
    if (this.#described.has(family)) return;
    this.#described.add(family);
    const start = out.open(0x1a);
    out.reserve(2);
    out.byte(0x08);
    out.byte(METRIC_TYPES[type]);
    out.text(0x12, family);
    out.text(0x22, help);
    out.text(0x2a, unit);
    out.close(start);
  }

  /** The length took more bytes or fewer. */
  #moved(by: number): void {
    this.#labels += by;
    this.#before += by;
    this.#behind += by;
    this.#end += by;
  }

  finish(): Uint8Array {
    return this.#out.written;
  }

  #newPiece(key: PlanPart | Label, labels: readonly Label[]): Piece {
    const bytes = encodedLabels(labels);
    const out = this.#pieceBytes;
    out.reserve(bytes.length + WORD);
    const piece = { from: out.at, length: bytes.length };
    out.byteText(bytes);
    this.#pieces.set(key, piece);
    return piece;
  }
}

/** In words, without a call out of JavaScript. Both sides have room for a word more. */
function copy(out: ProtobufWriter, from: DataView, start: number, length: number): void {
  const { view, at } = out;
  for (let i = 0; i < length; i += WORD) view.setUint32(at + i, from.getUint32(start + i));
  out.at = at + length;
}
