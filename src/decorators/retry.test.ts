import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ExportError } from '../data/errors.ts';
import { exported } from '../exporters/fixtures/exporting.ts';
import { answering, deltas, fails } from './fixtures/answering.ts';
import { retry } from './retry.ts';

const down = new ExportError('UNAVAILABLE', 'not now', { retryable: true });

describe('retry', () => {
  beforeEach(() => {
    vi.useFakeTimers();
    vi.spyOn(Math, 'random').mockReturnValue(0.999);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  test('tries again after growing waits until it is delivered', async () => {
    const { exporter, exports } = answering('x', [fails(down), fails(new Error('plain'))]);
    const sent = exported(retry(exporter, { initialIntervalMillis: 1_000, multiplier: 2 }), deltas(1));
    await vi.advanceTimersByTimeAsync(998);
    expect(exports).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(exports).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1_997);
    expect(exports).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(await sent).toBeUndefined();
    expect(exports).toEqual([[1], [1], [1]]);
  });

  test('sends only the points still owed', async () => {
    const half = new ExportError('UNAVAILABLE', 'half', { retryable: true, undelivered: deltas(2) });
    const { exporter, exports } = answering('x', [fails(half), fails(down)]);
    const sent = exported(retry(exporter), deltas(1, 2));
    await vi.advanceTimersByTimeAsync(30_000);
    expect(await sent).toBeUndefined();
    expect(exports).toEqual([[1, 2], [2], [2]]);
  });

  test('does not try again what was refused for good', async () => {
    const refused = new ExportError('REJECTED', 'never');
    const { exporter, exports } = answering('x', [fails(refused)]);
    expect(await exported(retry(exporter), deltas(1))).toBe(refused);
    expect(exports).toHaveLength(1);
  });

  test('ends with the last failure when attempts or time are used up', async () => {
    const always = Array.from({ length: 99 }, () => fails(down));
    const few = answering('x', always);
    const sent = exported(retry(few.exporter, { maxRetries: 2, initialIntervalMillis: 10 }), deltas(1));
    await vi.advanceTimersByTimeAsync(100);
    expect(await sent).toBe(down);
    expect(few.exports).toHaveLength(3);
    const long = answering('x', always);
    const sentLong = exported(retry(long.exporter), deltas(1));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await sentLong).toBe(down);
  });

  test('waits as long as the backend asks', async () => {
    const throttled = new ExportError('THROTTLED', 'wait', { retryable: true, retryAfterMs: 20_000 });
    const { exporter, exports } = answering('x', [fails(throttled)]);
    const sent = exported(retry(exporter), deltas(1));
    await vi.advanceTimersByTimeAsync(19_999);
    expect(exports).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await sent).toBeUndefined();
  });

  test('a caller that gives up ends the wait', async () => {
    const { exporter, exports } = answering('x', [fails(down)]);
    const controller = new AbortController();
    const sent = exported(retry(exporter), deltas(1), { signal: controller.signal });
    await vi.advanceTimersByTimeAsync(1);
    controller.abort();
    expect(await sent).toMatchObject({ retryable: true });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(exports).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('shutdown ends the wait, with the failure', async () => {
    const shutdown = vi.fn(async () => {});
    const { exporter } = answering('x', [fails(down)], { shutdown });
    const retried = retry(exporter);
    const sent = exported(retried, deltas(1));
    await vi.advanceTimersByTimeAsync(1);
    await retried.shutdown();
    expect(await sent).toBe(down);
    expect(shutdown).toHaveBeenCalledTimes(1);
  });

  test.each<[unknown, string]>([
    [{ maxRetries: -1 }, 'retry: maxRetries is -1; it must be'],
    [{ initialIntervalMillis: '1s' }, "retry: initialIntervalMillis is '1s'; it must be"],
    [{ maxIntervalMillis: 1 }, 'a number of milliseconds from initialIntervalMillis (5000) to'],
    [{ retries: 3 }, 'retry: there is no setting retries; remove it'],
    [null, 'retry: options is null; it must be an object'],
  ])('refuses options that cannot work: %o', (options, message) => {
    expect(() => retry(answering('x').exporter, options as never)).toThrow(message);
  });
});
