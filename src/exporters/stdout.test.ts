import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { AggregationTemporality, InstrumentType } from '../data/metric-data.ts';
import { everyKind } from '../encoding/fixtures/every-kind.ts';
import { encodeJsonLines } from '../encoding/json-lines.ts';
import { counterBatch, exported, valuesOf } from './fixtures/exporting.ts';
import { stdout } from './stdout.ts';

const textOf = (chunks: Iterable<Uint8Array>) => Buffer.concat([...chunks]).toString();

function collecting() {
  const stream = new PassThrough();
  const chunks: Buffer[] = [];
  stream.on('data', (chunk) => chunks.push(chunk));
  return { stream, text: () => Buffer.concat(chunks).toString() };
}

/** Passes a piece on when the test says so. */
function stalled() {
  const waiting: (() => void)[] = [];
  const pieces: string[] = [];
  const stream = new Writable({
    write(chunk, _, done) {
      pieces.push(String(chunk));
      waiting.push(done);
    },
  });
  return { stream, pieces, release: () => waiting.shift()?.() };
}

describe('stdout', () => {
  afterEach(() => void vi.useRealTimers());

  test('writes the lines of jsonFile', async () => {
    const { stream, text } = collecting();
    expect(await exported(stdout({ stream }), everyKind())).toBeUndefined();
    expect(text()).toBe(textOf(encodeJsonLines(everyKind())));
  });

  test('pretty: indents the same points', async () => {
    const { stream, text } = collecting();
    await exported(stdout({ stream, pretty: true }), everyKind());
    const points = textOf(encodeJsonLines(everyKind())).trim().split('\n');
    expect(text()).toBe(points.map((line) => `${JSON.stringify(JSON.parse(line), null, 2)}\n`).join(''));
  });

  test('writes timestamps as asked', async () => {
    const { stream, text } = collecting();
    await exported(stdout({ stream, timestampOffset: 'compact' }), counterBatch(1));
    expect(text()).toMatch(/"timestamp":"[^"]+[+-]\d{4}"/);
  });

  test('is delivered once the stream has taken it; the next export waits', async () => {
    const { stream, pieces, release } = stalled();
    const exporter = stdout({ stream });
    const first = exported(exporter, counterBatch(1));
    const second = exported(exporter, counterBatch(2));
    await vi.waitUntil(() => pieces.length > 0);
    await new Promise(setImmediate);
    expect(pieces).toHaveLength(1);
    expect(await Promise.race([first, 'waiting'])).toBe('waiting');
    release();
    expect(await first).toBeUndefined();
    await vi.waitUntil(() => pieces.length > 1);
    release();
    expect(await second).toBeUndefined();
    expect(pieces.flatMap(valuesOf)).toEqual([1, 2]);
  });

  test('a reader who falls behind holds one piece in memory, and the export fails after its time', async () => {
    vi.useFakeTimers();
    const { stream, pieces, release } = stalled();
    const exporter = stdout({ stream, timeoutMillis: 1_000 });
    const large = exported(exporter, counterBatch(1, 5_000));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await large).toMatchObject({ code: 'TIMEOUT', retryable: true });
    expect(pieces).toHaveLength(1);
    const next = exported(exporter, counterBatch(2));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await next).toMatchObject({ code: 'TIMEOUT', retryable: true });
    release();
    const last = exported(exporter, counterBatch(3));
    await vi.advanceTimersByTimeAsync(1);
    release();
    expect(await last).toBeUndefined();
    // The rest of the first one and all of the second were given up.
    expect(pieces.slice(1).flatMap(valuesOf)).toEqual([3]);
  });

  test.each([
    ['EPIPE', false],
    ['EIO', true],
  ])('a stream that fails with %s fails the export and nothing else', async (code, retryable) => {
    const stream = new Writable({
      autoDestroy: false,
      write: (_, __, done) => done(Object.assign(new Error('write failed'), { code })),
    });
    const exporter = stdout({ stream });
    for (let i = 0; i < 2; i++) {
      expect(await exported(exporter, counterBatch(1))).toMatchObject({ code: 'IO', retryable });
      await new Promise(setImmediate);
    }
    expect(stream.listenerCount('error')).toBe(0);
  });

  test('many pieces listen for failures once', async () => {
    const counts: number[] = [];
    const stream = new Writable({
      write(_, __, done) {
        counts.push(stream.listenerCount('error'));
        done();
      },
    });
    await exported(stdout({ stream, pretty: true }), counterBatch(1, 50));
    expect(counts).toHaveLength(50);
    expect(Math.max(...counts)).toBe(1);
    await new Promise(setImmediate);
    expect(stream.listenerCount('error')).toBe(0);
  });

  test('writes to the output of the process, and survives the end of its reader', async () => {
    const file = fileURLToPath(new URL('fixtures/print-until-closed.js', import.meta.url));
    const built = new URL('../../dist/exporters/stdout.js', import.meta.url);
    const child = spawn(process.execPath, [file, built.href]);
    let messages = '';
    child.stderr.on('data', (data) => void (messages += data));
    const [line] = await once(child.stdout, 'data');
    expect(valuesOf(String(line))).toEqual([1]);
    child.stdout.destroy();
    child.stdin.end();
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(messages).toBe('IO false\n');
  });

  test('asks for cumulative points unless told otherwise', () => {
    const { CUMULATIVE, DELTA } = AggregationTemporality;
    const asked = (options = {}) => stdout(options).selectAggregationTemporality!(InstrumentType.COUNTER);
    expect(asked()).toBe(CUMULATIVE);
    expect(asked({ temporality: () => DELTA })).toBe(DELTA);
  });

  test.each<[unknown, string]>([
    [{ pretty: 'yes' }, "pretty is 'yes'; it must be true or false"],
    [{ timestampOffset: 'z' }, "timestampOffset is 'z'; it must be 'colon' or 'compact'"],
    [{ temporality: 'delta' }, "temporality is 'delta'"],
    [{ timeoutMillis: 0 }, 'timeoutMillis is 0'],
    [{ stream: 1 }, 'stream is 1; it must be a writable stream'],
    [{ prety: true }, 'there is no setting prety'],
    [null, 'options is null; it must be an object'],
  ])('refuses options that cannot work: %o', (options, message) => {
    expect(() => stdout(options as never)).toThrow(message);
  });
});
