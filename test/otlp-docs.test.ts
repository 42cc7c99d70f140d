// docs/otlp.md: its tables are those of the options, and the options name the variables that are read.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { optionsOf, withTables } from '../scripts/write-option-docs.js';
import { otlpGrpcSettings, otlpHttpSettings, otlpProtocol } from '../src/config/otlp-environment.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const document = readFileSync(`${root}/docs/otlp.md`, 'utf8');
const sources = ['exporters', 'net']
  .flatMap((folder) => readdirSync(`${root}/src/${folder}`).map((file) => `${root}/src/${folder}/${file}`))
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
  .map((file) => readFileSync(file, 'utf8'))
  .join('\n');

test('the tables are up to date; `node scripts/write-option-docs.js` writes them', () => {
  expect(withTables(document)).toBe(document);
});

test('a comment becomes a row, its tags columns', () => {
  const source = `
export interface Shape extends Other {
  /**
   * What {@link Other} is,
   * at length | in short.
   * @default 1: because
   *   it is the least
   * @env ONE, TWO
   */
  side?: number;
  /** Needed. */
  readonly name: string;
}`;
  expect(optionsOf(source, 'Shape')).toEqual([
    {
      name: 'side',
      meaning: 'What `Other` is, at length | in short.',
      default: '1: because it is the least',
      env: ['ONE', 'TWO'],
    },
    { name: 'name', meaning: 'Needed.', default: 'none', env: [] },
  ]);
  expect(withTables('a\n<!-- options: Shape.side -->\nold\n<!-- end -->\nb', source)).toBe(
    'a\n<!-- options: Shape.side -->\n\n| Option | Meaning | Default | Environment |\n|---|---|---|---|\n' +
      '| `side` | What `Other` is, at length \\| in short. | 1: because it is the least | `ONE`, `TWO` |\n\n<!-- end -->\nb',
  );
});

test.each([
  ['otlpHttp', otlpHttpSettings, ['OtlpOptions', 'OtlpHttpOptions', 'OtlpHttpEndpoint']],
  ['otlpGrpc', otlpGrpcSettings, ['OtlpOptions', 'OtlpGrpcOptions', 'OtlpGrpcEndpoint']],
] as const)(
  '[7.01] the options of %s name every variable that it reads, and no other',
  (name, read, interfaces) => {
    const variables = new Set<string>();
    const env = new Proxy({}, { get: (_, variable) => void variables.add(String(variable)) });
    read(env);
    if (name === 'otlpHttp') otlpProtocol(env);
    const named = interfaces.flatMap((name) => optionsOf(sources, name).flatMap(({ env }) => env));
    expect(new Set(named)).toEqual(variables);
  },
);
