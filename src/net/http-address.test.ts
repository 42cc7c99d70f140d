import { describe, expect, test } from 'vitest';
import { httpAddress } from './http-address.ts';

describe('httpAddress', () => {
  test.each([
    ['http://c:4318/v1/metrics', 'http://c:4318', '/v1/metrics'],
    ['[7.03] http://c:4318', 'http://c:4318', '/'],
    ['[7.03] https://c/v1/metrics/', 'https://c', '/v1/metrics/'],
    ['http://c/a?b=c#d', 'http://c', '/a?b=c'],
    ['http://[::1]:4318/a', 'http://[::1]:4318', '/a'],
    ['http+unix://%2Frun%2Fotel.sock/a', 'http://localhost', '/a'],
    ['https+unix://%2Frun%2Fotel.sock', 'https://localhost', '/'],
  ])('takes %s apart', (text, origin, path) => {
    expect(httpAddress(text.replace(/^\[.{4}\] /, ''))).toMatchObject({ origin, path });
  });

  test.each([
    ['http://c/', '80', false],
    ['https://c/', '443', true],
    ['https://c:4318/', '4318', true],
  ])('[7.05] %s goes to port %s', (text, port, isSecure) => {
    expect(httpAddress(text)).toMatchObject({ port, isSecure, hostname: 'c' });
  });

  test('takes the brackets off an IPv6 address, and finds the unix socket', () => {
    expect(httpAddress('http://[::1]/')!.hostname).toBe('::1');
    expect(httpAddress('http+unix://%2Frun%2Fotel.sock/a')!.socketPath).toBe('/run/otel.sock');
    expect(httpAddress('http://c/')!.socketPath).toBeUndefined();
  });

  test('shows neither user nor password nor query, and makes them an authorization', () => {
    const address = httpAddress('https://me:p%C3%A4ss@c/a?key=k')!;
    expect(address.shown).toBe('https://c/a');
    expect(address.authorization).toBe(`Basic ${Buffer.from('me:päss').toString('base64')}`);
    expect(httpAddress('http://c/')!.authorization).toBeUndefined();
  });

  test.each([
    '',
    'c:4318',
    'ftp://c/',
    'grpc://c',
    'http://',
    'http://c:99999',
    'http+unix://run/a',
    'unix:/run/a',
  ])('refuses %j', (text) => {
    expect(httpAddress(text)).toBeUndefined();
  });
});
