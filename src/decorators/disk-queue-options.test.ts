// Which options there are.
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import type { PushMetricExporter } from '../data/exporter.ts';
import { validDiskQueueOptions } from './disk-queue/options.ts';
import { type DiskQueueOptions, diskQueue } from './disk-queue.ts';
import { answering } from './fixtures/answering.ts';
import { queueFolder } from './fixtures/queue-folder.ts';

const { inFolder } = queueFolder();

const { exporter } = answering('inner');
test.each([
  [{}, 'diskQueue: dir is undefined; it must be the path of a folder'],
  [{ dir: '' }, "diskQueue: dir is ''; it must be the path of a folder"],
  [{ dir: '/q', name: '../x' }, "diskQueue: name is '../x'; it must be up to 100 letters"],
  [{ dir: '/q', maxBytes: 10 }, 'diskQueue: maxBytes is 10; it must be a whole number of bytes from 65536'],
  [
    { dir: '/q', maxAgeMillis: 0 },
    'diskQueue: maxAgeMillis is 0; it must be a number of milliseconds above 0',
  ],
  [
    { dir: '/q', maxMemoryPoints: -1 },
    'diskQueue: maxMemoryPoints is -1; it must be a whole number of points',
  ],
  [
    { dir: '/q', maxExportsPerSecond: Number.NaN },
    'diskQueue: maxExportsPerSecond is NaN; it must be a number above 0',
  ],
  [{ dir: '/q', compact: 1 }, 'diskQueue: compact is 1; it must be true or false'],
  [{ dir: '/q', retry: { initialIntervalMillis: 0 } }, 'diskQueue: retry.initialIntervalMillis is 0'],
  [{ dir: '/q', retry: { maxRetries: 3 } }, 'diskQueue: there is no setting retry.maxRetries; remove it'],
  [{ dir: '/q', maxByte: 3 }, 'diskQueue: there is no setting maxByte; remove it'],
  [undefined, 'diskQueue: options is undefined; it must be an object'],
])('%j is refused with the remedy', (options, message) => {
  expect(() => diskQueue(exporter, options as DiskQueueOptions)).toThrow(message);
});

test('what is no exporter is refused', () => {
  expect(() => diskQueue({} as PushMetricExporter, { dir: inFolder() })).toThrow('has no method export');
});

test('docs/reliability.md has every option, and no other', async () => {
  const page = await readFile(new URL('../../docs/reliability.md', import.meta.url), 'utf8');
  const table = page.slice(page.indexOf('## Options'), page.indexOf('## Start'));
  const documented = [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, option]) => option);
  expect(documented.sort()).toEqual(Object.keys(validDiskQueueOptions({ dir: '/q' })).sort());
});
