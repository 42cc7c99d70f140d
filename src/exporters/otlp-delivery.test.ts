import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { captureLogs } from '../../test/support/collected.ts';
import { dataOf, decodeRequest } from '../../test/support/otlp.ts';
import { ExportError } from '../data/errors.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { batchOf, counter, gauge } from '../encoding/fixtures/metrics.ts';
import { encodeOtlpProtobuf } from '../encoding/otlp-protobuf.ts';
import { REFUSED_POINT_ROOM } from '../encoding/otlp-request.ts';
import type { PartialSuccess } from '../encoding/otlp-response.ts';
import { retryPolicy } from '../net/backoff.ts';
import { type OtlpDeliveryOptions, otlpDelivery } from './otlp-delivery.ts';
import type { OtlpTransport, SendOptions } from './otlp-transport.ts';

const SOON = retryPolicy('test', { initialIntervalMillis: 1, maxIntervalMillis: 1 });
const refused = () => new ExportError('REJECTED', 'answered 400');
const unavailable = (options = {}) => new ExportError('UNAVAILABLE', 'down', { retryable: true, ...options });
const tooLarge = () => new ExportError('TOO_LARGE', 'answered 413');

/** Metrics of some points each, in two scopes; each point has its number, counted over all, as value. */
function numbered(...counts: number[]): MetricBatch {
  let number = 0;
  const metrics = counts.map((count, i) => {
    const points = Array.from({ length: count }, (_, point) => [{ point }, number++] as const);
    return i % 2 === 0 ? counter(`m${i}`, points) : gauge(`m${i}`, points);
  });
  const half = Math.ceil(metrics.length / 2);
  return batchOf([
    [{ name: 'first' }, metrics.slice(0, half)],
    [{ name: 'second' }, metrics.slice(half)],
  ]);
}

const valuesIn = (body: Uint8Array) =>
  decodeRequest(body).resourceMetrics.flatMap(({ scopeMetrics }) =>
    scopeMetrics.flatMap(({ metrics }) =>
      metrics.flatMap((metric) => dataOf(metric).dataPoints.map(({ asDouble }) => asDouble as number)),
    ),
  );

const valuesOf = (batch: MetricBatch) =>
  batch.scopeMetrics.flatMap(({ metrics }) =>
    metrics.flatMap((metric) => metric.dataPoints.map(({ value }) => value as number)),
  );

const upTo = (end: number) => Array.from({ length: end }, (_, i) => i);

/** What became of a request: what `answer` returns or throws. */
function delivery(
  answer: (values: number[], options: SendOptions) => PartialSuccess | undefined | Promise<undefined>,
  options: Partial<OtlpDeliveryOptions> = {},
) {
  const taken: number[] = [];
  const requests: number[][] = [];
  const transport: OtlpTransport = {
    name: 'test',
    async send(body, sendOptions) {
      const values = valuesIn(body);
      requests.push(values);
      expect(sendOptions.points).toBe(values.length);
      const result = await answer(values, sendOptions);
      taken.push(...values);
      return result;
    },
    shutdown: async () => {},
  };
  const deliver = otlpDelivery({
    transport,
    encode: encodeOtlpProtobuf,
    maxRequestBytes: 400,
    timeoutMillis: 5_000,
    retry: SOON,
    ...options,
  });
  const failure = (batch: MetricBatch, signal?: AbortSignal) =>
    deliver(batch, signal).then(
      () => undefined,
      (error: ExportError) => error,
    );
  return { deliver, failure, taken, requests };
}

const logs = captureLogs();

describe('delivery', () => {
  test('sends every point once, in order, in requests below the limit', async () => {
    const { deliver, taken, requests } = delivery(() => undefined);
    expect(await deliver(numbered(10, 1, 20, 7))).toBeUndefined();
    expect(taken).toEqual(upTo(38));
    expect(requests.length).toBeGreaterThan(3);
  });

  test('tries a request again on its own', async () => {
    let failures = 3;
    const { deliver, taken, requests } = delivery((values) => {
      if (values.includes(12) && failures-- > 0) throw unavailable();
      return undefined;
    });
    await deliver(numbered(30));
    expect(taken).toEqual(upTo(30));
    expect(requests.filter((values) => values.includes(12))).toHaveLength(4);
    expect(requests.filter((values) => !values.includes(12)).length).toBeGreaterThan(1);
  });

  test('[7.29] loses only the request that is refused for good, and says how many points', async () => {
    const { failure, taken, requests } = delivery((values) => {
      if (values.includes(12)) throw refused();
      return undefined;
    });
    const error = await failure(numbered(30));
    const lost = requests.find((values) => values.includes(12))!;
    expect(error).toMatchObject({ code: 'REJECTED', retryable: false, rejectedDataPoints: lost.length });
    expect(error!.undelivered).toBeUndefined();
    expect(taken).toEqual(upTo(30).filter((value) => !lost.includes(value)));
  });

  test('[7.16] a refusal of everything stays the error that it is', async () => {
    const error = await delivery(() => {
      throw refused();
    }).failure(numbered(30));
    expect(error).toMatchObject({ message: '[REJECTED] answered 400', rejectedDataPoints: undefined });
  });

  test('owes the request that was tried in vain, and sends those behind it', async () => {
    const { failure, taken, requests } = delivery(
      (values) => {
        if (values.includes(12)) throw unavailable();
        return undefined;
      },
      { retry: { ...SOON, maxRetries: 2 } },
    );
    const error = await failure(numbered(30));
    const owed = requests.find((values) => values.includes(12))!;
    expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true, rejectedDataPoints: undefined });
    expect(valuesOf(error!.undelivered!)).toEqual(owed);
    expect(taken).toEqual(upTo(30).filter((value) => !owed.includes(value)));
  });

  test('owes what credentials that expire in the middle keep from being sent, though nobody should try at once', async () => {
    let requests = 0;
    const { failure, taken } = delivery(() => {
      if (++requests > 1) throw new ExportError('UNAUTHENTICATED', 'answered 401');
      return undefined;
    });
    const error = await failure(numbered(30));
    expect(error).toMatchObject({ code: 'UNAUTHENTICATED', retryable: false, rejectedDataPoints: undefined });
    expect(taken.length).toBeGreaterThan(0);
    expect([...taken, ...valuesOf(error!.undelivered!)]).toEqual(upTo(30));
  });

  test('names a reason for points lost beside one for points owed', async () => {
    const { failure } = delivery(
      (values) => {
        if (values.includes(0)) throw refused();
        throw unavailable();
      },
      { retry: { ...SOON, enabled: false } },
    );
    const error = await failure(numbered(30));
    expect(error!.message).toMatch(
      /of 30 points, \d+ are still to be delivered and \d+ were refused for good: down/,
    );
    expect(error!.undelivered!.pointCount + error!.rejectedDataPoints!).toBe(30);
    expect(logs.join()).toMatch(/refused \d+ points for good: .*answered 400/);
  });

  test('owes a metric as one metric, also where its middle was delivered', async () => {
    const { failure } = delivery(
      (values) => {
        if (values.includes(0) || values.includes(29)) throw unavailable();
        return undefined;
      },
      { retry: { ...SOON, enabled: false } },
    );
    const { undelivered } = (await failure(numbered(30)))!;
    expect(undelivered!.scopeMetrics.map(({ metrics }) => metrics.length)).toEqual([1]);
    expect(valuesOf(undelivered!)).toEqual(expect.arrayContaining([0, 29]));
    expect(undelivered!.pointCount).toBeLessThan(30);
  });

  test('owes everything behind it when the receiver asks for too long a pause', async () => {
    const { failure, requests } = delivery((values) => {
      if (values.includes(12)) throw unavailable({ retryAfterMs: 1e6 });
      return undefined;
    });
    const error = await failure(numbered(30));
    expect(error).toMatchObject({ retryable: true, retryAfterMs: 1e6 });
    expect(valuesOf(error!.undelivered!)).toEqual(upTo(30).slice(requests.at(-1)![0]));
    expect(requests.at(-1)).toContain(12);
  });

  test('[7.20] owes the request on its way and all behind it when the time is over', async () => {
    const hanging = (_: number[], { signal }: SendOptions) =>
      new Promise<undefined>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const { failure, requests } = delivery(
      (values, options) => (values.includes(12) ? hanging(values, options) : undefined),
      { timeoutMillis: 50 },
    );
    const error = await failure(numbered(30));
    expect(error).toMatchObject({ code: 'TIMEOUT', retryable: true });
    expect(valuesOf(error!.undelivered!)).toEqual(upTo(30).slice(requests.at(-1)![0]));
    expect(requests.at(-1)).toContain(12);
  });

  test('[7.18] does not wait for a time that is not there', async () => {
    const { failure } = delivery(() => {
      throw unavailable({ retryAfterMs: 6_000 });
    });
    const start = performance.now();
    expect(await failure(numbered(3))).toMatchObject({ code: 'UNAVAILABLE' });
    expect(performance.now() - start).toBeLessThan(4_000);
  });

  test('says ABORTED, and what is owed, when the caller no longer waits', async () => {
    const controller = new AbortController();
    const { failure, requests } = delivery((values) => {
      if (values.includes(12)) {
        controller.abort();
        throw controller.signal.reason;
      }
      return undefined;
    });
    const error = await failure(numbered(30), controller.signal);
    expect(error!.retryable).toBe(true);
    expect(valuesOf(error!.undelivered!)).toEqual(upTo(30).slice(requests.at(-1)![0]));
  });

  test('tells the transport how long it has', async () => {
    const seen: number[] = [];
    const { deliver } = delivery((_, { timeoutMillis }) => void seen.push(timeoutMillis));
    await deliver(numbered(1));
    expect(seen[0]).toBeLessThanOrEqual(5_000);
    expect(seen[0]).toBeGreaterThan(4_000);
  });

  test('sends a request that is too large in halves, and smaller ones from then on', async () => {
    const { deliver, taken, requests } = delivery(
      (values) => {
        if (values.length > 6) throw tooLarge();
        return undefined;
      },
      { maxRequestBytes: 100_000 },
    );
    expect(await deliver(numbered(100))).toBeUndefined();
    expect(taken).toEqual(upTo(100));
    expect(requests.filter((values) => values.length > 6).length).toBeLessThan(8);
  });

  test('loses a point that alone is too large for the receiver, and no other', async () => {
    const { failure, taken } = delivery(
      (values) => {
        if (values.includes(12)) throw tooLarge();
        return undefined;
      },
      { maxRequestBytes: 100_000 },
    );
    expect(await failure(numbered(30))).toMatchObject({ code: 'TOO_LARGE', rejectedDataPoints: 1 });
    expect(taken).toEqual(upTo(30).filter((value) => value !== 12));
  });

  test('sends a point alone that is larger than what has been learned', async () => {
    const points = upTo(20).map((i) => [{ pad: 'x'.repeat(i === 15 ? 600 : 10), i }, i] as const);
    const { deliver, taken } = delivery(
      (values) => {
        // By bytes: 15 passes alone, and so do ten others.
        if (values.length > 10) throw tooLarge();
        return undefined;
      },
      { maxRequestBytes: 2_000 },
    );
    expect(await deliver(batchOf([[{ name: 's' }, [counter('c', points)]]]))).toBeUndefined();
    expect(taken).toEqual(upTo(20));
  });

  test('[7.31] adds up what was refused of requests that were taken', async () => {
    const { deliver } = delivery(() => ({ rejectedDataPoints: 2, errorMessage: 'old' }));
    const refusal = await deliver(numbered(5, 5, 20));
    expect(refusal!.message).toMatch(/refused \d+ of 30 points: old/);
    expect(refusal!.rejectedDataPoints! % 2).toBe(0);
    expect(refusal!.rejectedDataPoints).toBeGreaterThan(2);
  });

  test('[7.25] holds one request at a time', async () => {
    let underWay = 0;
    let most = 0;
    const compress = async (body: Uint8Array) => {
      most = Math.max(most, ++underWay);
      return body;
    };
    const { deliver } = delivery(
      async () => {
        await new Promise((resolve) => setImmediate(resolve));
        underWay--;
        return undefined;
      },
      { compress },
    );
    await deliver(numbered(50));
    expect(most).toBe(1);
  });

  test('takes memory for two requests, however many there are', async () => {
    const maxRequestBytes = 50_000;
    const allocate = vi.spyOn(Buffer, 'allocUnsafeSlow');
    const bytesTaken = () =>
      allocate.mock.calls.reduce((sum, [size]) => sum + (size > maxRequestBytes / 2 ? size : 0), 0);
    try {
      const { deliver, taken, requests } = delivery(() => undefined, { maxRequestBytes });
      const batch = numbered(6_000);
      await deliver(batch);
      expect(requests.length).toBeGreaterThan(5);
      expect(bytesTaken()).toBeLessThanOrEqual(2 * (maxRequestBytes + REFUSED_POINT_ROOM));
      allocate.mockClear();
      await deliver(batch);
      expect(bytesTaken()).toBe(0);
      expect(taken).toEqual([...upTo(6_000), ...upTo(6_000)]);
    } finally {
      allocate.mockRestore();
    }
  });

  test('leaves a request alone that was not sent: it may still be on its way', async () => {
    const failed: { body: Uint8Array; content: Uint8Array }[] = [];
    const transport: OtlpTransport = {
      name: 'test',
      async send(body) {
        if (!valuesIn(body).some((value) => [12, 40, 41, 70].includes(value))) return undefined;
        failed.push({ body, content: Uint8Array.from(body) });
        throw unavailable();
      },
      shutdown: async () => {},
    };
    const retry = { ...SOON, enabled: false };
    const { failure } = delivery(() => undefined, { transport, retry });
    await failure(numbered(100));
    await failure(numbered(100));
    expect(failed.length).toBeGreaterThan(4);
    for (const { body, content } of failed) expect(Uint8Array.from(body)).toEqual(content);
  });

  test('shares no memory between exports at the same time', async () => {
    const taken: number[] = [];
    const transport: OtlpTransport = {
      name: 'test',
      async send(body) {
        await new Promise((done) => setImmediate(done));
        taken.push(...valuesIn(body));
        return undefined;
      },
      shutdown: async () => {},
    };
    const { deliver } = delivery(() => undefined, { transport });
    await deliver(numbered(50));
    taken.length = 0;
    await Promise.all([deliver(numbered(50)), deliver(numbered(50))]);
    expect(taken.toSorted((a, b) => a - b)).toEqual(upTo(50).flatMap((value) => [value, value]));
  });

  test('begins in a turn of the event loop of its own', async () => {
    const order: string[] = [];
    const encode: typeof encodeOtlpProtobuf = (...args) => {
      order.push('encoded');
      return encodeOtlpProtobuf(...args);
    };
    const { deliver } = delivery(() => undefined, { encode });
    setImmediate(() => order.push('turned'));
    await deliver(numbered(1));
    expect(order).toEqual(['turned', 'encoded']);
  });

  test('compresses a request once, however often it is sent', async () => {
    const compress = vi.fn(async (body: Uint8Array) => body);
    let failures = 2;
    const { deliver } = delivery(
      () => {
        if (failures-- > 0) throw unavailable();
        return undefined;
      },
      { compress, maxRequestBytes: 10_000 },
    );
    await deliver(numbered(3));
    expect(compress).toHaveBeenCalledOnce();
  });

  test('whatever happens to requests: each point is delivered once, refused, or owed, and in order', async () => {
    const fault = fc.constantFrom('take', 'refuse', 'fail', 'large', 'pause');
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 6 }),
        fc.array(fault, { maxLength: 40 }),
        fc.integer({ min: 130, max: 900 }),
        fc.integer({ min: 0, max: 2 }),
        async (counts, faults, maxRequestBytes, maxRetries) => {
          const script = [...faults];
          const { failure, taken, requests } = delivery(
            () => {
              switch (script.shift()) {
                case 'refuse':
                  throw refused();
                case 'fail':
                  throw unavailable();
                case 'large':
                  throw tooLarge();
                case 'pause':
                  throw unavailable({ retryAfterMs: 1e6 });
              }
              return undefined;
            },
            { maxRequestBytes, retry: { ...SOON, initialIntervalMillis: 0.01, maxRetries } },
          );
          const batch = numbered(...counts);
          let lost = 0;
          let rounds = 0;
          for (let rest: MetricBatch | undefined = batch; rest !== undefined; ) {
            const before = taken.length;
            const error = await failure(rest);
            const delivered = taken.slice(before);
            expect(delivered).toEqual([...delivered].sort((a, b) => a - b));
            const owed: MetricBatch | undefined = error?.retryable ? (error.undelivered ?? rest) : undefined;
            const isAllLost = error && !error.retryable && error.rejectedDataPoints === undefined;
            const rejected = isAllLost ? rest.pointCount : (error?.rejectedDataPoints ?? 0);
            lost += rejected;
            expect(delivered.length + rejected + (owed?.pointCount ?? 0)).toBe(rest.pointCount);
            for (const value of owed ? valuesOf(owed) : []) expect(delivered).not.toContain(value);
            rest = owed;
            expect(++rounds).toBeLessThan(60);
          }
          expect(new Set(taken).size).toBe(taken.length);
          expect(taken.length + lost).toBe(batch.pointCount);
          for (const values of requests) expect(values.length).toBeGreaterThan(0);
        },
      ),
      { numRuns: 300 },
    );
  });
});
