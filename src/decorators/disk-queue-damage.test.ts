// Queues whose files are changed, cut off or taken away at random, against a ledger of what was in them.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { captureLogs } from '../../test/support/collected.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { ExportError } from '../data/errors.ts';
import { exportTo } from '../data/export-to.ts';
import type { PushMetricExporter } from '../data/exporter.ts';
import { diskQueue } from './disk-queue.ts';
import { answering, deltas, fails } from './fixtures/answering.ts';

captureLogs();

/** Each run waits for the disk, which may be slow. */
const TIMEOUT_MILLIS = 60_000;

/** The smallest there is, so that there are several files. */
const MAX_BYTES = 65_536;
const BATCHES = 14;
/** By the formats of files and heads; the tests of the segments hold them to it. */
const FILE_HEAD_BYTES = 32;
const MARK = { from: 16, to: 24 };

const pointsOf = (batch: number) => 20 + 3 * batch;
const batchOf = (batch: number) =>
  deltas(...Array.from({ length: pointsOf(batch) }, (_, i) => batch * 100 + i));

interface Stored {
  batch: number;
  file: string;
  from: number;
  to: number;
}

const files = new Map<string, Buffer>();
const stored: Stored[] = [];

const queueIn = (dir: string, exporter: PushMetricExporter) =>
  diskQueue(exporter, {
    dir,
    name: 'q',
    maxBytes: MAX_BYTES,
    maxExportsPerSecond: Infinity,
    retry: { initialIntervalMillis: 1e9, maxIntervalMillis: 1e9 },
  });

beforeAll(async () => {
  const dir = temporaryFolder();
  const down = fails(new ExportError('UNAVAILABLE', 'down', { retryable: true }));
  const queue = queueIn(dir, answering('down', Array(100).fill(down)).exporter);
  for (let batch = 0; batch < BATCHES; batch++) await exportTo(queue, batchOf(batch));
  await queue.shutdown();
  const folder = join(dir, 'q');
  let batch = 0;
  for (const name of (await readdir(folder)).sort()) {
    const bytes = await readFile(join(folder, name));
    files.set(name, bytes);
    if (!name.endsWith('.queue')) continue;
    const mark = bytes.subarray(MARK.from, MARK.to);
    const next = (at: number) => bytes.indexOf(mark, at);
    for (let from = next(FILE_HEAD_BYTES); from >= 0; from = next(from + 1)) {
      const end = next(from + 1);
      stored.push({ batch: batch++, file: name, from, to: end < 0 ? bytes.length : end });
    }
  }
  expect(stored.map(({ batch }) => batch)).toEqual(Array.from({ length: BATCHES }, (_, i) => i));
  expect(new Set(stored.map(({ file }) => file)).size).toBeGreaterThan(2);
});

interface Damage {
  kind: 'flip' | 'zeros' | 'cut' | 'gone' | 'junk';
  file: number;
  /** Of the length of the file. */
  at: number;
  bits: number;
}

const damage: fc.Arbitrary<Damage> = fc.record({
  kind: fc.constantFrom('flip', 'flip', 'flip', 'zeros', 'cut', 'gone', 'junk'),
  file: fc.nat(100),
  at: fc.double({ min: 0, max: 0.999_999, noNaN: true }),
  bits: fc.integer({ min: 1, max: 255 }),
});

function damagedFiles(damages: readonly Damage[], names: readonly string[]): Map<string, Buffer> {
  const left = new Map(files);
  for (const { kind, file, at, bits } of damages) {
    const name = names[file % names.length]!;
    const bytes = Buffer.from(left.get(name) ?? []);
    const from = Math.floor(at * bytes.length);
    if (bytes.length === 0) continue;
    if (kind === 'flip') bytes[from] = bytes[from]! ^ bits;
    if (kind === 'zeros') bytes.subarray(from, from + bits).fill(0);
    if (kind === 'gone') left.delete(name);
    else if (kind === 'cut') left.set(name, bytes.subarray(0, from));
    else left.set(name, kind === 'junk' ? Buffer.concat([bytes, Buffer.alloc(bits, bits)]) : bytes);
  }
  return left;
}

/** The batches of which a byte, or one of the head of their file, is another one. */
function lostIn(left: ReadonlyMap<string, Buffer>): Set<number> {
  const isSame = (file: string, from: number, to: number) =>
    left.get(file)?.subarray(from, to).equals(files.get(file)!.subarray(from, to));
  const lost = stored.filter(
    ({ file, from, to }) => !isSame(file, 0, FILE_HEAD_BYTES) || !isSame(file, from, to),
  );
  return new Set(lost.map(({ batch }) => batch));
}

async function deliveredFrom(left: ReadonlyMap<string, Buffer>) {
  const dir = temporaryFolder();
  await mkdir(join(dir, 'q'));
  for (const [name, bytes] of left) await writeFile(join(dir, 'q', name), bytes);
  const { exporter, exports } = answering('next');
  const queue = queueIn(dir, exporter);
  await queue.forceFlush();
  await exportTo(queue, batchOf(BATCHES));
  await queue.forceFlush();
  const { batches, droppedPoints } = queue.stats();
  expect(batches).toBe(0);
  await queue.shutdown();
  return { batches: exports.map((values) => Math.floor(Number(values[0]) / 100)), exports, droppedPoints };
}

test(
  'every undamaged batch is delivered, in order and whole, and all others are counted to the point',
  async () => {
    const names = [...files.keys()].filter((name) => name.endsWith('.queue'));
    const property = fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 4 }), async (damages) => {
      const left = damagedFiles(damages, names);
      const lost = lostIn(left);
      const { batches, exports, droppedPoints } = await deliveredFrom(left);
      const whole = Array.from({ length: BATCHES + 1 }, (_, i) => i).filter((batch) => !lost.has(batch));
      expect(batches).toEqual(whole);
      expect(exports.map(({ length }) => length)).toEqual(whole.map(pointsOf));
      const points = [...lost].reduce((sum, batch) => sum + pointsOf(batch), 0);
      expect(droppedPoints).toEqual({ age: 0, damage: points, memory: 0, refusal: 0, size: 0 });
    });
    await fc.assert(property, { numRuns: 150 });
  },
  TIMEOUT_MILLIS,
);

test(
  'whatever else in the folder is damaged too, it starts, and delivers what is whole',
  async () => {
    const names = [...files.keys()];
    const property = fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 6 }), async (damages) => {
      const left = damagedFiles(damages, names);
      const lost = lostIn(left);
      const { batches } = await deliveredFrom(left);
      expect(batches).toEqual(
        Array.from({ length: BATCHES + 1 }, (_, i) => i).filter((one) => !lost.has(one)),
      );
    });
    await fc.assert(property, { numRuns: 50 });
  },
  TIMEOUT_MILLIS,
);
