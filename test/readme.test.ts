// Runs the JavaScript of the README as a reader would.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { loadConfig } from '../src/config/load-config.ts';
import { freePort } from './support/free-port.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const blocks = (language: string) =>
  [...readme.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 'gs'))].map(([, code]) => code!);

// Inside the package, so that it can be imported by its own name; ignored by git.
mkdirSync(join(root, 'logs'), { recursive: true });
const folder = mkdtempSync(join(root, 'logs', 'readme-'));
afterAll(() => rmSync(folder, { recursive: true }));

function start(code: string) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { cwd: folder });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => void (output += data));
  return { child, exit: once(child, 'exit'), output: () => output };
}

const fileLines = () =>
  readFileSync(join(folder, 'logs', 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('README', () => {
  const [quickStart, ownMetrics, ownExporter, ...others] = blocks('js');

  test('has no JavaScript that this test does not run', () => {
    expect(others).toEqual([]);
    expect(blocks('(?:ts|javascript|typescript|mjs|cjs)')).toEqual([]);
  });

  test('the quick start takes ten lines, serves, is scraped, and writes the file on SIGTERM', async () => {
    expect(quickStart!.trim().split('\n').length).toBeLessThanOrEqual(10);
    const [port, scrapePort] = [await freePort(), await freePort()];
    const { child, exit, output } = start(
      quickStart!.replace('8080', String(port)).replace('9464', String(scrapePort)),
    );
    const get = async (url: string) => (await fetch(url)).text();
    await vi.waitUntil(() => get(`http://localhost:${port}/`).catch(() => undefined), { timeout: 10_000 });
    await get(`http://localhost:${port}/elsewhere`);
    const scraped = await get(`http://localhost:${scrapePort}/metrics`);
    expect(scraped).toMatch(/^http_server_requests_total\{.*http_route="\/".*\} \d+$/m);
    child.kill('SIGTERM');
    expect(await exit).toEqual([null, 'SIGTERM']);
    expect(output()).toBe('');
    expect(fileLines()).toContainEqual(
      expect.objectContaining({ metric_name: 'http_server_requests_total' }),
    );
  });

  test('recording metrics of your own ends up in the file', async () => {
    const { exit, output } = start(ownMetrics!);
    expect(await exit).toEqual([0, null]);
    expect(output()).toBe('');
    expect(fileLines()).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ metric_name: 'orders_total', value: 2 }),
        expect.objectContaining({ metric_name: 'queue_length', value: 3 }),
      ]),
    );
  });

  test('an exporter of your own prints what it gets', async () => {
    const { exit, output } = start(ownExporter!);
    expect(await exit).toEqual([0, null]);
    expect(output()).toBe('order_value 1 false\n');
  });

  test('the YAML settings are accepted', () => {
    const [yaml] = blocks('yaml');
    const file = join(folder, 'config.yaml');
    writeFileSync(file, yaml!);
    expect(loadConfig(file, {})).toMatchObject({
      serviceName: 'sre',
      exportInterval: 10_000,
      handleSignals: true,
    });
  });
});
