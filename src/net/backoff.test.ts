import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ExportError } from '../data/errors.ts';
import { MetricBatch } from '../data/metric-batch.ts';
import { resourceFromAttributes } from '../data/resource.ts';
import { type RetryOptions, retrying, retryPolicy } from './backoff.ts';

const unavailable = (options: ConstructorParameters<typeof ExportError>[2] = {}) =>
  new ExportError('UNAVAILABLE', 'down', { retryable: true, ...options });

/** The same numbers each run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const batchOf = (pointCount: number) =>
  Object.assign(new MetricBatch(resourceFromAttributes({}), []), { pointCount }) as MetricBatch;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Runs an attempt that fails with `errors` in turn, the last of them for ever; tells the waits between. */
async function run(
  errors: ExportError[],
  retry: RetryOptions = {},
  options: Parameters<typeof retrying>[2] = {},
) {
  const waits: number[] = [];
  let attempts = 0;
  let last: number | undefined;
  const result = retrying(
    async () => {
      const now = performance.now();
      if (last !== undefined) waits.push(now - last);
      last = now;
      throw errors[Math.min(attempts++, errors.length - 1)];
    },
    retryPolicy('test', retry),
    options,
  ).then(
    () => undefined,
    (error: ExportError) => error,
  );
  await vi.runAllTimersAsync();
  return { error: await result, waits, attempts };
}

describe('retrying', () => {
  it('[7.19] waits a random part of an interval that grows by the multiplier up to its maximum', async () => {
    const retry = { initialIntervalMillis: 100, multiplier: 2, maxIntervalMillis: 500, maxRetries: 5 };
    const { waits } = await run([unavailable()], retry, { random: () => 0.999 });
    for (const [i, limit] of [100, 200, 400, 500, 500].entries()) expect(waits[i]).toBeCloseTo(limit, -1);
    const halves = await run([unavailable()], retry, { random: () => 0.5 });
    for (const [i, limit] of [50, 100, 200, 250, 250].entries())
      expect(halves.waits[i]).toBeCloseTo(limit, -1);
  });

  it('[7.19] spreads the waits of many processes over the whole interval', async () => {
    const firsts: number[] = [];
    for (let seed = 0; seed < 200; seed++) {
      const { waits } = await run([unavailable()], { maxRetries: 1 }, { random: seeded(seed) });
      firsts.push(waits[0]!);
    }
    firsts.sort((a, b) => a - b);
    expect(firsts[0]).toBeLessThan(250);
    expect(firsts[199]).toBeGreaterThan(4_750);
    expect(firsts[100]).toBeGreaterThan(2_000);
    expect(firsts[100]).toBeLessThan(3_000);
  });

  it('[7.19] has the defaults of OpenTelemetry Go', () => {
    expect(retryPolicy('test')).toEqual({
      enabled: true,
      initialIntervalMillis: 5_000,
      maxIntervalMillis: 30_000,
      maxElapsedTimeMillis: 60_000,
      multiplier: 1.5,
      maxRetries: Infinity,
    });
  });

  it('begins no attempt after maxElapsedTimeMillis, and does not wait for one', async () => {
    const start = performance.now();
    const { error, waits } = await run([unavailable()], {}, { random: () => 0.999 });
    // 5 + 7.5 + 11.25 + 16.875 s = 40.6 s; the next wait of 25.3 s would pass the minute.
    expect(waits).toHaveLength(4);
    expect(performance.now() - start).toBeLessThan(41_000);
    expect(error?.code).toBe('UNAVAILABLE');
  });

  it('begins no attempt after the deadline', async () => {
    const { waits } = await run(
      [unavailable()],
      {},
      { random: () => 0.999, deadline: performance.now() + 6_000 },
    );
    expect(waits).toHaveLength(1);
  });

  it('resolves with what the attempt resolves with', async () => {
    let attempts = 0;
    const result = retrying(async () => {
      if (++attempts < 3) throw unavailable();
      return attempts;
    }, retryPolicy('test'));
    await vi.runAllTimersAsync();
    expect(await result).toBe(3);
  });

  it('does not try again what cannot pass', async () => {
    const refused = new ExportError('REJECTED', 'no');
    const { error, attempts } = await run([unavailable(), refused]);
    expect(attempts).toBe(2);
    expect(error).toBe(refused);
  });

  it('tries an error that does not say whether it may pass again', async () => {
    let attempts = 0;
    const result = retrying(async () => {
      if (++attempts === 1) throw new TypeError('what');
      return 'fine';
    }, retryPolicy('test'));
    await vi.runAllTimersAsync();
    expect(await result).toBe('fine');
  });

  it.each([{ enabled: false }, { maxRetries: 0 }])('tries once with %o', async (retry) => {
    expect((await run([unavailable()], retry)).attempts).toBe(1);
  });

  it('[7.18] [7.28] waits at least as long as the server asked', async () => {
    const { waits } = await run(
      [unavailable({ retryAfterMs: 9_000 }), unavailable()],
      { maxRetries: 2 },
      {
        random: () => 0.5,
      },
    );
    expect(waits[0]).toBeCloseTo(9_000, -1);
    expect(waits[1]).toBeCloseTo(3_750, -1);
  });

  it('[7.18] gives up at once when the server asks for more than the time left', async () => {
    const start = performance.now();
    const throttled = new ExportError('THROTTLED', 'later', { retryable: true, retryAfterMs: 61_000 });
    const { error, attempts } = await run([throttled]);
    expect({ attempts, error, elapsed: performance.now() - start }).toEqual({
      attempts: 1,
      error: throttled,
      elapsed: 0,
    });
  });

  it('ends a wait at an abort, with the failure before it', async () => {
    const controller = new AbortController();
    const onRetry = () => queueMicrotask(() => controller.abort());
    const first = unavailable();
    const { error, attempts } = await run([first], {}, { signal: controller.signal, onRetry });
    expect(attempts).toBe(1);
    expect(error).toBe(first);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('does not wait for what was aborted during the attempt', async () => {
    const controller = new AbortController();
    const result = retrying(
      async () => {
        controller.abort();
        throw unavailable();
      },
      retryPolicy('test'),
      { signal: controller.signal },
    );
    await expect(result).rejects.toThrow('down');
  });

  it('leaves no listener on the signal', async () => {
    const { signal } = new AbortController();
    const add = vi.spyOn(signal, 'addEventListener');
    const remove = vi.spyOn(signal, 'removeEventListener');
    await run([unavailable()], { maxRetries: 3 }, { signal });
    expect(add).toHaveBeenCalledTimes(3);
    expect(remove).toHaveBeenCalledTimes(3);
  });

  it('does not keep the process alive', async () => {
    vi.useRealTimers();
    const spy = vi.spyOn(globalThis, 'setTimeout');
    const controller = new AbortController();
    const result = retrying(() => Promise.reject(unavailable()), retryPolicy('test'), {
      signal: controller.signal,
      random: () => 0.9,
    });
    await vi.waitFor(() => expect(spy).toHaveBeenCalled());
    const timers = spy.mock.results.map(({ value }) => value as NodeJS.Timeout);
    expect(timers.some((timer) => timer.hasRef())).toBe(false);
    controller.abort();
    await expect(result).rejects.toThrow('down');
    spy.mockRestore();
  });

  it('tells of each wait', async () => {
    const onRetry = vi.fn();
    const first = unavailable();
    await run([first, unavailable()], { maxRetries: 2 }, { onRetry, random: () => 0.2 });
    expect(onRetry.mock.calls).toEqual([
      [first, 1_000],
      [expect.anything(), 1_500],
    ]);
  });

  describe('of a part of a batch', () => {
    const half = batchOf(50);
    const quarter = batchOf(25);

    it('continues with the points still owed', async () => {
      const given: unknown[] = [];
      const errors = [
        unavailable({ undelivered: half }),
        unavailable(),
        unavailable({ undelivered: quarter }),
      ];
      const result = retrying(async (undelivered) => {
        given.push(undelivered);
        const error = errors.shift();
        if (error) throw error;
      }, retryPolicy('test'));
      await vi.runAllTimersAsync();
      await result;
      expect(given).toEqual([undefined, half, half, quarter]);
    });

    it('fails with what is owed of the whole and what was refused of it', async () => {
      const errors = [
        unavailable({ undelivered: half, rejectedDataPoints: 3 }),
        unavailable({ rejectedDataPoints: 4 }),
      ];
      const { error } = await run(errors, { maxRetries: 1 });
      expect(error).toMatchObject({ code: 'UNAVAILABLE', message: '[UNAVAILABLE] down', retryable: true });
      expect(error?.undelivered).toBe(half);
      expect(error?.rejectedDataPoints).toBe(7);
    });

    it('fails with nothing owed when the rest is refused for good', async () => {
      const errors = [unavailable({ undelivered: half }), new ExportError('REJECTED', 'no')];
      const { error } = await run(errors);
      expect(error).toMatchObject({ code: 'REJECTED', retryable: false, rejectedDataPoints: 50 });
      expect(error?.undelivered).toBeUndefined();
    });
  });
});

describe('retryPolicy', () => {
  it.each([true, false])('takes %s for all of it', (enabled) => {
    expect(retryPolicy('test', enabled).enabled).toBe(enabled);
  });

  it('raises the maximum to a longer first interval', () => {
    expect(retryPolicy('test', { initialIntervalMillis: 40_000 }).maxIntervalMillis).toBe(40_000);
  });

  it('takes 0 for no limit of time', () => {
    expect(retryPolicy('test', { maxElapsedTimeMillis: 0 }).maxElapsedTimeMillis).toBe(Infinity);
  });

  it.each([
    [5, /test: retry is 5; it must be an object/],
    [{ enabled: 'yes' }, /retry\.enabled is 'yes'/],
    [{ initialIntervalMillis: 0 }, /retry\.initialIntervalMillis is 0/],
    [{ initialIntervalMillis: '5s' }, /retry\.initialIntervalMillis is '5s'/],
    [{ initialIntervalMillis: 2 ** 31 }, /retry\.initialIntervalMillis/],
    [{ maxIntervalMillis: 10 }, /retry\.maxIntervalMillis is 10; .*\(5000\)/],
    [{ maxElapsedTimeMillis: -1 }, /retry\.maxElapsedTimeMillis is -1/],
    [{ maxElapsedTimeMillis: NaN }, /retry\.maxElapsedTimeMillis is NaN/],
    [{ multiplier: 0.5 }, /retry\.multiplier is 0\.5/],
    [{ maxRetries: 1.5 }, /retry\.maxRetries is 1\.5/],
    [{ maxRetrys: 1 }, /no setting retry\.maxRetrys/],
  ])('refuses %o', (options, message) => {
    const make = () => retryPolicy('test', options as RetryOptions);
    expect(make).toThrow(message);
    expect(make).toThrow(expect.objectContaining({ name: 'ConfigError' }));
  });
});
