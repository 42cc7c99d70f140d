// Where the encoder puts bytes: whole lines only, so that any prefix of what it hands out can be written.
import { writeByteText } from './byte-text.ts';
import { writeDecimal, writeDigits, writeInteger } from './decimal.ts';
import { numberText } from './json-text.ts';

/** Large enough that the cost of a write is spread over hundreds of lines, small enough to encode in under 1 ms. */
const CHUNK_BYTES = 256 * 1024;

/** The longest text of a double, such as `-0.0000012345678901234567`. */
export const MAX_NUMBER_BYTES = 25;

const MINUS = 0x2d;

export class LineBuffer {
  readonly #reuse: boolean;
  #bytes = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  #length = 0;
  #spare: Buffer<ArrayBuffer> | undefined;

  /** @param reuse lets two buffers take turns, so that a chunk is valid until the next but one is taken */
  constructor(reuse: boolean) {
    this.#reuse = reuse;
  }

  /** True when a line of that many bytes goes in without {@link take}. */
  fits(lineBytes: number): boolean {
    return this.#length + lineBytes <= this.#bytes.length;
  }

  /** Hands out the lines so far and makes room for one of `lineBytes`. */
  take(lineBytes = 0): Uint8Array {
    const full = this.#bytes;
    const chunk = full.subarray(0, this.#length);
    const isSpareEnough = this.#spare !== undefined && this.#spare.length >= lineBytes;
    this.#bytes = isSpareEnough ? this.#spare! : Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, lineBytes));
    if (this.#reuse) this.#spare = full;
    this.#length = 0;
    return chunk;
  }

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** How many bytes there are since the last {@link take}. */
  get length(): number {
    return this.#length;
  }

  /** Takes back what was written after there were so many bytes. */
  truncate(length: number): void {
    this.#length = length;
  }

  /** Bytes that many lines share. A typed array copies in 12 ns where a string takes 50. */
  bytes(piece: Uint8Array): void {
    this.#bytes.set(piece, this.#length);
    this.#length += piece.length;
  }

  /** Text whose characters are bytes, see `utf8Bytes`. */
  text(text: string): void {
    this.#length = writeByteText(this.#bytes, this.#length, text);
  }

  number(value: number): void {
    const bytes = this.#bytes;
    // Bucket counts are mostly small whole numbers; -0 keeps its sign in `numberText`.
    if (value === (value | 0) && value >= 0 && !Object.is(value, -0)) {
      this.#length = writeInteger(bytes, this.#length, value);
      return;
    }
    const start = this.#length;
    if (value < 0) bytes[start] = MINUS;
    const digits = value < 0 ? start + 1 : start;
    const end = writeDecimal(bytes, digits, Math.abs(value));
    if (end > digits) this.#length = end;
    else this.text(numberText(value));
  }

  /** A whole number below 10^9, with leading zeros. */
  nineDigits(value: number): void {
    const start = this.#length;
    this.#length += 9;
    writeDigits(this.#bytes, start, this.#length, value);
  }
}
