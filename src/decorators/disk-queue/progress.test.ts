import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { Progress } from './progress.ts';

test('is known when a write was torn, as it was before that write', async () => {
  const folder = temporaryFolder();
  const path = join(folder, 'progress');
  const first = await Progress.open(folder);
  expect(first.done).toBeUndefined();
  for (const n of [1, 2, 3]) {
    await first.write({ sequence: n, points: 10 * n }, { sequence: n + 5, points: 10 * n + 50 });
  }
  await first.close();
  const bytes = await readFile(path);
  const known = [];
  for (let at = 0; at < bytes.length; at++) {
    const torn = Buffer.from(bytes);
    torn[at] = torn[at]! ^ 0x10;
    await writeFile(path, torn);
    const progress = await Progress.open(folder);
    known.push(progress.done!.sequence);
    expect(progress.done!.points).toBe(10 * progress.done!.sequence);
    expect(progress.accepted).toEqual({
      sequence: progress.done!.sequence + 5,
      points: progress.done!.points + 50,
    });
    await progress.close();
  }
  expect(known.toSorted().join()).toBe([...Array(40).fill(2), ...Array(40).fill(3)].join());
});
