import { readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { dataOf, parseRequest } from '../../test/support/otlp.ts';
import { AggregationType } from '../data/aggregation-option.ts';
import { AggregationTemporality, InstrumentType } from '../data/metric-data.ts';
import { everyKind } from '../encoding/fixtures/every-kind.ts';
import { encodeOtlpJsonLine } from '../encoding/otlp-json.ts';
import { counterBatch, exported, temporaryFolder } from './fixtures/exporting.ts';
import { type OtlpFileOptions, otlpFile } from './otlp-file.ts';

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder, 'logs', 'metrics.jsonl');
});

function exporterTo(options: OtlpFileOptions = { path }) {
  const exporter = otlpFile(options);
  onTestFinished(() => exporter.shutdown());
  return exporter;
}

/** How many points each line has, and the value of its first; throws when a line is torn or glued to another. */
function linesOf(text: string): [points: number, value: unknown][] {
  expect(text.endsWith('\n')).toBe(true);
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => {
      const { dataPoints } = dataOf(parseRequest(line).resourceMetrics[0]!.scopeMetrics[0]!.metrics[0]!);
      return [dataPoints.length, Number(dataPoints[0]!.asInt)];
    });
}

describe('to a file', () => {
  test('[7.44] each export is one line; appends across restarts', async () => {
    for (const batch of [everyKind(), counterBatch(7)]) {
      const exporter = exporterTo();
      expect(await exported(exporter, batch)).toBeUndefined();
      await exporter.shutdown();
    }
    const expected = Buffer.concat(
      [everyKind(), counterBatch(7)].flatMap((batch) => [...encodeOtlpJsonLine(batch)]),
    );
    expect((await readFile(path)).equals(expected)).toBe(true);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test('[7.44] concurrent exports of many chunks never mix', async () => {
    const exporter = exporterTo();
    await Promise.all([1, 2, 3].map((value) => exported(exporter, counterBatch(value, 4_000))));
    expect(linesOf(await readFile(path, 'utf8'))).toEqual([
      [4_000, 1],
      [4_000, 2],
      [4_000, 3],
    ]);
  });

  test('[7.43] takes a file: URL, as text and as an object', async () => {
    await exported(exporterTo({ path: pathToFileURL(path) }), counterBatch(1));
    await exported(exporterTo({ path: pathToFileURL(path).href }), counterBatch(2));
    expect(linesOf(await readFile(path, 'utf8'))).toEqual([
      [1, 1],
      [1, 2],
    ]);
  });

  test('rotates as jsonFile does', async () => {
    const exporter = exporterTo({ path, rotate: { maxBytes: 1 } });
    for (const value of [1, 2]) await exported(exporter, counterBatch(value));
    expect(linesOf(await readFile(path, 'utf8'))).toEqual([[1, 2]]);
    expect(await readdir(join(folder, 'logs'))).toHaveLength(2);
  });

  test('[7.46] a full disk fails the export in a way that may pass', async () => {
    await symlink('/dev/full', join(folder, 'full'));
    expect(await exported(exporterTo({ path: join(folder, 'full') }), counterBatch(1))).toMatchObject({
      code: 'IO',
      retryable: true,
    });
  });

  test('[7.46] an export that is given up leaves nothing of its line behind', async () => {
    const exporter = exporterTo();
    await exported(exporter, counterBatch(1));
    const signal = AbortSignal.abort();
    expect(await exported(exporter, counterBatch(2, 4_000), { signal })).toMatchObject({ code: 'ABORTED' });
    await exported(exporter, counterBatch(3));
    expect(linesOf(await readFile(path, 'utf8'))).toEqual([
      [1, 1],
      [1, 3],
    ]);
  });
});

describe('two exporters on one output', () => {
  test('[7.44] never mix their lines, in a file', async () => {
    const [one, two] = [exporterTo(), exporterTo()];
    await Promise.all([
      exported(one, counterBatch(1, 4_000)),
      exported(two, counterBatch(2, 4_000)),
      exported(one, counterBatch(3)),
    ]);
    const lines = linesOf(await readFile(path, 'utf8'));
    expect(lines.toSorted((a, b) => Number(a[1]) - Number(b[1]))).toEqual([
      [4_000, 1],
      [4_000, 2],
      [1, 3],
    ]);
  });

  test('[7.44] never mix their lines, on a stream', async () => {
    const chunks: string[] = [];
    const stream = new Writable({
      write(chunk, _, done) {
        chunks.push(String(chunk));
        setImmediate(done);
      },
    });
    const [one, two] = [exporterTo({ stream }), exporterTo({ stream })];
    await Promise.all([exported(one, counterBatch(1, 4_000)), exported(two, counterBatch(2, 4_000))]);
    expect(linesOf(chunks.join(''))).toEqual([
      [4_000, 1],
      [4_000, 2],
    ]);
  });

  test('an export that is given up while it waits for a hanging output is not written, and leaves nothing behind', async () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const writes: string[] = [];
    let goOn = () => {};
    const stream = new Writable({
      write(chunk, _, done) {
        writes.push(String(chunk));
        goOn = done;
      },
    });
    const exporter = exporterTo({ stream, timeoutMillis: 20 });
    const first = exported(exporter, counterBatch(1));
    const waiting = async () => {
      const batch = counterBatch(2);
      expect((await exported(exporter, batch))!.code).toBe('TIMEOUT');
      return new WeakRef(batch);
    };
    const batch = await waiting();
    await vi.waitFor(() => {
      gc();
      // Not `expect(batch.deref())`, which would keep it.
      expect(batch.deref() === undefined).toBe(true);
    });
    goOn();
    await first;
    expect(linesOf(writes.join(''))).toEqual([[1, 1]]);
  });
});

describe('to a stream', () => {
  function collecting() {
    const stream = new PassThrough();
    const chunks: Buffer[] = [];
    stream.on('data', (chunk) => chunks.push(chunk));
    return { stream, text: () => Buffer.concat(chunks).toString() };
  }

  test('[7.43][7.44] writes the same lines, and does not end the stream', async () => {
    const { stream, text } = collecting();
    const exporter = exporterTo({ stream });
    await Promise.all([exported(exporter, counterBatch(1, 4_000)), exported(exporter, counterBatch(2))]);
    await exporter.shutdown();
    expect(linesOf(text())).toEqual([
      [4_000, 1],
      [1, 2],
    ]);
    expect(stream.writableEnded).toBe(false);
  });

  test.each([
    ['EPIPE', false],
    ['EIO', true],
  ])('[7.46] a stream that fails with %s fails the export and nothing else', async (code, retryable) => {
    const stream = new Writable({
      autoDestroy: false,
      write: (_, __, done) => done(Object.assign(new Error('write failed'), { code })),
    });
    expect(await exported(exporterTo({ stream }), counterBatch(1))).toMatchObject({ code: 'IO', retryable });
    await new Promise(setImmediate);
    expect(stream.listenerCount('error')).toBe(0);
  });

  test('a line that was torn is ended before the next one', async () => {
    const pieces: string[] = [];
    const controller = new AbortController();
    const stream = new Writable({
      write(chunk, _, done) {
        pieces.push(String(chunk));
        if (pieces.length === 1) controller.abort();
        done();
      },
    });
    const exporter = exporterTo({ stream });
    const { signal } = controller;
    expect(await exported(exporter, counterBatch(1, 4_000), { signal })).toMatchObject({ code: 'ABORTED' });
    expect(await exported(exporter, counterBatch(2))).toBeUndefined();
    expect(await exported(exporter, counterBatch(3))).toBeUndefined();
    const [torn, ...lines] = pieces.join('').split('\n');
    expect(() => JSON.parse(torn!)).toThrow();
    expect(linesOf(lines.join('\n'))).toEqual([
      [1, 2],
      [1, 3],
    ]);
  });
});

describe('options', () => {
  test('[7.45] temporality and aggregation are what the reader is told', () => {
    const histogram = InstrumentType.HISTOGRAM;
    expect(exporterTo({}).selectAggregationTemporality!(histogram)).toBe(AggregationTemporality.CUMULATIVE);
    const aggregation = () => ({ type: AggregationType.EXPONENTIAL_HISTOGRAM as const });
    const exporter = exporterTo({ temporality: 'delta', aggregation });
    expect(exporter.selectAggregationTemporality!(histogram)).toBe(AggregationTemporality.DELTA);
    expect(exporter.selectAggregation!(histogram)).toEqual({ type: AggregationType.EXPONENTIAL_HISTOGRAM });
  });

  test.each<[unknown, string]>([
    [null, 'options is null; it must be an object'],
    [{ path: '' }, "path is ''; it must be the name of a file"],
    [{ path: 5 }, 'path is 5; it must be the name of a file'],
    [{ path: 'file://host/x.jsonl' }, 'path is file://host/x.jsonl; it must be a path, or a URL'],
    [{ path: new URL('http://host/x') }, 'path is http://host/x; it must be a path, or a URL'],
    [{ path: 'x', stream: 'stdout' }, "stream is 'stdout'; it must be left out where there is a path"],
    [{ rotate: { maxBytes: 1 } }, 'it must be left out where there is no path'],
    [{ mode: 0o600 }, 'mode is 384; it must be left out where there is no path'],
    [{ path: 'x', rotate: {} }, 'rotate is {}; it must be given maxBytes, maxAgeMillis or both'],
    [{ stream: 'stderr' }, "stream is 'stderr'; it must be 'stdout' or a writable stream"],
    [{ timeoutMillis: 0 }, 'timeoutMillis is 0'],
    [{ temporality: 'dleta' }, "temporality is 'dleta'"],
    [{ pth: 'x' }, 'there is no setting pth'],
  ])('[7.43] refuses %o', (options, message) => {
    expect(() => otlpFile(options as never)).toThrow(message);
  });

  test('[7.46] a path that cannot be a folder fails exports, which succeed once it can be', async () => {
    await writeFile(join(folder, 'logs'), '');
    const exporter = exporterTo();
    expect(await exported(exporter, counterBatch(1))).toMatchObject({ code: 'IO', retryable: true });
    await rm(join(folder, 'logs'));
    expect(await exported(exporter, counterBatch(2))).toBeUndefined();
    expect(linesOf(await readFile(path, 'utf8'))).toEqual([[1, 2]]);
  });
});
