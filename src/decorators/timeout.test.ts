import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ExportError } from '../data/errors.ts';
import { exported } from '../exporters/fixtures/exporting.ts';
import { type Answer, answering, deltas, hangs, takes, valuesOf } from './fixtures/answering.ts';
import { timeout } from './timeout.ts';

describe('timeout', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('fails what takes longer, and tells the exporter', async () => {
    let seen: AbortSignal | undefined;
    const { exporter } = answering('x', [
      (_, signal) => {
        seen = signal;
        return hangs(deltas(), signal);
      },
    ]);
    const sent = exported(timeout(exporter, 500), deltas(1));
    await vi.advanceTimersByTimeAsync(499);
    expect(seen!.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await sent).toMatchObject({
      code: 'TIMEOUT',
      retryable: true,
      message: '[TIMEOUT] export to x did not end within 500 ms',
    });
    expect(seen!.aborted).toBe(true);
  });

  test.each([undefined, 200])(
    'tells what is still owed after %s ms, by its own time or the caller’s',
    async (abortAfter) => {
      const stops: Answer = (_, signal) =>
        new Promise((_, reject) => {
          const owing = () =>
            reject(
              new ExportError('ABORTED', 'x', {
                retryable: true,
                undelivered: deltas(2),
                rejectedDataPoints: 1,
              }),
            );
          signal.addEventListener('abort', () => setTimeout(owing, 100));
        });
      const { exporter, exports } = answering('x', [stops], { graceMillis: 1_000 });
      const limited = timeout(exporter, 500);
      const caller = new AbortController();
      if (abortAfter !== undefined) setTimeout(() => caller.abort(), abortAfter);
      const batch = deltas(1, 2, 3);
      const sent = exported(limited, batch, { signal: caller.signal });
      await vi.advanceTimersByTimeAsync((abortAfter ?? 500) + 100);
      const error = await sent;
      expect(error).toMatchObject({
        code: abortAfter === undefined ? 'TIMEOUT' : 'ABORTED',
        retryable: true,
        rejectedDataPoints: 1,
      });
      expect(valuesOf(error!.undelivered!)).toEqual([2]);
      await exported(limited, batch);
      expect(exports).toEqual([[1, 2, 3], [2]]);
    },
  );

  test('what is delivered while the exporter stops is delivered', async () => {
    const { exporter } = answering('x', [takes(700)], { graceMillis: 1_000 });
    const sent = exported(timeout(exporter, 500), deltas(1));
    await vi.advanceTimersByTimeAsync(700);
    expect(await sent).toBeUndefined();
  });

  test('one that says nothing when told to stop costs 2 s more', async () => {
    const { exporter } = answering('x', [hangs], { graceMillis: 60_000 });
    const sent = exported(timeout(exporter, 500), deltas(1));
    await vi.advanceTimersByTimeAsync(2_500);
    expect(await sent).toMatchObject({ code: 'TIMEOUT', retryable: true, undelivered: undefined });
  });

  test('a refusal stays one, also when it comes late', async () => {
    const refuses = () =>
      takes(700)(deltas(), new AbortController().signal).then(() =>
        Promise.reject(new ExportError('REJECTED', 'no')),
      );
    const { exporter } = answering('x', [refuses], { graceMillis: 1_000 });
    const sent = exported(timeout(exporter, 500), deltas(1));
    await vi.advanceTimersByTimeAsync(700);
    expect(await sent).toMatchObject({ code: 'REJECTED', retryable: false });
  });

  test('lets pass what ends in time', async () => {
    const sent = exported(timeout(answering('x', [takes(499)]).exporter, 500), deltas(1));
    await vi.advanceTimersByTimeAsync(499);
    expect(await sent).toBeUndefined();
  });

  test('a batch that a foreign exporter delivered after its time is not sent again', async () => {
    const calls: (() => void)[] = [];
    const foreign = {
      export: (_: unknown, done: (result: { code: number }) => void) =>
        void calls.push(() => done({ code: 0 })),
      forceFlush: async () => {},
      shutdown: async () => {},
    };
    const limited = timeout(foreign, 500);
    const batch = deltas(1);
    const first = exported(limited, batch);
    await vi.advanceTimersByTimeAsync(500);
    expect(await first).toMatchObject({ code: 'TIMEOUT' });
    const again = exported(limited, batch);
    await vi.advanceTimersByTimeAsync(1);
    calls[0]!();
    expect(await again).toBeUndefined();
    expect(calls).toHaveLength(1);
  });

  test.each(['forceFlush', 'shutdown'] as const)('limits %s too', async (method) => {
    const { exporter } = answering('x', [], { [method]: () => new Promise(() => {}) });
    const ended = expect(timeout(exporter, 500)[method]()).rejects.toMatchObject({ code: 'TIMEOUT' });
    await vi.advanceTimersByTimeAsync(500);
    await ended;
  });

  test.each([undefined, 0, -1, Number.NaN, '5s'])('refuses %s milliseconds', (millis) => {
    expect(() => timeout(answering('x').exporter, millis as number)).toThrow(
      'it must be a number of milliseconds above 0',
    );
  });
});
