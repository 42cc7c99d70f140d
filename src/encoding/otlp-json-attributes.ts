// Attributes as OTLP's KeyValue messages in JSON.
import type { Attributes } from '@opentelemetry/api';
import { type AttributeSet, encodedForm } from '../data/attribute-set.ts';
import { jsonText, numberText, utf8Bytes } from './json-text.ts';

/** As in protobuf, where an object that contains itself must end as well. */
const MAX_DEPTH = 16;

const LONE_SURROGATES = /\p{Surrogate}/gu;

/** The member `"attributes":[…],` of a point, or nothing, as a text whose characters are bytes. */
export const attributesMember = encodedForm(({ keys, values }: AttributeSet) => {
  if (keys.length === 0) return '';
  return utf8Bytes(`"attributes":[${keys.map((key, i) => keyValue(key, values[i], 0)).join()}],`);
});

/** The JSON array of attributes, without those that are absent. */
export function keyValues(attributes: Attributes): string {
  const present = Object.entries(attributes).filter(([, value]) => value != null);
  return `[${present.map(([key, value]) => keyValue(key, value, 0)).join()}]`;
}

/** JSON text of a protobuf string, which must be valid Unicode: a lone surrogate becomes U+FFFD. */
export function stringText(text: string): string {
  return jsonText(text.replace(LONE_SURROGATES, '\ufffd'));
}

function keyValue(key: string, value: unknown, depth: number): string {
  return `{"key":${stringText(key)},"value":${anyValue(value, depth)}}`;
}

/** What OTLP has no type for becomes the empty value, as null does. */
function anyValue(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return `{"stringValue":${stringText(value)}}`;
    case 'boolean':
      return `{"boolValue":${value}}`;
    case 'number':
      return Number.isSafeInteger(value) ? `{"intValue":"${value}"}` : `{"doubleValue":${numberText(value)}}`;
    case 'bigint':
      return BigInt.asIntN(64, value) === value ? `{"intValue":"${value}"}` : `{"stringValue":"${value}"}`;
    case 'object':
      return value === null || depth >= MAX_DEPTH ? '{}' : objectValue(value, depth + 1);
    default:
      return '{}';
  }
}

function objectValue(value: object, depth: number): string {
  if (value instanceof Uint8Array) return `{"bytesValue":"${Buffer.from(value).toString('base64')}"}`;
  if (Array.isArray(value)) {
    return `{"arrayValue":{"values":[${value.map((element) => anyValue(element, depth)).join()}]}}`;
  }
  const members = Object.entries(value).map(([key, member]) => keyValue(key, member, depth));
  return `{"kvlistValue":{"values":[${members.join()}]}}`;
}
