// What can be known of the labels of an attribute set from its keys and types alone, kept once for all sets
// that agree in them.
import type { AttributeValue } from '@opentelemetry/api';
import { type AttributeSet, encodedForm } from '../data/attribute-set.ts';
import { labelName } from './prometheus-names.ts';

export interface LabelShape {
  readonly keys: readonly string[];
  /** The {@link typeCode} of each value. */
  readonly codes: readonly string[];
  /** The names of the labels; sets whose names differ have different blocks. */
  readonly names: string;
  /** False when every two different sets of this shape have different blocks. */
  readonly ambiguous: boolean;
  /** True when a label may meet one that we add, so that the block depends on the scope and the metric. */
  readonly reserved: boolean;
  /** What stands before each value; undefined when labels have to be left out, joined or sorted. */
  readonly separators: readonly string[] | undefined;
}

/** The label of a bucket's upper bound. */
export const BOUND = 'le';
/** An attribute of that name moves here on histograms: joining the two values would ruin the buckets. */
export const EXPORTED_BOUND = 'exported_le';
export const SCOPE_PREFIX = 'otel_scope_';

/** Enough for every key and shape of an application that behaves, and a bound for one that makes up keys. */
const MAX_REMEMBERED = 10_000;

/** {@link labelName}, for keys that come again and again. */
export const nameOf = remembered(labelName);

/** The shape of an attribute set; shared between sets of the same keys and types. */
export const attributeShape = encodedForm((set) => {
  // Neighbours mostly look alike, which is cheaper to see than to look up.
  if (latestShape === undefined || !isOfShape(latestShape, set)) latestShape = shapeOf(signature(set), set);
  return latestShape;
});
let latestShape: LabelShape | undefined;

function isOfShape({ keys, codes }: LabelShape, set: AttributeSet): boolean {
  if (keys.length !== set.keys.length) return false;
  for (let i = 0; i < keys.length; i++) {
    if (keys[i] !== set.keys[i] || codes[i] !== typeCode(set.values[i]!)) return false;
  }
  return true;
}

/** Keys and types, injective: the length ends a key whatever is in it. */
function signature({ keys, values }: AttributeSet): string {
  let text = '';
  for (let i = 0; i < keys.length; i++) text += `${keys[i]!.length}:${keys[i]}${typeCode(values[i]!)}`;
  return text;
}

/** `x` for values of which two different ones may have the same text. */
function typeCode(value: AttributeValue): 's' | 'e' | 'n' | 'b' | 'x' {
  switch (typeof value) {
    case 'string':
      if (value === '') return 'e';
      // Lone surrogates all become U+FFFD; telling them from pairs is not worth the time.
      return /[\ud800-\udfff]/.test(value) ? 'x' : 's';
    case 'number':
      return Object.is(value, -0) ? 'x' : 'n';
    case 'boolean':
      return 'b';
    default:
      return 'x';
  }
}

const shapeOf = remembered((_signature: string, { keys, values }: AttributeSet): LabelShape => {
  const names = keys.map(nameOf);
  const codes = values.map(typeCode);
  const reserved = names.some((name) => name === BOUND || name.startsWith(SCOPE_PREFIX));
  const joined = new Set(names).size < names.length;
  const present = names.filter(
    (name, i) => codes[i] !== 'e' || names.indexOf(name) !== names.lastIndexOf(name),
  );
  const isSorted = names.every((name, i) => i === 0 || names[i - 1]! < name);
  return {
    keys,
    codes,
    names: [...new Set(present.map((name) => (name === BOUND ? EXPORTED_BOUND : name)))].sort().join(),
    ambiguous: reserved || joined || codes.includes('x'),
    reserved,
    separators:
      isSorted && present.length === names.length
        ? names.map((name, i) => `${i === 0 ? '' : '",'}${name}="`)
        : undefined,
  };
});

/** Computes the value of each key once, and all of them anew when there have been too many. */
function remembered<T, Rest extends unknown[]>(compute: (key: string, ...rest: Rest) => T) {
  const known = new Map<string, T>();
  return (key: string, ...rest: Rest): T => {
    let value = known.get(key);
    if (value === undefined) {
      if (known.size >= MAX_REMEMBERED) known.clear();
      value = compute(key, ...rest);
      known.set(key, value);
    }
    return value;
  };
}
