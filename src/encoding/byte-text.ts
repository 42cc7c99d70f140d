// Texts whose characters are bytes: what is kept of labels and attributes, since they take a byte of memory per byte.

/** What `Buffer.prototype.write` calls once it has found the encoding, which takes it longer than most texts. */
interface Latin1Writer {
  latin1Write(text: string, at: number, length: number): number;
}

/**
 * Writes such a text, for which there is room.
 *
 * @returns the position behind it
 */
export function writeByteText(target: Buffer, at: number, text: string): number {
  // Not in Node's documentation, but in all its versions and in use by many serialisers.
  return at + (target as Buffer & Latin1Writer).latin1Write(text, at, text.length);
}
