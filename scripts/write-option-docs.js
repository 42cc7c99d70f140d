// Writes the tables of options in the documentation from the comments at the options themselves, so that they are declared once.
// A table stands between `<!-- options: Interface Interface.option … -->` and `<!-- end -->`; of options of the same name the
// first counts.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Those that have tables. */
export const DOCUMENTS = ['otlp', 'prometheus', 'pushgateway', 'remote-write'].map((name) =>
  join(root, `docs/${name}.md`),
);

/** @typedef {{ name: string; meaning: string; default: string; env: string[] }} Option */

/** @returns {string} all sources, which each declare other interfaces */
function readSources() {
  const folder = join(root, 'src');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && !file.includes('fixtures'),
  );
  return files.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n');
}

/**
 * @param {string} sources
 * @param {string} name of an interface
 * @returns {Option[]}
 */
export function optionsOf(sources, name) {
  const body = new RegExp(`^export interface ${name}\\b[^{]*\\{\\n(.*?)^\\}`, 'ms').exec(sources)?.[1];
  if (body === undefined) throw new Error(`there is no interface ${name}`);
  const blocks = body.matchAll(/^ {2}\/\*\*(.*?)\*\/\n {2}(?:readonly )?(\w+)\??:/gms);
  return [...blocks].map(([, comment = '', option = '']) => {
    const text = comment
      .replaceAll(/^\s*\* ?/gm, '')
      .replaceAll(/\{@link (\w+)\}/g, '`$1`')
      .replaceAll(/\s+/g, ' ')
      .trim();
    const [meaning = '', ...tags] = text.split(/ ?@(?=default\b|env\b)/);
    const tag = (/** @type {string} */ name) =>
      tags.find((tag) => tag.startsWith(`${name} `))?.slice(name.length + 1) ?? '';
    return {
      name: option,
      meaning,
      default: tag('default') || 'none',
      env: tag('env').split(', ').filter(Boolean),
    };
  });
}

/**
 * @param {string} markdown
 * @param {string} sources
 * @returns {string} the same with its tables written anew
 */
export function withTables(markdown, sources = readSources()) {
  return markdown.replaceAll(/(<!-- options: (.*?) -->\n).*?(<!-- end -->)/gs, (_, begin, names, end) => {
    /** @type {Map<string, Option>} */
    const options = new Map();
    for (const name of names.split(' ')) {
      const [from, only] = name.split('.');
      for (const option of optionsOf(sources, from)) {
        if (!options.has(option.name) && (only ?? option.name) === option.name)
          options.set(option.name, option);
      }
    }
    return `${begin}\n${tableOf([...options.values()])}\n${end}`;
  });
}

/** @param {Option[]} options */
function tableOf(options) {
  const hasVariables = options.some(({ env }) => env.length > 0);
  const rows = options.map(({ name, meaning, default: fallback, env }) => [
    `\`${name}\``,
    meaning,
    fallback,
    ...(hasVariables ? [env.map((variable) => `\`${variable}\``).join(', ')] : []),
  ]);
  const head = ['Option', 'Meaning', 'Default', ...(hasVariables ? ['Environment'] : [])];
  return [head, head.map(() => '---'), ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`)
    .join('')
    .replace(/^\| --- .*$/m, `|${'---|'.repeat(head.length)}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const document of DOCUMENTS) writeFileSync(document, withTables(readFileSync(document, 'utf8')));
}
