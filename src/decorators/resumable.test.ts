import { describe, expect, test } from 'vitest';
import { ExportError } from '../data/errors.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { deltas, valuesOf } from './fixtures/answering.ts';
import { Resumable } from './resumable.ts';

const down = new ExportError('UNAVAILABLE', 'down', { retryable: true });
const part = (undelivered: MetricBatch) =>
  new ExportError('UNAVAILABLE', 'a part', { retryable: true, undelivered });

function setUp(...answers: (Error | undefined)[]) {
  const exports: unknown[][] = [];
  const resumable = new Resumable(async (batch) => {
    exports.push(valuesOf(batch));
    const error = answers[exports.length - 1];
    if (error) throw error;
    return undefined;
  });
  return { resumable, exports };
}

const waiting = new AbortController().signal;
const givenUp = AbortSignal.abort();

describe('Resumable', () => {
  test('what was delivered after it was given up on is not sent again, once', async () => {
    const { resumable, exports } = setUp();
    const batch = deltas(1);
    await resumable.export(batch, givenUp);
    await resumable.export(batch, waiting);
    expect(exports).toEqual([[1]]);
    await resumable.export(batch, waiting);
    expect(exports).toEqual([[1], [1]]);
  });

  test('what was delivered while its caller waited is sent again when it is exported again', async () => {
    const { resumable, exports } = setUp();
    const batch = deltas(1);
    await resumable.export(batch, waiting);
    await resumable.export(batch, waiting);
    expect(exports).toEqual([[1], [1]]);
  });

  test('an empty batch is passed on, since what is inside may owe something from before', async () => {
    const { resumable, exports } = setUp();
    await resumable.export(deltas(), waiting);
    expect(exports).toEqual([[]]);
  });

  test('of what was delivered in part, the rest is sent, and still owed when that fails', async () => {
    const rest = deltas(2);
    const { resumable, exports } = setUp(part(rest), down);
    const batch = deltas(1, 2);
    await expect(resumable.export(batch, givenUp)).rejects.toThrow('a part');
    const error = (await resumable.export(batch, waiting).catch((it) => it)) as ExportError;
    expect(error).toMatchObject({ code: 'UNAVAILABLE', message: '[UNAVAILABLE] down', retryable: true });
    expect(error.undelivered).toBe(rest);
    expect(exports).toEqual([[1, 2], [2]]);
  });

  test('nothing is remembered of a failure whose caller still waited: it was told', async () => {
    const { resumable, exports } = setUp(part(deltas(2)));
    const batch = deltas(1, 2);
    await expect(resumable.export(batch, waiting)).rejects.toThrow('a part');
    await resumable.export(batch, waiting);
    expect(exports).toEqual([
      [1, 2],
      [1, 2],
    ]);
  });
});
