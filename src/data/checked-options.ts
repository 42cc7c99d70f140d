// Options as a user gave them, of any type at run time, to options that can work, or one ConfigError that says which
// cannot. By hand and not by a schema library, because the SDK must load fast.
import { inspect } from 'node:util';
import { ConfigError } from './errors.ts';

/** What one option may be. One that is undefined is not given, and then only `required` matters. */
export interface OptionCheck {
  holds(value: unknown): boolean;
  /** What would be accepted; reads on after "use". */
  readonly remedy: string;
  readonly required?: boolean;
  /** What each item may be, where `holds` wants a list. */
  readonly each?: OptionCheck;
}

/** A check for every option, so that the compiler misses the check of a new option. */
export type OptionChecks<T> = { readonly [K in keyof T]-?: OptionCheck };

/**
 * A copy of the options, each read once and checked.
 *
 * @param owner what the options are for, such as `a View`
 * @param isOpen whether there may be further options, for those who extend a class
 * @throws ConfigError naming the option, its value and what would be accepted
 */
export function checkedOptions<T extends object>(
  owner: string,
  options: T,
  checks: OptionChecks<T>,
  isOpen = false,
): T {
  try {
    if (!isObject(options) || Array.isArray(options)) {
      throw new ConfigError(`the options of ${owner} are ${shown(options)}; use an object`);
    }
    const known = Object.keys(checks) as (keyof T & string)[];
    const unknown = isOpen ? undefined : Object.keys(options).find((key) => !Object.hasOwn(checks, key));
    if (unknown !== undefined) {
      throw new ConfigError(
        `${shown(unknown)} is no option of ${owner}; the options are ${known.join(', ')}`,
      );
    }
    const checked: Partial<T> = {};
    for (const option of known) {
      const value = options[option];
      if (value === undefined && !checks[option].required) continue;
      demand(option, owner, value, checks[option]);
      checked[option] = value;
    }
    return checked as T;
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(`the options of ${owner} cannot be read; use a plain object`, { cause: error });
  }
}

function demand(option: string, owner: string, value: unknown, { holds, remedy, each }: OptionCheck): void {
  if (!isTrue(() => holds(value))) {
    throw new ConfigError(`${option} of ${owner} is ${shown(value)}; use ${remedy}`);
  }
  if (each) (value as unknown[]).forEach((item, i) => void demand(`${option}[${i}]`, owner, item, each));
}

/** What throws when it is looked at is not what any option wants. */
function isTrue(question: () => boolean): boolean {
  try {
    return question();
  } catch {
    return false;
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

export function hasMethods(value: unknown, ...methods: string[]): boolean {
  return isObject(value) && methods.every((method) => typeof value[method] === 'function');
}

export const aFunction = (remedy: string): OptionCheck => ({
  holds: (value) => typeof value === 'function',
  remedy,
});

export const aList = (each: OptionCheck): OptionCheck => ({
  holds: (value) => Array.isArray(value),
  remedy: `a list; each item must be ${each.remedy}`,
  each,
});

export const A_TEXT: OptionCheck = { holds: (value) => typeof value === 'string', remedy: 'a text' };

export const A_BOOLEAN: OptionCheck = {
  holds: (value) => typeof value === 'boolean',
  remedy: 'true or false',
};

export const A_COUNT: OptionCheck = {
  holds: (value) => Number.isInteger(value) && (value as number) > 0,
  remedy: 'an integer above 0',
};

/** Any value in one short line. What objects hold is left out, since there may be secrets in it. */
export function shown(value: unknown): string {
  try {
    if (typeof value === 'function') return 'a function';
    if (Array.isArray(value)) {
      const items = value.slice(0, 4).map((item) => (Array.isArray(item) ? '[…]' : shown(item)));
      return `[${items.join(', ')}${value.length > 4 ? ', …' : ''}]`;
    }
    if (isObject(value)) {
      const name = Object.getPrototypeOf(value)?.constructor?.name ?? 'Object';
      if (name !== 'Object') return shortened(`an object of the class ${name}`);
      const keys = Object.keys(value);
      return shortened(keys.length === 0 ? '{}' : `{ ${keys.join(', ')} }`);
    }
    return inspect(value, { maxStringLength: 100 });
  } catch {
    return `a value of the type ${typeof value} that cannot be shown`;
  }
}

const shortened = (text: string) => (text.length > 100 ? `${text.slice(0, 100)}…` : text);
