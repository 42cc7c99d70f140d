// What the documentation promises about the code.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { EXPORT_ERROR_CODES } from '../src/index.ts';

const read = (file: string) => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8');

test('docs/errors.md explains every code of an ExportError, and no other', () => {
  const rows = read('docs/errors.md').matchAll(/^\| `([A-Z_]+)` \|/gm);
  expect([...rows].map(([, code]) => code)).toEqual([...EXPORT_ERROR_CODES]);
});

test('the README shows the two commands on its first screen, as CI runs them', () => {
  const firstScreen = read('README.md').split('\n').slice(0, 40).join('\n');
  for (const command of ['npm ci && npm run demo', 'npm ci && npm test'])
    expect(firstScreen).toContain(command);
  const ci = read('.ci/run');
  for (const step of ['npm ci', 'npm test', 'npm run demo']) expect(ci).toContain(`step ${step}`);
});
