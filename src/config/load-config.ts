// From a YAML file and an object to checked settings, or one error that names everything that is wrong.
import { readFileSync } from 'node:fs';
import { closest, distance } from 'fastest-levenshtein';
import { parseDocument } from 'yaml';
import type { z } from 'zod';
import { textOf } from '../data/diagnostics.ts';
import { ConfigError } from '../data/errors.ts';
import { type MetricsConfig, metricsConfig, type ResolvedConfig } from './schema.ts';

/** Beyond these the nearest setting is another one, not a typing error. */
const MAX_TYPING_ERRORS = 4;

/**
 * @param file path of a YAML file whose `metrics` map holds the settings
 * @param code settings given in code; they win over the file's
 * @param environment settings from the environment, known to be usable; the others win over them
 * @throws ConfigError naming each wrong setting, its value and what would be accepted
 */
export function loadConfig(
  file: string | undefined,
  code: MetricsConfig,
  environment: MetricsConfig = {},
): ResolvedConfig {
  const fromFile = file === undefined ? {} : readFile(file);
  const given = Object.fromEntries(Object.entries(code).filter(([, value]) => value !== undefined));
  const result = metricsConfig.safeParse({ ...environment, ...fromFile, ...given });
  if (result.success) return result.data;
  const problems = result.error.issues.flatMap((issue) =>
    describe(issue, { ...fromFile, ...given }, (key) => key in given),
  );
  throw new ConfigError(
    `The metrics configuration${file === undefined ? '' : ` in ${file}`} cannot be used:\n` +
      problems.map((problem) => `  - ${problem}`).join('\n'),
  );
}

function readFile(file: string): Record<string, unknown> {
  let source: string;
  try {
    source = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError(
      `configFile is ${JSON.stringify(file)}, which cannot be read (${(error as NodeJS.ErrnoException).code}); ` +
        'name a YAML file that this process may read',
      { cause: error },
    );
  }
  const document = parseDocument(source);
  const [problem] = document.errors;
  if (problem) throw new ConfigError(`${file} is not valid YAML: ${problem.message}`);
  let content: unknown;
  try {
    content = document.toJS();
  } catch (error) {
    // An alias without an anchor, or aliases that multiply without end.
    throw new ConfigError(`${file} is not valid YAML: ${textOf(error)}`, { cause: error });
  }
  if (!isMap(content) || !isMap(content.metrics)) {
    throw new ConfigError(`${file} has no "metrics" map; put the settings under a top-level "metrics:"`);
  }
  return camelCaseKeys(content.metrics);
}

/** Settings only; what is below `resource_attributes` are names of the user's own. */
function camelCaseKeys(settings: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(settings).map(([key, value]) => [camelCase(key), value]));
}

function describe(
  issue: z.core.$ZodIssue,
  settings: Record<string, unknown>,
  isFromCode: (key: string) => boolean,
): string[] {
  if (issue.code === 'invalid_union' && issue.errors.length > 1 && isMap(valueAt(settings, issue.path))) {
    // A map was meant: say what is wrong inside it, not that it is not a boolean.
    return issue.errors
      .at(-1)!
      .flatMap((inner) => describe({ ...inner, path: [...issue.path, ...inner.path] }, settings, isFromCode));
  }
  const path = issue.path
    .map((key, depth) => (depth === 0 && !isFromCode(String(key)) ? snakeCase(String(key)) : String(key)))
    .join('.');
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(issue.path);
    return issue.keys.map((key) => {
      const nearest = closest(key, known);
      const prefix = path ? `${path}.` : '';
      const spell = path || isFromCode(key) ? String : snakeCase;
      const remedy =
        distance(key, nearest) <= MAX_TYPING_ERRORS
          ? `did you mean ${prefix}${spell(nearest)}?`
          : `the settings are ${known.map(spell).join(', ')}`;
      return `${prefix}${spell(key)} is not a setting; ${remedy}`;
    });
  }
  return [`${path} is ${show(valueAt(settings, issue.path))}; ${issue.message}`];
}

function knownKeys(path: PropertyKey[]): string[] {
  return path[0] === 'prometheus' ? ['host', 'port', 'path'] : Object.keys(metricsConfig.shape);
}

function valueAt(settings: unknown, path: PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown>)?.[key], settings);
}

function show(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'number') return String(value);
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    // A bigint or a cycle.
    return textOf(value);
  }
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const camelCase = (key: string) => key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
const snakeCase = (key: string) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
