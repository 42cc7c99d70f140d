// The buffer that a text encoder fills and hands over, again and again.
import { writeByteText } from './byte-text.ts';

/** Large enough for the cost of a write to vanish, small enough to be filled well within a time slice. */
const CHUNK_SIZE = 64 * 1024;

/** What {@link TextChunk.piece} may write behind the end. */
const WORD = 8;

const NOTHING = new Uint8Array(0);

/** A text that many lines share, ready to be copied in words. */
export interface Piece {
  readonly view: DataView;
  readonly length: number;
}

/** @param bytes a byte string (a character per byte) of valid UTF-8 */
export function pieceOf(bytes: string): Piece {
  // From Node's pool: a family has dozens, and each scrape makes them anew.
  const padded = Buffer.allocUnsafe(Math.ceil(bytes.length / WORD) * WORD).fill(0);
  padded.write(bytes, 'latin1');
  return { view: new DataView(padded.buffer, padded.byteOffset, padded.length), length: bytes.length };
}

/**
 * Whoever writes asks for the room first. Everything in it is valid UTF-8, which is why texts can be copied as doubles,
 * eight bytes at a time and without a call out of JavaScript: the bits of a NaN, which a copy may change, would end in
 * a byte from F0 on with 7F or FF behind it, and no UTF-8 has that.
 */
export class TextChunk {
  readonly #reuse: boolean;
  #spare: Buffer<ArrayBuffer> | undefined;
  bytes = Buffer.allocUnsafeSlow(CHUNK_SIZE);
  view = new DataView(this.bytes.buffer);
  end = 0;

  /** @param reuse lets two buffers take turns, so that what is taken holds until the next but one is asked for */
  constructor(reuse = false) {
    this.#reuse = reuse;
  }

  /** Whether so many bytes fit. They always do while the chunk is empty, which makes it larger if need be. */
  hasRoom(bytes: number): boolean {
    if (this.end + bytes + WORD <= this.bytes.length) return true;
    if (this.end > 0) return false;
    this.#use(Buffer.allocUnsafeSlow(bytes + WORD));
    return true;
  }

  /** Appends a byte string. */
  append(bytes: string): void {
    if (bytes.length > 0) this.end = writeByteText(this.bytes, this.end, bytes);
  }

  piece({ view: from, length }: Piece): void {
    const { view, end } = this;
    for (let i = 0; i < length; i += WORD) view.setFloat64(end + i, from.getFloat64(i, true), true);
    this.end = end + length;
  }

  /** Appends what stands in the chunk already. */
  repeat(start: number, length: number): void {
    const { view, end } = this;
    this.end = end + length;
    if (length < WORD) {
      for (let i = 0; i < length; i++) view.setUint8(end + i, view.getUint8(start + i));
      return;
    }
    const last = length - WORD;
    for (let i = 0; i < last; i += WORD) view.setFloat64(end + i, view.getFloat64(start + i, true), true);
    view.setFloat64(end + last, view.getFloat64(start + last, true), true);
  }

  byte(value: number): void {
    this.view.setUint8(this.end++, value);
  }

  /** Gives away what was written, which may be nothing, and starts anew. */
  take(): Uint8Array {
    if (this.end === 0) return NOTHING;
    const full = this.bytes;
    const taken = full.subarray(0, this.end);
    this.#use(this.#spare ?? Buffer.allocUnsafeSlow(CHUNK_SIZE));
    // One huge line must not cost its memory as long as the rest takes.
    this.#spare = this.#reuse && full.length === CHUNK_SIZE ? full : undefined;
    this.end = 0;
    return taken;
  }

  #use(bytes: Buffer<ArrayBuffer>): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }
}
