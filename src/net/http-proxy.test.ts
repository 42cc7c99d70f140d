import { describe, expect, test } from 'vitest';
import { optionChecks } from '../data/option-checks.ts';
import { httpAddress } from './http-address.ts';
import { type ProxyOptions, proxyFor } from './http-proxy.ts';

const HTTP = 'http://plain:3128';
const HTTPS = 'http://secure:3128';
const route = (proxy: string | ProxyOptions | undefined, url: string) =>
  proxyFor(optionChecks('test'), proxy)(httpAddress(url)!);

describe('[7.47] the proxy of a request', () => {
  test('is that of its scheme', () => {
    expect(route({ http: HTTP, https: HTTPS }, 'http://a/')).toBe(HTTP);
    expect(route({ http: HTTP, https: HTTPS }, 'https://a/')).toBe(HTTPS);
    expect(route({ https: HTTPS }, 'http://a/')).toBeUndefined();
    expect(route(HTTP, 'https://a/')).toBe(HTTP);
    expect(route(undefined, 'http://a/')).toBeUndefined();
  });

  test('is none for a unix socket', () => {
    expect(route(HTTP, 'http+unix://%2Frun%2Fa/')).toBeUndefined();
  });

  test.each([
    ['a.b', 'http://a.b/', true],
    ['A.B', 'http://a.b/', true],
    ['a.b', 'http://x.a.b/', true],
    ['.a.b', 'http://x.a.b/', true],
    ['*.a.b', 'http://x.a.b/', true],
    ['a.b', 'http://xa.b/', false],
    ['a.b', 'http://a.bc/', false],
    ['*', 'http://x/', true],
    ['a:80', 'http://a/', true],
    ['a:81', 'http://a/', false],
    ['a:443', 'https://a/', true],
    ['10.0.0.1', 'http://10.0.0.1/', true],
    ['10.0.0.1', 'http://110.0.0.1/', false],
    ['::1', 'http://[::1]/', true],
    ['[::1]', 'http://[::1]:4318/', true],
    ['[::1]:4318', 'http://[::1]:4318/', true],
    ['[::1]:4319', 'http://[::1]:4318/', false],
    ['x, a ,y', 'http://a/', true],
    ['x a', 'http://a/', true],
    ['', 'http://a/', false],
    [['a', 'b'], 'http://b/', true],
  ])('is none with the exceptions %j for %s: %s', (noProxy, url, isDirect) => {
    expect(route({ http: HTTP, https: HTTPS, noProxy }, url) === undefined).toBe(isDirect);
  });

  test('is refused without showing it when it is no URL', () => {
    for (const proxy of ['me:secret@proxy', 'socks5://me:secret@proxy']) {
      expect(() => route(proxy, 'http://a/')).toThrow(
        /proxy\.http cannot work; it must be an http: or https: URL/,
      );
      expect(() => route(proxy, 'http://a/')).not.toThrow(/secret/);
    }
  });
});
