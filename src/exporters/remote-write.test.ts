import { type Attributes, diag, ValueType } from '@opentelemetry/api';
import { uncompressSync } from 'snappy';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { exporterContract } from '../../test/conformance/exporter-kit.ts';
import { captureLogs } from '../../test/support/collected.ts';
import { decodeWrite, seriesName, type WrittenSeries } from '../../test/support/remote-write.ts';
import { AttributeSet } from '../data/attribute-set.ts';
import { type ExportResult, ExportResultCode, type PushMetricExporter } from '../data/exporter.ts';
import { MetricBatch, type SumColumns, sumColumns } from '../data/metric-batch.ts';
import { sliceBatch } from '../data/slice-batch.ts';
import { temporalityPreference } from '../data/temporality-preference.ts';
import { everyKind } from '../encoding/fixtures/every-kind.ts';
import {
  AggregationTemporality,
  AggregationType,
  MeterProvider,
  PeriodicExportingMetricReader,
  resourceFromAttributes,
} from '../index.ts';
import {
  type HttpBehaviour,
  hangUp,
  noAnswer,
  type StubRequest,
  serveHttp,
} from '../net/fixtures/http-stub.ts';
import { counterBatch, exported } from './fixtures/exporting.ts';
import { type RemoteWriteOptions, remoteWrite } from './remote-write.ts';

const QUICK = { initialIntervalMillis: 1, maxIntervalMillis: 1 };

function written(request: StubRequest) {
  const is2 =
    request.headers['content-type'] === 'application/x-protobuf;proto=io.prometheus.write.v2.Request';
  return decodeWrite(is2 ? '2.0' : '1.0', uncompressSync(request.raw) as Buffer);
}

const samplesIn = (requests: StubRequest[]): WrittenSeries[] => requests.flatMap((it) => written(it).series);
const numberOf = ({ samples }: WrittenSeries) => samples[0]!.value;

/** As a receiver of version 2.0 says that it wrote all. */
function all(request: StubRequest): HttpBehaviour {
  const { series } = written(request);
  return {
    status: 204,
    headers: {
      'X-Prometheus-Remote-Write-Samples-Written': series.flatMap(({ samples }) => samples).length,
      'X-Prometheus-Remote-Write-Histograms-Written': series.flatMap(({ histograms }) => histograms).length,
      'X-Prometheus-Remote-Write-Exemplars-Written': series.flatMap(({ exemplars }) => exemplars).length,
    },
  };
}

/** Answers as told, then takes everything. */
async function receiver(answers: (HttpBehaviour | typeof all)[] = []) {
  return serveHttp({
    answer: (request, index) => {
      const answer = answers[index];
      return answer === all ? all(request) : ((answer as HttpBehaviour) ?? { status: 204 });
    },
  });
}

function made(options: Partial<RemoteWriteOptions> & Pick<RemoteWriteOptions, 'url'>) {
  const exporter = remoteWrite({ retry: QUICK, staleMarkers: false, ...options });
  onTestFinished(() => exporter.shutdown().catch(() => {}));
  return exporter;
}

describe('remoteWrite', () => {
  const logs = captureLogs();

  exporterContract('remoteWrite', async () => made({ url: (await receiver()).url }));
  exporterContract('remoteWrite, version 2.0', async () => {
    const { url } = await serveHttp({ answer: all });
    return made({ url, version: '2.0' });
  });

  test('the headers of version 1.0 and 2.0', async () => {
    const { url, requests } = await serveHttp({ answer: all });
    await exported(
      made({ url, headers: { 'X-Scope-OrgID': 'shop', 'Content-Encoding': 'x' } }),
      counterBatch(1),
    );
    await exported(made({ url, version: '2.0' }), counterBatch(1));
    expect(requests[0]!.headers).toMatchObject({
      'content-type': 'application/x-protobuf',
      'content-encoding': 'snappy',
      'x-prometheus-remote-write-version': '0.1.0',
      'user-agent': expect.stringMatching(/^Meterline\/\d/),
      'x-scope-orgid': 'shop',
    });
    expect(requests[1]!.headers).toMatchObject({
      'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
      'x-prometheus-remote-write-version': '2.0.0',
    });
  });

  test.each(['1.0', '2.0'] as const)('version %s has everything of a batch', async (version) => {
    const { url, requests } = await serveHttp({ answer: all });
    const exporter = made({
      url,
      version,
      externalLabels: { cluster: 'eu', http_method: 'never' },
      scopeLabels: false,
    });
    expect(await exported(exporter, everyKind())).toBeUndefined();
    const [request] = requests.map(written);
    const byName = new Map(request!.series.map((series) => [seriesName(series), series]));
    const common = 'cluster="eu"';
    expect([...byName.keys()].slice(0, 3)).toEqual([
      `target_info{cluster="eu",http_method="never",job="sre",process_pid="42",service_version="v1.0.0"}`,
      `http_server_requests_total{${common},http_method="POST",http_route="/orders",http_status_code="200",job="sre"}`,
      expect.stringContaining('flag="true"'),
    ]);
    const [, requestsTotal, exemplary] = [...byName.values()];
    expect(numberOf(requestsTotal!)).toBe(1234);
    const start = version === '2.0' ? { start: 1765848600000 } : {};
    expect(requestsTotal!.samples).toEqual([{ value: 1234, timestamp: 1765848617594, ...start }]);
    expect(exemplary!.exemplars).toEqual([
      {
        labels: { trace_id: '0af7651916cd43dd8448eb211c80319c', span_id: 'b7ad6b7169203331', user: 'ü' },
        value: 3,
        timestamp: 1765848616000,
      },
      { labels: {}, value: 0.5, timestamp: 1765848617000 },
    ]);
    const buckets = [...byName].filter(([name]) => name.includes('_bucket{') && name.includes('POST'));
    expect(buckets.map(([, series]) => [series.labels.le, numberOf(series)])).toEqual([
      ['0.005', 10],
      ['0.01', 30],
      ['2.5', 100],
      ['+Inf', 100],
    ]);
    const gauges = request!.series.filter(({ labels }) => labels.__name__ === 'temperature_celsius');
    // The other three have the same labels.
    expect(gauges.map(numberOf)).toEqual([21.5]);
    const described = { type: 1, help: 'Requests served', unit: '' };
    if (version === '2.0') expect(requestsTotal!.metadata).toEqual(described);
    else expect(request!.metadata.http_server_requests_total).toEqual(described);
    expect(logs.join()).toContain('payload');
  });

  test.each([500, 502, 503, 429])('tries again after %d', async (status) => {
    const { url, requests } = await receiver([{ status }, hangUp]);
    expect(await exported(made({ url }), counterBatch(1))).toBeUndefined();
    expect(requests).toHaveLength(3);
    expect(Buffer.compare(requests[0]!.raw, requests[2]!.raw)).toBe(0);
  });

  test.each([400, 401, 403, 404, 408, 409, 422])('never after %d, and says why', async (status) => {
    const { url, requests } = await receiver([{ status, body: 'out of order sample' }]);
    const error = await exported(made({ url }), counterBatch(1));
    expect(error).toMatchObject({ retryable: false });
    expect(error!.message).toContain(`answered ${status}: out of order sample`);
    // Of 400 it asks whether the sample is to blame.
    const samples = requests.map((request) => samplesIn([request]).length);
    expect(samples).toEqual(status === 400 ? [1, 0] : [1]);
  });

  test("of a gateway's page only the title is said", async () => {
    const page = '<html>\n<head><title>403 Forbidden</title></head>\n<body><h1>no</h1></body>';
    const answer = (type: string) => ({ status: 403, headers: { 'content-type': type }, body: page });
    const { url } = await receiver([answer('text/html; charset=utf-8'), answer('text/plain')]);
    const exporter = made({ url });
    expect((await exported(exporter, counterBatch(1)))!.message).toMatch(/ was answered 403: 403 Forbidden$/);
    expect((await exported(exporter, counterBatch(1)))!.message).toContain('<h1>no</h1>');
  });

  test('a Retry-After is kept', async () => {
    const { url, requests } = await receiver([{ status: 429, headers: { 'retry-after': '1' } }]);
    const start = performance.now();
    expect(await exported(made({ url }), counterBatch(1))).toBeUndefined();
    expect(performance.now() - start).toBeGreaterThan(950);
    expect(requests).toHaveLength(2);
  });

  test('a batch goes in requests that keep to samples and bytes; each series once', async () => {
    for (const limits of [{ maxSamplesPerRequest: 70 }, { maxRequestBytes: 5_000 }]) {
      for (const version of ['1.0', '2.0'] as const) {
        const { url, requests } = await serveHttp({ answer: all });
        expect(await exported(made({ url, version, ...limits }), counterBatch(3, 1_500))).toBeUndefined();
        const names = samplesIn(requests).map(({ labels }) => labels.series);
        expect(new Set(names).size).toBe(1_500);
        expect(names.filter((name) => name !== undefined)).toHaveLength(1_500);
        for (const request of requests) {
          expect(written(request).series.length).toBeLessThanOrEqual(limits.maxSamplesPerRequest ?? Infinity);
          const bytes = (uncompressSync(request.raw) as Buffer).length;
          expect(bytes).toBeLessThanOrEqual(limits.maxRequestBytes ?? Infinity);
        }
        expect(requests.length).toBeGreaterThan(10);
      }
    }
  });

  test('requests are under way at once, as many as asked for, each series in one of them', async () => {
    let open = 0;
    let most = 0;
    const { url, requests } = await serveHttp({
      answer: () => (response) => {
        most = Math.max(most, ++open);
        setTimeout(() => {
          open--;
          response.writeHead(204).end();
        }, 30);
      },
    });
    const exporter = made({ url, concurrency: 3, maxSamplesPerRequest: 100 });
    const [first, second] = await Promise.all(
      [1, 2].map((value) => exported(exporter, counterBatch(value, 1_200))),
    );
    expect([first, second]).toEqual([undefined, undefined]);
    expect(most).toBe(3);
    const values = requests.map((request) => Number(numberOf(written(request).series.at(-1)!)));
    // All of the first batch, then the second.
    expect(values).toEqual(values.toSorted((a, b) => a - b));
  });

  test('a part that fails leaves its own points owed, and no others', async () => {
    const { url, requests } = await receiver();
    let refused = 0;
    const failing = await serveHttp({
      answer: (request) => {
        const has = written(request).series.some(({ labels }) => labels.series === '700');
        if (has) refused++;
        return { status: has ? 503 : 204 };
      },
    });
    const exporter = made({ url: failing.url, retry: false, maxSamplesPerRequest: 100 });
    const error = await exported(exporter, counterBatch(1, 1_200));
    expect(refused).toBe(1);
    expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(error!.undelivered!.pointCount).toBeLessThanOrEqual(100);
    expect(await exported(made({ url }), error!.undelivered!)).toBeUndefined();
    const taken = failing.requests.filter(
      (request) => !written(request).series.some((it) => it.labels.series === '700'),
    );
    const everything = [...samplesIn(taken), ...samplesIn(requests)].flatMap(
      ({ labels }) => labels.series ?? [],
    );
    expect(everything.toSorted((a, b) => Number(a) - Number(b))).toEqual(
      Array.from({ length: 1_200 }, (_, i) => `${i}`),
    );
  });

  test.each<[string, HttpBehaviour]>([
    ['415', { status: 415, body: 'unknown type' }],
    ['204 without counts', { status: 204 }],
  ])(
    'a receiver that does not know 2.0 (%s) gets the same as 1.0, and all later requests',
    async (_, answer) => {
      const { url, requests } = await receiver([answer]);
      const exporter = made({ url, version: '2.0' });
      expect(await exported(exporter, counterBatch(7, 3))).toBeUndefined();
      expect(await exported(exporter, counterBatch(8, 3))).toBeUndefined();
      const versions = requests.map(({ headers }) => headers['x-prometheus-remote-write-version']);
      expect(versions).toEqual(['2.0.0', '0.1.0', '0.1.0']);
      const [first, second] = requests.map((request) => written(request).series);
      expect(second!.map(seriesName)).toEqual(first!.map(seriesName));
    },
  );

  test('what 2.0 says that it did not write is refused and counted, in success and failure', async () => {
    const headers = { 'X-Prometheus-Remote-Write-Samples-Written': '6' };
    const { url } = await receiver([
      { status: 204, headers },
      { status: 400, headers, body: 'duplicate sample' },
      { status: 400, headers: { 'X-Prometheus-Remote-Write-Samples-Written': '0' }, body: 'all bad' },
    ]);
    const exporter = made({ url, version: '2.0', targetInfo: false });
    expect(await exported(exporter, counterBatch(1, 10))).toMatchObject({
      code: 'REJECTED',
      rejectedDataPoints: 4,
    });
    const partly = await exported(exporter, counterBatch(1, 10));
    expect(partly).toMatchObject({ code: 'REJECTED', rejectedDataPoints: 4 });
    expect(partly!.message).toContain('duplicate sample');
    expect(await exported(exporter, counterBatch(1, 10))).toMatchObject({
      code: 'REJECTED',
      retryable: false,
    });
  });

  describe('one bad sample of a request', () => {
    const answered = (exporter: PushMetricExporter, batch: MetricBatch) =>
      new Promise<ExportResult>((resolve) => exporter.export(batch, resolve));
    /** As version 1.0 of Prometheus: nothing of a request is written that has such a series. */
    const refusing =
      (...bad: string[]) =>
      (request: StubRequest): HttpBehaviour =>
        written(request).series.some(({ labels }) => bad.includes(labels.series ?? ''))
          ? { status: 400, body: 'out of order sample' }
          : { status: 204 };
    const isEmpty = (request: StubRequest) => written(request).series.length === 0;
    const seriesIn = (requests: StubRequest[]) =>
      samplesIn(requests).flatMap(({ labels }) => labels.series ?? []);
    const isTaken = (request: StubRequest, ...bad: string[]) =>
      !written(request).series.some(({ labels }) => bad.includes(labels.series ?? ''));
    const others = (count: number, ...bad: string[]) =>
      Array.from({ length: count }, (_, i) => `${i}`).filter((name) => !bad.includes(name));
    const inOrder = (names: string[]) => names.toSorted((a, b) => Number(a) - Number(b));

    test.each([[['0']], [['77', '78']], [['199']]])('costs only itself: %o', async (bad) => {
      const { url, requests } = await serveHttp({ answer: refusing(...bad) });
      const error = await exported(made({ url }), counterBatch(1, 200));
      expect(error).toMatchObject({ code: 'REJECTED', rejectedDataPoints: bad.length });
      expect(error!.message).toContain('out of order sample');
      expect(inOrder(seriesIn(requests.filter((it) => isTaken(it, ...bad))))).toEqual(others(200, ...bad));
    });

    test('is looked for within bounds: what cannot be told apart is refused with it', async () => {
      const { url, requests } = await serveHttp({
        answer: (request) => (isEmpty(request) ? { status: 204 } : { status: 400, body: 'too old' }),
      });
      const exporter = made({ url, maxSamplesPerRequest: 200 });
      const { code, error } = await answered(exporter, counterBatch(1, 1_000));
      // Where nothing was taken it is no success.
      expect(code).toBe(ExportResultCode.FAILED);
      expect(error).toMatchObject({ code: 'REJECTED', retryable: false });
      // Each cut makes two requests of one; one of all is empty.
      expect(requests.length).toBeGreaterThan(2 * 64);
      expect(requests.length).toBeLessThanOrEqual(7 + 2 * 64);
    });

    test.each(['1.0', '2.0'] as const)(
      'is not looked for where %s without samples is refused in the same words: then none is to blame',
      async (version) => {
        const { url, requests } = await serveHttp({ answer: () => ({ status: 400, body: 'no such token' }) });
        const exporter = made({ url, version, maxSamplesPerRequest: 200, concurrency: 2 });
        const { code, error } = await answered(exporter, counterBatch(1, 1_000));
        expect([code, error]).toMatchObject([ExportResultCode.FAILED, { code: 'UNAUTHENTICATED' }]);
        expect(String(error)).toMatch(/: no such token \(and so is a request without samples\)$/);
        expect(error).toMatchObject({
          retryable: false,
          rejectedDataPoints: undefined,
          undelivered: undefined,
        });
        const sizes = requests.map((request) => written(request).series.length);
        expect(sizes.filter((size) => size > 0).reduce((sum, size) => sum + size)).toBe(1_000);
        expect(sizes.filter((size) => size === 0)).toHaveLength(1);
        const { error: again } = await answered(exporter, counterBatch(1, 1));
        expect(again).toMatchObject({ code: 'UNAUTHENTICATED', rejectedDataPoints: undefined });
        // Who knows what is wrong the next time.
        expect(requests.filter(isEmpty)).toHaveLength(2);
      },
    );

    test('is looked for where requests without samples are refused for being so, and when that failed at first', async () => {
      let count = 0;
      const { url, requests } = await serveHttp({
        answer: (request) => {
          if (!isEmpty(request)) return refusing('77')(request);
          return ++count === 1 ? { status: 503 } : { status: 400, body: 'empty' };
        },
      });
      const error = await exported(made({ url }), counterBatch(1, 200));
      expect(error).toMatchObject({ code: 'REJECTED', rejectedDataPoints: 1 });
      expect(inOrder(seriesIn(requests.filter((it) => isTaken(it, '77'))))).toEqual(others(200, '77'));
      expect(count).toBe(2);
    });

    test.each([404, 413, 422])(
      'is looked for where requests without samples are answered %d',
      async (status) => {
        const { url, requests } = await serveHttp({
          answer: (request) => (isEmpty(request) ? { status, body: 'no samples' } : refusing('77')(request)),
        });
        const error = await exported(made({ url }), counterBatch(1, 200));
        expect(error).toMatchObject({ code: 'REJECTED', rejectedDataPoints: 1 });
        expect(inOrder(seriesIn(requests.filter((it) => isTaken(it, '77'))))).toEqual(others(200, '77'));
        expect(requests.filter(isEmpty)).toHaveLength(1);
      },
    );

    test('is looked for on from where a passing failure stopped it', async () => {
      let count = 0;
      const { url, requests } = await serveHttp({
        answer: (request) => (++count === 3 ? { status: 503 } : refusing('150')(request)),
      });
      const error = await exported(made({ url }), counterBatch(1, 200));
      expect(error).toMatchObject({ code: 'REJECTED', rejectedDataPoints: 1 });
      const taken = requests.filter((it, i) => i !== 2 && isTaken(it, '150'));
      expect(inOrder(seriesIn(taken))).toEqual(others(200, '150'));
    });

    test('is not looked for where the receiver says what it wrote', async () => {
      const headers = { 'X-Prometheus-Remote-Write-Samples-Written': 0 };
      const { url, requests } = await receiver([{ status: 400, headers }]);
      const { code, error } = await answered(made({ url, version: '2.0' }), counterBatch(1, 200));
      expect([code, error]).toMatchObject([ExportResultCode.FAILED, { code: 'REJECTED' }]);
      expect(requests).toHaveLength(1);
    });
  });

  describe('series with the same labels', () => {
    function batch(resource: Attributes, ...sets: Attributes[]): MetricBatch {
      const length = sets.length;
      const counter = sumColumns(
        {
          descriptor: { name: 'c', description: '', unit: '', valueType: ValueType.INT },
          aggregationTemporality: AggregationTemporality.CUMULATIVE,
          length,
          attributes: sets.map((set, id) => Object.assign(AttributeSet.from(set), { id })),
          startTimes: new BigUint64Array(length).fill(1n),
          endTimes: new BigUint64Array(length).fill(1_700_000_000_000_000_000n),
          values: Float64Array.from(sets, (_, i) => i),
        },
        true,
      );
      return new MetricBatch(resourceFromAttributes(resource), [
        { scope: { name: 's' }, metrics: [counter] },
      ]);
    }

    test.each<[string, Attributes, Partial<RemoteWriteOptions>, Attributes[]]>([
      [
        'by renaming',
        { 'service.name': 'orders' },
        {},
        [{ a: 1 }, { exported_job: 'x' }, { job: 'x' }, { job: 'y' }],
      ],
      ['by sanitising', {}, {}, [{ a: 1 }, { 'k.b': 'x' }, { 'k/b': 'x' }, { 'k.b': 'y' }]],
      [
        'by a label that is added',
        {},
        { externalLabels: { cluster: 'eu "1"' } },
        [{ a: 1 }, { b: 2 }, { b: 2, cluster: 'eu "1"' }, { b: 2, cluster: 'us' }],
      ],
      [
        'by a label that is added, the other way round',
        {},
        { externalLabels: { cluster: 'eu' } },
        [{ a: 1 }, { b: 2, cluster: 'eu' }, { b: 2 }, { b: 2, cluster: 'us' }],
      ],
    ])('%s are written once, the first of them, with a message', async (_, resource, options, sets) => {
      const { url, requests } = await receiver();
      expect(await exported(made({ url, targetInfo: false, ...options }), batch(resource, ...sets))).toBe(
        undefined,
      );
      const all = samplesIn(requests);
      expect(all.map(numberOf)).toEqual([0, 1, 3]);
      expect(new Set(all.map(seriesName)).size).toBe(3);
      expect(logs.join()).toContain('series of c_total are left out');
    });

    test('are no request by themselves', async () => {
      const { url, requests } = await receiver([
        { status: 400 },
        { status: 204 },
        { status: 400 },
        { status: 400 },
      ]);
      // Cut in two, the second half is nothing but the first one again.
      const sets = [{ a: 1 }, { a: 2 }, { a: 1 }, { a: 2 }];
      const twice = batch({}, ...sets);
      for (const set of twice.scopeMetrics[0]!.metrics[0]!.attributes) set.id = -1;
      await exported(made({ url, retry: false }), twice);
      expect(requests.map((request) => written(request).series.length)).toEqual([2, 0, 2, 1, 1]);
    });

    test('of a batch that says the same twice, from whatever SDK', async () => {
      const { url, requests } = await receiver();
      const twice = batch({}, { a: 1 }, { a: 2 }, { a: 1 });
      for (const set of twice.scopeMetrics[0]!.metrics[0]!.attributes) set.id = -1;
      expect(await exported(made({ url }), twice)).toBeUndefined();
      expect(samplesIn(requests).map(numberOf)).toEqual([0, 1]);
    });
  });

  test.each(['1.0', '2.0'] as const)(
    'a label of the meter wins over an external one of the same name (%s)',
    async (version) => {
      const { url, requests } = await serveHttp({ answer: all });
      const externalLabels = { otel_scope_name: 'x', otel_scope_version: 'y', cluster: 'eu' };
      const exporter = made({ url, version, externalLabels, targetInfo: false });
      const provider = new MeterProvider({
        readers: [new PeriodicExportingMetricReader({ exporter, selfMetrics: false })],
        resource: resourceFromAttributes({}),
      });
      provider.getMeter('m').createCounter('c').add(1);
      await provider.shutdown();
      expect(samplesIn(requests).map(seriesName)).toEqual([
        'c_total{cluster="eu",otel_scope_name="m",otel_scope_version="y"}',
      ]);
    },
  );

  test('each request is signed as it is sent, each attempt anew', async () => {
    const { url, requests } = await receiver([{ status: 503 }]);
    const bodies: Uint8Array[] = [];
    const sign: RemoteWriteOptions['sign'] = async ({ method, url, headers, body }) => {
      bodies.push(body);
      expect([method, headers['content-encoding'], headers['x-a']]).toEqual(['POST', 'snappy', 'b']);
      return { authorization: `signed ${new URL(url).pathname} ${bodies.length}` };
    };
    expect(await exported(made({ url, sign, headers: { 'X-A': 'b' } }), counterBatch(1))).toBeUndefined();
    expect(requests.map(({ headers }) => headers.authorization)).toEqual([
      'signed /v1/metrics 1',
      'signed /v1/metrics 2',
    ]);
    bodies.forEach((body, i) => void expect(Buffer.compare(requests[i]!.raw, body)).toBe(0));
  });

  test('sends user and password, tenants, and a token that is asked for anew after a 401', async () => {
    const { url, requests } = await receiver([{}, { status: 401 }]);
    const basicAuth = { username: 'me', password: 'p:ä' };
    const tenants = ['a', 'b', 'c'];
    const headers = async () => ({ 'X-Scope-OrgID': tenants.shift()! });
    expect(await exported(made({ url, basicAuth, headers }), counterBatch(1))).toBeUndefined();
    expect(requests[0]!.headers).toMatchObject({
      authorization: `Basic ${Buffer.from('me:p:ä').toString('base64')}`,
      'x-scope-orgid': 'a',
    });
    let asked = 0;
    const bearerToken = () => `t${++asked}`;
    expect(await exported(made({ url, bearerToken, headers }), counterBatch(1))).toBeUndefined();
    expect(requests.slice(1).map(({ headers }) => [headers.authorization, headers['x-scope-orgid']])).toEqual(
      [
        ['Bearer t1', 'b'],
        ['Bearer t2', 'c'],
      ],
    );
  });

  test('a signer that fails is a failure that may pass, and tells no secret', async () => {
    const { url, requests } = await receiver();
    const sign = () => {
      throw new Error('hunter2 has expired');
    };
    const error = await exported(made({ url, sign, retry: false }), counterBatch(1));
    expect(error).toMatchObject({ code: 'UNAUTHENTICATED', retryable: true });
    expect(error!.message).not.toContain('hunter2');
    expect(requests).toEqual([]);
  });

  test('ends in time where the receiver says nothing, with all owed', async () => {
    const { url } = await receiver([noAnswer, noAnswer, noAnswer, noAnswer]);
    const error = await exported(made({ url, timeoutMillis: 150 }), counterBatch(1, 1_200));
    expect(error).toMatchObject({ code: 'TIMEOUT', retryable: true });
    expect(error!.undelivered?.pointCount ?? 1_200).toBe(1_200);
  });

  test.each<[object, string]>([
    [{ url: 'x' }, 'remoteWrite: url cannot work'],
    [{ version: '3.0' }, "version is '3.0'; it must be '1.0' or '2.0'"],
    [
      { temporality: 'delta' },
      "temporality is 'delta'; it must be 'cumulative': remote write carries totals",
    ],
    [
      { temporality: temporalityPreference('lowmemory') },
      "it must be 'cumulative': remote write carries totals",
    ],
    [{ externalLabels: { __x: 'a' } }, "a name in externalLabels is '__x'"],
    [{ externalLabels: { le: 'a' } }, "a name in externalLabels is 'le'"],
    [{ externalLabels: { a: '' } }, "externalLabels.a is ''"],
    [{ concurrency: 0 }, 'concurrency is 0'],
    [{ maxSamplesPerRequest: 0.5 }, 'maxSamplesPerRequest is 0.5'],
    [{ maxRequestBytes: 0 }, 'maxRequestBytes is 0'],
    [{ sign: 'x' }, "sign is 'x'; it must be a function"],
    [{ staleMarkers: 1 }, 'staleMarkers is 1'],
    [{ retry: { maxRetries: -1 } }, 'maxRetries is -1'],
    [{ tenant: 'x' }, 'remoteWrite: there is no setting tenant'],
  ])('refuses options that cannot work: %o', (options, message) => {
    expect(() => remoteWrite({ url: 'http://localhost/w', ...options } as RemoteWriteOptions)).toThrow(
      message,
    );
  });

  test('what a receiver leaves out of each half of a request is counted', async () => {
    const { url, requests } = await receiver([
      { status: 400 },
      { status: 204 },
      { status: 204, headers: { 'X-Prometheus-Remote-Write-Samples-Written': 1 } },
      { status: 204, headers: { 'X-Prometheus-Remote-Write-Samples-Written': 0 } },
    ]);
    const exporter = made({ url, targetInfo: false });
    expect(await exported(exporter, counterBatch(1, 4))).toMatchObject({ rejectedDataPoints: 3 });
    expect(requests).toHaveLength(4);
  });

  describe('series that end', () => {
    /** Of a series, in the order in which they came: the value, or `stale`. */
    function history(requests: StubRequest[], name: string): [unknown, number][] {
      return samplesIn(requests)
        .filter((series) => seriesName(series) === name)
        .map(({ samples: [sample] }) => [sample!.value, sample!.timestamp]);
    }

    function service(url: string, options: Partial<RemoteWriteOptions> = {}) {
      const exporter = made({ url, staleMarkers: true, scopeLabels: false, targetInfo: false, ...options });
      const reader = new PeriodicExportingMetricReader({
        exporter,
        selfMetrics: false,
        exportIntervalMillis: Infinity,
        cardinalityLimits: { default: 20_000 },
      });
      const provider = new MeterProvider({ readers: [reader], resource: resourceFromAttributes({}) });
      onTestFinished(() => provider.shutdown().catch(() => {}));
      return provider;
    }

    test.each(['1.0', '2.0'] as const)('are marked once, in order, and come back (%s)', async (version) => {
      const { url, requests } = await serveHttp({ answer: all });
      const provider = service(url, { version });
      const observed = new Set(['a', 'b']);
      const gauge = provider.getMeter('m').createObservableGauge('g');
      gauge.addCallback((result) => {
        for (const name of observed) result.observe(1, { name });
      });
      for (const step of [
        () => {},
        () => observed.delete('a'),
        () => {},
        () => observed.add('a'),
        () => {},
      ]) {
        step();
        await provider.forceFlush();
      }
      await provider.shutdown();
      const a = history(requests, 'g{name="a"}');
      expect(a.map(([value]) => value)).toEqual([1, 'stale', 1, 1, 1, 'stale']);
      const b = history(requests, 'g{name="b"}');
      expect(b.map(([value]) => value)).toEqual([1, 1, 1, 1, 1, 1, 'stale']);
      for (const [i, [, time]] of [...a.entries()].slice(1)) expect(time).toBeGreaterThan(a[i - 1]![1]);
      for (const [i, [, time]] of [...b.entries()].slice(1)) expect(time).toBeGreaterThan(b[i - 1]![1]);
    });

    test('every bucket of a histogram, its sum and its count', async () => {
      const { url, requests } = await receiver();
      const provider = service(url);
      provider
        .getMeter('m')
        .createHistogram('h', { advice: { explicitBucketBoundaries: [1] } })
        .record(0.5);
      await provider.shutdown();
      for (const name of ['h_bucket{le="1"}', 'h_bucket{le="+Inf"}', 'h_sum{}', 'h_count{}'])
        expect(
          history(requests, name).map(([value]) => value),
          name,
        ).toEqual([expect.any(Number), 'stale']);
    });

    test('native histograms', async () => {
      const { url, requests } = await receiver();
      const type = AggregationType.EXPONENTIAL_HISTOGRAM;
      const provider = service(url, { aggregation: () => ({ type }) });
      provider.getMeter('m').createHistogram('h').record(3);
      await provider.shutdown();
      expect(samplesIn(requests).map(({ histograms: [histogram] }) => histogram!.sum)).toEqual([3, 'stale']);
    });

    test('what tells of the resource, which the next process may tell otherwise', async () => {
      const { url, requests } = await receiver();
      const exporter = made({ url, staleMarkers: true });
      const resource = resourceFromAttributes({ 'service.name': 'shop', 'service.version': '1' });
      expect(
        await exported(exporter, new MetricBatch(resource, counterBatch(1).scopeMetrics)),
      ).toBeUndefined();
      await exporter.shutdown();
      const name = 'target_info{job="shop",service_version="1"}';
      const [first, last, ...more] = history(requests, name);
      expect([first![0], last![0], more]).toEqual([1, 'stale', []]);
      expect(last![1]).toBeGreaterThan(first![1]);
    });

    test('none are marked unless asked', async () => {
      const { url, requests } = await receiver();
      const provider = service(url, { staleMarkers: false });
      provider.getMeter('m').createCounter('c').add(1);
      await provider.shutdown();
      expect(history(requests, 'c_total{}').map(([value]) => value)).toEqual([1]);
    });

    test('not where a series of another scope goes on under the same labels', async () => {
      const { url, requests } = await receiver();
      const provider = service(url);
      const there = new Set(['one', 'two']);
      for (const scope of there) {
        const gauge = provider.getMeter(scope).createObservableGauge('g');
        gauge.addCallback((result) => {
          if (there.has(scope)) result.observe(1, { name: 'a' });
          result.observe(1, { name: `only-${scope}` });
        });
      }
      await provider.forceFlush();
      there.delete('two');
      await provider.forceFlush();
      await provider.forceFlush();
      expect(history(requests, 'g{name="a"}').map(([value]) => value)).toEqual([1, 1, 1]);
    });

    test('not those of another SDK, which makes their attributes anew for each collection', async () => {
      const { url, requests } = await receiver();
      const exporter = made({ url, staleMarkers: true });
      for (const [second, length] of [3, 3, 2, 2].entries()) {
        const batch = counterBatch(1, length);
        for (const { endTimes } of batch.scopeMetrics[0]!.metrics)
          endTimes.fill(BigInt(1_700_000_000 + second) * 1_000_000_000n);
        await exported(exporter, batch);
      }
      const stale = samplesIn(requests).filter((series) => numberOf(series) === 'stale');
      expect(stale.map(({ labels }) => labels.series)).toEqual(['2']);
    });

    test('those of one provider, whatever another numbers its own', async () => {
      const { url, requests } = await receiver();
      const exporter = made({ url, staleMarkers: true });
      for (const [second, from] of [0, 1, 1].entries()) {
        const batch = sliceBatch(counterBatch(1, 3), from, 3);
        for (const { endTimes, attributes } of batch.scopeMetrics[0]!.metrics) {
          endTimes.fill(BigInt(1_700_000_000 + second) * 1_000_000_000n);
          for (const [id, set] of attributes.entries()) set.id = id;
        }
        await exported(exporter, batch);
      }
      const stale = samplesIn(requests).filter((series) => numberOf(series) === 'stale');
      expect(stale.map(({ labels }) => labels.series)).toEqual(['0']);
    });

    test('none at the end while a batch is owed, which a queue would deliver behind the marks', async () => {
      const { url, requests } = await receiver([{ status: 204 }, { status: 503 }]);
      const exporter = made({ url, staleMarkers: true, retry: false });
      expect(await exported(exporter, counterBatch(1))).toBeUndefined();
      expect(await exported(exporter, counterBatch(2))).toMatchObject({ retryable: true });
      await exporter.shutdown();
      expect(requests).toHaveLength(2);
    });

    test.each(['1.0', '2.0'] as const)(
      'that a receiver refuses are no failure, and said once (%s)',
      async (version) => {
        let isRefusing = false;
        const refusal = {
          status: 400,
          body: 'out of order sample',
          headers: version === '2.0' ? { 'X-Prometheus-Remote-Write-Samples-Written': 1 } : {},
        };
        const { url, requests } = await serveHttp({
          answer: (request) => (isRefusing && samplesIn([request]).length > 0 ? refusal : all(request)),
        });
        const exporter = made({ url, version, staleMarkers: true });
        expect(await exported(exporter, counterBatch(1, 3))).toBeUndefined();
        isRefusing = true;
        const info = vi.spyOn(diag, 'info');
        onTestFinished(() => info.mockRestore());
        await exporter.shutdown();
        expect(requests.length).toBeGreaterThan(1);
        expect(logs).toEqual([
          expect.stringMatching(/did not take the ends of some series.*five minutes.*out of order sample/),
        ]);
        expect(info).toHaveBeenCalledTimes(1);
      },
    );

    test('all at the end, where the last batch had a point that is lost for good', async () => {
      const { url, requests } = await receiver();
      const exporter = made({ url, staleMarkers: true, maxRequestBytes: 200 });
      const { resource, scopeMetrics } = counterBatch(1, 2);
      const [{ scope, metrics }] = scopeMetrics as [(typeof scopeMetrics)[0]];
      const sets = [AttributeSet.from({ series: 'x'.repeat(500) }), AttributeSet.from({ series: 1 })];
      const columns = { ...metrics[0]!, attributes: sets } as SumColumns;
      const batch = new MetricBatch(resource, [{ scope, metrics: [sumColumns(columns, true)] }]);
      expect(await exported(exporter, batch)).toMatchObject({ retryable: false, rejectedDataPoints: 1 });
      await exporter.shutdown();
      expect(samplesIn(requests).map(numberOf)).toEqual([1, 'stale']);
    });

    test('those of an earlier process under its name, when a queue brings what it left', async () => {
      const { url, requests } = await receiver();
      const exporter = made({ url, staleMarkers: true });
      for (const [second, process] of ['one', 'two', 'two'].entries()) {
        const resource = resourceFromAttributes({ 'service.instance.id': process, host: process });
        const batch = new MetricBatch(resource, counterBatch(1, 1).scopeMetrics);
        for (const { endTimes } of batch.scopeMetrics[0]!.metrics)
          endTimes.fill(BigInt(1_700_000_000 + second) * 1_000_000_000n);
        await exported(exporter, batch);
      }
      const stale = samplesIn(requests).filter((series) => numberOf(series) === 'stale');
      expect(stale.map(({ labels }) => [labels.__name__, labels.instance]).sort()).toEqual([
        [expect.stringMatching(/_total$/), 'one'],
        ['target_info', 'one'],
      ]);
    });

    test('of several providers through one exporter: the log says once that each needs its own', async () => {
      const { url } = await receiver();
      const exporter = made({ url, staleMarkers: true });
      const { scopeMetrics } = counterBatch(1, 1);
      const read = async (resource = resourceFromAttributes({})) => {
        expect(await exported(exporter, new MetricBatch(resource, scopeMetrics))).toBeUndefined();
      };
      const [one, other] = [resourceFromAttributes({}), resourceFromAttributes({})];
      // One provider, and a queue that reads the resource anew for each batch that waited.
      for (const resource of [one, undefined, one, one, undefined, undefined, one]) await read(resource);
      expect(logs).toEqual([]);
      for (const resource of [other, one, other, one, other]) await read(resource);
      expect(logs).toEqual([expect.stringContaining('make an exporter for each of them')]);
    });

    test('each of those that take the place of one another', async () => {
      const { url, requests } = await receiver();
      const provider = service(url);
      let name = '';
      const gauge = provider.getMeter('m').createObservableGauge('g');
      gauge.addCallback((result) => result.observe(1, { name }));
      const names = Array.from({ length: 10 }, (_, i) => `n${i}`);
      for (name of names) await provider.forceFlush();
      await provider.shutdown();
      for (const ended of names)
        expect(
          history(requests, `g{name="${ended}"}`)
            .map(([value]) => value)
            .slice(-2),
          ended,
        ).toEqual([1, 'stale']);
    });

    test('thousands at once, among others that stay and some that change places', async () => {
      const { url, requests } = await receiver();
      const provider = service(url);
      let names = Array.from({ length: 10_000 }, (_, i) => `${i}`);
      const gauge = provider.getMeter('m').createObservableGauge('g');
      gauge.addCallback((result) => {
        for (const name of names) result.observe(1, { name });
      });
      await provider.forceFlush();
      const left = names.filter((_, i) => i % 4 === 0).reverse();
      names = left;
      await provider.forceFlush();
      await provider.forceFlush();
      const stale = samplesIn(requests).filter((series) => numberOf(series) === 'stale');
      const ended = new Set(stale.map(({ labels }) => labels.name));
      expect(stale).toHaveLength(7_500);
      expect(ended.size).toBe(7_500);
      expect(left.some((name) => ended.has(name))).toBe(false);
    });

    test('pieces of one collection end nothing', async () => {
      const { url, requests } = await receiver();
      const exporter = made({ url, staleMarkers: true, scopeLabels: false, targetInfo: false });
      const reader = new PeriodicExportingMetricReader({
        exporter,
        selfMetrics: false,
        maxExportBatchSize: 3,
        exportIntervalMillis: Infinity,
      });
      const provider = new MeterProvider({ readers: [reader], resource: resourceFromAttributes({}) });
      const counter = provider.getMeter('m').createCounter('c');
      for (let i = 0; i < 10; i++) counter.add(1, { i });
      for (let i = 0; i < 3; i++) await provider.forceFlush();
      for (let i = 0; i < 10; i++)
        expect(history(requests, `c_total{i="${i}"}`).map(([value]) => value)).toEqual([1, 1, 1]);
      await provider.shutdown();
    });
  });
});
