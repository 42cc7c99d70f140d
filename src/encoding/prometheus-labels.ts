// Attributes as Prometheus labels. A label block is what stands between the braces, as a byte string: each
// character is one byte of the UTF-8, so that it takes a byte in memory and is copied without conversion.
import type { AttributeValue } from '@opentelemetry/api';
import { type AttributeSet, encodedForm } from '../data/attribute-set.ts';
import type { InstrumentationScope } from '../data/metric-data.ts';
import { jsonText } from './json-text.ts';
import { attributeShape, BOUND, EXPORTED_BOUND, nameOf, SCOPE_PREFIX } from './prometheus-label-shape.ts';

/** An attribute, or a label that we add, which merges with the attributes of the same label name. */
type Label = readonly [key: string, value: AttributeValue];

/** The block of an attribute set; kept with the set. Not for sets whose shape is `reserved`. */
export const attributeLabels = encodedForm((set) => {
  const { separators } = attributeShape(set);
  if (separators === undefined) return labelBlock(labelsOf(set));
  // A third of the time of the general way, for nearly every set.
  let block = '';
  for (let i = 0; i < separators.length; i++) block += separators[i] + escaped(valueText(set.values[i]!));
  return byteString(block === '' ? '' : `${block}"`);
});

/** The label blocks of one metric's series, with the labels of the scope. */
export interface SeriesLabels {
  /** The block of the scope alone. */
  readonly scope: string;
  blockOf(set: AttributeSet): string;
}

export function seriesLabels(scope: InstrumentationScope | undefined, isHistogram: boolean): SeriesLabels {
  const added = scope === undefined ? [] : scopeLabels(scope);
  const block = labelBlock(added);
  const start = block === '' ? '' : `${block},`;
  return {
    scope: block,
    blockOf(set) {
      if (attributeShape(set).reserved) return mergedLabels(set, added, isHistogram);
      const own = attributeLabels(set);
      return own === '' ? block : start + own;
    },
  };
}

function mergedLabels(set: AttributeSet, scope: readonly Label[], isHistogram: boolean): string {
  const own = labelsOf(set).map(
    ([key, value]): Label => [isHistogram && nameOf(key) === BOUND ? EXPORTED_BOUND : key, value],
  );
  return labelBlock([...scope, ...own].sort(byKey));
}

/** Labels that tell the scope of a series; attributes that would take one of the three fixed names are left out. */
function scopeLabels(scope: InstrumentationScope): Label[] {
  const fixed: Label[] = [
    ['otel_scope_name', scope.name],
    ['otel_scope_schema_url', scope.schemaUrl ?? ''],
    ['otel_scope_version', scope.version ?? ''],
  ];
  const names = fixed.map(([name]) => name);
  const attributes = Object.entries(scope.attributes ?? {})
    .filter((entry): entry is [string, AttributeValue] => entry[1] != null)
    .map(([key, value]): Label => [`${SCOPE_PREFIX}${key}`, value])
    .filter(([key]) => !names.includes(nameOf(key)));
  return [...fixed, ...attributes].sort(byKey);
}

/**
 * @param labels sorted by key: where keys become the same name, the values are joined in this order. A label
 *   without a value is left out, because to Prometheus it does not exist.
 */
function labelBlock(labels: readonly Label[]): string {
  const texts = new Map<string, string>();
  for (const [key, value] of labels) {
    const name = nameOf(key);
    const before = texts.get(name);
    const text = valueText(value);
    texts.set(name, before === undefined ? text : `${before};${text}`);
  }
  let block = '';
  // Equal labels must give equal blocks, whatever the keys were called that the names come from.
  for (const [name, text] of [...texts].sort(byKey)) {
    if (text === '') continue;
    block += `${block === '' ? '' : ','}${name}="${escaped(text)}"`;
  }
  return byteString(block);
}

/** A text as one character per byte of its UTF-8; a lone surrogate becomes U+FFFD. */
export function byteString(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range means "not ASCII"
  return /[^\x00-\x7f]/.test(text) ? Buffer.from(text).toString('latin1') : text;
}

function labelsOf({ keys, values }: AttributeSet): Label[] {
  return keys.map((key, i) => [key, values[i]!]);
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function escaped(text: string): string {
  return /[\\"\n]/.test(text)
    ? text.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`))
    : text;
}

/** OTel "Common specification", "Representing non-string values as strings". */
function valueText(value: AttributeValue): string {
  return typeof value === 'object' ? jsonText(value) : String(value);
}
