import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { captureLogs } from '../../test/support/collected.ts';
import { ExportError } from './errors.ts';
import { createExporter, type ExporterDefinition, type ExportResult, ExportResultCode } from './exporter.ts';
import { MetricBatch } from './metric-batch.ts';
import { resourceFromAttributes } from './resource.ts';

const batch = new MetricBatch(resourceFromAttributes({}), []);

function setUp(definition: Partial<ExporterDefinition>) {
  const exporter = createExporter({ name: 'test', export: async () => {}, ...definition });
  const send = (signal?: AbortSignal) =>
    new Promise<ExportResult>((resolve) => exporter.export(batch, resolve, { signal }));
  return { exporter, send };
}

describe('createExporter', () => {
  const logs = captureLogs();
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('[7.31] a batch taken but for some points is a success that says so', async () => {
    const refusal = new ExportError('REJECTED', '3 refused', { rejectedDataPoints: 3 });
    expect(await setUp({ export: async () => refusal }).send()).toEqual({
      code: ExportResultCode.SUCCESS,
      error: refusal,
    });
  });

  test('[6.03] success and failure reach the callback, whatever was thrown', async () => {
    expect(await setUp({}).send()).toEqual({ code: ExportResultCode.SUCCESS });
    const own = new ExportError('IO', 'disk full', { retryable: true });
    expect(await setUp({ export: () => Promise.reject(own) }).send()).toEqual({
      code: ExportResultCode.FAILED,
      error: own,
    });
    const thrown = await setUp({
      export: () => {
        throw 'text';
      },
    }).send();
    expect(thrown.error).toMatchObject({ code: 'INTERNAL', message: '[INTERNAL] text', cause: 'text' });
    const textless = await setUp({ export: () => Promise.reject(Object.create(null)) }).send();
    expect(textless.error).toMatchObject({ code: 'INTERNAL', retryable: true });
  });

  test('[6.04] an export that hangs fails after its time, and its signal says so', async () => {
    let seen: AbortSignal | undefined;
    const { send } = setUp({
      timeoutMillis: 100,
      export: (_, { signal }) => {
        seen = signal;
        return new Promise(() => {});
      },
    });
    const result = send();
    await vi.advanceTimersByTimeAsync(100);
    expect((await result).error).toMatchObject({ code: 'TIMEOUT', retryable: true });
    expect(seen!.aborted).toBe(true);
  });

  test.each([0, Number.POSITIVE_INFINITY])('a timeout of %d ms is no limit', async (timeoutMillis) => {
    const { send } = setUp({
      timeoutMillis,
      export: () => new Promise((resolve) => setTimeout(resolve, 1e6)),
    });
    const result = send();
    await vi.advanceTimersByTimeAsync(1e6);
    expect(await result).toEqual({ code: ExportResultCode.SUCCESS });
  });

  test('the caller can abort an export', async () => {
    const controller = new AbortController();
    const { send } = setUp({ export: () => new Promise(() => {}) });
    const result = send(controller.signal);
    controller.abort();
    expect((await result).error).toMatchObject({ code: 'ABORTED', retryable: true });
    expect((await send(controller.signal)).error).toMatchObject({ code: 'ABORTED' });
  });

  test('one that was told to stop may say in its grace what it still owes', async () => {
    const { send } = setUp({
      graceMillis: 100,
      export: (_, { signal }) =>
        new Promise((_, reject) => {
          const owing = new ExportError('ABORTED', 'half of it', { retryable: true, undelivered: batch });
          signal.addEventListener('abort', () => setTimeout(reject, 99, owing));
        }),
    });
    const controller = new AbortController();
    const result = send(controller.signal);
    await vi.advanceTimersByTimeAsync(0);
    controller.abort();
    await vi.advanceTimersByTimeAsync(99);
    expect((await result).error).toMatchObject({ message: '[ABORTED] half of it', undelivered: batch });
  });

  test.each(['abort', 'timeout'])('one that goes on beyond its grace has failed: %s', async (by) => {
    const { send } = setUp({ timeoutMillis: 1_000, graceMillis: 100, export: () => new Promise(() => {}) });
    const controller = new AbortController();
    const ended = vi.fn();
    void send(controller.signal).then(({ error }) => ended((error as ExportError).code));
    await vi.advanceTimersByTimeAsync(by === 'timeout' ? 1_000 : 0);
    controller.abort();
    await vi.advanceTimersByTimeAsync(99);
    expect(ended).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(ended).toHaveBeenCalledExactlyOnceWith(by === 'timeout' ? 'TIMEOUT' : 'ABORTED');
    expect(vi.getTimerCount()).toBe(0);
  });

  test('a callback that throws is reported and breaks nothing', async () => {
    const { exporter } = setUp({});
    exporter.export(batch, () => {
      throw new Error('host');
    });
    await exporter.forceFlush();
    expect(logs).toEqual(['meterline: the result callback given to test threw']);
  });

  test('[6.08] forceFlush waits for the exports under way, then flushes', async () => {
    const order: string[] = [];
    const { exporter, send } = setUp({
      export: () => new Promise((resolve) => setTimeout(resolve, 50)),
      forceFlush: async () => void order.push('flush'),
    });
    void send().then(() => order.push('export'));
    const flushed = exporter.forceFlush().then(() => order.push('flushed'));
    await vi.advanceTimersByTimeAsync(50);
    await flushed;
    expect(order).toEqual(['export', 'flush', 'flushed']);
  });

  test('[6.09] shutdown happens once; exports after it fail without being tried', async () => {
    const work = vi.fn(async () => {});
    const shutdown = vi.fn(async () => {});
    const { exporter, send } = setUp({ export: work, shutdown });
    await Promise.all([exporter.shutdown(), exporter.shutdown()]);
    expect((await send()).error).toMatchObject({ code: 'SHUTDOWN', retryable: false });
    await exporter.forceFlush();
    expect(shutdown).toHaveBeenCalledTimes(1);
    expect(work).not.toHaveBeenCalled();
  });

  test('[6.09] shutdown does not hang on an export that does', async () => {
    const { exporter, send } = setUp({ timeoutMillis: 100, export: () => new Promise(() => {}) });
    void send();
    const ended = exporter.shutdown();
    await vi.advanceTimersByTimeAsync(100);
    await ended;
  });
});
