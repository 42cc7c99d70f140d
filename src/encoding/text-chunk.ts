// The buffer that a text encoder fills and hands over, again and again.

/** Large enough for the cost of a write to vanish, small enough to be filled well within a time slice. */
const CHUNK_SIZE = 64 * 1024;

const NOTHING = new Uint8Array(0);

export class TextChunk {
  /** Written from `end` on, by whoever asked for the room. */
  buffer = Buffer.allocUnsafeSlow(CHUNK_SIZE);
  end = 0;

  /** Whether so many bytes fit. They always do while the chunk is empty, which makes it larger if need be. */
  hasRoom(bytes: number): boolean {
    if (this.end + bytes <= this.buffer.length) return true;
    if (this.end > 0) return false;
    this.buffer = Buffer.allocUnsafeSlow(bytes);
    return true;
  }

  /** Appends a byte string (a character per byte), for which there must be room. */
  append(bytes: string): void {
    this.end += this.buffer.write(bytes, this.end, 'latin1');
  }

  /** Gives away what was written, which may be nothing, and starts anew. */
  take(): Uint8Array {
    if (this.end === 0) return NOTHING;
    const bytes = this.buffer.subarray(0, this.end);
    this.buffer = Buffer.allocUnsafeSlow(CHUNK_SIZE);
    this.end = 0;
    return bytes;
  }
}
