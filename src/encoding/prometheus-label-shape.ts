// What can be known of the labels of an attribute set from its keys and types alone, kept once for all sets
// that agree in them.
import type { AttributeValue } from '@opentelemetry/api';
import { type AttributeSet, encodedForm } from '../data/attribute-set.ts';
import { type EscapingScheme, escapedLabel } from './prometheus-escaping.ts';
import type { FamilyType } from './prometheus-families.ts';
import { keepsUtf8, labelName, type TranslationStrategy, utf8LabelName } from './prometheus-names.ts';

export interface LabelShape {
  readonly keys: readonly string[];
  /** The {@link typeCode} of each value. */
  readonly codes: readonly string[];
  /** Of the labels, in order of the keys. */
  readonly labels: readonly string[];
  /** The names of the labels; sets whose names differ have different blocks. */
  readonly names: string;
  /** False when every two different sets of this shape have different blocks. */
  readonly ambiguous: boolean;
  /** True when a label may meet one that we add, so that the block depends on the scope and the metric. */
  readonly reserved: boolean;
  /** True when each key is a label, and they are in order. */
  readonly isPlain: boolean;
}

/** How keys of attributes become names of labels. */
export interface LabelNaming {
  /** The name of a label. */
  nameOf(key: string): string;
  /** The shape of an attribute set; shared between sets of the same keys and types. */
  shapeOf(set: AttributeSet): LabelShape;
}

/** The labels that tell the samples of a series apart. */
export const SAMPLE_LABELS: Readonly<Partial<Record<FamilyType, string>>> = {
  histogram: 'le',
  summary: 'quantile',
};

/** An attribute with the name of such a label moves here: joining the two values would ruin the buckets, or the quantiles. */
export function exportedLabel(label: string): string {
  return `exported_${label}`;
}

const IN_SAMPLES = Object.values(SAMPLE_LABELS);
export const SCOPE_PREFIX = 'otel_scope_';

/** Enough for every key and shape of an application that behaves, and a bound for one that makes up keys. */
const MAX_REMEMBERED = 10_000;

const namings = new Map<string, LabelNaming>();

/** The same object for the same names. */
export function labelNaming(strategy: TranslationStrategy, escaping: EscapingScheme): LabelNaming {
  const isUtf8 = keepsUtf8(strategy);
  // Names that every Prometheus takes are the same in all schemes but one.
  const scheme = isUtf8 || escaping === 'dots' ? escaping : 'allow-utf-8';
  const key = `${isUtf8} ${scheme}`;
  let naming = namings.get(key);
  if (naming === undefined) {
    const translate = isUtf8 ? utf8LabelName : labelName;
    naming = namingOf(remembered((attribute: string) => escapedLabel(translate(attribute), scheme)));
    namings.set(key, naming);
  }
  return naming;
}

function namingOf(nameOf: (key: string) => string): LabelNaming {
  const scopePrefix = nameOf(SCOPE_PREFIX);
  let latest: LabelShape | undefined;

  const shapeBySignature = remembered((_signature: string, { keys, values }: AttributeSet): LabelShape => {
    const labels = keys.map(nameOf);
    const codes = values.map(typeCode);
    const reserved = labels.some((label) => IN_SAMPLES.includes(label) || label.startsWith(scopePrefix));
    const joined = new Set(labels).size < labels.length;
    const present = labels.filter(
      (label, i) => codes[i] !== 'e' || labels.indexOf(label) !== labels.lastIndexOf(label),
    );
    const isSorted = labels.every((label, i) => i === 0 || labels[i - 1]! < label);
    return {
      keys,
      codes,
      labels,
      // A label may have any character, so its length goes with it.
      names: [
        ...new Set(
          present.map((label) => (IN_SAMPLES.includes(label) ? nameOf(exportedLabel(label)) : label)),
        ),
      ]
        .sort()
        .map((label) => `${label.length}:${label}`)
        .join(),
      ambiguous: reserved || joined || codes.includes('x'),
      reserved,
      isPlain: isSorted && present.length === labels.length,
    };
  });

  return {
    nameOf,
    shapeOf: encodedForm((set) => {
      // Neighbours mostly look alike, which is cheaper to see than to look up.
      if (latest === undefined || !isOfShape(latest, set)) latest = shapeBySignature(signature(set), set);
      return latest;
    }),
  };
}

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

/** The naming that every version of Prometheus takes. */
export const { nameOf, shapeOf: attributeShape } = labelNaming(
  'UnderscoreEscapingWithSuffixes',
  'underscores',
);
