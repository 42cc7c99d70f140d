import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { exported } from '../exporters/fixtures/exporting.ts';
import { answering, deltas, hangs, takes } from './fixtures/answering.ts';
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
