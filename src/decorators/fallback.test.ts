import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ExportError } from '../data/errors.ts';
import { AggregationTemporality } from '../data/metric-data.ts';
import { sliceBatch } from '../data/slice-batch.ts';
import { exported } from '../exporters/fixtures/exporting.ts';
import { type FallbackOptions, fallback } from './fallback.ts';
import { type Answer, answering, deltas, fails, hangs, takes, valuesOf } from './fixtures/answering.ts';

const down = new ExportError('UNAVAILABLE', 'not now', { retryable: true });
const refused = new ExportError('REJECTED', 'never');

type Answers = Parameters<typeof answering>[1];

function pair(primary: Answers, secondary: Answers = [], options: FallbackOptions = {}) {
  const [first, second] = [
    answering('primary', primary, { timeoutMillis: 0 }),
    answering('secondary', secondary),
  ];
  return { first, second, exporter: fallback(first.exporter, second.exporter, options) };
}

describe('fallback', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test.each([down, refused, new Error('plain')])(
    'gives the secondary what the primary failed with %s, batch by batch',
    async (error) => {
      const { first, second, exporter } = pair([fails(error)]);
      expect(await exported(exporter, deltas(1))).toBeUndefined();
      expect(await exported(exporter, deltas(2))).toBeUndefined();
      expect(first.exports).toEqual([[1], [2]]);
      expect(second.exports).toEqual([[1]]);
    },
  );

  test('gives the secondary only the points still owed', async () => {
    const half = new ExportError('UNAVAILABLE', 'half', { retryable: true, undelivered: deltas(2) });
    const { second, exporter } = pair([fails(half)]);
    expect(await exported(exporter, deltas(1, 2))).toBeUndefined();
    expect(second.exports).toEqual([[2]]);
  });

  test('tells of both failures, and what is owed after both', async () => {
    const owed = deltas(3);
    const half = new ExportError('UNAVAILABLE', 'half', { retryable: true, undelivered: deltas(2, 3) });
    const less = new ExportError('THROTTLED', 'busy', {
      retryable: true,
      retryAfterMs: 50,
      undelivered: owed,
    });
    const { exporter } = pair([fails(half)], [fails(less)]);
    const error = await exported(exporter, deltas(1, 2, 3));
    expect(error).toMatchObject({ code: 'THROTTLED', retryable: true, retryAfterMs: 50 });
    expect(error!.undelivered).toBe(owed);
    expect(error!.message).toBe(
      '[THROTTLED] not delivered: primary: [UNAVAILABLE] half; secondary: [THROTTLED] busy',
    );
  });

  test('does not send a batch that the primary took and refused in part to the secondary', async () => {
    const partly = new ExportError('REJECTED', 'one is bad', { rejectedDataPoints: 1 });
    const { second, exporter } = pair([fails(partly)]);
    expect(await exported(exporter, deltas(1, 2))).toBe(partly);
    expect(second.exports).toEqual([]);
  });

  test('gives the secondary a batch of which the primary refused all', async () => {
    const all = new ExportError('REJECTED', 'all are bad', { rejectedDataPoints: 2 });
    const { second, exporter } = pair([fails(all)]);
    expect(await exported(exporter, deltas(1, 2))).toBeUndefined();
    expect(second.exports).toEqual([[1, 2]]);
  });

  test('gives up on a primary that hangs, and does not wait for it again while it does', async () => {
    const { first, second, exporter } = pair([hangs], [], { timeoutMillis: 1_000 });
    const sent = exported(exporter, deltas(1));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await sent).toBeUndefined();
    expect(first.exports).toEqual([[1]]);
    expect(second.exports).toEqual([[1]]);
  });

  test('does not give a foreign primary that hangs another batch', async () => {
    const calls = vi.fn();
    const stuck = { export: calls, forceFlush: async () => {}, shutdown: async () => {} };
    const selectAggregationTemporality = () => AggregationTemporality.CUMULATIVE;
    const second = answering('secondary', [], { selectAggregationTemporality });
    const exporter = fallback(stuck, second.exporter, { timeoutMillis: 1_000 });
    const sent = exported(exporter, deltas(1));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await sent).toBeUndefined();
    expect(await exported(exporter, deltas(2))).toBeUndefined();
    expect(calls).toHaveBeenCalledTimes(1);
    expect(second.exports).toEqual([[1], [2]]);
  });

  test('stays on the secondary for a while, then tries the primary', async () => {
    const { first, second, exporter } = pair([fails(down)], [], { stickyMillis: 60_000 });
    await exported(exporter, deltas(1));
    await vi.advanceTimersByTimeAsync(59_999);
    await exported(exporter, deltas(2));
    expect(first.exports).toEqual([[1]]);
    expect(second.exports).toEqual([[1], [2]]);
    await vi.advanceTimersByTimeAsync(1);
    await exported(exporter, deltas(3));
    await exported(exporter, deltas(4));
    expect(first.exports).toEqual([[1], [3], [4]]);
  });

  test('asks the primary all the same when the secondary fails meanwhile', async () => {
    const { first, second, exporter } = pair([fails(down)], [async () => {}, fails(down)], {
      stickyMillis: 60_000,
    });
    await exported(exporter, deltas(1));
    expect(await exported(exporter, deltas(2))).toBeUndefined();
    expect(second.exports).toEqual([[1], [2]]);
    expect(first.exports).toEqual([[1], [2]]);
    // It has delivered, so it comes first again.
    await exported(exporter, deltas(3));
    expect(first.exports).toEqual([[1], [2], [3]]);
    expect(second.exports).toEqual([[1], [2]]);
  });

  /** Delivers the first point, and says so when it is told to stop. */
  const stopsHalfway: Answer = (batch, signal) =>
    new Promise((_, reject) => {
      const undelivered = sliceBatch(batch, 1, batch.pointCount);
      const error = new ExportError('ABORTED', 'told to stop', { retryable: true, undelivered });
      signal.addEventListener('abort', () => setTimeout(reject, 500, error));
    });

  function slowPair(answer: Answer, options: FallbackOptions = {}) {
    const first = answering('primary', [answer], { timeoutMillis: 0, graceMillis: 2_000 });
    const second = answering('secondary');
    return { first, second, exporter: fallback(first.exporter, second.exporter, options) };
  }

  test('of a batch that a primary out of time has delivered in part, the secondary gets the rest', async () => {
    const { second, exporter } = slowPair(stopsHalfway, { timeoutMillis: 1_000 });
    const sent = exported(exporter, deltas(1, 2, 3));
    await vi.advanceTimersByTimeAsync(1_499);
    expect(second.exports).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(await sent).toBeUndefined();
    expect(second.exports).toEqual([[2, 3]]);
  });

  test('what the primary delivers while it is told to stop does not go to the secondary', async () => {
    const { second, exporter } = slowPair(takes(1_200), { timeoutMillis: 1_000 });
    const sent = exported(exporter, deltas(1));
    await vi.advanceTimersByTimeAsync(1_200);
    expect(await sent).toBeUndefined();
    expect(second.exports).toEqual([]);
  });

  test('a caller that gives up learns what is owed, and the secondary is not asked, then or for a while', async () => {
    const { first, second, exporter } = slowPair(stopsHalfway, { stickyMillis: 60_000 });
    const controller = new AbortController();
    const sent = exported(exporter, deltas(1, 2, 3), { signal: controller.signal });
    await vi.advanceTimersByTimeAsync(1);
    controller.abort();
    await vi.advanceTimersByTimeAsync(500);
    const error = await sent;
    expect(error).toMatchObject({ code: 'ABORTED', retryable: true });
    expect(valuesOf(error!.undelivered!)).toEqual([2, 3]);
    expect(error!.message).not.toContain('secondary');
    expect(await exported(exporter, deltas(4))).toBeUndefined();
    expect(first.exports).toEqual([[1, 2, 3], [4]]);
    expect(second.exports).toEqual([]);
  });

  test('a caller that gives up does not send the batch to the secondary', async () => {
    const { second, exporter } = pair([
      (_, signal) => new Promise((_, reject) => signal.addEventListener('abort', reject)),
    ]);
    const controller = new AbortController();
    const sent = exported(exporter, deltas(1), { signal: controller.signal });
    await vi.advanceTimersByTimeAsync(1);
    controller.abort();
    expect(await sent).toMatchObject({ code: 'ABORTED' });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(second.exports).toEqual([]);
  });

  test('flushes and shuts down both, whatever becomes of one', async () => {
    const shutdown = vi.fn(async () => {});
    const first = answering('a', [], { shutdown: () => Promise.reject(new Error('first')) });
    const second = answering('b', [takes(10)], { shutdown });
    await expect(fallback(first.exporter, second.exporter).shutdown()).rejects.toThrow('first');
    expect(shutdown).toHaveBeenCalledTimes(1);
  });

  test.each<[unknown, string]>([
    [{ timeoutMillis: 0 }, 'timeoutMillis is 0; it must be a number of milliseconds above 0'],
    [{ stickyMillis: -1 }, 'stickyMillis is -1; it must be'],
    [{ sticky: 1 }, 'there is no setting sticky'],
    [5, 'options is 5; it must be an object'],
  ])('refuses options that cannot work: %o', (options, message) => {
    const { exporter } = answering('a');
    expect(() => fallback(exporter, answering('b').exporter, options as never)).toThrow(message);
  });

  test('refuses what is no exporter, and exporters that want different temporalities', () => {
    const { exporter } = answering('a');
    expect(() => fallback(exporter, undefined as never)).toThrow(
      'fallback: what it was given to wrap has no method export; use an exporter',
    );
    const selectAggregationTemporality = () => AggregationTemporality.CUMULATIVE;
    const other = answering('b', [], { selectAggregationTemporality }).exporter;
    expect(() => fallback(exporter, other)).toThrow('wants the temporality DELTA and b CUMULATIVE');
  });
});
