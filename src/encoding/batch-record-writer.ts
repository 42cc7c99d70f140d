// Puts texts, columns and attribute sets of one record into chunks.
import type { Attributes } from '@opentelemetry/api';
import type { AttributeSet } from '../data/attribute-set.ts';
import { COLUMN, type Column, MAX_DEPTH, TAG } from './batch-record-format.ts';

const CHUNK_BYTES = 16 * 1024;
/** So many bytes of new attribute sets take a fraction of a millisecond, also before V8 has compiled what writes them. */
const STEP_BYTES = 2 * 1024;
/** Longer columns are not copied: their own memory is the chunk, in pieces that are quick to checksum. */
const VIEW_BYTES = 4 * 1024;
const PIECE_BYTES = 64 * 1024;
/** One for all: a buffer for each number would be what the garbage collector is busy with. */
const NUMBER = new Float64Array(1);
const NUMBER_BYTES = new Uint8Array(NUMBER.buffer);

const NOT_UTF8 = /\p{Surrogate}/u;

export class RecordWriter {
  #chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  #end = 0;
  readonly #texts = new Map<string, number>();
  readonly #sets = new Map<AttributeSet, number>();
  /** By identity: a provider has one list for all sets with the same keys. */
  readonly #keys = new Map<readonly string[], number>();

  byte(value: number): void {
    this.#reserve(1);
    this.#chunk[this.#end++] = value;
  }

  /** A whole number in groups of 7 bits, the lowest first. */
  count(value: number): void {
    this.#reserve(8);
    let rest = value;
    for (; rest > 0x7f; rest = Math.floor(rest / 128)) this.#chunk[this.#end++] = (rest % 128) | 0x80;
    this.#chunk[this.#end++] = rest;
  }

  text(text: string): void {
    const known = this.#texts.get(text);
    if (known !== undefined) {
      this.count(known + 2);
      return;
    }
    this.#texts.set(text, this.#texts.size);
    const isUtf8 = !NOT_UTF8.test(text);
    this.byte(isUtf8 ? 0 : 1);
    const encoding = isUtf8 ? 'utf8' : 'utf16le';
    const length = Buffer.byteLength(text, encoding);
    this.count(length);
    this.#reserve(length);
    this.#end += this.#chunk.write(text, this.#end, encoding);
  }

  optionalText(text: string | undefined): void {
    this.byte(text == null ? 0 : 1);
    if (text != null) this.text(text);
  }

  set(set: AttributeSet): void {
    const known = this.#sets.get(set);
    this.count(known ?? this.#sets.size);
    if (known !== undefined) return;
    this.#sets.set(set, this.#sets.size);
    this.#members(set.keys, set.values, 0);
  }

  attributes(attributes: Attributes): void {
    this.#members(Object.keys(attributes), Object.values(attributes), 0);
  }

  *column(column: Column): Generator<Uint8Array> {
    const isSame = column.length > 1 && allSame(column);
    this.byte(isSame ? COLUMN.same : COLUMN.elements);
    yield* this.elements(isSame ? column.subarray(0, 1) : column);
  }

  *elements(column: Column): Generator<Uint8Array> {
    const bytes = new Uint8Array(column.buffer, column.byteOffset, column.byteLength);
    if (bytes.length < VIEW_BYTES) {
      this.#copy(bytes);
      yield* this.full();
      return;
    }
    yield* this.rest();
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
  }

  /** What has been written, when it is worth a chunk. */
  *full(): Generator<Uint8Array> {
    if (this.#end >= STEP_BYTES) yield* this.rest();
  }

  *rest(): Generator<Uint8Array> {
    if (this.#end === 0) return;
    yield this.#chunk.subarray(0, this.#end);
    // What is left of the chunk is used: chunks are kept until the record is on the disk.
    this.#chunk = this.#chunk.subarray(this.#end);
    this.#end = 0;
    if (this.#chunk.length < CHUNK_BYTES / 4) this.#chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  }

  #members(keys: readonly string[], values: readonly unknown[], depth: number): void {
    const known = this.#keys.get(keys);
    this.count(known ?? this.#keys.size);
    if (known === undefined) {
      this.#keys.set(keys, this.#keys.size);
      this.count(keys.length);
      for (const key of keys) this.text(key);
    }
    for (let i = 0; i < keys.length; i++) this.#value(values[i], depth);
  }

  #value(value: unknown, depth: number): void {
    switch (typeof value) {
      case 'string':
        this.byte(TAG.text);
        this.text(value);
        break;
      case 'number':
        this.byte(TAG.number);
        NUMBER[0] = value;
        this.#copy(NUMBER_BYTES);
        break;
      case 'boolean':
        this.byte(value ? TAG.true : TAG.false);
        break;
      case 'bigint':
        this.byte(TAG.bigint);
        this.text(String(value));
        break;
      case 'object':
        if (value === null) this.byte(TAG.null);
        else if (depth < MAX_DEPTH) this.#object(value, depth + 1);
        else this.byte(TAG.none);
        break;
      default:
        this.byte(TAG.none);
    }
  }

  #object(value: object, depth: number): void {
    if (value instanceof Uint8Array) {
      this.byte(TAG.bytes);
      this.count(value.length);
      this.#copy(value);
    } else if (Array.isArray(value)) {
      this.byte(TAG.list);
      this.count(value.length);
      for (const element of value) this.#value(element, depth);
    } else {
      this.byte(TAG.object);
      this.#members(Object.keys(value), Object.values(value), depth);
    }
  }

  #copy(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#chunk.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#chunk.length) return;
    const larger = Buffer.allocUnsafe(Math.max(CHUNK_BYTES, 2 * (this.#end + bytes)));
    this.#chunk.copy(larger, 0, 0, this.#end);
    this.#chunk = larger;
  }
}

/** Bit by bit, so that -0 stays -0; by halves, since each element of a BigUint64Array would become a bigint. */
function allSame(column: Column): boolean {
  const words = new Uint32Array(column.buffer, column.byteOffset, column.byteLength / 4);
  const stride = column.BYTES_PER_ELEMENT / 4;
  const last = words.length - stride;
  for (let i = 0; i < last; i++) if (words[i] !== words[i + stride]) return false;
  return true;
}
