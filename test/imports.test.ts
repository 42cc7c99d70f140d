// Who may import whom: data flows one way through the house, and a heavy library enters through one file.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const src = fileURLToPath(new URL('../src', import.meta.url));

const EVERYTHING = [
  'data',
  'sdk',
  'encoding',
  'net',
  'exporters',
  'decorators',
  'instrumentation',
  'producers',
  'config',
  'cli',
  'dashboard',
];

/** Folder of src -> folders it may import from, beside itself. */
const ALLOWED: Record<string, string[]> = {
  data: [],
  sdk: ['data'],
  encoding: ['data'],
  net: ['data'],
  exporters: ['data', 'encoding', 'net'],
  decorators: ['data', 'net', 'encoding'],
  instrumentation: [],
  producers: ['data', 'net'],
  testing: ['data', 'sdk'],
  config: EVERYTHING.slice(0, EVERYTHING.indexOf('config')),
  cli: EVERYTHING,
  dashboard: EVERYTHING,
  '': EVERYTHING,
};

/** Package -> the only files that may import it at run time. */
const HEAVY: Record<string, string[]> = {
  '@grpc/grpc-js': ['instrumentation/grpc.ts', 'net/grpc-client.ts'],
};

const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(
  (file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && !file.includes('fixtures'),
);

/** Every module that a file names, with whether the import vanishes in the build. */
function importsOf(file: string): { from: string; isType: boolean }[] {
  const source = readFileSync(join(src, file), 'utf8');
  const statements = source.matchAll(
    /(?:^|\n)\s*(?:import|export)\s+(type\s)?[^'";]*?from\s*'([^']+)'|\bimport\(\s*'([^']+)'|(?:^|\n)import\s+'([^']+)'/g,
  );
  return [...statements].map((match) => ({
    from: (match[2] ?? match[3] ?? match[4])!,
    isType: match[1] !== undefined,
  }));
}

const folderOf = (file: string) => (file.includes('/') ? file.slice(0, file.indexOf('/')) : '');

describe('imports', () => {
  test('the test sees the files and their imports', () => {
    expect(files.length).toBeGreaterThan(20);
    expect(importsOf('index.ts').length).toBeGreaterThan(5);
  });

  test.each(files)('%s imports only what its folder may', (file) => {
    const folder = folderOf(file);
    expect(Object.keys(ALLOWED), `src/${folder} is not a folder of the architecture`).toContain(folder);
    for (const { from } of importsOf(file)) {
      if (!from.startsWith('.')) continue;
      const target = folderOf(relative(src, join(src, file, '..', from)));
      if (target !== folder) expect(ALLOWED[folder], `${file} imports ${from}`).toContain(target);
    }
  });

  test.each(Object.entries(HEAVY))('%s is imported at run time by one file only', (library, allowed) => {
    const importers = files.filter((file) =>
      importsOf(file).some(({ from, isType }) => from === library && !isType),
    );
    for (const importer of importers) expect(allowed).toContain(importer);
  });

  test('the front door opens without what only some exporters need', () => {
    const isStatic = (source: string, from: string) =>
      new RegExp(
        `(?:^|\\n)(?:import|export)(?! type )[^;]*?['"]${from.replaceAll(/[./]/g, '\\$&')}['"]`,
      ).test(source);
    const reached = new Set(['index.ts']);
    for (const file of reached) {
      const source = readFileSync(join(src, file), 'utf8');
      for (const { from } of importsOf(file).filter(({ from }) => isStatic(source, from))) {
        expect(['undici', '@grpc/grpc-js'], `${file}, which index.ts reaches`).not.toContain(from);
        if (from.startsWith('.')) reached.add(join(file, '..', from));
      }
    }
    expect(reached).toContain('sdk/meter-provider.ts');
  });

  test('only config reads the environment', () => {
    const readers = files.filter((file) => /process\.env\b/.test(readFileSync(join(src, file), 'utf8')));
    expect(readers.filter((file) => folderOf(file) !== 'config')).toEqual([]);
  });
});
