import { describe, expect, test, vi } from 'vitest';
import { captureLogs } from '../../test/support/collected.ts';
import { ConfigError, ExportError } from '../data/errors.ts';
import { type HeaderRules, requestHeaders } from './request-headers.ts';

const RULES: HeaderRules = {
  owned: (name) => name === 'content-type',
  isName: (name) => !name.startsWith('!'),
  isValue: (value) => /^[\x20-\x7e]*$/.test(value),
  valueFormat: 'ASCII text',
};
/** Nobody gives up. */
const NEVER = new AbortController().signal;
const sent = (options: Parameters<typeof requestHeaders>[1]) =>
  requestHeaders('otlp', options, RULES)(async (headers) => headers, NEVER);
const refused = new ExportError('UNAUTHENTICATED', 'expired');

const logs = captureLogs();

describe('headers of requests', () => {
  test('[7.09] fixed ones are sent, in lower case', async () => {
    expect(await sent({ headers: { 'X-Team': 'shop' } })).toEqual({ 'x-team': 'shop' });
  });

  test('[7.09] those of the protocol stay the protocol’s, with one message', async () => {
    const withHeaders = requestHeaders('otlp', { headers: () => ({ 'Content-Type': 'x', a: 'b' }) }, RULES);
    expect(await withHeaders(async (headers) => headers, NEVER)).toEqual({ a: 'b' });
    await withHeaders(async () => {}, NEVER);
    expect(logs).toEqual([expect.stringContaining('content-type')]);
  });

  test('[7.10] a function is asked for each request', async () => {
    let asked = 0;
    const withHeaders = requestHeaders('otlp', { headers: async () => ({ n: String(++asked) }) }, RULES);
    expect(await withHeaders(async (headers) => headers, NEVER)).toEqual({ n: '1' });
    expect(await withHeaders(async (headers) => headers, NEVER)).toEqual({ n: '2' });
  });

  test('[7.10] a function that never answers is waited for until the attempt is given up', async () => {
    const controller = new AbortController();
    const headers = () => new Promise<never>(() => {});
    const attempt = vi.fn(async () => {});
    const result = requestHeaders('otlp', { headers }, RULES)(attempt, controller.signal);
    controller.abort(new ExportError('TIMEOUT', 'too late', { retryable: true }));
    await expect(result).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(attempt).not.toHaveBeenCalled();
  });

  test('a bearer token, fixed or asked for, becomes the header authorization', async () => {
    expect(await sent({ bearerToken: 'abc' })).toEqual({ authorization: 'Bearer abc' });
    expect(await sent({ headers: { a: 'b' }, bearerToken: async () => 'abc' })).toEqual({
      a: 'b',
      authorization: 'Bearer abc',
    });
  });

  test('a refused credential is asked for once more, and once only', async () => {
    const tokens = ['old', 'new', 'newest'];
    const withHeaders = requestHeaders('otlp', { bearerToken: () => tokens.shift()! }, RULES);
    const attempt = vi.fn(async (headers: Record<string, string>) => {
      if (headers.authorization !== 'Bearer new') throw refused;
    });
    await withHeaders(attempt, NEVER);
    expect(attempt).toHaveBeenCalledTimes(2);
    attempt.mockClear();
    await expect(requestHeaders('otlp', { bearerToken: () => 'old' }, RULES)(attempt, NEVER)).rejects.toBe(
      refused,
    );
    expect(attempt).toHaveBeenCalledTimes(2);
  });

  test('fixed credentials are not tried twice, nor other failures', async () => {
    const attempt = vi.fn(async () => Promise.reject(refused));
    await expect(requestHeaders('otlp', { bearerToken: 'x' }, RULES)(attempt, NEVER)).rejects.toBe(refused);
    const down = new ExportError('UNAVAILABLE', 'down');
    const failing = vi.fn(async () => Promise.reject(down));
    await expect(requestHeaders('otlp', { headers: () => ({}) }, RULES)(failing, NEVER)).rejects.toBe(down);
    expect([attempt.mock.calls.length, failing.mock.calls.length]).toEqual([1, 1]);
  });

  test.each([
    ['that throws', () => Promise.reject(new Error('token service is down'))],
    ['that gives no object', () => 7 as never],
    ['that gives a value which cannot be sent', () => ({ a: 'b\nc' })],
  ])('[7.10] a function %s fails the request, which may be tried again', async (_, headers) => {
    await expect(sent({ headers })).rejects.toMatchObject({ code: 'UNAUTHENTICATED', retryable: true });
  });

  test.each([
    [{ headers: 7 }],
    [{ headers: ['a=b'] }],
    [{ headers: { 'a b': 'secret' } }],
    [{ headers: { '': 'secret' } }],
    [{ headers: { '!a': 'secret' } }],
    [{ headers: { a: 'secret\r\nb: c' } }],
    [{ headers: { a: undefined } }],
    [{ bearerToken: '' }],
    [{ bearerToken: 'secret token' }],
    [{ bearerToken: 7 }],
  ])('%j is a ConfigError that shows no value', (options) => {
    const make = () => requestHeaders('otlp', options as never, RULES);
    expect(make).toThrow(ConfigError);
    expect(make).not.toThrow(/secret/);
  });
});
