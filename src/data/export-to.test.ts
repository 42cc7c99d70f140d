import { describe, expect, test } from 'vitest';
import { captureLogs } from '../../test/support/collected.ts';
import { ExportError } from './errors.ts';
import { exportTo } from './export-to.ts';
import { ExportResultCode, type PushMetricExporter } from './exporter.ts';
import { MetricBatch } from './metric-batch.ts';
import { resourceFromAttributes } from './resource.ts';

const batch = new MetricBatch(resourceFromAttributes({}), []);
const plain = new Error('plain');
const SUCCESS = { code: ExportResultCode.SUCCESS };

function exporting(work: (done: Parameters<PushMetricExporter['export']>[1]) => unknown) {
  const exporter = {
    export: (_: unknown, done: Parameters<PushMetricExporter['export']>[1]) => work(done) as undefined,
    forceFlush: async () => {},
    shutdown: async () => {},
  };
  return exportTo(exporter, batch);
}

describe('exportTo', () => {
  const logs = captureLogs();

  test.each<[string, Parameters<typeof exporting>[0]]>([
    ['answered', (done) => done({ code: ExportResultCode.FAILED, error: plain })],
    ['rejected with', () => Promise.reject(plain)],
    [
      'thrown',
      () => {
        throw plain;
      },
    ],
  ])('a failure that is %s is an ExportError', async (_, work) => {
    await expect(exporting(work)).rejects.toMatchObject({
      name: 'ExportError',
      code: 'INTERNAL',
      retryable: true,
      cause: plain,
    });
  });

  test('hears the first answer, and says that there was a second', async () => {
    const answered = exporting((done) => {
      done(SUCCESS);
      done({ code: ExportResultCode.FAILED, error: plain });
      throw plain;
    });
    expect(await answered).toBeUndefined();
    expect(logs).toEqual(['meterline: an exporter called its result callback twice; the second is ignored']);
  });

  test('resolves with what was refused of a batch that was taken', async () => {
    const error = new ExportError('REJECTED', 'one', { rejectedDataPoints: 1 });
    expect(await exporting((done) => done({ ...SUCCESS, error }))).toBe(error);
  });
});
