import { describe, expect, test, vi } from 'vitest';
import { ExportError } from '../data/errors.ts';
import { withDeadline } from './deadline.ts';

/** Ends when it is told to, with what it is told. */
const obedient = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason));
  });

describe('withDeadline', () => {
  test('tells the work when the time is over', async () => {
    await expect(withDeadline('the work', 10, undefined, obedient)).rejects.toMatchObject({
      code: 'TIMEOUT',
      retryable: true,
      message: '[TIMEOUT] the work did not end within 10 ms',
    });
  });

  test('waits for what the work makes of it', async () => {
    const result = withDeadline('the work', 5, undefined, async (signal) => {
      await obedient(signal).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 10));
      return 'half of it';
    });
    expect(await result).toBe('half of it');
  });

  test.each([10, Infinity])(
    'passes an abort on, with its error where it is one of ours: %s ms',
    async (millis) => {
      const why = new ExportError('TIMEOUT', 'the reader gave up');
      await expect(withDeadline('the work', millis, AbortSignal.abort(why), obedient)).rejects.toBe(why);
      const controller = new AbortController();
      const result = withDeadline('the work', millis, controller.signal, obedient);
      controller.abort(new Error('enough'));
      await expect(result).rejects.toMatchObject({
        code: 'ABORTED',
        retryable: true,
        cause: new Error('enough'),
      });
    },
  );

  test('leaves nothing behind, and does not keep the process alive', async () => {
    const { signal } = new AbortController();
    const timers = vi.spyOn(globalThis, 'setTimeout');
    const remove = vi.spyOn(signal, 'removeEventListener');
    let isHeld = true;
    await withDeadline('the work', 60_000, signal, async () => {
      isHeld = (timers.mock.results.at(-1)!.value as NodeJS.Timeout).hasRef();
    });
    expect(isHeld).toBe(false);
    expect(remove).toHaveBeenCalledWith('abort', expect.anything());
    timers.mockRestore();
  });
});
