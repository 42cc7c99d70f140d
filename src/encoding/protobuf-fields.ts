// The fields of a protobuf message from somebody else, which may be anything at all.

/** A length-delimited field as its bytes, a varint as a signed 64-bit number. Fixed-width fields are passed over. */
export type FieldVisitor = (number: number, value: Uint8Array | number) => void;

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const START_GROUP = 3;
const END_GROUP = 4;
const FIXED32 = 5;

/** Each byte has 7 bits, so 64 of them take 10. */
const MAX_VARINT_BYTES = 10;

/**
 * Calls `visit` for each field, in order, in time proportional to the bytes.
 *
 * @returns false where the bytes are no message; fields before that place have been visited
 */
export function visitFields(message: Uint8Array, visit: FieldVisitor): boolean {
  const varint = new VarintReader(message);
  let groups = 0;
  while (varint.position < message.length) {
    const tag = varint.next();
    // Whole multiples of 8 beyond 32 bits would be field numbers that protobuf does not have.
    if (tag === undefined || tag < 8 || tag >= 2 ** 32) return false;
    const number = Math.floor(tag / 8);
    switch (tag % 8) {
      case VARINT: {
        const value = varint.next();
        if (value === undefined) return false;
        if (groups === 0) visit(number, value);
        break;
      }
      case BYTES: {
        const length = varint.next();
        if (length === undefined || length < 0 || length > message.length - varint.position) return false;
        const start = varint.position;
        varint.position += length;
        if (groups === 0) visit(number, message.subarray(start, varint.position));
        break;
      }
      case FIXED64:
        varint.position += 8;
        break;
      case FIXED32:
        varint.position += 4;
        break;
      case START_GROUP:
        groups++;
        break;
      case END_GROUP:
        if (--groups < 0) return false;
        break;
      default:
        return false;
    }
  }
  return groups === 0 && varint.position === message.length;
}

class VarintReader {
  readonly #bytes: Uint8Array;
  position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Exact within 2^53; undefined where the bytes end too early or go on for too long. */
  next(): number | undefined {
    let low = 0;
    let high = 0;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = this.#bytes[this.position++];
      if (byte === undefined) return undefined;
      const bits = byte & 0x7f;
      if (i < 4) low += bits * 2 ** (7 * i);
      else high += bits * 2 ** (7 * i - 28);
      if (byte < 0x80) {
        // The tenth byte holds one bit of the 64; more are cut off.
        const rest = high % 2 ** 36;
        return (rest >= 2 ** 35 ? rest - 2 ** 36 : rest) * 2 ** 28 + low;
      }
    }
    return undefined;
  }
}
