// Attributes as OTLP's KeyValue messages.
import type { Attributes } from '@opentelemetry/api';
import { type AttributeSet, encodedForm } from '../data/attribute-set.ts';
import { BYTES, FIXED64, ProtobufWriter, tag, VARINT } from './protobuf-writer.ts';

const KEY = tag(1, BYTES);
const VALUE = tag(2, BYTES);
const STRING_VALUE = tag(1, BYTES);
const BOOL_VALUE = tag(2, VARINT);
const INT_VALUE = tag(3, VARINT);
const DOUBLE_VALUE = tag(4, FIXED64);
const ARRAY_VALUE = tag(5, BYTES);
const KVLIST_VALUE = tag(6, BYTES);
const BYTES_VALUE = tag(7, BYTES);
const ELEMENT = tag(1, BYTES);
const NUMBER_POINT_ATTRIBUTES = tag(7, BYTES);

/** Decoders refuse messages nested more than some hundred times, each level here has three; and an object may contain itself. */
const MAX_DEPTH = 16;

const SCRATCH_BYTES = 16 * 1024;
let scratch = new ProtobufWriter(SCRATCH_BYTES);

/**
 * The attributes of a series as a text whose characters are bytes: it takes a byte of memory per byte. Each has the tag
 * that it has in a number point.
 */
export const attributesText = encodedForm(({ keys, values }: AttributeSet) =>
  written(NUMBER_POINT_ATTRIBUTES, keys, values).toString('latin1'),
);

/**
 * Attributes as a repeated field.
 *
 * @returns bytes that hold until the next call
 */
export function attributesBytes(fieldTag: number, attributes: Attributes): Uint8Array {
  const keys = Object.keys(attributes).filter((key) => attributes[key] != null);
  return written(
    fieldTag,
    keys,
    keys.map((key) => attributes[key]),
  );
}

function written(fieldTag: number, keys: readonly string[], values: readonly unknown[]): Buffer {
  // One huge attribute must not cost its memory for ever.
  if (scratch.bytes.length > SCRATCH_BYTES) scratch = new ProtobufWriter(SCRATCH_BYTES);
  scratch.at = 0;
  for (let i = 0; i < keys.length; i++) writeKeyValue(scratch, fieldTag, keys[i]!, values[i], 0);
  return scratch.bytes.subarray(0, scratch.at);
}

function writeKeyValue(
  out: ProtobufWriter,
  fieldTag: number,
  key: string,
  value: unknown,
  depth: number,
): void {
  const start = out.open(fieldTag);
  out.text(KEY, key);
  writeAnyValue(out, VALUE, value, depth);
  out.close(start);
}

/** What OTLP has no type for becomes the empty value, as null does. */
function writeAnyValue(out: ProtobufWriter, fieldTag: number, value: unknown, depth: number): void {
  const start = out.open(fieldTag);
  out.reserve(MAX_SCALAR_SIZE);
  switch (typeof value) {
    case 'string':
      out.string(STRING_VALUE, value);
      break;
    case 'boolean':
      out.byte(BOOL_VALUE);
      out.byte(value ? 1 : 0);
      break;
    case 'number':
      if (Number.isSafeInteger(value)) {
        out.byte(INT_VALUE);
        out.int64(value);
      } else {
        out.byte(DOUBLE_VALUE);
        out.double(value);
      }
      break;
    case 'bigint':
      if (BigInt.asIntN(64, value) === value) {
        out.byte(INT_VALUE);
        out.int64(value);
      } else out.string(STRING_VALUE, String(value));
      break;
    case 'object':
      if (value !== null && depth < MAX_DEPTH) writeObject(out, value, depth + 1);
  }
  out.close(start);
}

function writeObject(out: ProtobufWriter, value: object, depth: number): void {
  if (value instanceof Uint8Array) {
    const start = out.open(BYTES_VALUE);
    out.reserve(value.length);
    out.raw(value);
    out.close(start);
  } else if (Array.isArray(value)) {
    const start = out.open(ARRAY_VALUE);
    for (const element of value) writeAnyValue(out, ELEMENT, element, depth);
    out.close(start);
  } else {
    const start = out.open(KVLIST_VALUE);
    for (const [key, member] of Object.entries(value)) writeKeyValue(out, ELEMENT, key, member, depth);
    out.close(start);
  }
}

/** A varint of 64 bits and its tag. */
const MAX_SCALAR_SIZE = 11;
