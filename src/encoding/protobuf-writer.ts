// Protobuf's wire format, written straight into bytes. Lengths of nested messages are known beforehand or put in
// afterwards; either way they have the fewest bytes possible.

import { endianness } from 'node:os';
import { writeByteText } from './byte-text.ts';

/** Where the halves of a 64-bit integer are in a `Uint32Array` over it. */
export const LOW = endianness() === 'LE' ? 0 : 1;
export const HIGH = 1 - LOW;

/** What to multiply a field number with, to be able to add the wire type. */
const FIELD = 8;
export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;

/** The first bytes of a field. All of OTLP's metrics have numbers below 16, so that it is one byte. */
export function tag(field: number, wireType: number): number {
  return field * FIELD + wireType;
}

/** Of lengths, which are below 4 GiB. */
export const MAX_VARINT32_SIZE = 5;

export const MAX_VARINT64_SIZE = 10;

export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  if (value < 0x10000000) return 4;
  let size = 5;
  for (let limit = 2 ** 35; value >= limit; limit *= 128) size++;
  return size;
}

/** What a length-delimited field with a one-byte tag takes. */
export function fieldSize(length: number): number {
  return 1 + varintSize(length) + length;
}

/** 9 for a `fixed64` or a `double` with its tag. */
export const FIXED64_FIELD_SIZE = 9;

/** The largest double below 2^64. */
const MAX_COUNT = 2 ** 64 - 2 ** 11;

/** A count from somebody else may be anything; 64 bits without a sign are what there is to write. */
export function nearestCount(value: number): number {
  return value > 0 ? Math.min(Math.floor(value), MAX_COUNT) : 0;
}

function nibble(code: number): number {
  return (code & 15) + (code >> 6) * 9;
}

/** Zigzag, as `sint32` has it: small numbers of either sign take few bytes. */
export function zigzag(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0;
}

export class ProtobufWriter {
  bytes: Buffer<ArrayBuffer>;
  view: DataView;
  /** How many bytes have been written. */
  at = 0;

  /** @param memory to write to, or how many bytes of it to take */
  constructor(memory: number | Buffer<ArrayBuffer>) {
    this.bytes = typeof memory === 'number' ? Buffer.allocUnsafeSlow(memory) : memory;
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
  }

  /** What has been written. */
  get written(): Buffer<ArrayBuffer> {
    return this.bytes.subarray(0, this.at);
  }

  /** Makes room for so many bytes more. Writing does not: where the size is known it would be a waste. */
  reserve(size: number): void {
    if (this.at + size <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.bytes.length, this.at + size));
    larger.set(this.bytes.subarray(0, this.at));
    this.bytes = larger;
    this.view = new DataView(larger.buffer);
  }

  /** A byte, such as a tag. */
  byte(value: number): void {
    this.bytes[this.at++] = value;
  }

  /** A whole number from 0 to 2^53. */
  varint(value: number): void {
    let rest = value;
    while (rest >= 0x80000000) {
      this.bytes[this.at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest >= 0x80) {
      this.bytes[this.at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.at++] = rest;
  }

  /** A whole number, negative ones as the 64 bits of their two's complement. */
  int64(value: number | bigint): void {
    if (typeof value === 'number' && value >= 0) {
      this.varint(value);
      return;
    }
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest >= 0x80n; rest >>= 7n) this.bytes[this.at++] = Number(rest & 0x7fn) | 0x80;
    this.bytes[this.at++] = Number(rest);
  }

  /** Tag and length of a message whose length is known. */
  header(tag: number, length: number): void {
    this.bytes[this.at++] = tag;
    this.varint(length);
  }

  double(value: number): void {
    this.view.setFloat64(this.at, value, true);
    this.at += 8;
  }

  /** A `fixed64` field with its tag, from a `Uint32Array` over 64-bit integers. */
  halves(tag: number, halves: Uint32Array, i: number): void {
    const { at, view } = this;
    view.setUint8(at, tag);
    view.setUint32(at + 1, halves[2 * i + LOW]!, true);
    view.setUint32(at + 5, halves[2 * i + HIGH]!, true);
    this.at = at + FIXED64_FIELD_SIZE;
  }

  /** A count; what is none of 64 bits becomes the nearest one. */
  fixed64(count: number): void {
    // Counts mostly have 31 bits.
    if (count === (count | 0) && count >= 0) {
      this.view.setInt32(this.at, count, true);
      this.view.setInt32(this.at + 4, 0, true);
      this.at += 8;
    } else this.sfixed64(nearestCount(count));
  }

  /** {@link fixed64} of each; in a loop of its own, which keeps the position in a register. */
  fixed64s(counts: Float64Array, from: number, to: number): void {
    const { view } = this;
    let { at } = this;
    for (let i = from; i < to; i++, at += 8) {
      const count = counts[i]!;
      if (count === (count | 0) && count >= 0) {
        view.setInt32(at, count, true);
        view.setInt32(at + 4, 0, true);
      } else {
        this.at = at;
        this.sfixed64(nearestCount(count));
      }
    }
    this.at = at;
  }

  doubles(values: Float64Array): void {
    const { view } = this;
    let { at } = this;
    for (let i = 0; i < values.length; i++, at += 8) view.setFloat64(at, values[i]!, true);
    this.at = at;
  }

  /** A whole number from -2^63 to 2^64 - 1. */
  sfixed64(value: number): void {
    const high = Math.floor(value / 2 ** 32);
    this.view.setUint32(this.at, value - high * 2 ** 32, true);
    this.view.setUint32(this.at + 4, high, true);
    this.at += 8;
  }

  /** Bytes given as hexadecimal digits. */
  hex(digits: string): void {
    for (let i = 0; i < digits.length; i += 2) {
      this.bytes[this.at++] = (nibble(digits.charCodeAt(i)) << 4) | nibble(digits.charCodeAt(i + 1));
    }
  }

  raw(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** Text whose characters are bytes. */
  byteText(text: string): void {
    this.reserve(text.length);
    this.at = writeByteText(this.bytes, this.at, text);
  }

  /** {@link raw} with room made for it. */
  append(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.raw(bytes);
  }

  /** A `string` field that is left out when it is empty, as protobuf does. */
  text(tag: number, text: string | undefined): void {
    if (text) this.string(tag, text);
  }

  /** A `string` field with its tag, also when it is empty. */
  string(tag: number, text: string): void {
    this.reserve(
      MAX_HEADER_SIZE + (text.length > MAX_BYTEWISE_TEXT ? Buffer.byteLength(text) : 3 * text.length),
    );
    const start = this.open(tag);
    // A lone surrogate becomes U+FFFD, since a proto3 string must be valid UTF-8.
    if (text.length > MAX_BYTEWISE_TEXT || !this.#ascii(text))
      this.at = start + this.bytes.write(text, start, 'utf8');
    this.close(start);
  }

  /**
   * Begins a message whose length is not known; what is returned goes to {@link close}.
   *
   * @param lengthSize how many bytes the length will most likely take: most nested messages are shorter than 128 bytes
   */
  open(tag: number, lengthSize = 1): number {
    this.reserve(MAX_HEADER_SIZE);
    this.bytes[this.at] = tag;
    this.at += 1 + lengthSize;
    return this.at;
  }

  /** Ends it. What the length takes more or less than expected, the content is moved by. */
  close(start: number, lengthSize = 1): void {
    const length = this.at - start;
    if (lengthSize === 2 && length >= 0x80 && length < 0x4000) {
      // Almost every data point.
      this.bytes[start - 2] = (length & 0x7f) | 0x80;
      this.bytes[start - 1] = length >> 7;
      return;
    }
    const excess = varintSize(length) - lengthSize;
    if (excess !== 0) {
      this.reserve(excess);
      this.bytes.copyWithin(start + excess, start, this.at);
    }
    this.at = start - lengthSize;
    this.varint(length);
    this.at += length;
  }

  /** Gives all length-delimited fields from `start` on, which all have a tag of one byte, another one. */
  replaceTags(start: number, fieldTag: number): void {
    const { bytes, at: end } = this;
    for (let at = start; at < end; ) {
      bytes[at] = fieldTag;
      let length = bytes[at + 1]!;
      at += 2;
      if (length >= 0x80) {
        length -= 0x80;
        for (let scale = 128, byte = 0x80; byte >= 0x80; scale *= 128) {
          byte = bytes[at++]!;
          length += (byte & 0x7f) * scale;
        }
      }
      at += length;
    }
  }

  #ascii(text: string): boolean {
    const start = this.at;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x80) return false;
      this.bytes[start + i] = code;
    }
    this.at = start + text.length;
    return true;
  }
}

/** A tag of one byte and the length of 4 GiB. */
const MAX_HEADER_SIZE = 6;
/** Up to here a loop is faster than the call into Node. */
const MAX_BYTEWISE_TEXT = 32;
