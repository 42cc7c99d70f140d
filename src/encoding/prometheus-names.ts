// OpenTelemetry names and units as Prometheus names (OTel "Prometheus and OpenMetrics Compatibility", "Metric
// Metadata" and "Metric Attributes").

/** How names become Prometheus's, as OpenTelemetry calls it; the default comes first. */
export const TRANSLATION_STRATEGIES = [
  'UnderscoreEscapingWithSuffixes',
  'UnderscoreEscapingWithoutSuffixes',
  'NoUTF8EscapingWithSuffixes',
  'NoTranslation',
] as const;

export type TranslationStrategy = (typeof TRANSLATION_STRATEGIES)[number];

/** Whether names keep every character that they have. */
export function keepsUtf8(strategy: TranslationStrategy): boolean {
  return strategy === 'NoUTF8EscapingWithSuffixes' || strategy === 'NoTranslation';
}

function addsSuffixes(strategy: TranslationStrategy): boolean {
  return strategy === 'UnderscoreEscapingWithSuffixes' || strategy === 'NoUTF8EscapingWithSuffixes';
}

/** UCUM units that the compatibility spec gives a word for. Any other unit stays as it is, with legal characters. */
const UNIT_WORDS = new Map(
  Object.entries({
    d: 'days',
    h: 'hours',
    min: 'minutes',
    s: 'seconds',
    ms: 'milliseconds',
    us: 'microseconds',
    ns: 'nanoseconds',
    By: 'bytes',
    KiBy: 'kibibytes',
    MiBy: 'mebibytes',
    GiBy: 'gibibytes',
    TiBy: 'tebibytes',
    kBy: 'kilobytes',
    // Not UCUM, but what the OpenTelemetry Collector reads as the same.
    KBy: 'kilobytes',
    MBy: 'megabytes',
    GBy: 'gigabytes',
    TBy: 'terabytes',
    m: 'meters',
    V: 'volts',
    A: 'amperes',
    J: 'joules',
    W: 'watts',
    g: 'grams',
    Cel: 'celsius',
    Hz: 'hertz',
    '%': 'percent',
    1: '',
  }),
);

/** The words after `per`, as in `bytes_per_second`. */
const PER_UNIT_WORDS = new Map(
  Object.entries({ s: 'second', m: 'minute', h: 'hour', d: 'day', w: 'week', mo: 'month', y: 'year' }),
);

/**
 * The name of a metric family, or undefined when nothing legal remains of the name. A suffix that the name
 * already has is not added again, and the unit `1` adds none.
 */
export function metricName(
  name: string,
  unit: string,
  isCounter: boolean,
  strategy: TranslationStrategy = 'UnderscoreEscapingWithSuffixes',
): string | undefined {
  if (keepsUtf8(strategy)) {
    if (name === '') return undefined;
    return addsSuffixes(strategy) ? withSuffixes(name, unit, isCounter) : name;
  }
  let legal = name.replace(/[^a-zA-Z0-9_:]/g, '_');
  if (/^_*$/.test(legal)) return undefined;
  if (/^[0-9]/.test(legal)) legal = `_${legal}`;
  if (addsSuffixes(strategy)) legal = withSuffixes(legal, unit, isCounter);
  return legal.replace(/_{2,}/g, '_');
}

function withSuffixes(name: string, unit: string, isCounter: boolean): string {
  // The type suffix comes last, so it steps aside for the unit: `foo.bytes.total` ends with its unit already.
  let suffixed = isCounter ? name.replace(/[._]total$/, '') : name;
  const suffix = unitSuffix(unit);
  if (suffix !== '' && suffixed !== suffix && !new RegExp(`[._]${suffix}$`).test(suffixed)) {
    suffixed += `_${suffix}`;
  }
  return isCounter ? `${suffixed}_total` : suffixed;
}

/** A unit in words, as it ends a name; empty for none. */
export function unitSuffix(unit: string): string {
  const [main = '', ...per] = unit.replace(/\{[^}]*\}/g, '').split('/');
  const words = [UNIT_WORDS.get(main) ?? main];
  const divisor = per.join('/');
  if (divisor !== '') words.push('per', PER_UNIT_WORDS.get(divisor) ?? divisor);
  return words
    .join('_')
    .replace(/[^a-zA-Z0-9]+/g, '_')
    .replace(/^_|_$/g, '');
}

/** The name of a label. Never fails, so that no attribute is lost to its name: the worst is `_`. */
export function labelName(key: string): string {
  const legal = key.replace(/[^a-zA-Z0-9]+/g, '_') || '_';
  return /^[0-9]/.test(legal) ? `key_${legal}` : legal;
}

/** {@link labelName} for scrapers that take any UTF-8. `__name__` would be the name of the metric. */
export function utf8LabelName(key: string): string {
  return key === '' || key === '__name__' ? labelName(key) : key;
}
