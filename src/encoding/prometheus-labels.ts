// Attributes as Prometheus labels. A label block holds the labels of a series, as a byte string: each character is
// one byte, so that it takes a byte in memory and is copied without conversion.
import type { AttributeValue } from '@opentelemetry/api';
import { type AttributeSet, encodedForm } from '../data/attribute-set.ts';
import type { InstrumentationScope } from '../data/metric-data.ts';
import { jsonText } from './json-text.ts';
import { byteString, isClassicLabel, quotable } from './prometheus-escaping.ts';
import type { FamilyType } from './prometheus-families.ts';
import {
  exportedLabel,
  type LabelNaming,
  type LabelShape,
  labelNaming,
  SAMPLE_LABELS,
  SCOPE_PREFIX,
} from './prometheus-label-shape.ts';

export { byteString } from './prometheus-escaping.ts';

/** An attribute, or a label that we add, which merges with the attributes of the same label name. */
export type Label = readonly [key: string, value: AttributeValue];

/** What the labels of a series are in a format. */
export interface LabelFormat {
  /** One label. */
  write(name: string, text: string): string;
  /** What stands between two. */
  readonly separator: string;
}

/** What stands between the braces of a sample in text. */
const TEXT: LabelFormat = {
  write: (name, text) => `${labelInText(name)}="${byteString(quotable(text))}"`,
  separator: ',',
};

/** A name that old scrapers do not know stands in quotes. */
export function labelInText(name: string): string {
  return isClassicLabel(name) ? name : `"${byteString(quotable(name))}"`;
}

/** The label blocks of one metric's series, with the labels that all of them get. */
export interface SeriesLabels {
  /** The block of the added labels alone. */
  readonly shared: string;
  blockOf(set: AttributeSet): string;
  /** What {@link blockOf} has behind `shared`; undefined where it does not begin with it. */
  ownBlock(set: AttributeSet): string | undefined;
  shapeOf(set: AttributeSet): LabelShape;
}

/** Labels by one naming in one format. */
export interface LabelStyle {
  /** The block of an attribute set alone. */
  blockOf(set: AttributeSet): string;
  /**
   * @param added labels that all series of the metric get
   * @param type of the family, whose samples may have a label of their own
   */
  seriesLabels(added: readonly Label[], type: FamilyType): SeriesLabels;
}

/** One for each format and naming: what sets keep of one is of no use to another. */
export function labelStyles(format: LabelFormat): (naming: LabelNaming) => LabelStyle {
  const styles = new Map<LabelNaming, LabelStyle>();
  return (naming) => {
    let style = styles.get(naming);
    if (style === undefined) {
      style = labelStyle(naming, format);
      styles.set(naming, style);
    }
    return style;
  };
}

export const textLabels = labelStyles(TEXT);

function labelStyle({ nameOf, shapeOf }: LabelNaming, { write, separator }: LabelFormat): LabelStyle {
  const scopePrefix = nameOf(SCOPE_PREFIX);
  const ownBlock = encodedForm((set: AttributeSet) => {
    const { labels, isPlain } = shapeOf(set);
    if (!isPlain) return blockOfLabels(labelsOf(set));
    // A third of the time of the general way, for nearly every set.
    let block = '';
    for (let i = 0; i < labels.length; i++) {
      if (i > 0) block += separator;
      block += write(labels[i]!, valueText(set.values[i]!));
    }
    return block;
  });

  /**
   * @param labels sorted by key: where keys become the same name, the values are joined in this order. A label
   *   without a value is left out, because to Prometheus it does not exist.
   * @param isFirst tells names that come before all others
   */
  function blockOfLabels(labels: readonly Label[], isFirst = (_name: string) => false): string {
    const texts = new Map<string, string>();
    for (const [key, value] of labels) {
      const name = nameOf(key);
      const before = texts.get(name);
      const text = valueText(value);
      texts.set(name, before === undefined ? text : `${before};${text}`);
    }
    // Equal labels must give equal blocks, whatever the keys were called that the names come from.
    return [...texts]
      .filter(([, text]) => text !== '')
      .sort((a, b) => Number(isFirst(b[0])) - Number(isFirst(a[0])) || byKey(a, b))
      .map(([name, text]) => write(name, text))
      .join(separator);
  }

  return {
    blockOf: ownBlock,
    seriesLabels(given, type) {
      const sampleLabel = SAMPLE_LABELS[type];
      const renamed = ([key, value]: Label): Label => [
        nameOf(key) === sampleLabel ? exportedLabel(sampleLabel) : key,
        value,
      ];
      // A label without a value does not exist, so there is nothing that an attribute could be joined to.
      const added = given.filter(([, value]) => valueText(value) !== '').map(renamed);
      const block = blockOfLabels([...added].sort(byKey));
      const start = block === '' ? '' : `${block}${separator}`;
      const names = new Set(added.map(([key]) => nameOf(key)));
      const clashes = clashFinder(names);
      // Also those of scopes that this one has not: where an attribute stands in for one, the block is that of the other scope.
      const isFirst = (name: string) => names.has(name) || name.startsWith(scopePrefix);
      const ownOf = (set: AttributeSet): string | undefined => {
        const shape = shapeOf(set);
        return shape.reserved || clashes(shape) ? undefined : ownBlock(set);
      };
      return {
        shared: block,
        shapeOf,
        ownBlock: ownOf,
        blockOf(set) {
          const own = ownOf(set);
          if (own !== undefined) return own === '' ? block : start + own;
          return blockOfLabels([...added, ...labelsOf(set).map(renamed)].sort(byKey), isFirst);
        },
      };
    },
  };
}

/** Whether a shape has one of the names, asked mostly about the same shape again. */
function clashFinder(names: ReadonlySet<string>): (shape: LabelShape) => boolean {
  // Names of scope labels make a shape `reserved` by themselves.
  const others = [...names].filter((name) => !name.startsWith(SCOPE_PREFIX));
  if (others.length === 0) return () => false;
  let latest: LabelShape | undefined;
  let clashes = false;
  return (shape) => {
    if (shape !== latest) {
      latest = shape;
      clashes = shape.labels.some((label) => names.has(label));
    }
    return clashes;
  };
}

/** The block of an attribute set in text that every version of Prometheus reads. */
export const attributeLabels = textLabels(
  labelNaming('UnderscoreEscapingWithSuffixes', 'underscores'),
).blockOf;

/** Labels that tell the scope of a series; attributes that would take one of the three fixed names are left out. */
export function scopeLabels(scope: InstrumentationScope, { nameOf }: LabelNaming): Label[] {
  const fixed: Label[] = [
    ['otel_scope_name', scope.name],
    ['otel_scope_schema_url', scope.schemaUrl ?? ''],
    ['otel_scope_version', scope.version ?? ''],
  ];
  const names = fixed.map(([name]) => nameOf(name));
  const attributes = Object.entries(scope.attributes ?? {})
    .filter((entry): entry is [string, AttributeValue] => entry[1] != null)
    .map(([key, value]): Label => [`${SCOPE_PREFIX}${key}`, value])
    .filter(([key]) => !names.includes(nameOf(key)));
  return [...fixed, ...attributes];
}

function labelsOf({ keys, values }: AttributeSet): Label[] {
  return keys.map((key, i) => [key, values[i]!]);
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** OTel "Common specification", "Representing non-string values as strings". */
export function valueText(value: AttributeValue): string {
  return typeof value === 'object' ? jsonText(value) : String(value);
}
