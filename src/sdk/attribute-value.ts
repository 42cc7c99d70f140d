// Which attribute values can identify a series, and what becomes of the others.
import type { Attributes, AttributeValue } from '@opentelemetry/api';
import { report, textOf } from '../data/diagnostics.ts';

/** Longer text in a warning helps nobody. */
const SHOWN = 80;

/**
 * Returns the value as it will be exported: strings, numbers, booleans and arrays of them as they are, bigints as
 * numbers (as decimal strings beyond 2^53), objects as their JSON text. Undefined means that the attribute is
 * left out: for undefined and null, which mean "absent", silently; for functions, symbols and objects without
 * a JSON form with a warning.
 */
export function attributeValue(key: string, value: unknown): AttributeValue | undefined {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'boolean':
      return value;
    case 'undefined':
      return undefined;
    case 'bigint': {
      const number = Number(value);
      return Number.isSafeInteger(number) ? number : String(value);
    }
    case 'object':
      if (value === null) return undefined;
      return Array.isArray(value) ? arrayValue(key, value) : objectText(key, value);
    default:
      report(
        'warn',
        `attribute-value:${shown(key)}`,
        `attribute ${shown(key)} is a ${typeof value} and is left out; ` +
          'use a string, a number, a boolean or an array of one of them',
      );
      return undefined;
  }
}

/**
 * A text that is the same for equal arrays of primitives and differs for all others: the type tag keeps
 * `1`, `'1'` and `true` apart, JSON keeps the elements apart.
 */
export function arrayKey(array: readonly unknown[]): string {
  return JSON.stringify(array.map((element) => `${typeof element}:${element}`));
}

/** Attributes as a series would have them, own and inherited ones, each read once; what the caller does later has no effect. */
export function canonicalAttributes(attributes: Attributes): Attributes {
  const canonical: Attributes = {};
  for (const key in attributes) {
    const value = key === '' ? undefined : attributeValue(key, attributes[key]);
    // Assigning would call the setter of `__proto__`.
    if (value !== undefined) Object.defineProperty(canonical, key, { value, enumerable: true });
  }
  return canonical;
}

function arrayValue(key: string, array: readonly unknown[]): AttributeValue | undefined {
  // Copied first, because a proxy may answer differently the second time.
  const copy = [...array];
  return copy.every(isArrayElement) ? (Object.freeze(copy) as AttributeValue) : objectText(key, copy);
}

function isArrayElement(element: unknown): boolean {
  return (
    element === null || element === undefined || ['string', 'number', 'boolean'].includes(typeof element)
  );
}

function objectText(key: string, value: object): string | undefined {
  const name = shown(key);
  try {
    const text = JSON.stringify(value);
    if (typeof text !== 'string') throw new TypeError('it has no JSON form');
    report(
      'warn',
      `attribute-value:${name}`,
      `attribute ${name} is an object and is recorded as its JSON text; ` +
        'use a string, a number, a boolean or an array of one of them',
    );
    return text;
  } catch (error) {
    report('warn', `attribute-value:${name}`, `attribute ${name} is left out: ${textOf(error)}`);
    return undefined;
  }
}

/** A key as it can be shown in a message. */
export function shown(text: string): string {
  return JSON.stringify(text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text);
}
