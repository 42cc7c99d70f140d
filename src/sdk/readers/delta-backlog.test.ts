// What a failed export leaves to be sent again: never more than is owed, so that nothing counts twice, and never less.
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { captureLogs } from '../../../test/support/collected.ts';
import { textOf } from '../../data/diagnostics.ts';
import { ExportError } from '../../data/errors.ts';
import { type ExportResult, ExportResultCode } from '../../data/exporter.ts';
import { MetricBatch } from '../../data/metric-batch.ts';
import { AggregationTemporality, type ResourceMetrics } from '../../data/metric-data.ts';
import { owedPoints } from '../../data/owed-points.ts';
import { sliceBatch } from '../../data/slice-batch.ts';
import { toBatch } from '../../data/to-batch.ts';
import { MeterProvider } from '../meter-provider.ts';
import { DeltaBacklog } from './delta-backlog.ts';
import { PeriodicExportingMetricReader } from './periodic-exporting-metric-reader.ts';

const SUCCESS = { code: ExportResultCode.SUCCESS };
const failure = (error: unknown) => ({ code: ExportResultCode.FAILED, error: error as Error });

type Answer = (batch: MetricBatch) => ExportResult;

/** The values of the points, in order. */
const valuesOf = (batch: MetricBatch) =>
  batch.scopeMetrics.flatMap(({ metrics }) =>
    metrics.flatMap(({ dataPoints }) => dataPoints.map(({ value }) => value as number)),
  );

function setUp(
  answers: Answer[],
  {
    size = Number.POSITIVE_INFINITY,
    delayMillis = 0,
    cumulative = false,
    otherwise = (() => SUCCESS) as Answer,
  } = {},
) {
  const batches: number[][] = [];
  const exporter = {
    selectAggregationTemporality: () =>
      cumulative ? AggregationTemporality.CUMULATIVE : AggregationTemporality.DELTA,
    export(metrics: ResourceMetrics, done: (result: ExportResult) => void) {
      const batch = toBatch(metrics);
      batches.push(valuesOf(batch));
      const result = (answers.shift() ?? otherwise)(batch);
      if (delayMillis === 0) done(result);
      else setTimeout(done, delayMillis, result);
    },
    forceFlush: async () => {},
    shutdown: async () => {},
  };
  const reader = new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: 1e9,
    exportTimeoutMillis: 50,
    maxExportBatchSize: size,
    selfMetrics: false,
  });
  const counter = new MeterProvider({ readers: [reader] }).getMeter('m').createCounter('c');
  return {
    batches,
    /** A series each, whose value tells which it is. */
    record: (...values: number[]) => {
      for (const value of values) counter.add(value, { value });
    },
    async flush() {
      const ended = reader.forceFlush().then(() => 'delivered', textOf);
      await vi.advanceTimersByTimeAsync(1_000);
      return ended;
    },
  };
}

const partly =
  (from: number, options: { retryable: boolean }): Answer =>
  (batch) =>
    failure(
      new ExportError('UNAVAILABLE', 'half-way', {
        ...options,
        undelivered: sliceBatch(batch, from, batch.pointCount),
      }),
    );

describe('what a failed delta export owes', () => {
  captureLogs();
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test.each([{ retryable: true }, { retryable: false }])(
    'only what it says is undelivered, whether the rest was delivered or refused for good: %j',
    async (options) => {
      const { batches, record, flush } = setUp([partly(2, options)]);
      record(1, 2, 3, 4);
      expect(await flush()).toContain('half-way');
      record(4);
      expect(await flush()).toBe('delivered');
      expect(batches).toEqual([
        [1, 2, 3, 4],
        [8, 3],
      ]);
      record(5);
      await flush();
      expect(batches[2]).toEqual([5]);
    },
  );

  test('nothing, when nothing is undelivered', async () => {
    const { batches, record, flush } = setUp([partly(2, { retryable: true })]);
    record(1, 2);
    await flush();
    record(3);
    await flush();
    expect(batches).toEqual([[1, 2], [3]]);
  });

  test('of each piece its own part, in one batch with the next collection', async () => {
    const { batches, record, flush } = setUp(
      [
        partly(1, { retryable: true }),
        () => SUCCESS,
        () => failure(new Error('down')),
        () => failure(new Error('down')),
      ],
      { size: 2 },
    );
    record(1, 2, 3, 4, 5, 6, 7);
    expect(await flush()).toContain('half-way');
    await flush();
    expect(batches.slice(4).flat().sort()).toEqual([2, 5, 6, 7]);
  });

  test('what the exporter says after it was given up on', async () => {
    const { batches, record, flush } = setUp([partly(1, { retryable: true })], { delayMillis: 70 });
    record(1, 2);
    expect(await flush()).toContain('did not end within 50 ms');
    await flush();
    expect(batches[1]).toEqual([2]);
  });

  test('nothing, when it is refused for good after it was given up on', async () => {
    const refused = () => failure(new ExportError('REJECTED', 'no', { retryable: false }));
    const { batches, record, flush } = setUp([refused], { delayMillis: 70 });
    record(1);
    await flush();
    record(2);
    await flush();
    expect(batches).toEqual([[1], [2]]);
  });

  test('nothing of cumulative points, which the next ones supersede', async () => {
    const { batches, record, flush } = setUp([partly(1, { retryable: true })], { cumulative: true });
    record(1, 2);
    await flush();
    await flush();
    expect(batches).toEqual([
      [1, 2],
      [1, 2],
    ]);
  });

  test('nothing is kept of cumulative points, which may be many', () => {
    const points = { length: 3, aggregationTemporality: AggregationTemporality.CUMULATIVE } as never;
    const batch = new MetricBatch({} as never, [{ scope: { name: 's' }, metrics: [points] }]);
    const backlog = new DeltaBacklog(Number.POSITIVE_INFINITY);
    backlog.begin(batch);
    backlog.settle(0, batch, new Error('down'));
    expect(backlog.take()).toEqual([]);
  });

  test('an error by which nothing is undelivered owes nothing', () => {
    const metric = { length: 3, aggregationTemporality: AggregationTemporality.DELTA } as never;
    const batch = new MetricBatch({} as never, [{ scope: { name: 's' }, metrics: [metric] }]);
    const none = new MetricBatch({} as never, []);
    expect(
      owedPoints(batch, new ExportError('IO', 'x', { undelivered: none, retryable: true })),
    ).toBeUndefined();
    expect(owedPoints(batch, new ExportError('IO', 'x', { undelivered: batch }))).toBe(batch);
    expect(owedPoints(batch, new ExportError('IO', 'x', { retryable: true }))).toBe(batch);
    expect(owedPoints(batch, new ExportError('IO', 'x'))).toBeUndefined();
    expect(owedPoints(batch, 'text')).toBe(batch);
    expect(owedPoints(batch, null)).toBe(batch);
  });

  const larger = new MetricBatch({} as never, [
    { scope: { name: 's' }, metrics: [{ length: 9, aggregationTemporality: 0 } as never] },
  ]);
  const incredible: [string, unknown][] = [
    ['a text', 'all'],
    ['a number', 3],
    ['null', null],
    ['what is no batch', { scopeMetrics: [], pointCount: 0 }],
    ['more points than were sent', larger],
  ];
  test.each(incredible)(
    'all of it, when another maker says that %s is undelivered',
    async (_, undelivered) => {
      // The name of our errors, or nobody would look at it.
      const error = Object.assign(new Error('odd'), { name: 'ExportError', undelivered });
      const { batches, record, flush } = setUp([() => failure(error)]);
      record(1);
      await flush();
      await flush();
      expect(batches).toEqual([[1], [1]]);
    },
  );

  test('all of it, when the error cannot even be looked at, or is none', async () => {
    const fails = new Proxy(new Error('odd'), {
      get() {
        throw new Error('mine');
      },
    });
    const { batches, record, flush } = setUp([
      () => failure(fails),
      () => failure('text'),
      () => failure(null),
    ]);
    record(1);
    for (let i = 0; i < 4; i++) await flush();
    expect(batches).toEqual([[1], [1], [1], [1]]);
  });

  test('whatever happens: what was delivered and what was refused for good is what was recorded', async () => {
    const outcome = fc.record({
      kind: fc.constantFrom('delivered', 'partly', 'down', 'refused', 'foreign'),
      from: fc.nat(8),
      to: fc.nat(8),
      retryable: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(outcome, { maxLength: 30 }),
        fc.array(fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 6 }), { minLength: 1, maxLength: 6 }),
        fc.constantFrom(1, 2, 3, Number.POSITIVE_INFINITY),
        fc.constantFrom(0, 1, 70),
        async (outcomes, rounds, size, delayMillis) => {
          let settled = 0;
          const settle = (batch: MetricBatch) => {
            for (const value of valuesOf(batch)) settled += value;
          };
          const answers = outcomes.map(
            ({ kind, from, to, retryable }): Answer =>
              (batch) => {
                if (kind === 'down')
                  return failure(new ExportError('UNAVAILABLE', 'down', { retryable: true }));
                if (kind === 'foreign') return failure(new Error('down'));
                if (kind === 'partly') {
                  const undelivered = sliceBatch(batch, Math.min(from, to), Math.max(from, to));
                  settle(batch);
                  settled -= valuesOf(undelivered).reduce((sum, value) => sum + value, 0);
                  return failure(new ExportError('UNAVAILABLE', 'down', { retryable, undelivered }));
                }
                settle(batch);
                return kind === 'delivered'
                  ? SUCCESS
                  : failure(new ExportError('REJECTED', 'no', { retryable: false }));
              },
          );
          // At last the backend is well.
          const otherwise: Answer = (batch) => {
            settle(batch);
            return SUCCESS;
          };
          const { record, flush } = setUp(answers, { size, delayMillis, otherwise });
          let recorded = 0;
          for (const values of rounds) {
            record(...values);
            for (const value of values) recorded += value;
            await flush();
          }
          for (let i = 0; i <= outcomes.length + 1; i++) await flush();
          expect(settled).toBe(recorded);
        },
      ),
      { numRuns: 200 },
    );
  });
});
