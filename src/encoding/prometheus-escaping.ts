// Names for scrapers that take any UTF-8 and for those that do not: the escaping schemes of Prometheus's
// "Escaping Schemes", which a scraper asks for with the parameter `escaping`.

export const ESCAPING_SCHEMES = ['underscores', 'dots', 'values', 'allow-utf-8'] as const;

export type EscapingScheme = (typeof ESCAPING_SCHEMES)[number];

/** Whether every version of Prometheus takes the name for a metric. */
export function isClassicName(name: string): boolean {
  return /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name);
}

/** Whether every version of Prometheus takes the name for a label. */
export function isClassicLabel(name: string): boolean {
  return /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name);
}

/** A metric's name, which must not be empty. */
export function escapedName(name: string, scheme: EscapingScheme): string {
  return escaped(name, scheme, isClassicName(name), /[a-zA-Z0-9_:]/);
}

/** A label's name. A colon is legal in names of metrics only. */
export function escapedLabel(name: string, scheme: EscapingScheme): string {
  return escaped(name, scheme, isClassicLabel(name), /[a-zA-Z0-9_]/);
}

function escaped(name: string, scheme: EscapingScheme, isClassic: boolean, legal: RegExp): string {
  if (scheme === 'allow-utf-8') return name;
  // `dots` can be read back only when underscores are doubled in every name.
  if (isClassic && scheme !== 'dots') return name;
  let text = scheme === 'values' ? 'U__' : '';
  let isFirst = true;
  for (const character of name) {
    const isLegal = legal.test(character) && !(isFirst && /[0-9]/.test(character));
    text += substitute(character, scheme, isLegal);
    isFirst = false;
  }
  return text;
}

function substitute(character: string, scheme: EscapingScheme, isLegal: boolean): string {
  if (character === '_') return scheme === 'underscores' ? '_' : '__';
  if (isLegal) return character;
  if (scheme === 'underscores') return '_';
  if (scheme === 'dots') return character === '.' ? '_dot_' : '__';
  const code = character.codePointAt(0)!;
  return code >= 0xd800 && code <= 0xdfff ? '_FFFD_' : `_${code.toString(16)}_`;
}

/** Text between quotes, where a backslash, a quote and the end of a line are escaped. */
export function quotable(text: string): string {
  return /[\\"\n]/.test(text)
    ? text.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`))
    : text;
}

/** A text as one character per byte of its UTF-8; a lone surrogate becomes U+FFFD. */
export function byteString(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range means "not ASCII"
  return /[^\x00-\x7f]/.test(text) ? Buffer.from(text).toString('latin1') : text;
}
