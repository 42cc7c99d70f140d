// JSON text of names and attribute values that never fails, whatever an application put into them.
import type { Attributes } from '@opentelemetry/api';

/**
 * The JSON text of an attribute value or a name.
 *
 * An attribute of a type that OpenTelemetry does not have must not make the export of all other series fail,
 * time after time, so this writes something for every value: a bigint as a number, anything without a JSON
 * form as its string.
 */
export function jsonText(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return quoted(value);
    case 'number':
      return numberText(value);
    case 'boolean':
    case 'bigint':
      return String(value);
    case 'undefined':
      return 'null';
    default:
      if (Array.isArray(value)) return `[${value.map(jsonText).join()}]`;
      return objectText(value);
  }
}

/** The JSON object of attributes, each of which may be anything. */
export function jsonAttributes(attributes: Attributes): string {
  return jsonMembers(Object.entries(attributes).map(([key, value]) => [key, jsonText(value)]));
}

/** A JSON object from names and JSON texts; members without a text are left out. */
export function jsonMembers(members: (readonly [name: string, text: string | undefined])[]): string {
  const written = members.filter(([, text]) => text !== undefined);
  return `{${written.map(([name, text]) => `${quoted(name)}:${text}`).join()}}`;
}

/** {@link jsonText} that leaves out what is not there. */
export function optionalText(value: unknown): string | undefined {
  return value === undefined ? undefined : jsonText(value);
}

/** JSON has no NaN and no infinities: they become the strings `"NaN"`, `"Infinity"` and `"-Infinity"`. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) return `"${value}"`;
  return Object.is(value, -0) ? '-0' : String(value);
}

/**
 * The UTF-8 bytes of a text as the characters of a string. It takes one byte of memory per byte, where a
 * Buffer would add some 200, and goes into a byte buffer with a plain `latin1` copy.
 */
export function utf8Bytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** JSON allows these line breaks inside strings, but readers such as Python's `splitlines` break lines at them. */
const UNICODE_LINE_BREAKS = /[\u0085\u2028\u2029]/g;

/** `JSON.stringify` already escapes control characters and lone surrogates. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(
    UNICODE_LINE_BREAKS,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function objectText(value: unknown): string {
  try {
    return JSON.stringify(value) ?? quoted(String(value));
  } catch {
    // A cycle, a throwing `toJSON` or getter, a bigint inside.
    return quoted(Object.prototype.toString.call(value));
  }
}
