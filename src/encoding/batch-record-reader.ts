// Takes texts, columns and attribute sets of one record out of its bytes, and believes none of them.
import type { Attributes } from '@opentelemetry/api';
import type { AttributeSet } from '../data/attribute-set.ts';
import { RecordError } from './batch-record-error.ts';
import { COLUMN, type Column, MAX_DEPTH, TAG } from './batch-record-format.ts';
import type { KnownSets } from './batch-record-known-sets.ts';

const BYTES_A_STEP = 256 * 1024;

/** Half of what V8 takes. */
const MAX_TEXT_BYTES = 2 ** 28;

/** One for all: a buffer for each number would be what the garbage collector is busy with. */
const NUMBER = new Float64Array(1);
const NUMBER_BYTES = new Uint8Array(NUMBER.buffer);
const NUMBER_HALVES = new Int32Array(NUMBER.buffer);

/** Longer texts are seldom those of many series. */
const MAX_KNOWN_TEXT_BYTES = 128;

const PRIME = 0x01000193;
/** V8 keeps such numbers without an object for each. */
const MAX_HASH = 0x3fffffff;

type ColumnClass<C extends Column> = { new (length: number): C; readonly BYTES_PER_ELEMENT: number };

export class RecordReader {
  readonly #bytes: Buffer;
  #at = 0;
  readonly #known: KnownSets;
  readonly #texts: string[] = [];
  readonly #textHashes: number[] = [];
  readonly #sets: AttributeSet[] = [];
  readonly #keys: (readonly string[])[] = [];
  readonly #keysHashes: number[] = [];
  /** Of the values read since it was set to 0. */
  #hash = 0;

  constructor(bytes: Uint8Array, known: KnownSets) {
    this.#known = known;
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  demand(holds: boolean, what: string): void {
    if (!holds) this.#fail(what);
  }

  end(): void {
    this.demand(this.#at === this.#bytes.length, 'bytes follow the last scope');
    this.#known.trim(this.#sets.length, this.#texts.length);
  }

  /** Point `i` owns the elements `starts[i]` to `starts[i + 1] - 1` of so many. */
  demandRanges(starts: Uint32Array, elements: number): void {
    this.demand(
      starts.every((start, i) => start <= (starts[i + 1] ?? elements)),
      'ranges of points overlap or end beyond the last element',
    );
  }

  byte(): number {
    this.#demandLeft(1);
    return this.#bytes[this.#at++]!;
  }

  oneOf(min: number, max: number): number {
    const value = this.byte();
    if (value < min || value > max) this.#fail(`${value} is not one of ${min} to ${max}`);
    return value;
  }

  /** A number of things that take so many bytes each, at least: never more than there is room for. */
  count(bytesEach = 1): number {
    const value = this.#whole();
    this.#demandLeft(value * bytesEach);
    return value;
  }

  text(): string {
    const kind = this.#whole();
    if (kind > 1) {
      const known = this.#texts[kind - 2];
      if (known === undefined) this.#fail(`there is no text ${kind - 2}`);
      this.#mix(this.#textHashes[kind - 2]!);
      return known;
    }
    const length = this.count();
    this.demand(length < MAX_TEXT_BYTES, 'a text is too long');
    const hash = hashOf(this.#bytes, this.#at, length);
    const text = this.#newText(kind === 0 ? 'utf8' : 'utf16le', length, hash);
    this.#at += length;
    this.#texts.push(text);
    this.#textHashes.push(hash);
    this.#mix(hash);
    return text;
  }

  optionalText(): string | undefined {
    return this.oneOf(0, 1) === 1 ? this.text() : undefined;
  }

  id(form: RegExp): string | undefined {
    const id = this.optionalText();
    this.demand(id === undefined || form.test(id), 'an id is not hexadecimal');
    return id;
  }

  set(): AttributeSet {
    const number = this.#whole();
    if (number === this.#sets.length) this.#sets.push(this.#newSet());
    return this.#sets[number] ?? this.#fail(`there is no attribute set ${number}`);
  }

  attributes(): Attributes {
    const [keys, values] = this.#members(0);
    return objectOf(keys, values) as Attributes;
  }

  *column<C extends Column>(column: C): Generator<void, C> {
    if (this.oneOf(0, 1) === COLUMN.elements) return yield* this.#fill(column);
    const size = column.BYTES_PER_ELEMENT;
    this.#demandLeft(size);
    this.demand(column.length > 0, 'a column without elements has one');
    const target = new Uint8Array(column.buffer);
    target.set(this.#take(size));
    // Doubling copies bits, which `fill` does not promise for NaN.
    for (let filled = size; filled < target.length; filled *= 2) target.copyWithin(filled, 0, filled);
    yield;
    return column;
  }

  /** Checks that the elements are there before it takes memory for them. */
  *elements<C extends Column>(Class: ColumnClass<C>, length: number): Generator<void, C> {
    this.#demandLeft(length * Class.BYTES_PER_ELEMENT);
    return yield* this.#fill(new Class(length));
  }

  *#fill<C extends Column>(column: C): Generator<void, C> {
    const target = new Uint8Array(column.buffer);
    this.#demandLeft(target.length);
    for (let at = 0; at < target.length; at += BYTES_A_STEP) {
      target.set(this.#take(Math.min(BYTES_A_STEP, target.length - at)), at);
      yield;
    }
    return column;
  }

  #newText(encoding: 'utf8' | 'utf16le', length: number, hash: number): string {
    const isShort = length <= MAX_KNOWN_TEXT_BYTES && encoding === 'utf8';
    const known = isShort ? this.#known.text(hash, this.#bytes, this.#at, length) : undefined;
    if (known !== undefined) return known;
    const text = this.#bytes.toString(encoding, this.#at, this.#at + length);
    if (isShort) this.#known.addText(hash, text);
    return text;
  }

  #newSet(): AttributeSet {
    this.#hash = 0;
    const [keys, values] = this.#members(0);
    return this.#known.set(this.#hash & MAX_HASH, keys, values);
  }

  #members(depth: number): [keys: readonly string[], values: unknown[]] {
    const hash = this.#hash;
    const number = this.#whole();
    if (number === this.#keys.length) {
      this.#hash = 0;
      const list: string[] = [];
      for (let left = this.count(); left > 0; left--) list.push(this.text());
      this.#keys.push(list);
      this.#keysHashes.push(this.#hash);
    }
    const keys = this.#keys[number] ?? this.#fail(`there is no list of keys ${number}`);
    this.#hash = hash;
    this.#mix(this.#keysHashes[number]!);
    const values: unknown[] = [];
    for (let left = keys.length; left > 0; left--) values.push(this.#value(depth));
    return [keys, values];
  }

  #value(depth: number): unknown {
    const tag = this.oneOf(0, TAG.object);
    this.#mix(tag);
    switch (tag) {
      case TAG.null:
        return null;
      case TAG.false:
      case TAG.true:
        return tag === TAG.true;
      case TAG.text:
        return this.text();
      case TAG.number: {
        this.#demandLeft(8);
        this.#bytes.copy(NUMBER_BYTES, 0, this.#at, this.#at + 8);
        this.#at += 8;
        this.#mix(NUMBER_HALVES[0]! ^ NUMBER_HALVES[1]!);
        return NUMBER[0];
      }
      case TAG.bigint: {
        const digits = this.text();
        this.demand(/^-?\d{1,400}$/.test(digits), 'a bigint is not a number');
        return BigInt(digits);
      }
      case TAG.bytes:
        return Uint8Array.from(this.#take(this.count()));
      case TAG.list:
      case TAG.object:
        this.demand(depth < MAX_DEPTH, 'values are nested too deeply');
        return tag === TAG.list ? this.#list(depth + 1) : objectOf(...this.#members(depth + 1));
      default:
        return undefined;
    }
  }

  #list(depth: number): unknown[] {
    const list: unknown[] = [];
    for (let left = this.count(); left > 0; left--) list.push(this.#value(depth));
    return list;
  }

  #mix(hash: number): void {
    this.#hash = Math.imul(this.#hash ^ hash, PRIME) ^ (this.#hash >>> 15);
  }

  #whole(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      this.demand(factor < 2 ** 49, 'a number is too long');
      const byte = this.byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  }

  #take(length: number): Uint8Array {
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** Texts are put together here only: most of what is demanded holds. */
  #fail(what: string): never {
    throw new RecordError('damaged', `${what}, at byte ${this.#at} of ${this.#bytes.length}`);
  }

  #demandLeft(bytes: number): void {
    this.demand(bytes <= this.#bytes.length - this.#at, 'the record ends too early');
  }
}

/** FNV-1a; of a long text, of its ends. */
function hashOf(bytes: Uint8Array, at: number, length: number): number {
  let hash = length;
  const end = at + length;
  for (let i = at; i < end; i++) {
    if (i === at + MAX_KNOWN_TEXT_BYTES) i = Math.max(i, end - MAX_KNOWN_TEXT_BYTES);
    hash = Math.imul(hash ^ bytes[i]!, PRIME);
  }
  return (hash ^ (hash >>> 15)) & MAX_HASH;
}

function objectOf(keys: readonly string[], values: readonly unknown[]): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  keys.forEach((key, i) => {
    // Assigning would call the setter of `__proto__` and lose the member.
    Object.defineProperty(object, key, {
      value: values[i],
      enumerable: true,
      writable: true,
      configurable: true,
    });
  });
  return object;
}
