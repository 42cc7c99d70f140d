// Every name of the official package, at run time and as a type.
import { deepEqual, equal, ok } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as theirs from '@opentelemetry/sdk-metrics';
import * as ours from 'meterline';
import { exportedNames } from './support/exported-names.js';

const declarations = (specifier: string) =>
  readFileSync(fileURLToPath(import.meta.resolve(specifier)).replace(/\.([cm]?)js$/, '.d.$1ts'), 'utf8');

const official = exportedNames(declarations('@opentelemetry/sdk-metrics'));
/** Without what Node.js adds to the names of a CommonJS module. */
const values = Object.entries(theirs).filter(([name]) => official.includes(name));

test('every name of the official package is exported, types included', () => {
  ok(
    official.length > 30 && values.length > 10,
    `found ${official.length} names, ${values.length} of values`,
  );
  const own = new Set(exportedNames(declarations('meterline')));
  deepEqual(
    official.filter((name) => !own.has(name)),
    [],
  );
});

test('every value of the official package is one here, of the same kind', () => {
  for (const [name, value] of values) {
    const own: unknown = Object.entries(ours).find(([key]) => key === name)?.[1];
    equal(typeof own, typeof value, name);
    if (typeof value === 'object') deepEqual(own, { ...value }, name);
  }
});

test('classes have the public methods of the official ones', () => {
  const methods = (value: unknown): string[] =>
    typeof value === 'function' && value.prototype !== undefined
      ? Object.getOwnPropertyNames(value.prototype).filter((name) => !name.startsWith('_'))
      : [];
  const inherited = (value: unknown): string[] =>
    typeof value === 'function' ? [...methods(value), ...inherited(Object.getPrototypeOf(value))] : [];
  for (const [name, value] of values) {
    const own = new Set(inherited(Object.entries(ours).find(([key]) => key === name)?.[1]));
    deepEqual(
      methods(value).filter((method) => !own.has(method)),
      [],
      name,
    );
  }
});
