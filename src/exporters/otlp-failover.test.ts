import { describe, expect, test } from 'vitest';
import { captureLogs } from '../../test/support/collected.ts';
import { ExportError, type ExportErrorCode } from '../data/errors.ts';
import { NOTHING_OWED } from '../data/owed-points.ts';
import { failoverTransport } from './otlp-failover.ts';
import type { OtlpTransport, SendOptions } from './otlp-transport.ts';

const BODY = new Uint8Array(1);

/** Endpoints that answer as `state` says: an error to fail with, or nothing to succeed. */
function endpoints(...names: string[]) {
  let millis = 0;
  const state: Record<string, ExportError | 'hang' | undefined> = {};
  const log: string[] = [];
  const limits: number[] = [];
  const closed: string[] = [];
  const transports = names.map(
    (name): OtlpTransport => ({
      name,
      async send(_, { signal, timeoutMillis }) {
        log.push(name);
        limits.push(timeoutMillis);
        const outcome = state[name];
        if (outcome === 'hang') {
          await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
        } else if (outcome) throw outcome;
        return undefined;
      },
      async shutdown() {
        closed.push(name);
      },
    }),
  );
  const transport = failoverTransport(transports, { probeIntervalMillis: 1_000, now: () => millis });
  return {
    state,
    limits,
    closed,
    transport,
    pass: (by: number) => {
      millis += by;
    },
    /** The endpoints tried for one request, and the failure, if it fails. */
    async send(options: Partial<SendOptions> = {}) {
      log.length = 0;
      const signal = new AbortController().signal;
      const error = await transport.send(BODY, { points: 1, timeoutMillis: 9_000, signal, ...options }).then(
        () => undefined,
        (error: ExportError) => error,
      );
      return { tried: log.join(), error };
    },
  };
}

const down = (code: ExportErrorCode = 'UNAVAILABLE', options = {}) =>
  new ExportError(code, 'down', { retryable: true, ...options });

const logs = captureLogs();

describe('failover', () => {
  test('goes to the primary while it answers', async () => {
    const { send } = endpoints('a', 'b');
    expect((await send()).tried).toBe('a');
    expect((await send()).tried).toBe('a');
  });

  test('[7.29] an endpoint that asked for a pause is left alone until it is over', async () => {
    const { send, state, pass } = endpoints('a', 'b');
    state.a = down('THROTTLED', { retryAfterMs: 10_000 });
    expect((await send()).tried).toBe('a,b');
    // The time to probe it has come, but not that to ask it; then the other fails.
    pass(5_000);
    expect((await send()).tried).toBe('b');
    state.b = down();
    expect(await send()).toMatchObject({ tried: 'b', error: { code: 'UNAVAILABLE' } });
    state.a = undefined;
    pass(5_000);
    expect((await send()).tried).toBe('a');
  });

  test('[7.29] where all asked for one, or refuse us, the shortest is waited for', async () => {
    const { send, state, pass } = endpoints('a', 'b', 'c');
    state.a = down('THROTTLED', { retryAfterMs: 8_000 });
    state.b = down('THROTTLED', { retryAfterMs: 6_000 });
    state.c = new ExportError('UNAUTHENTICATED', 'no');
    expect((await send()).error).toMatchObject({ retryable: true, retryAfterMs: 6_000 });
    pass(1_000);
    expect(await send()).toMatchObject({ tried: 'c', error: { retryable: true, retryAfterMs: 5_000 } });
  });

  test('goes to the next at once, and stays there', async () => {
    const { send, state } = endpoints('a', 'b', 'c');
    state.a = down();
    state.b = down();
    expect((await send()).tried).toBe('a,b,c');
    state.a = undefined;
    state.b = undefined;
    expect((await send()).tried).toBe('c');
    expect(logs.join()).toMatch(/down; trying the next endpoint/);
  });

  test('tries the primary after the interval, and is back when it answers', async () => {
    const { send, state, pass } = endpoints('a', 'b');
    state.a = down();
    await send();
    pass(999);
    expect((await send()).tried).toBe('b');
    pass(1);
    state.a = undefined;
    expect((await send()).tried).toBe('a');
    expect((await send()).tried).toBe('a');
    expect(logs.join()).toMatch(/exports go to a again/);
  });

  test('waits longer with each attempt that fails, up to ten times the interval', async () => {
    const { send, state, pass } = endpoints('a', 'b');
    state.a = down();
    await send();
    for (const interval of [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]) {
      pass(interval - 1);
      expect((await send()).tried).toBe('b');
      pass(1);
      expect((await send()).tried).toBe('a,b');
    }
    pass(10_000);
    state.a = undefined;
    await send();
    state.a = down();
    await send();
    pass(1_000);
    expect((await send()).tried).toBe('a,b');
  });

  test('tries all of them, in the order of preference, when the one it stays at fails', async () => {
    const { send, state } = endpoints('a', 'b', 'c');
    state.a = down();
    await send();
    state.b = down();
    expect((await send()).tried).toBe('b,a,c');
  });

  test.each(['UNAVAILABLE', 'THROTTLED', 'TIMEOUT', 'TLS', 'UNAUTHENTICATED', 'PROTOCOL'] as const)(
    'takes %s for a failure of the endpoint',
    async (code) => {
      const { send, state } = endpoints('a', 'b');
      state.a = down(code, { retryable: false });
      expect((await send()).tried).toBe('a,b');
    },
  );

  test.each(['REJECTED', 'TOO_LARGE', 'INTERNAL'] as const)(
    'takes %s for a failure of the request, which is nobody else’s',
    async (code) => {
      const { send, state } = endpoints('a', 'b');
      state.a = down(code, { retryable: false });
      expect(await send()).toEqual({ tried: 'a', error: state.a });
    },
  );

  test('gives nobody else a request that was taken, whatever is wrong with the answer', async () => {
    const { send, state } = endpoints('a', 'b');
    state.a = down('PROTOCOL', { retryable: false, undelivered: NOTHING_OWED });
    expect(await send()).toEqual({ tried: 'a', error: state.a });
  });

  test('fails with all reasons, so that the shortest wait is kept', async () => {
    const { send, state } = endpoints('a', 'b', 'c');
    state.a = down('THROTTLED', { retryAfterMs: 9_000 });
    state.b = down('UNAUTHENTICATED', { retryable: false });
    state.c = down('THROTTLED', { retryAfterMs: 3_000 });
    const { error } = await send();
    expect(error).toMatchObject({ code: 'THROTTLED', retryable: true, retryAfterMs: 3_000 });
    expect(error!.message).toMatch(/no endpoint took the request: .*THROTTLED.*UNAUTHENTICATED/);
  });

  test('is not to be tried again when no endpoint can pass', async () => {
    const { send, state } = endpoints('a', 'b');
    state.a = down('UNAUTHENTICATED', { retryable: false });
    state.b = down('TLS', { retryable: false });
    expect((await send()).error).toMatchObject({ code: 'UNAUTHENTICATED', retryable: false });
  });

  test('gives each an equal share of the time left', async () => {
    const { send, state, limits } = endpoints('a', 'b', 'c');
    state.a = down();
    state.b = down();
    await send({ timeoutMillis: 9_000 });
    expect(limits).toEqual([3_000, 4_500, 9_000]);
  });

  test('leaves one that never answers in time for the next, with or without a limit', async () => {
    const { send, state, limits } = endpoints('a', 'b');
    state.a = 'hang';
    expect((await send({ timeoutMillis: 40 })).tried).toBe('a,b');
    state.a = undefined;
    await send({ timeoutMillis: Infinity });
    expect(limits.at(-1)).toBe(10_000);
  });

  test('stops when nobody waits any more', async () => {
    const { send, state } = endpoints('a', 'b');
    state.a = 'hang';
    const controller = new AbortController();
    const reason = down('TIMEOUT');
    setImmediate(() => controller.abort(reason));
    expect(await send({ signal: controller.signal })).toEqual({ tried: 'a', error: reason });
  });

  test('is nothing of its own for one endpoint', () => {
    const only = { name: 'a' } as OtlpTransport;
    expect(failoverTransport([only], { probeIntervalMillis: 1 })).toBe(only);
  });

  test('closes all of them', async () => {
    const { transport, closed } = endpoints('a', 'b');
    await transport.shutdown();
    expect(closed).toEqual(['a', 'b']);
  });
});
