// What every exporter promises, as one list of tests; and exporters that break each promise, to hold decorators to it.
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { expect, onTestFinished, test, vi } from 'vitest';
import { ExportError } from '../../src/data/errors.ts';
import {
  createExporter,
  type ExportResult,
  ExportResultCode,
  type PushMetricExporter,
} from '../../src/data/exporter.ts';
import { MetricBatch } from '../../src/data/metric-batch.ts';
import { AggregationTemporality, InstrumentType, type ResourceMetrics } from '../../src/data/metric-data.ts';
import { resourceFromAttributes } from '../../src/data/resource.ts';
import { sliceBatch } from '../../src/data/slice-batch.ts';
import { everyKind } from '../../src/encoding/fixtures/every-kind.ts';

/** The SDK that other people's applications use. */
const official = createRequire(import.meta.url)(
  '@opentelemetry/sdk-metrics',
) as typeof import('@opentelemetry/sdk-metrics');

export const SUCCESS: ExportResult = { code: ExportResultCode.SUCCESS };

export const empty = () => new MetricBatch(resourceFromAttributes({}), []);

/** Resolves to the result; fails the test when there is a second one. */
export function send(
  exporter: PushMetricExporter,
  metrics: ResourceMetrics = everyKind(),
  options?: { signal?: AbortSignal },
): Promise<ExportResult> {
  let results = 0;
  onTestFinished(() => expect(results, 'calls of the result callback').toBeLessThanOrEqual(1));
  return new Promise((resolve) => {
    exporter.export(
      metrics,
      (result) => {
        results++;
        resolve(result);
      },
      options,
    );
  });
}

/** @param make a working exporter, ready for use; its destination answers */
export function exporterContract(name: string, make: () => PushMetricExporter | Promise<PushMetricExporter>) {
  async function made(): Promise<PushMetricExporter> {
    const exporter = await make();
    onTestFinished(() => exporter.shutdown().catch(() => {}));
    return exporter;
  }

  test(`${name}: delivers every kind of point, and an empty batch`, async () => {
    const exporter = await made();
    expect(await send(exporter)).toEqual(SUCCESS);
    expect(await send(exporter, empty())).toEqual(SUCCESS);
  });

  test(`${name}: changes nothing in the batch that it is given`, async () => {
    const exporter = await made();
    const batch = everyKind();
    const before = JSON.stringify(batch);
    await send(exporter, deepFrozen(batch));
    expect(JSON.stringify(batch)).toBe(before);
  });

  test(`${name}: answers two exports at once`, async () => {
    const exporter = await made();
    expect(await Promise.all([send(exporter), send(exporter)])).toEqual([SUCCESS, SUCCESS]);
  });

  test(`${name}: fails what is no batch, without throwing`, async () => {
    const exporter = await made();
    for (const junk of [null, {}, { resource: 1, scopeMetrics: [1] }]) {
      const result = await send(exporter, junk as unknown as ResourceMetrics);
      expect(result.code).toBe(ExportResultCode.FAILED);
      expect(result.error).toBeInstanceOf(Error);
    }
    expect(await send(exporter)).toEqual(SUCCESS);
  });

  test(`${name}: survives a result callback that throws`, async () => {
    const exporter = await made();
    exporter.export(everyKind(), () => {
      throw new Error('of the host');
    });
    await exporter.forceFlush();
    expect(await send(exporter)).toEqual(SUCCESS);
  });

  test(`${name}: answers an export that its caller has given up on, before or meanwhile`, async () => {
    const exporter = await made();
    const signal = AbortSignal.abort(new Error('too late'));
    expect(await send(exporter, everyKind(), { signal })).toMatchObject({ error: { code: 'ABORTED' } });
    const controller = new AbortController();
    const sent = send(exporter, everyKind(), { signal: controller.signal });
    controller.abort();
    expect((await sent).code).toBeTypeOf('number');
    expect(await send(exporter)).toEqual(SUCCESS);
  });

  test(`${name}: shuts down once; then exports fail, and flushes end`, async () => {
    const exporter = await made();
    const sent = send(exporter);
    const calls = [exporter.shutdown(), exporter.forceFlush(), exporter.shutdown()];
    const late = send(exporter);
    await Promise.all(calls);
    expect(await sent).toEqual(SUCCESS);
    expect(await late).toMatchObject({ error: { code: 'SHUTDOWN', retryable: false } });
    await exporter.shutdown();
    await exporter.forceFlush();
    expect(await send(exporter)).toMatchObject({ error: { code: 'SHUTDOWN' } });
  });

  test(`${name}: asks for a temporality and an aggregation that there are, or for none`, async () => {
    const exporter = await made();
    for (const type of Object.values(InstrumentType)) {
      const temporality = exporter.selectAggregationTemporality?.(type);
      if (temporality !== undefined) expect(AggregationTemporality).toHaveProperty(String(temporality));
      const aggregation = exporter.selectAggregation?.(type);
      if (aggregation !== undefined) expect(aggregation).toHaveProperty('type');
    }
  });

  test(`${name}: works in the official SDK`, async () => {
    const exporter = await made();
    const results: ExportResult[] = [];
    const watched: PushMetricExporter = {
      export: (metrics, done) =>
        exporter.export(metrics, (result) => {
          results.push(result);
          done(result);
        }),
      forceFlush: () => exporter.forceFlush(),
      shutdown: () => exporter.shutdown(),
      selectAggregationTemporality: exporter.selectAggregationTemporality?.bind(exporter),
      selectAggregation: exporter.selectAggregation?.bind(exporter),
    };
    const reader = new official.PeriodicExportingMetricReader({ exporter: watched });
    const provider = new official.MeterProvider({ readers: [reader] });
    const meter = provider.getMeter('m');
    meter.createCounter('c').add(1, { a: 'b' });
    meter.createHistogram('h').record(1);
    await provider.forceFlush();
    await provider.shutdown();
    expect(results.length).toBeGreaterThan(0);
    for (const result of results) expect(result).toEqual(SUCCESS);
  });
}

function deepFrozen<T>(value: T): T {
  // Typed arrays cannot be frozen.
  if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const key of Object.keys(value)) deepFrozen(value[key as keyof T]);
  }
  return value;
}

/** An exporter as other people write them, which answers as told. */
export function foreign(
  answer: (done: (result: ExportResult) => void, signal: AbortSignal | undefined) => unknown,
  others: Partial<PushMetricExporter> = {},
): PushMetricExporter {
  return {
    export: (_, done, options) => answer(done, options?.signal) as undefined,
    forceFlush: async () => {},
    shutdown: async () => {},
    ...others,
  };
}

const down = new Error('down');

const throws = () => {
  throw down;
};

/** An object of which one property cannot be read. */
const withTrap = <T extends object>(object: T, name: string): T =>
  Object.defineProperty(object, name, { get: throws });

/** Later, when nobody who called is there to catch anything. */
const later = (work: () => void) => void setTimeout(work, 10);

const garbage = (value: unknown) => value as ExportResult;

/** Each breaks the contract in one way. */
export const CONTRACT_BREAKERS: readonly (readonly [string, () => PushMetricExporter])[] = [
  [
    'throws',
    () =>
      foreign(() => {
        throw down;
      }),
  ],
  [
    'throws after its answer',
    () =>
      foreign((done) => {
        done(SUCCESS);
        throw down;
      }),
  ],
  ['is an async function that rejects', () => foreign(async () => Promise.reject(down))],
  [
    'answers twice',
    () =>
      foreign((done) => {
        done(SUCCESS);
        done({ code: ExportResultCode.FAILED, error: down });
      }),
  ],
  ['never answers', () => foreign(() => {})],
  ['answers nothing', () => foreign((done) => (done as (nothing?: unknown) => void)())],
  ['fails without an error', () => foreign((done) => done({ code: ExportResultCode.FAILED }))],
  ['fails with a plain error', () => foreign((done) => done({ code: ExportResultCode.FAILED, error: down }))],
  [
    'fails with an error whose owed points are none',
    () =>
      foreign((done) => {
        const error = Object.assign(new ExportError('IO', 'x', { retryable: true }), { undelivered: 5 });
        done({ code: ExportResultCode.FAILED, error });
      }),
  ],
  ['rejects flushes', () => foreign((done) => done(SUCCESS), { forceFlush: () => Promise.reject(down) })],
  [
    'throws in flush and shutdown',
    () => foreign((done) => done(SUCCESS), { forceFlush: throws, shutdown: throws }),
  ],
  ['rejects with nothing', () => foreign(async () => Promise.reject())],
  [
    'rejects flush and shutdown with nothing',
    () =>
      foreign((done) => done(SUCCESS), {
        forceFlush: () => Promise.reject(),
        shutdown: () => Promise.reject(),
      }),
  ],
  ['answers twice, late', () => foreign((done) => later(() => [SUCCESS, SUCCESS].forEach(done)))],
  [
    'answers with a code that there is not',
    () => foreign((done) => later(() => done(garbage({ code: 'fine' })))),
  ],
  ['answers with a text', () => foreign((done) => later(() => done(garbage('done'))))],
  [
    'answers with a code that throws',
    () => foreign((done) => later(() => done(withTrap({ ...SUCCESS }, 'code')))),
  ],
  [
    'answers with an error that throws',
    () => foreign((done) => later(() => done(withTrap({ ...SUCCESS }, 'error')))),
  ],
  [
    'succeeds with an error that is none',
    () => foreign((done) => later(() => done(garbage({ code: 0, error: 'no error' })))),
  ],
  ...[
    'name',
    'code',
    'message',
    'retryable',
    'retryAfterMs',
    'undelivered',
    'rejectedDataPoints',
    'cause',
  ].map(
    (property) =>
      [
        `fails with an error whose ${property} throws`,
        () =>
          foreign((done) => {
            const error = withTrap(new ExportError('IO', 'x', { retryable: true }), property);
            later(() => done({ code: ExportResultCode.FAILED, error }));
          }),
      ] as const,
  ),
  [
    'flushes without a promise',
    () =>
      foreign((done) => done(SUCCESS), {
        forceFlush: (() => {}) as unknown as PushMetricExporter['forceFlush'],
        shutdown: (() => {}) as unknown as PushMetricExporter['shutdown'],
      }),
  ],
  [
    'never ends a flush or a shutdown',
    () =>
      foreign((done) => done(SUCCESS), {
        forceFlush: () => new Promise(() => {}),
        shutdown: () => new Promise(() => {}),
      }),
  ],
];

/** No call of any nesting here may take longer, in simulated time. */
export const LONGEST_MILLIS = 20 * 60_000;

/** As it is without fake timers. */
const realTurn = promisify(setImmediate);

const FILE_WORK = ['FSReqPromise', 'FSReqCallback', 'CloseReq'];

/** Files are read and written in real time, which does not pass while nobody waits: resolves when nothing is under way any more. */
async function diskRests(): Promise<void> {
  for (let quietTurns = 0; quietTurns < 2; quietTurns++) {
    await realTurn();
    await vi.advanceTimersByTimeAsync(0);
    if (process.getActiveResourcesInfo().some((what) => FILE_WORK.includes(what))) quietTurns = -1;
  }
}

/** Awaits while simulated time passes; fails when it passes {@link LONGEST_MILLIS}. */
export async function simulated<T>(work: Promise<T>): Promise<T> {
  let isSettled = false;
  const watched = work.finally(() => {
    isSettled = true;
  });
  watched.catch(() => {});
  for (let millis = 1; !isSettled; millis *= 2) {
    if (millis > LONGEST_MILLIS) throw new Error(`not ended after ${LONGEST_MILLIS / 60_000} minutes`);
    await diskRests();
    if (isSettled) break;
    await vi.advanceTimersByTimeAsync(millis);
  }
  return watched;
}

/** In simulated time; whether the flush succeeds. */
export function isFlushed(exporter: PushMetricExporter): Promise<boolean> {
  return simulated(
    exporter.forceFlush().then(
      () => true,
      () => false,
    ),
  );
}

/**
 * @param decorate the decorator with options that let exports pass; `isBorder` when it takes batches over and so does
 *   not pass on the caller's signal and the component's type; `isQueue` when it also answers before it delivers
 */
export function decoratorContract(
  name: string,
  decorate: (exporter: PushMetricExporter) => PushMetricExporter,
  { isQueue = false, isBorder = isQueue }: { isBorder?: boolean; isQueue?: boolean } = {},
) {
  const working = () => createExporter({ name: 'working', export: async () => {} });

  exporterContract(name, () => decorate(working()));

  exporterContract(`${name} over a foreign exporter`, () => decorate(foreign((done) => done(SUCCESS))));

  test.each(CONTRACT_BREAKERS)(`${name} keeps the contract over an exporter that %s`, async (_, breaker) => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const exporter = decorate(breaker());
    const answers = vi.fn();
    for (let i = 0; i < 3; i++) {
      await simulated(
        new Promise<void>((resolve) => {
          exporter.export(everyKind(), (result) => {
            answers(result);
            resolve();
          });
        }),
      );
    }
    await simulated(exporter.forceFlush().catch(() => {}));
    await simulated(exporter.shutdown().catch(() => {}));
    await vi.advanceTimersByTimeAsync(LONGEST_MILLIS);
    expect(answers).toHaveBeenCalledTimes(3);
    expect(await send(exporter)).toMatchObject({ error: { code: 'SHUTDOWN' } });
    // What the host's log shows may be anything, but nothing of it waits for ever.
    expect(vi.getTimerCount()).toBe(0);
  });

  test(`${name} never gives a foreign exporter a batch while it has one`, async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    let open = 0;
    let most = 0;
    const exporter = decorate(
      foreign((done) => {
        most = Math.max(most, ++open);
        setTimeout(() => {
          open--;
          done(SUCCESS);
        }, 100_000);
      }),
    );
    for (let i = 0; i < 3; i++) await simulated(send(exporter));
    await simulated(exporter.shutdown().catch(() => {}));
    await vi.advanceTimersByTimeAsync(LONGEST_MILLIS);
    expect(most).toBe(1);
  });

  test(`${name} passes on flush and shutdown, once`, async () => {
    const forceFlush = vi.fn(async () => {});
    const shutdown = vi.fn(async () => {});
    const exporter = decorate(
      createExporter({ name: 'inner', export: async () => {}, forceFlush, shutdown }),
    );
    await exporter.forceFlush();
    expect(forceFlush).toHaveBeenCalledTimes(1);
    await Promise.all([exporter.shutdown(), exporter.shutdown()]);
    expect(shutdown).toHaveBeenCalledTimes(1);
  });

  test(`${name} passes on what the exporter asks of the reader`, () => {
    const selectAggregationTemporality = (type: InstrumentType) =>
      type === InstrumentType.COUNTER ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE;
    const selectAggregation = (type: InstrumentType) => ({ type: type === InstrumentType.HISTOGRAM ? 5 : 0 });
    const asking = {
      ...foreign((done) => done(SUCCESS)),
      componentType: 'asking_exporter',
      selectAggregationTemporality,
      selectAggregation: selectAggregation as NonNullable<PushMetricExporter['selectAggregation']>,
    };
    const exporter = decorate(asking);
    onTestFinished(() => exporter.shutdown());
    for (const type of Object.values(InstrumentType)) {
      expect(exporter.selectAggregationTemporality?.(type)).toBe(selectAggregationTemporality(type));
      expect(exporter.selectAggregation?.(type)).toEqual(selectAggregation(type));
    }
    if (!isBorder) expect(exporter.componentType).toBe('asking_exporter');
  });

  test(`${name} leaves out the selectors that the exporter has not`, () => {
    const exporter = decorate(working());
    onTestFinished(() => exporter.shutdown());
    expect(exporter.selectAggregation).toBeUndefined();
    const asked = exporter.selectAggregationTemporality?.(InstrumentType.COUNTER);
    expect([undefined, AggregationTemporality.CUMULATIVE]).toContain(asked);
  });

  test(`${name} passes on what a receiver refused of a batch that it took`, async () => {
    const refusal = new ExportError('REJECTED', 'one is bad', { rejectedDataPoints: 1 });
    const exporter = decorate(createExporter({ name: 'picky', export: async () => refusal }));
    onTestFinished(() => exporter.shutdown());
    let answer = await send(exporter);
    // One that answers before it delivers can only say it the next time.
    if (isQueue) {
      expect(answer).toEqual(SUCCESS);
      await exporter.forceFlush();
      answer = await send(exporter);
    }
    expect(answer).toMatchObject({
      code: ExportResultCode.SUCCESS,
      error: { code: 'REJECTED', rejectedDataPoints: 1 },
    });
  });

  test(`${name} tells what a receiver refused of a batch that it took in part, once`, async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    let isFirst = true;
    const exporter = decorate(
      createExporter({
        name: 'choosy',
        async export(batch) {
          if (!isFirst) return;
          isFirst = false;
          throw new ExportError('UNAVAILABLE', 'one taken, one refused', {
            retryable: true,
            rejectedDataPoints: 1,
            undelivered: sliceBatch(batch, 2, batch.pointCount),
          });
        },
      }),
    );
    let told = 0;
    let owed: MetricBatch | undefined = everyKind();
    while (owed !== undefined) {
      const { code, error }: ExportResult = await simulated(send(exporter, owed));
      const failure = error as ExportError | undefined;
      told += failure?.rejectedDataPoints ?? 0;
      owed =
        code === ExportResultCode.FAILED && failure!.retryable ? (failure!.undelivered ?? owed) : undefined;
    }
    while (!(await isFlushed(exporter)));
    const later = (await simulated(send(exporter))).error as ExportError | undefined;
    await simulated(exporter.shutdown());
    expect(told + (later?.rejectedDataPoints ?? 0)).toBe(1);
  });

  if (isBorder) return;

  test(`${name} passes on the signal of the caller`, async () => {
    let seen: AbortSignal | undefined;
    const hanging = createExporter({
      name: 'hanging',
      export: (_, { signal }) => {
        seen = signal;
        return new Promise(() => {});
      },
    });
    const exporter = decorate(hanging);
    const controller = new AbortController();
    const sent = send(exporter, everyKind(), { signal: controller.signal });
    await vi.waitUntil(() => seen !== undefined);
    controller.abort();
    expect(await sent).toMatchObject({ error: { code: 'ABORTED', retryable: true } });
    expect(seen!.aborted).toBe(true);
  });
}
