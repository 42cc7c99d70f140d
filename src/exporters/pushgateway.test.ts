import { gunzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { exporterContract } from '../../test/conformance/exporter-kit.ts';
import { createAuthority } from '../../test/support/certificates.ts';
import { captureLogs } from '../../test/support/collected.ts';
import { freePort } from '../../test/support/free-port.ts';
import { AggregationTemporality, InstrumentType } from '../data/metric-data.ts';
import { encodePrometheusProtobuf } from '../encoding/prometheus-protobuf.ts';
import { ManualMetricReader, MeterProvider, resourceFromAttributes } from '../index.ts';
import {
  type HttpBehaviour,
  type HttpStubOptions,
  hangUp,
  noAnswer,
  serveHttp,
} from '../net/fixtures/http-stub.ts';
import { counterBatch, exported } from './fixtures/exporting.ts';
import { deleteGroup, type PushgatewayOptions, pushgateway, pushOnce } from './pushgateway.ts';

const QUICK = { initialIntervalMillis: 1, maxIntervalMillis: 1 };

/** Answers as told, then with 200. */
async function gateway(answers: HttpBehaviour[] = [], options: HttpStubOptions = {}) {
  const stub = await serveHttp({ ...options, answer: (_, index) => answers[index] ?? {} });
  return { ...stub, url: new URL(stub.url).origin };
}

function made(options: Partial<PushgatewayOptions> & { url: string }) {
  const exporter = pushgateway({ job: 'batch', retry: QUICK, ...options });
  onTestFinished(() => exporter.shutdown().catch(() => {}));
  return exporter;
}

describe('pushgateway', () => {
  const logs = captureLogs();

  exporterContract('pushgateway', async () => made({ url: (await gateway()).url }));

  test('replaces the group by the text of the batch', async () => {
    const { url, requests } = await gateway();
    expect(await exported(made({ url }), counterBatch(5))).toBeUndefined();
    const [{ method, url: path, headers, body } = expect.fail()] = requests;
    expect([method, path]).toEqual(['PUT', '/metrics/job/batch']);
    expect(headers).toMatchObject({
      'content-type': 'text/plain; version=0.0.4; charset=utf-8',
      'user-agent': expect.stringMatching(/^Meterline\/\d/),
    });
    expect(body.toString()).toContain('\nrequests_total{otel_scope_name="test",series="0"} 5\n');
    expect(body.toString()).toContain('target_info{service_name="test"} 1\n');
  });

  test('POST, without the labels of meters and resource, compressed', async () => {
    const { url, requests } = await gateway();
    const options = { method: 'POST', scopeLabels: false, targetInfo: false, compression: 'gzip' } as const;
    expect(await exported(made({ url, ...options }), counterBatch(5))).toBeUndefined();
    expect(requests[0]).toMatchObject({ method: 'POST', headers: { 'content-encoding': 'gzip' } });
    expect(gunzipSync(requests[0]!.raw).toString()).toBe(
      '# HELP requests_total Requests\n# TYPE requests_total counter\nrequests_total{series="0"} 5\n',
    );
  });

  test('protobuf, which says the same and is what it claims to be', async () => {
    const { url, requests } = await gateway();
    expect(await exported(made({ url, format: 'protobuf' }), counterBatch(5))).toBeUndefined();
    expect(requests[0]!.headers).toMatchObject({
      'content-type':
        'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited',
    });
    const same = Buffer.concat([...encodePrometheusProtobuf(counterBatch(5))]);
    expect(Buffer.compare(requests[0]!.raw, same)).toBe(0);
  });

  test('asks for totals', () => {
    const exporter = pushgateway({ url: 'http://localhost:9091', job: 'batch' });
    for (const type of Object.values(InstrumentType))
      expect(exporter.selectAggregationTemporality!(type)).toBe(AggregationTemporality.CUMULATIVE);
  });

  test.each<[Record<string, string>, string]>([
    [{}, '/metrics/job/batch'],
    [{ instance: 'host-1', env: 'a b+c' }, '/metrics/job/batch/env/a%20b%2Bc/instance/host-1'],
    [{ path: '/var/tmp' }, '/metrics/job/batch/path@base64/L3Zhci90bXA'],
    [{ empty: '' }, '/metrics/job/batch/empty@base64/='],
    [{ nul: 'a\0b' }, '/metrics/job/batch/nul@base64/YQBi'],
    [{ dot: '.', dots: '..', three: '...' }, '/metrics/job/batch/dot@base64/Lg/dots@base64/Li4/three/...'],
    [{ hostile: '%2F?#\\"\n' }, '/metrics/job/batch/hostile/%252F%3F%23%5C%22%0A'],
    [{ text: 'ü💥' }, '/metrics/job/batch/text/%C3%BC%F0%9F%92%A5'],
  ])('the group %o has the path %s', async (grouping, path) => {
    const { url, requests } = await gateway();
    expect(await exported(made({ url, grouping }), counterBatch(1))).toBeUndefined();
    expect(requests[0]!.url).toBe(path);
  });

  test('a job with a slash, at an address with a path', async () => {
    const { url, requests } = await gateway();
    expect(await exported(made({ url: `${url}/push/`, job: 'a/b' }), counterBatch(1))).toBeUndefined();
    expect(requests[0]!.url).toBe('/push/metrics/job@base64/YS9i');
  });

  test('attributes that would be overwritten by the group are renamed', async () => {
    const { url, requests } = await gateway();
    const reader = new ManualMetricReader();
    const resource = resourceFromAttributes({ 'service.name': 's', instance: 'r' });
    const counter = new MeterProvider({ readers: [reader], resource }).getMeter('m').createCounter('c');
    counter.add(1, { job: 'mine', 'exported.job': 'other', exported_job: 'x' });
    counter.add(2, { shard: 'a' });
    await pushOnce(reader, { url, job: 'batch', grouping: { instance: 'i' }, scopeLabels: false });
    const lines = requests[0]!.body.toString().split('\n');
    expect(lines).toContain('target_info{exported_instance="r",service_name="s"} 1');
    expect(lines).toContain('c_total{shard="a"} 2');
    expect(lines.find((line) => line.includes('mine'))).toMatch(
      /^c_total\{.*exported_exported_job="mine".*\} 1$/,
    );
  });

  test.each([408, 429, 500, 502, 503, 504])('tries again after %d', async (status) => {
    const { url, requests } = await gateway([{ status }, hangUp]);
    expect(await exported(made({ url }), counterBatch(1))).toBeUndefined();
    expect(requests).toHaveLength(3);
  });

  test.each([
    [400, 'REJECTED'],
    [401, 'UNAUTHENTICATED'],
    [403, 'UNAUTHENTICATED'],
    [404, 'PROTOCOL'],
    [405, 'PROTOCOL'],
    [413, 'TOO_LARGE'],
    [418, 'REJECTED'],
  ])('%d is the failure %s at once, with what the server said', async (status, code) => {
    const { url, requests } = await gateway([{ status, body: 'pushed metrics are\ninvalid\u0007' }]);
    const error = await exported(made({ url }), counterBatch(1));
    expect(error).toMatchObject({ code, retryable: false });
    expect(error!.message).toContain(`was answered ${status}: pushed metrics are invalid`);
    expect(requests).toHaveLength(1);
  });

  test('what the server said is bounded, and may be anything', async () => {
    const { url } = await gateway([
      { status: 400, body: 'x'.repeat(100_000) },
      { status: 400, body: Buffer.alloc(5_000, 0xff) },
      { status: 400 },
    ]);
    const exporter = made({ url });
    for (const longest of [700, 700, 100]) {
      const { message } = (await exported(exporter, counterBatch(1)))!;
      expect(message.length).toBeLessThan(longest);
      expect(message).toContain('was answered 400');
    }
  });

  test('a redirect is a failure, and not followed', async () => {
    const { url, requests } = await gateway([{ status: 307, headers: { location: '/metrics/job' } }]);
    expect(await exported(made({ url }), counterBatch(1))).toMatchObject({ code: 'PROTOCOL' });
    expect(requests).toHaveLength(1);
  });

  test('says how long the server wants to be left alone, where there is no time for it', async () => {
    const { url } = await gateway([{ status: 503, headers: { 'retry-after': '60' } }]);
    expect(await exported(made({ url }), counterBatch(1))).toMatchObject({
      code: 'THROTTLED',
      retryable: true,
      retryAfterMs: 60_000,
    });
  });

  test('a server that says nothing fails the push after timeoutMillis', async () => {
    const { url } = await gateway([noAnswer]);
    const start = performance.now();
    const error = await exported(made({ url, timeoutMillis: 200 }), counterBatch(1));
    expect(error).toMatchObject({ code: 'TIMEOUT', retryable: true });
    expect(performance.now() - start).toBeLessThan(1_100);
  });

  test('a server that sends its answer for ever has taken the push, as its status says', async () => {
    const { url } = await gateway([
      (response) => {
        response.writeHead(200);
        const drip = setInterval(() => response.write('x'), 5);
        response.once('close', () => clearInterval(drip));
      },
    ]);
    const start = performance.now();
    expect(await exported(made({ url, timeoutMillis: 200 }), counterBatch(1))).toBeUndefined();
    expect(performance.now() - start).toBeLessThan(1_100);
  });

  test('sends user and password, headers, and a token that is asked for anew after a 401', async () => {
    const { url, requests } = await gateway([{}, { status: 401 }]);
    const basicAuth = { username: 'me', password: 'p:ä' };
    expect(
      await exported(made({ url, basicAuth, headers: { 'X-A': 'b' } }), counterBatch(1)),
    ).toBeUndefined();
    expect(requests[0]!.headers).toMatchObject({
      authorization: `Basic ${Buffer.from('me:p:ä').toString('base64')}`,
      'x-a': 'b',
    });
    let asked = 0;
    const bearerToken = () => `t${++asked}`;
    expect(await exported(made({ url, bearerToken }), counterBatch(1))).toBeUndefined();
    expect(requests.slice(1).map(({ headers }) => headers.authorization)).toEqual(['Bearer t1', 'Bearer t2']);
  });

  test('mutual TLS', async () => {
    const authority = await createAuthority();
    const tls = { ...(await authority.issueServer()), ca: authority.cert };
    const { url, requests } = await gateway([], { tls });
    expect(
      await exported(made({ url, tls: { ca: authority.cert }, retry: false }), counterBatch(1)),
    ).toMatchObject({
      code: 'TLS',
    });
    const client = { ca: authority.cert, ...(await authority.issueClient({ name: 'batch' })) };
    expect(await exported(made({ url, tls: client }), counterBatch(1))).toBeUndefined();
    expect(requests.map(({ client: name }) => name)).toEqual(['batch']);
  });

  test('no message shows a secret', async () => {
    const url = `http://me:hunter2@127.0.0.1:${await freePort()}`;
    const error = await exported(
      made({ url, headers: { 'x-key': 'hunter2' }, retry: false }),
      counterBatch(1),
    );
    expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(error!.message + logs.join()).not.toContain('hunter2');
  });

  test('deletes its group at the end when asked, after the last push', async () => {
    const { url, requests } = await gateway([{}, { status: 503 }, { status: 202 }]);
    const exporter = made({ url, deleteOnShutdown: true, grouping: { instance: 'i' } });
    const sent = exported(exporter, counterBatch(1));
    await exporter.shutdown();
    expect(await sent).toBeUndefined();
    expect(requests.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'PUT /metrics/job/batch/instance/i',
      'DELETE /metrics/job/batch/instance/i',
      'DELETE /metrics/job/batch/instance/i',
    ]);
    expect(requests[2]!.body).toHaveLength(0);
  });

  test('a group that cannot be deleted fails the shutdown, in time', async () => {
    const { url } = await gateway([{ status: 403, body: 'no' }, noAnswer]);
    await expect(made({ url, deleteOnShutdown: true }).shutdown()).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
    const slow = made({ url, deleteOnShutdown: true, timeoutMillis: 100 });
    await expect(slow.shutdown()).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  test('does not delete its group unless asked', async () => {
    const { url, requests } = await gateway();
    await made({ url }).shutdown();
    expect(requests).toEqual([]);
  });

  test.each<[object, string]>([
    [{ url: undefined }, 'pushgateway: url cannot work; it must be an http: or https: URL'],
    [{ url: 'http://x/?token=4711' }, 'pushgateway: url cannot work'],
    [{ job: undefined }, 'pushgateway: job is undefined; it must be a text that is not empty'],
    [{ job: '' }, "pushgateway: job is ''"],
    [{ job: '\ud800' }, 'without lone surrogates'],
    [{ grouping: 'instance' }, "grouping is 'instance'; it must be an object"],
    [{ grouping: { job: 'x' } }, "grouping.job is 'x'; it must be left out"],
    [{ grouping: { 'a-b': 'x' } }, "a name in grouping is 'a-b'"],
    [{ grouping: { __a: 'x' } }, "a name in grouping is '__a'"],
    [{ grouping: { '1a': 'x' } }, "a name in grouping is '1a'"],
    [{ grouping: { '': 'x' } }, "a name in grouping is ''"],
    [{ grouping: { le: 'x' } }, "a name in grouping is 'le'"],
    [{ grouping: { a: 7 } }, 'grouping.a is 7; it must be a text'],
    [{ grouping: { a: 'x\udc00' } }, 'without lone surrogates'],
    [{ method: 'DELETE' }, "method is 'DELETE'; it must be 'PUT' or 'POST'"],
    [{ compression: 'zstd' }, "compression is 'zstd'; it must be 'none' or 'gzip'"],
    [{ format: 'openmetrics' }, "format is 'openmetrics'; it must be 'text' or 'protobuf'"],
    [{ deleteOnShutdown: 1 }, 'deleteOnShutdown is 1'],
    [{ scopeLabels: 'no' }, "scopeLabels is 'no'"],
    [{ basicAuth: { username: 'a:b', password: 'hunter2' } }, 'basicAuth cannot work'],
    [{ basicAuth: 'hunter2' }, 'basicAuth cannot work'],
    [{ basicAuth: { username: 'a', password: 'b' }, bearerToken: 't' }, 'basicAuth beside bearerToken'],
    [{ timeoutMillis: -1 }, 'timeoutMillis is -1'],
    [{ retry: { maxRetries: -1 } }, 'maxRetries is -1'],
    [{ instance: 'x' }, 'pushgateway: there is no setting instance'],
  ])('refuses options that cannot work: %o', (options, message) => {
    const make = () =>
      pushgateway({ url: 'http://localhost:9091', job: 'j', ...options } as PushgatewayOptions);
    expect(make).toThrow(message);
    expect(make).not.toThrow('hunter2');
  });
});

describe('pushOnce', () => {
  captureLogs();

  function jobReader(): ManualMetricReader {
    const reader = new ManualMetricReader();
    new MeterProvider({ readers: [reader] }).getMeter('m').createCounter('rows').add(7);
    return reader;
  }

  test('pushes what a reader collects', async () => {
    const { url, requests } = await gateway();
    await pushOnce(jobReader(), { url, job: 'nightly', scopeLabels: false });
    expect(requests[0]!.body.toString()).toContain('\nrows_total 7\n');
  });

  test('rejects with the reason', async () => {
    const { url } = await gateway([{ status: 400, body: 'no such thing' }]);
    await expect(pushOnce(jobReader(), { url, job: 'nightly' })).rejects.toMatchObject({
      code: 'REJECTED',
      message: expect.stringContaining('no such thing'),
    });
  });

  test('refuses options that cannot work', async () => {
    await expect(pushOnce(jobReader(), { url: 'x', job: 'j' })).rejects.toThrow('pushOnce: url cannot work');
    const misplaced = { url: 'http://localhost', job: 'j', deleteOnShutdown: true };
    await expect(pushOnce(jobReader(), misplaced)).rejects.toThrow('there is no setting deleteOnShutdown');
  });
});

describe('deleteGroup', () => {
  test('deletes, and rejects when that was not accepted', async () => {
    const { url, requests } = await gateway([{ status: 202 }, { status: 400, body: 'no' }]);
    const group = { url, job: 'nightly', grouping: { shard: '1' } };
    await deleteGroup(group);
    expect(requests[0]).toMatchObject({ method: 'DELETE', url: '/metrics/job/nightly/shard/1' });
    await expect(deleteGroup(group)).rejects.toMatchObject({ code: 'REJECTED' });
  });
});
