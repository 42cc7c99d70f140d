// Values of environment variables, by the parsing rules that OpenTelemetry has for its own. A value that cannot be
// used costs a warning that names the variable, and counts as not set.
import { report } from '../data/diagnostics.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** How one kind of value is read. */
export interface ValueKind<T> {
  /** Undefined for what is no such value. */
  parse(text: string): T | undefined;
  /** Completes "use …". */
  readonly format: string;
  /** Whether messages must not show the value. */
  readonly isSecret?: boolean;
}

/** The longest delay that a Node timer takes, and the largest number that OpenTelemetry asks to understand. */
const MAX_INTEGER = 2 ** 31 - 1;

/**
 * The value of the first variable that has a usable one.
 *
 * @param names the most specific first
 */
export function readVariable<T>(
  env: Environment,
  names: readonly string[],
  kind: ValueKind<T>,
): T | undefined {
  for (const name of names) {
    const text = env[name]?.trim();
    if (!text) continue;
    const value = kind.parse(text);
    if (value !== undefined) return value;
    const shown = kind.isSecret ? 'a text (not shown)' : withoutCredentials(JSON.stringify(env[name]));
    warnOf(name, `${name} is ${shown}, which is ignored; use ${kind.format}`);
  }
  return undefined;
}

export function warnOf(variable: string, message: string): void {
  report('warn', `environment:${variable}`, message);
}

/** What is wrong as a URL may hold a password or a key all the same, and so may what should have been the path of a file. */
function withoutCredentials(text: string): string {
  if (text.includes('-----BEGIN')) return 'a text (not shown)';
  return text
    .replace(/^"([a-z][a-z0-9+.-]*:\/\/)?.*@/i, (_, scheme = '') => `"${scheme}…@`)
    .replace(/[?#].*"$/, '?…"');
}

/** Anything but `true` is false, as prescribed; what is neither is told. */
export function readBoolean(env: Environment, names: readonly string[]): boolean | undefined {
  const name = names.find((name) => env[name]?.trim());
  if (name === undefined) return undefined;
  const text = env[name]!.trim().toLowerCase();
  if (text !== 'true' && text !== 'false') {
    warnOf(name, `${name} is ${JSON.stringify(env[name])} and taken for false; use true or false`);
  }
  return text === 'true';
}

/** @param min 0 where it means no limit */
export const millis = (min: 0 | 1): ValueKind<number> => ({
  parse: (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= MAX_INTEGER ? value : undefined;
  },
  format: `a whole number of milliseconds from ${min} to ${MAX_INTEGER}`,
});

/** In whatever letter case. */
export const oneOf = <T extends string>(values: readonly T[]): ValueKind<T> => ({
  parse: (text) => values.find((value) => value === text.toLowerCase()),
  format: values.join(', ').replace(/, ([^,]*)$/, ' or $1'),
});

/** The items of a list with commas: trimmed, in lower case, each once. */
export function listOf(text: string): string[] {
  return [...new Set(text.split(',').map((item) => item.trim().toLowerCase()))].filter((item) => item !== '');
}
