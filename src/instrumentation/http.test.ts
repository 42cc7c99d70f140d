import { once } from 'node:events';
import { DiagLogLevel, diag, metrics } from '@opentelemetry/api';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { ManualMetricReader, MeterProvider } from '../index.ts';
import { serveHttp } from './fixtures/http-server.ts';
import { recordedMetrics } from './fixtures/recorded-metrics.ts';
import { type HttpInstrumentationOptions, instrumentHttp, setHttpRoute, UNMATCHED_ROUTE } from './http.ts';
import { createHttpInstruments } from './http-instruments.ts';

describe('what is recorded', () => {
  test('a request is one point on four metrics with the same attributes, and none stays active', async () => {
    const { fetch, recorded } = await serveHttp((request, response) => {
      setHttpRoute(request, '/orders/:id');
      response.end('hello');
    });
    await fetch('/orders/1');
    await fetch('/orders/2');
    await recorded.settled('http', 2);

    const attributes = {
      'http.method': 'GET',
      'http.route': '/orders/:id',
      'http.status_code': 200,
      status: 'success',
    };
    expect(await recorded.points('http_server_requests_total')).toEqual([{ attributes, value: 2 }]);
    for (const name of ['request_duration_seconds', 'request_size_bytes', 'response_size_bytes']) {
      expect(await recorded.points(`http_server_${name}`)).toEqual([
        { attributes, value: expect.objectContaining({ count: 2 }) },
      ]);
    }
    expect(await recorded.points('http_server_active_requests')).toEqual([{ attributes: {}, value: 0 }]);
  });

  test('the metrics have their kinds, units and bucket boundaries', async () => {
    const { fetch, recorded } = await serveHttp((_, response) => response.end());
    await fetch('/');
    await recorded.settled('http', 1);

    const metrics = await recorded.metrics();
    const found = metrics.map(({ descriptor, ...metric }) => [
      descriptor.name,
      descriptor.unit,
      'isMonotonic' in metric ? metric.isMonotonic : 'histogram',
    ]);
    expect(found.sort()).toEqual([
      ['http_server_active_requests', '1', false],
      ['http_server_request_duration_seconds', 's', 'histogram'],
      ['http_server_request_size_bytes', 'By', 'histogram'],
      ['http_server_requests_total', '1', true],
      ['http_server_response_size_bytes', 'By', 'histogram'],
    ]);
    const [duration] = await recorded.histograms('http_server_request_duration_seconds');
    expect(duration!.boundaries).toEqual([
      0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
    ]);
    const [size] = await recorded.histograms('http_server_response_size_bytes');
    expect(size!.boundaries).toEqual([
      0, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864,
    ]);
  });

  test('the duration is in seconds and lasts until the response has closed', async () => {
    const { fetch, recorded } = await serveHttp((_, response) => {
      response.write('first');
      setTimeout(() => response.end('last'), 60);
    });
    await fetch('/');
    await recorded.settled('http', 1);
    const [duration] = await recorded.histograms('http_server_request_duration_seconds');
    expect(duration!.sum).toBeGreaterThan(0.055);
    expect(duration!.sum).toBeLessThan(2);
  });

  test('a request in flight is active and not counted yet', async () => {
    let answer = () => {};
    const { fetch, recorded } = await serveHttp((_, response) => {
      answer = () => response.end();
    });
    const done = fetch('/');
    await vi.waitFor(async () => expect(await recorded.total('http_server_active_requests')).toBe(1));
    expect(await recorded.total('http_server_requests_total')).toBe(0);
    answer();
    await done;
    await recorded.settled('http', 1);
  });

  test('status is error from 500 on', async () => {
    const { fetch, requestsBy, recorded } = await serveHttp((request, response) => {
      response.writeHead(Number(request.url!.slice(1))).end();
    });
    for (const code of [200, 302, 404, 499, 500, 503]) await fetch(`/${code}`);
    await recorded.settled('http', 6);
    expect(await requestsBy('http.status_code', 'status')).toEqual({
      '200 success': 1,
      '302 success': 1,
      '404 success': 1,
      '499 success': 1,
      '500 error': 1,
      '503 error': 1,
    });
  });

  test('[11.02] a method outside the known ones is _OTHER', async () => {
    const { fetch, requestsBy, recorded } = await serveHttp((_, response) => response.end());
    await fetch('/', { method: 'PATCH' });
    await fetch('/', { method: 'PROPFIND' });
    await fetch('/', { method: 'MKCOL' });
    await recorded.settled('http', 3);
    expect(await requestsBy('http.method')).toEqual({ PATCH: 1, _OTHER: 2 });
  });
});

describe('routes', () => {
  test('[11.04] paths that match no route share one series, however many there are', async () => {
    const { fetch, requestsBy, recorded } = await serveHttp((_, response) => response.writeHead(404).end());
    for (let i = 0; i < 50; i++) await fetch(`/scan/${i}`);
    await recorded.settled('http', 50);
    expect(await requestsBy('http.route')).toEqual({ [UNMATCHED_ROUTE]: 50 });
  });

  test('setHttpRoute comes before Express, which comes before the route option', async () => {
    const { fetch, requestsBy, recorded } = await serveHttp(
      (request, response) => {
        if (request.url === '/express' || request.url === '/both') {
          Object.assign(request, { route: { path: '/express/:id' }, baseUrl: '' });
        }
        if (request.url === '/both') setHttpRoute(request, '/set');
        response.end();
      },
      { route: (request) => (request.url === '/none' ? undefined : '/option') },
    );
    for (const path of ['/both', '/express', '/plain', '/none']) await fetch(path);
    await recorded.settled('http', 4);
    expect(await requestsBy('http.route')).toEqual({
      '/set': 1,
      '/express/:id': 1,
      '/option': 1,
      [UNMATCHED_ROUTE]: 1,
    });
  });

  test('an Express mount path is never used: it holds what the client wrote', async () => {
    const { fetch, requestsBy, recorded } = await serveHttp((request, response) => {
      Object.assign(request, { route: { path: '/orders' }, baseUrl: request.url });
      response.end();
    });
    await fetch('/users/1');
    await fetch('/users/2');
    await recorded.settled('http', 2);
    expect(await requestsBy('http.route')).toEqual({ [UNMATCHED_ROUTE]: 2 });
  });

  test('series are kept bound up to a limit, and the others are recorded all the same', async () => {
    const { meterProvider, total } = recordedMetrics();
    const instruments = createHttpInstruments(meterProvider.getMeter('test'));
    const series = (i: number) => instruments.series('GET', `/${i}`, 200, false);
    const first = series(0);
    for (let i = 0; i < 2_100; i++) series(i).requests.add(1);
    expect(series(0)).toBe(first);
    expect(series(2_099)).not.toBe(series(2_099));
    expect(await total('http_server_requests_total')).toBe(2_100);
  });
});

describe('what is left out', () => {
  const UNINSTRUMENTED = Symbol.for('meterline.uninstrumented');

  test('requests that `ignore` names, servers and requests that carry the mark', async () => {
    const { server, fetch, recorded } = await serveHttp(
      (request, response) => {
        if (request.url === '/marked') Object.assign(request, { [UNINSTRUMENTED]: true });
        response.end();
      },
      { ignore: ({ url }) => url === '/health' },
    );
    Object.assign(server, { [UNINSTRUMENTED]: true });
    await fetch('/on-a-marked-server');
    Object.assign(server, { [UNINSTRUMENTED]: false });
    for (const path of ['/health', '/marked', '/measured']) await fetch(path);
    await recorded.settled('http', 1);
  });

  test('after disable() only requests in flight are recorded', async () => {
    let answer = () => {};
    const { server, fetch, disable, recorded } = await serveHttp((request, response) => {
      if (request.url === '/slow') answer = () => response.end();
      else response.end();
    });
    const seen = once(server, 'request');
    const slow = fetch('/slow');
    await seen;
    disable();
    await fetch('/after');
    answer();
    await slow;
    await recorded.settled('http', 1);
  });

  test('instrumenting twice counts each request once, with the later options', async () => {
    const { fetch, requestsBy, recorded } = await serveHttp((_, response) => response.end(), {
      route: () => '/first',
    });
    const { disable } = instrumentHttp({ meterProvider: recorded.meterProvider, route: () => '/second' });
    await fetch('/');
    await recorded.settled('http', 1);
    expect(await requestsBy('http.route')).toEqual({ '/second': 1 });
    disable();
  });
});

describe('the provider', () => {
  test('one registered after instrumenting, and another one later, get what starts in their time', async () => {
    onTestFinished(() => metrics.disable());
    const { fetch, recorded } = await serveHttp((_, response) => response.end(), {
      meterProvider: undefined,
    });
    await fetch('/before');
    metrics.setGlobalMeterProvider(recorded.meterProvider);
    await fetch('/');
    await recorded.settled('http', 1);

    const second = recordedMetrics();
    metrics.disable();
    metrics.setGlobalMeterProvider(second.meterProvider);
    await fetch('/');
    await fetch('/');
    await second.settled('http', 2);
    await recorded.settled('http', 1);
  });

  test('Meterline itself records the same as the official SDK', async () => {
    const reader = new ManualMetricReader();
    const meterProvider = new MeterProvider({ readers: [reader] });
    onTestFinished(() => meterProvider.shutdown());
    const { fetch } = await serveHttp((_, response) => response.end('hello'), { meterProvider });
    await fetch('/', { method: 'POST', body: 'body' });
    await fetch('/', { method: 'POST', body: 'body' });
    const collect = async () => {
      const { resourceMetrics } = await reader.collect();
      const metrics = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics);
      return Object.fromEntries(metrics.map(({ descriptor, dataPoints }) => [descriptor.name, dataPoints]));
    };
    await vi.waitFor(async () =>
      expect((await collect()).http_server_requests_total).toMatchObject([{ value: 2 }]),
    );
    const attributes = {
      'http.method': 'POST',
      'http.route': UNMATCHED_ROUTE,
      'http.status_code': 200,
      status: 'success',
    };
    expect(await collect()).toMatchObject({
      http_server_active_requests: [{ attributes: {}, value: 0 }],
      http_server_requests_total: [{ attributes, value: 2 }],
      http_server_request_duration_seconds: [{ attributes, value: { count: 2 } }],
      http_server_request_size_bytes: [{ attributes, value: { count: 2, sum: 8 } }],
      http_server_response_size_bytes: [{ attributes, value: { count: 2, sum: 10 } }],
    });
  });

  test('instruments that can be bound are bound once per series', async () => {
    const recordings: string[] = [];
    const bind = vi.fn((attributes: object) => ({
      add: (value: number) => recordings.push(`add ${value} ${JSON.stringify(attributes)}`),
      record: () => recordings.push('record'),
    }));
    const instrument = () => ({ bind });
    const meterProvider = {
      getMeter: () => ({
        createCounter: instrument,
        createUpDownCounter: instrument,
        createHistogram: instrument,
      }),
    } as unknown as HttpInstrumentationOptions['meterProvider'];
    const { fetch } = await serveHttp((_, response) => response.end(), { meterProvider });
    await fetch('/');
    await fetch('/');
    await vi.waitFor(() => expect(recordings).toHaveLength(12));
    expect(bind).toHaveBeenCalledTimes(5);
    expect(recordings.slice(0, 2)).toEqual(['add 1 {}', 'add -1 {}']);
  });
});

describe('the host comes first', () => {
  const warnings: unknown[][] = [];
  beforeEach(() => {
    warnings.length = 0;
    const ignore = () => {};
    const warn = (...parts: unknown[]) => void warnings.push(parts);
    diag.setLogger({ error: ignore, warn, info: ignore, debug: ignore, verbose: ignore }, DiagLogLevel.WARN);
    onTestFinished(() => diag.disable());
  });

  const broken = () => {
    throw new Error('broken');
  };

  test('callbacks that throw are reported once each, and requests are measured all the same', async () => {
    const { fetch, requestsBy, recorded } = await serveHttp((_, response) => response.end('fine'), {
      route: broken,
      ignore: broken,
    });
    for (let i = 0; i < 3; i++) expect((await fetch('/')).body).toBe('fine');
    await recorded.settled('http', 3);
    expect(await requestsBy('http.route')).toEqual({ [UNMATCHED_ROUTE]: 3 });
    expect(warnings.map(([message]) => String(message))).toEqual([
      expect.stringContaining('`ignore` function'),
      expect.stringContaining('`route` function'),
    ]);
  });

  test('a provider that throws costs the metrics, not the request', async () => {
    const instrument = () => ({ add: broken, record: broken });
    for (const getMeter of [
      broken,
      () => ({ createCounter: instrument, createUpDownCounter: instrument, createHistogram: instrument }),
    ]) {
      const meterProvider = { getMeter } as unknown as HttpInstrumentationOptions['meterProvider'];
      const { fetch } = await serveHttp((_, response) => response.end('fine'), { meterProvider });
      expect((await fetch('/')).body).toBe('fine');
      expect((await fetch('/')).body).toBe('fine');
    }
    await vi.waitFor(() => expect(warnings).toHaveLength(3));
  });
});
