import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { captureLogs } from '../../test/support/collected.ts';
import { ExportError } from '../data/errors.ts';
import { createExporter } from '../data/exporter.ts';
import { AggregationTemporality, InstrumentType } from '../data/metric-data.ts';
import { batchOf, counter } from '../encoding/fixtures/metrics.ts';
import { exported } from '../exporters/fixtures/exporting.ts';
import { answering, deltas, fails, hangs, takes } from './fixtures/answering.ts';
import { multi } from './multi.ts';

const down = new ExportError('UNAVAILABLE', 'not now', { retryable: true });
const refused = new ExportError('REJECTED', 'never');

test('a multi that waits for a slow exporter does not keep the process alive', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  let answer = () => {};
  const slow = answering('slow', [() => new Promise<void>((resolve) => void (answer = resolve))], {
    timeoutMillis: 0,
  });
  const before = timers();
  const sent = exported(multi([slow.exporter], { waitMillis: 60_000 }), deltas(1));
  await vi.waitFor(() => expect(slow.exports).toEqual([[1]]));
  expect(timers()).toBeLessThanOrEqual(before);
  answer();
  expect(await sent).toBeUndefined();
});

describe('multi', () => {
  const logs = captureLogs();
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('gives every batch to all, at once', async () => {
    const started: string[] = [];
    const slow = (name: string) =>
      answering(name, [
        async () => {
          started.push(name);
          await takes(100)(deltas(), new AbortController().signal);
        },
      ]);
    const [a, b] = [slow('a'), slow('b')];
    const result = exported(multi([a.exporter, b.exporter]), deltas(1, 2));
    await vi.advanceTimersByTimeAsync(99);
    expect(started).toEqual(['a', 'b']);
    await vi.advanceTimersByTimeAsync(1);
    expect(await result).toBeUndefined();
    expect([a.exports, b.exports]).toEqual([[[1, 2]], [[1, 2]]]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('tells who failed and why; the others have the batch, and the caller owes nothing', async () => {
    const [good, bad, worse] = [
      answering('good'),
      answering('bad', [fails(down)]),
      answering('worse', [fails(refused)]),
    ];
    const exporter = multi([good.exporter, bad.exporter, worse.exporter]);
    const error = await exported(exporter, deltas(1));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true, undelivered: { pointCount: 0 } });
    expect(error!.message).toBe(
      '[UNAVAILABLE] 2 of 3 exporters failed: bad (2 of 3): [UNAVAILABLE] not now; worse (3 of 3): [REJECTED] never',
    );
    expect((error!.cause as AggregateError).errors).toEqual([down, refused]);
    expect(await exported(exporter, deltas(10))).toBeUndefined();
    expect(good.exports).toEqual([[1], [10]]);
    expect(bad.exports).toEqual([[1], [1], [10]]);
    expect(worse.exports).toEqual([[1], [10]]);
  });

  test('tells of all who refused points of what they took, with the number of the worst', async () => {
    const picky = (name: string, rejectedDataPoints: number) =>
      createExporter({
        name,
        selectAggregationTemporality: () => AggregationTemporality.DELTA,
        export: async () => new ExportError('REJECTED', 'some are bad', { rejectedDataPoints }),
      });
    const exporter = multi([picky('a', 1), answering('b').exporter, picky('c', 3), picky('d', 2)]);
    const error = await exported(exporter, deltas(1, 2, 3));
    expect(error).toMatchObject({ code: 'REJECTED', rejectedDataPoints: 3 });
    expect(error!.message).toContain('3 of 4 exporters delivered without some points: a (1 of 4)');
  });

  test('joins the two batches that wait as soon as they are too many points', async () => {
    const slow = answering('slow', [takes(5_000)]);
    const exporter = multi([slow.exporter], { maxBacklogPoints: 3 });
    for (const value of [1, 2, 3]) {
      const sent = exported(exporter, deltas(value, value));
      await vi.advanceTimersByTimeAsync(1_000);
      expect(await sent).toBeUndefined();
    }
    await vi.advanceTimersByTimeAsync(5_000);
    expect(slow.exports).toEqual([
      [1, 1],
      [5, 5],
    ]);
  });

  test('one that delivers after it was given up on has delivered: nothing is sent again, nor called a failure', async () => {
    const calls: (() => void)[] = [];
    const foreign = {
      export: (_: unknown, done: (result: { code: number }) => void) =>
        void calls.push(() => done({ code: 0 })),
      forceFlush: async () => {},
      shutdown: async () => {},
    };
    const exporter = multi([foreign]);
    const sent = exported(exporter, deltas(1));
    // What exporters of other makers are given is 30 s.
    await vi.advanceTimersByTimeAsync(40_000);
    expect(await sent).toBeUndefined();
    calls[0]!();
    await exporter.forceFlush();
    expect(calls).toHaveLength(1);
    expect(logs).toEqual([]);
  });

  test('sends only the points still owed, and again when the caller tries again', async () => {
    const half = new ExportError('THROTTLED', 'half', { retryable: true, undelivered: deltas(2) });
    const [good, bad] = [answering('good'), answering('bad', [fails(half)])];
    const exporter = multi([good.exporter, bad.exporter]);
    const error = await exported(exporter, deltas(1, 2));
    expect(await exported(exporter, error!.undelivered!)).toBeUndefined();
    expect(bad.exports).toEqual([[1, 2], [2]]);
    expect(good.exports).toEqual([[1, 2]]);
  });

  test('does not wait longer than it may for a slow one, which gets all batches in order', async () => {
    const [fast, slow] = [answering('fast'), answering('slow', [takes(5_000), takes(5_000)])];
    const exporter = multi([fast.exporter, slow.exporter], { waitMillis: 200 });
    const first = exported(exporter, deltas(1));
    await vi.advanceTimersByTimeAsync(199);
    expect(await Promise.race([first, 'waiting'])).toBe('waiting');
    await vi.advanceTimersByTimeAsync(1);
    expect(await first).toBeUndefined();
    // Still busy: now nobody waits for it at all.
    expect(await exported(exporter, deltas(10))).toBeUndefined();
    expect(await exported(exporter, deltas(100))).toBeUndefined();
    expect(fast.exports).toEqual([[1], [10], [100]]);
    expect(slow.exports).toEqual([[1]]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(slow.exports).toEqual([[1], [10], [100]]);
    expect(logs).toEqual([]);
  });

  test('logs a failure that nobody waited for, once a minute', async () => {
    const late = async () => {
      await takes(5_000)(deltas(), new AbortController().signal);
      throw down;
    };
    const slow = answering('slow', [late, late]);
    const exporter = multi([slow.exporter], { waitMillis: 100 });
    for (const value of [1, 2]) {
      const sent = exported(exporter, deltas(value));
      await vi.advanceTimersByTimeAsync(6_000);
      expect(await sent).toBeUndefined();
    }
    expect(logs).toEqual(['meterline: multi: an export to slow (1 of 1) failed: [UNAVAILABLE] not now']);
  });

  test('joins the oldest batches when too many points wait, and loses no count', async () => {
    const bad = answering(
      'bad',
      Array.from({ length: 5 }, () => fails(down)),
    );
    const exporter = multi([bad.exporter], { maxBacklogPoints: 4 });
    for (const value of [1, 10, 100, 1_000, 10_000]) await exported(exporter, deltas(value, value));
    await exporter.forceFlush();
    expect(bad.exports.slice(5)).toEqual([
      [1_111, 1_111],
      [10_000, 10_000],
    ]);
  });

  test('keeps the order of cumulative batches, and drops superseded ones when too many points wait', async () => {
    const cumulative = (value: number) => batchOf([[{ name: 's' }, [counter('c', [[{}, value]])]]]);
    const selectAggregationTemporality = () => AggregationTemporality.CUMULATIVE;
    const bad = answering('bad', [fails(down), fails(down), fails(down)], { selectAggregationTemporality });
    const exporter = multi([bad.exporter], { maxBacklogPoints: 2 });
    for (const value of [1, 2, 3]) await exported(exporter, cumulative(value));
    expect(await exported(exporter, cumulative(4))).toBeUndefined();
    expect(bad.exports.slice(3)).toEqual([[3], [4]]);
  });

  test('a batch refused for good does not hold up those behind it', async () => {
    const bad = answering('bad', [fails(down), fails(refused)]);
    const exporter = multi([bad.exporter]);
    await exported(exporter, deltas(1));
    expect(await exported(exporter, deltas(10))).toMatchObject({ code: 'REJECTED', retryable: false });
    expect(bad.exports).toEqual([[1], [1], [10]]);
  });

  test('keeps the order when two flushes meet a failure', async () => {
    const slow = answering('slow', [takes(5_000), fails(down)]);
    const exporter = multi([slow.exporter], { waitMillis: 1 });
    for (const value of [1, 2, 3]) {
      const sent = exported(exporter, deltas(value));
      await vi.advanceTimersByTimeAsync(1);
      await sent;
    }
    const flushed = Promise.allSettled([exporter.forceFlush(), exporter.forceFlush()]);
    await vi.advanceTimersByTimeAsync(5_000);
    await flushed;
    await exporter.forceFlush();
    expect(slow.exports).toEqual([[1], [2], [2], [3]]);
  });

  test('an exporter that never answers keeps nobody from anything', async () => {
    const [good, stuck] = [answering('good'), answering('stuck', [hangs], { timeoutMillis: 0 })];
    const exporter = multi([good.exporter, stuck.exporter]);
    const sent = exported(exporter, deltas(1));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await sent).toBeUndefined();
    expect(await exported(exporter, deltas(2))).toBeUndefined();
    const flushed = expect(exporter.forceFlush()).rejects.toMatchObject({ code: 'TIMEOUT' });
    await vi.advanceTimersByTimeAsync(30_000);
    await flushed;
    const ended = expect(exporter.shutdown()).rejects.toMatchObject({ code: 'TIMEOUT' });
    await vi.advanceTimersByTimeAsync(10_000);
    await ended;
    expect(good.exports).toEqual([[1], [2]]);
  });

  test('shutdown delivers what waits, then shuts all down, also when one fails', async () => {
    const order: string[] = [];
    const shutdown = (name: string) => async () => void order.push(`${name} down`);
    const a = answering('a', [fails(down), async () => void order.push('a delivered')], {
      shutdown: shutdown('a'),
    });
    const b = answering('b', [], { shutdown: () => Promise.reject(new Error('b cannot')) });
    const c = answering('c', [], { shutdown: shutdown('c') });
    const exporter = multi([a.exporter, b.exporter, c.exporter]);
    await exported(exporter, deltas(1));
    await expect(exporter.shutdown()).rejects.toThrow('b cannot');
    expect(order.filter((it) => it.startsWith('a'))).toEqual(['a delivered', 'a down']);
    expect(order).toContain('c down');
  });

  test('flush tells of all that failed', async () => {
    const [a, b] = [
      answering('a', [], { forceFlush: () => Promise.reject(new Error('x')) }),
      answering('b', [], { forceFlush: () => Promise.reject(new Error('y')) }),
    ];
    await expect(multi([a.exporter, b.exporter]).forceFlush()).rejects.toMatchObject({
      message: 'x; y',
      errors: [{ message: 'x' }, { message: 'y' }],
    });
  });

  test('a batch whose caller gives up meanwhile is delivered all the same; one given up before is not', async () => {
    const slow = answering('slow', [takes(500)]);
    const exporter = multi([slow.exporter]);
    expect(await exported(exporter, deltas(1), { signal: AbortSignal.abort() })).toMatchObject({
      code: 'ABORTED',
    });
    const controller = new AbortController();
    const sent = exported(exporter, deltas(2), { signal: controller.signal });
    await vi.advanceTimersByTimeAsync(1);
    controller.abort();
    await vi.advanceTimersByTimeAsync(500);
    expect(await sent).toBeUndefined();
    expect(slow.exports).toEqual([[2]]);
  });

  test('asks the reader for what all of them want', () => {
    const { exporter } = answering('a');
    const both = multi([exporter, answering('b').exporter]);
    expect(both.selectAggregationTemporality!(InstrumentType.COUNTER)).toBe(AggregationTemporality.DELTA);
    expect(both.selectAggregation).toBeUndefined();
  });

  test.each([
    ['temporality', { selectAggregationTemporality: () => AggregationTemporality.CUMULATIVE }, 'CUMULATIVE'],
    ['aggregation', { selectAggregation: () => ({ type: 1 }) }, 'DROP'],
  ])('refuses exporters that want another %s, with the remedy', (what, others, wish) => {
    const [a, b] = [answering('a').exporter, answering('b', [], others as never).exporter];
    expect(() => multi([a, b])).toThrow(
      new RegExp(
        `^multi: for COUNTER, a \\(1 of 2\\) wants the ${what} \\w+ and b \\(2 of 2\\) ${wish}, but one reader ` +
          'collects only one; give each exporter a reader of its own',
      ),
    );
  });

  test('takes an exporter without a selector for one that wants cumulative points', () => {
    const silent = createExporter({ name: 'silent', export: async () => {} });
    expect(() => multi([silent, answering('a').exporter])).toThrow(/wants the temporality CUMULATIVE/);
  });

  test.each<[unknown, unknown, string]>([
    [[], {}, 'exporters is not a list with at least one'],
    [undefined, {}, 'exporters is not a list'],
    [[{}], {}, 'no method export'],
    [[answering('a').exporter], { waitMillis: 0 }, 'waitMillis is 0; it must be'],
    [[answering('a').exporter], { maxBacklogPoints: 'x' }, "maxBacklogPoints is 'x'; it must be"],
    [[answering('a').exporter], { wait: 1 }, 'there is no setting wait'],
  ])('refuses what cannot work: %o, %o', (exporters, options, message) => {
    expect(() => multi(exporters as never, options as never)).toThrow(message);
  });

  test('refuses the same exporter twice', () => {
    const { exporter } = answering('a');
    expect(() => multi([exporter, exporter])).toThrow('twice');
  });
});
