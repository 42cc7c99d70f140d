import { writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { createAuthority } from '../../test/support/certificates.ts';
import { captureLogs } from '../../test/support/collected.ts';
import { AggregationType } from '../data/aggregation-option.ts';
import { InstrumentType } from '../data/metric-data.ts';
import { otlpGrpcSettings, otlpHttpSettings, otlpProtocol, otlpSelectors } from './otlp-environment.ts';

const logs = captureLogs();

const variables = (entries: Record<string, string>) =>
  Object.fromEntries(Object.entries(entries).map(([name, value]) => [`OTEL_EXPORTER_OTLP_${name}`, value]));
const http = (entries: Record<string, string>) => otlpHttpSettings(variables(entries));
const grpc = (entries: Record<string, string>) => otlpGrpcSettings(variables(entries));

const files: Record<string, string> = {};
beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'meterline-env-'));
  const authority = await createAuthority();
  const [one, two] = [await authority.issueClient(), await authority.issueClient()];
  const contents = {
    ca: authority.cert,
    ca2: two.cert,
    cert: one.cert,
    key: one.key,
    cert2: two.cert,
    key2: two.key,
  };
  for (const [name, content] of Object.entries({ ...contents, text: 'no PEM' })) {
    files[name] = join(folder, `${name}.pem`);
    writeFileSync(files[name], content);
  }
});

describe('precedence', () => {
  const ROWS: [
    option: string,
    general: string,
    specific: string,
    read: 'http' | 'grpc',
    key: string,
    want: unknown[],
  ][] = [
    ['ENDPOINT', 'http://g:1', 'http://m:2/x', 'http', 'url', ['http://g:1/v1/metrics', 'http://m:2/x']],
    ['ENDPOINT', 'http://g:1', 'dns:///m:2', 'grpc', 'url', ['http://g:1', 'dns:///m:2']],
    ['INSECURE', 'true', 'false', 'grpc', 'insecure', [true, false]],
    ['HEADERS', 'a=1', 'a=2', 'http', 'headers', [{ a: '1' }, { a: '2' }]],
    ['HEADERS', 'a=1', 'a=2', 'grpc', 'headers', [{ a: '1' }, { a: '2' }]],
    ['COMPRESSION', 'gzip', 'none', 'http', 'compression', ['gzip', 'none']],
    ['COMPRESSION', 'gzip', 'none', 'grpc', 'compression', ['gzip', 'none']],
    ['TIMEOUT', '1000', '0', 'http', 'timeoutMillis', [1000, 0]],
    ['TIMEOUT', '1000', '0', 'grpc', 'timeoutMillis', [1000, 0]],
  ];

  test.each(ROWS)(
    '[7.01] [12.39] %s: %j, and for metrics %j (%s)',
    (option, general, specific, transport, key, want) => {
      const read = (entries: Record<string, string>) =>
        ((transport === 'http' ? http(entries) : grpc(entries)) as Record<string, unknown>)[key];
      expect(read({})).toBeUndefined();
      expect(read({ [option]: general })).toEqual(want[0]);
      expect(read({ [`METRICS_${option}`]: specific, [option]: general })).toEqual(want[1]);
      expect(logs).toEqual([]);
    },
  );

  test('[7.01] certificate files', () => {
    const general = { CERTIFICATE: files.ca!, CLIENT_CERTIFICATE: files.cert!, CLIENT_KEY: files.key! };
    const specific = {
      METRICS_CERTIFICATE: files.ca2!,
      METRICS_CLIENT_CERTIFICATE: files.cert2!,
      METRICS_CLIENT_KEY: files.key2!,
    };
    for (const read of [http, grpc]) {
      expect(read({}).tls).toBeUndefined();
      expect(read(general).tls).toEqual({ ca: files.ca, cert: files.cert, key: files.key });
      expect(read({ ...general, ...specific }).tls).toEqual({
        ca: files.ca2,
        cert: files.cert2,
        key: files.key2,
      });
    }
    expect(logs).toEqual([]);
  });

  test('[7.01] [12.61] temporality and histogram aggregation have variables for metrics only', () => {
    expect(otlpSelectors({})).toEqual({});
    const { temporality, aggregation } = otlpSelectors(
      variables({
        METRICS_TEMPORALITY_PREFERENCE: 'LowMemory',
        METRICS_DEFAULT_HISTOGRAM_AGGREGATION: 'BASE2_exponential_bucket_histogram',
      }),
    );
    expect(temporality).toBe('lowmemory');
    expect(aggregation!(InstrumentType.HISTOGRAM)).toEqual({ type: AggregationType.EXPONENTIAL_HISTOGRAM });
    expect(aggregation!(InstrumentType.COUNTER)).toEqual({ type: AggregationType.DEFAULT });
    expect(
      otlpSelectors(variables({ METRICS_DEFAULT_HISTOGRAM_AGGREGATION: 'explicit_bucket_histogram' })),
    ).toEqual({});
    expect(logs).toEqual([]);
  });

  test('[7.01] [7.02] protocol', () => {
    expect(otlpProtocol({})).toBe('http/protobuf');
    expect(otlpProtocol(variables({ PROTOCOL: 'grpc' }))).toBe('grpc');
    expect(otlpProtocol(variables({ PROTOCOL: 'grpc', METRICS_PROTOCOL: 'HTTP/JSON' }))).toBe('http/json');
    expect(otlpProtocol(variables({ METRICS_PROTOCOL: 'carrier-pigeon' }))).toBe('http/protobuf');
    expect(logs).toEqual([expect.stringMatching(/METRICS_PROTOCOL is "carrier-pigeon".*http\/json/)]);
  });
});

describe('endpoints', () => {
  test.each([
    ['http://c:4318', 'http://c:4318'],
    ['https://c/v1/metrics/', 'https://c/v1/metrics/'],
    ['http://c:4318/x?tenant=a%20b', 'http://c:4318/x?tenant=a%20b'],
    ['http://[::1]:4318/v1/metrics', 'http://[::1]:4318/v1/metrics'],
  ])('[7.03] %s for metrics is used as it is', (endpoint, url) => {
    expect(http({ METRICS_ENDPOINT: endpoint }).url).toBe(url);
  });

  test.each([
    ['http://c:4318', 'http://c:4318/v1/metrics'],
    ['http://c:4318/', 'http://c:4318/v1/metrics'],
    ['http://c:4318//', 'http://c:4318/v1/metrics'],
    ['http://c:4318/base', 'http://c:4318/base/v1/metrics'],
    ['http://c:4318/base/', 'http://c:4318/base/v1/metrics'],
    ['http://c:4318/base//', 'http://c:4318/base/v1/metrics'],
    ['https://collector.example.com', 'https://collector.example.com/v1/metrics'],
    ['http+unix://%2Frun%2Fotel.sock', 'http+unix://%2Frun%2Fotel.sock/v1/metrics'],
  ])('[7.04] [7.05] [12.61] below the general endpoint %s comes the path of metrics', (endpoint, url) => {
    expect(http({ ENDPOINT: endpoint }).url).toBe(url);
  });

  test.each([
    ['http', 'collector:4318'],
    ['http', 'ftp://collector'],
    ['http', 'http://:4318'],
    ['grpc', 'ftp://collector'],
    ['grpc', 'collector:port'],
  ])('[7.11] over %s, %s is told and ignored', (transport, endpoint) => {
    const read = transport === 'http' ? http : grpc;
    expect(read({ METRICS_ENDPOINT: endpoint, ENDPOINT: 'http://c:1/v1/metrics' }).url).toMatch(
      /^http:\/\/c:1/,
    );
    expect(logs).toEqual([expect.stringContaining(`METRICS_ENDPOINT is ${JSON.stringify(endpoint)}`)]);
  });

  test('a password in a URL that is wrong is not told', () => {
    expect(http({ ENDPOINT: 'htp://user:secret@c:1' }).url).toBeUndefined();
    expect(logs).toEqual([expect.not.stringContaining('secret')]);
  });
});

describe('values', () => {
  test('[9.01] empty and blank ones are not set', () => {
    for (const blank of ['', '  ']) {
      const names = [
        'ENDPOINT',
        'INSECURE',
        'HEADERS',
        'COMPRESSION',
        'TIMEOUT',
        'CERTIFICATE',
        'CLIENT_KEY',
        'PROTOCOL',
      ];
      const env = variables(Object.fromEntries(names.map((name) => [name, blank])));
      expect([otlpHttpSettings(env), otlpGrpcSettings(env), otlpProtocol(env)]).toEqual([
        {},
        {},
        'http/protobuf',
      ]);
    }
    expect(logs).toEqual([]);
  });

  test.each([
    ['true', true, 0],
    ['TRUE', true, 0],
    ['true ', true, 0],
    ['false', false, 0],
    ['False', false, 0],
    ['1', false, 1],
    ['yes', false, 1],
  ])('[9.02] INSECURE %j is %s', (text, value, told) => {
    expect(grpc({ INSECURE: text }).insecure).toBe(value);
    expect(logs).toHaveLength(told);
  });

  test.each(['-5', 'abc', '1e3', '0x10', '12abc', '1.5', '99999999999'])(
    '[7.11] [9.03] [9.04] TIMEOUT %j is told, and the next variable counts',
    (text) => {
      expect(http({ METRICS_TIMEOUT: text, TIMEOUT: '2000' }).timeoutMillis).toBe(2000);
      expect(logs).toEqual([expect.stringContaining(`METRICS_TIMEOUT is "${text}"`)]);
    },
  );

  test.each([
    ['GZIP', 'gzip', 0],
    ['None', 'none', 0],
    ['zstd', 'gzip', 1],
    ['bogus', 'gzip', 1],
  ])('[7.11] [9.05] [12.39] COMPRESSION %j', (text, value, told) => {
    expect(http({ METRICS_COMPRESSION: text, COMPRESSION: 'gzip' }).compression).toBe(value);
    expect(logs).toHaveLength(told);
  });

  test.each([
    ['Delta', 'delta', 0],
    ['DELTA', 'delta', 0],
    ['bogus', undefined, 1],
  ])('[9.05] TEMPORALITY_PREFERENCE %j', (text, value, told) => {
    expect(otlpSelectors(variables({ METRICS_TEMPORALITY_PREFERENCE: text })).temporality).toBe(value);
    expect(logs).toHaveLength(told);
  });
});

describe('headers', () => {
  test('[7.09] are percent-decoded and trimmed; malformed ones are left out and told without their values', () => {
    expect(
      http({ HEADERS: 'a=1%202,b = x ,bad secret,c=,=secret,d=%zzsecret,e=%0Asecret,k=v=w;x,a=last,,A=%2C' })
        .headers,
    ).toEqual({ a: ',', b: 'x', c: '', k: 'v=w;x' });
    expect(logs).toHaveLength(1);
    expect(logs[0]).toMatch(/item 3 of OTEL_EXPORTER_OTLP_HEADERS/);
    expect(logs[0]).not.toMatch(/secret/);
  });

  test('[7.09] those for metrics go over the general ones, in any letter case', () => {
    expect(grpc({ HEADERS: 'X-Team=a,k=v', METRICS_HEADERS: 'x-team=b' }).headers).toEqual({
      'x-team': 'b',
      k: 'v',
    });
  });
});

describe('certificates', () => {
  const gone = '/nonexistent/ca.pem';

  test('[7.12] a file that cannot be read is told, and the next variable counts', () => {
    expect(http({ METRICS_CERTIFICATE: gone, CERTIFICATE: files.ca! }).tls).toEqual({ ca: files.ca });
    expect(logs).toEqual([expect.stringContaining(gone)]);
  });

  test.each([
    ['CLIENT_KEY', 'CLIENT_CERTIFICATE', 'key'],
    ['CLIENT_CERTIFICATE', 'CLIENT_KEY', 'cert'],
  ])('[7.12] %s without %s is told and ignored', (present, missing, file) => {
    expect(http({ [present]: files[file]!, CERTIFICATE: files.ca! }).tls).toEqual({ ca: files.ca });
    expect(logs).toEqual([expect.stringMatching(new RegExp(`${present} is ignored.*${missing}`))]);
  });

  test('[7.12] what is not PEM, and a key of another certificate, are told and ignored', () => {
    expect(
      http({ CERTIFICATE: files.text!, CLIENT_CERTIFICATE: files.cert!, CLIENT_KEY: files.key2! }).tls,
    ).toBeUndefined();
    expect(logs).toEqual([
      expect.stringMatching(/OTLP_CERTIFICATE.*not PEM/),
      expect.stringMatching(/CLIENT_CERTIFICATE.*key is not that of the certificate/),
    ]);
  });
});

describe('proxies', () => {
  test.each([
    [{ https_proxy: 'http://p:1' }, { https: 'http://p:1' }],
    [{ HTTPS_PROXY: 'http://p:1', https_proxy: 'http://q:2' }, { https: 'http://q:2' }],
    [
      { HTTP_PROXY: 'http://p:1', NO_PROXY: 'a,b' },
      { http: 'http://p:1', noProxy: 'a,b' },
    ],
    [{ HTTP_PROXY: 'p:1', no_proxy: '*', NO_PROXY: 'a' }, { noProxy: '*' }],
  ])('[7.47] over HTTP, %j', (env, proxy) => {
    expect(otlpHttpSettings(env).proxy).toEqual(proxy);
  });

  test.each([
    [{ https_proxy: 'http://p:1' }, { http: 'http://p:1', https: 'http://p:1' }],
    [{ http_proxy: 'http://p:1' }, { http: 'http://p:1', https: 'http://p:1' }],
    [
      { grpc_proxy: 'https://g:1', HTTPS_PROXY: 'http://p:1' },
      { http: 'http://p:1', https: 'http://p:1' },
    ],
    [
      { grpc_proxy: 'http://g:1', https_proxy: 'http://p:1', no_grpc_proxy: 'a', no_proxy: 'b' },
      { http: 'http://g:1', https: 'http://g:1', noProxy: 'a' },
    ],
  ])('[7.47] over gRPC, %j', (env, proxy) => {
    expect(otlpGrpcSettings(env).proxy).toEqual(proxy);
  });

  test.each([
    'http://user:sec/ret@host',
    'user:secret@collector:4318',
    'htp://collector/v1?key=secret',
    'http://collector:port/#secret',
    '-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----',
  ])('[7.11] a wrong value is told without what may be secret in it: %j', (value) => {
    otlpHttpSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: value, OTEL_EXPORTER_OTLP_CLIENT_KEY: value });
    expect(logs.filter((log) => /ENDPOINT is|CLIENT_KEY is/.test(log))).toHaveLength(2);
    expect(logs.join()).not.toMatch(/secret|sec\/ret/);
  });

  test('[7.11] one that is no URL is told without showing it', () => {
    expect(otlpHttpSettings({ HTTPS_PROXY: 'user:secret@proxy' }).proxy).toBeUndefined();
    expect(logs).toEqual([expect.stringMatching(/^(?!.*secret).*HTTPS_PROXY/)]);
  });
});
