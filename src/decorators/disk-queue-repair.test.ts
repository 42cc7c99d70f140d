// What a start makes of damaged files, one kind of damage at a time.
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { send } from '../../test/conformance/exporter-kit.ts';
import { answering, deltas, fails } from './fixtures/answering.ts';
import { down, eventually, queueFolder } from './fixtures/queue-folder.ts';

const { logs, inFolder, files, queue, crashed, copyAway } = queueFolder();

const segment = async () => inFolder('q', (await files('.queue'))[0]!);

test('a torn end is cut off, and never stops the start', async () => {
  await crashed({}, deltas(1), deltas(2));
  const path = await segment();
  const whole = await readFile(path);
  for (const torn of [1, 20, 43, 44, 60, 100]) {
    await copyAway(async () => {
      await writeFile(path, whole.subarray(0, whole.length - torn));
      const { exporter, exports } = answering('inner');
      const q = queue(exporter);
      await q.forceFlush();
      expect(exports).toEqual([[1]]);
      await q.shutdown();
    });
  }
  expect(logs.join()).toContain('of a batch whose writing was interrupted are cut off the end of');
});

test('a batch of which a power cut left the size alone was not accepted, and is not counted', async () => {
  const { exporter } = answering('first', Array(99).fill(fails(down())));
  const first = queue(exporter, { retry: { initialIntervalMillis: 1e9 } });
  await send(first, deltas(1));
  const progress = await readFile(inFolder('q', 'progress'));
  await send(first, deltas(2));
  await first.shutdown();
  await writeFile(inFolder('q', 'progress'), progress);
  const bytes = await readFile(await segment());
  bytes.fill(0, bytes.length - 20);
  await writeFile(await segment(), bytes);
  await crashed({}, deltas(3));
  const second = answering('second');
  const q = queue(second.exporter);
  await q.forceFlush();
  expect(second.exports).toEqual([[1], [3]]);
  expect(q.stats().droppedPoints).toMatchObject({ damage: 0 });
});

test('remains of a frame after the last one are cut off', async () => {
  await crashed({}, deltas(1));
  const path = await segment();
  await appendFile(path, (await readFile(path)).subarray(32, 60));
  await appendFile(path, Buffer.alloc(5_000));
  const { exporter, exports } = answering('inner');
  await queue(exporter).forceFlush();
  expect(exports).toEqual([[1]]);
});

test('a damaged record is skipped and its points are counted; those behind it are delivered', async () => {
  await crashed({}, deltas(1), deltas(2, 2.5), deltas(3));
  const bytes = await readFile(await segment());
  const at = bytes.lastIndexOf(Buffer.from(Float64Array.of(2.5).buffer));
  bytes[at] = bytes[at]! ^ 1;
  await writeFile(await segment(), bytes);
  const { exporter, exports } = answering('inner');
  const q = queue(exporter);
  await q.forceFlush();
  expect(exports).toEqual([[1], [3]]);
  expect(q.stats().droppedPoints).toMatchObject({ damage: 2 });
  expect(logs.join()).toContain('2 points could not be read back from the disk');
});

test('where heads are damaged the batches behind them are found, and those lost are counted', async () => {
  await crashed({}, deltas(1), deltas(2), deltas(3), deltas(4));
  const bytes = await readFile(await segment());
  const salt = bytes.subarray(16, 24);
  const heads: number[] = [];
  for (let at = bytes.indexOf(salt, 32); at > 0; at = bytes.indexOf(salt, at + 1)) heads.push(at);
  bytes.fill(0xff, heads[1]!, heads[3]!);
  await writeFile(await segment(), bytes);
  const { exporter, exports } = answering('inner');
  const q = queue(exporter);
  await q.forceFlush();
  expect(exports).toEqual([[1], [4]]);
  expect(q.stats().droppedPoints).toMatchObject({ damage: 2 });
  expect(logs.join()).toContain('2 points could not be read back from the disk');
});

test.each([
  ['of something else', (bytes: Buffer) => bytes.fill('x', 0, 8), 'it is not a file of a queue'],
  ['with a damaged head', (bytes: Buffer) => bytes.fill(7, 20, 22), 'its head is damaged'],
  ['of a later version', (bytes: Buffer) => later(bytes, 8, 9), 'it has version 9 of the format'],
  ['of the other byte order', (bytes: Buffer) => later(bytes, 9, 3 - bytes[9]!), 'the other byte order'],
])('a file %s is kept aside, and what else there is gets delivered', async (_, change, problem) => {
  await crashed({}, deltas(1));
  const path = await segment();
  const other = path.replace(/1\.queue$/, '0.queue');
  const bytes = await readFile(path);
  change(bytes);
  await writeFile(other, bytes);
  const { exporter, exports } = answering('inner');
  await queue(exporter).forceFlush();
  expect(exports).toEqual([[1]]);
  expect(await readFile(`${other}.kept`)).toEqual(bytes);
  expect(logs.join()).toContain(`${problem}`);
  expect(logs.join()).toContain(`it is kept as ${other}.kept and not delivered`);
});

test('a file torn when it was begun is no reason for a message', async () => {
  await crashed({}, deltas(1));
  const path = await segment();
  await writeFile(path.replace(/1\.queue$/, 'f.queue'), 'met');
  const { exporter, exports } = answering('inner');
  await queue(exporter).forceFlush();
  expect(exports).toEqual([[1]]);
  expect(logs).toEqual([]);
});

test('a progress file that is damaged or gone costs duplicates, and no batch', async () => {
  const { exporter } = answering('first', [async () => {}, ...Array(99).fill(fails(down()))]);
  const first = queue(exporter, { maxBytes: 65_536, retry: { initialIntervalMillis: 1e9 } });
  const wide = (value: number) => deltas(...Array(900).fill(value));
  for (const value of [1, 2, 3]) await send(first, wide(value));
  await eventually(() => expect(first.stats().batches).toBe(2));
  await first.shutdown();
  // Each has a file of its own, and that of the first one is gone.
  expect(await files('.queue')).toHaveLength(2);
  await writeFile(inFolder('q', 'progress'), 'nonsense');
  const second = answering('second');
  const q = queue(second.exporter);
  await q.forceFlush();
  expect(second.exports.map(([value]) => value)).toEqual([2, 3]);
  expect(q.stats().droppedPoints).toMatchObject({ damage: 0 });
});

test('any change to a file loses at most what it hits, and nothing is made up', async () => {
  await crashed({}, deltas(1), deltas(2), deltas(3));
  const bytes = await readFile(await segment());
  for (let i = 0; i < 40; i++) {
    const at = Math.floor((i / 40) * bytes.length);
    await copyAway(async () => {
      const changed = Buffer.from(bytes);
      changed[at] = changed[at]! ^ 0x55;
      await writeFile(await segment(), changed);
      const { exporter, exports } = answering('inner');
      const q = queue(exporter);
      await q.forceFlush();
      for (const values of exports) expect([[1], [2], [3]]).toContainEqual(values);
      expect(exports.length).toBeGreaterThanOrEqual(at < 32 ? 0 : 2);
      await q.shutdown();
    });
  }
});

/** A valid head that says something else. */
function later(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value;
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 28)), 28);
}
