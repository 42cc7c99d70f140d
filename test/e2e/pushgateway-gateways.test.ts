// A real Pushgateway that asks for passwords, and behind real gateways, which rewrite paths, let in only some and ask for pauses.
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  deleteGroup,
  type PushgatewayGroupOptions,
  pushgateway,
  pushOnce,
} from '../../src/exporters/pushgateway.ts';
import {
  type ExportError,
  ManualMetricReader,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '../../src/index.ts';
import { captureLogs } from '../support/collected.ts';
import { startNginx } from './support/nginx.ts';
import { startPushgateway } from './support/pushgateway.ts';
import type { ServerProcess } from './support/server-process.ts';
import { startVmauth } from './support/vmauth.ts';

const QUICK = { initialIntervalMillis: 20, maxIntervalMillis: 100 };
const PASSWORD = 'right-word-4711';
const WRONG = 'wrong-word-4712';

async function running<T extends ServerProcess>(starting: Promise<T>): Promise<T> {
  const server = await starting;
  onTestFinished(() => server.stop());
  return server;
}

/** A job that has read so many rows. */
function job(rows: number): ManualMetricReader {
  const reader = new ManualMetricReader();
  new MeterProvider({ readers: [reader] }).getMeter('m').createCounter('rows').add(rows);
  return reader;
}

/** The rows of each group, by its labels. */
async function pushed(
  { url }: { url: string },
  request: RequestInit = {},
): Promise<[Record<string, string>, number][]> {
  const { data } = (await (await fetch(`${url}/api/v1/metrics`, request)).json()) as {
    data: { labels: Record<string, string>; rows_total: { metrics: { value: string }[] } }[];
  };
  return data.map(({ labels, rows_total }) => [labels, Number(rows_total.metrics[0]!.value)]);
}

async function errorOf(promise: Promise<unknown>): Promise<ExportError> {
  return promise.then(
    () => expect.fail('succeeded'),
    (error: unknown) => error as ExportError,
  );
}

/** Those on which paths, or what rewrites them, may stumble. */
const VALUES = [
  ...['', '.', '..', '...', '..;', '/', 'a/b//c', '%2F', '%252e', '%', '\\', ' ', 'a b+c', '@base64', '~'],
  ...[
    'a?b#c&d=e',
    'a;b=c',
    'a:b',
    '\n\t',
    'a\u0000b',
    '\u007f',
    'größe 💥',
    'quote"',
    "'",
    '*',
    'x'.repeat(1_000),
  ],
];

async function expectValuesToArrive(store: { url: string }, target: Omit<PushgatewayGroupOptions, 'job'>) {
  for (const [i, shard] of VALUES.entries())
    await pushOnce(job(i), { ...target, job: 'import', grouping: { shard }, retry: false });
  const found = new Map((await pushed(store)).map(([{ shard }, rows]) => [shard, rows]));
  expect(found).toEqual(new Map(VALUES.map((value, i) => [value, i])));
  for (const shard of VALUES)
    await deleteGroup({ ...target, job: 'import', grouping: { shard }, retry: false });
  await eventually(() => pushed(store)).toEqual([]);
}

/** The machine may be busy with something else for seconds. */
const eventually: typeof expect.poll = (get) => expect.poll(get, { timeout: 30_000 });

const logs = captureLogs();

test.each(['old', 'new'] as const)('a Pushgateway that is %s and asks for a password', async (age) => {
  const basicAuth = { username: 'me', password: 'hunter2' };
  const hash = '$2b$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm';
  const { url } = await running(startPushgateway(age, { ...basicAuth, hash }));
  const target = { url, job: 'import' };
  const headers = { authorization: `Basic ${btoa('me:hunter2')}` };
  for (const credentials of [{}, { basicAuth: { ...basicAuth, password: WRONG } }, { bearerToken: WRONG }]) {
    const error = await errorOf(pushOnce(job(1), { ...target, ...credentials }));
    expect(error).toMatchObject({ code: 'UNAUTHENTICATED', retryable: false });
    expect(error.message).toContain('was answered 401: Unauthorized');
  }
  expect(await pushed({ url }, { headers })).toEqual([]);
  await pushOnce(job(2), { ...target, basicAuth });
  expect(await pushed({ url }, { headers })).toEqual([[{ job: 'import' }, 2]]);
  await deleteGroup({ ...target, url: url.replace('//', '//me:hunter2@') });
  await eventually(() => pushed({ url }, { headers })).toEqual([]);
});

describe.each(['old', 'new'] as const)('by way of vmauth that is %s', (age) => {
  test('those with the right token or password push and delete; to others a failure is said, without secrets', async () => {
    const store = await running(startPushgateway('new'));
    const gateway = await running(
      startVmauth(age, [
        { username: 'me', password: PASSWORD, url_prefix: store.url },
        { bearer_token: PASSWORD, url_prefix: store.url },
      ]),
    );
    const target = { url: gateway.url, job: 'import' };
    const group = (shard: string) => ({ ...target, grouping: { shard } });
    const code = age === 'old' ? 'REJECTED' : 'UNAUTHENTICATED';
    for (const credentials of [
      { basicAuth: { username: 'me', password: WRONG } },
      { bearerToken: WRONG },
      { headers: () => ({ authorization: `Bearer ${WRONG}` }) },
    ]) {
      for (const attempt of [
        () => pushOnce(job(1), { ...group('a'), ...credentials }),
        () => deleteGroup({ ...group('a'), ...credentials }),
      ]) {
        const error = await errorOf(attempt());
        expect(error).toMatchObject({ code, retryable: false });
        for (const secret of [WRONG, Buffer.from(`me:${WRONG}`).toString('base64')])
          expect(`${error.stack} ${logs.join()}`).not.toContain(secret);
      }
    }
    expect(await pushed(store)).toEqual([]);

    await pushOnce(job(1), { ...group('a'), basicAuth: { username: 'me', password: PASSWORD } });
    await pushOnce(job(2), { ...group('b'), bearerToken: PASSWORD });
    const exporter = pushgateway({
      ...group('c'),
      headers: async () => ({ authorization: `Bearer ${PASSWORD}` }),
      deleteOnShutdown: true,
    });
    const reader = new PeriodicExportingMetricReader({ exporter, selfMetrics: false });
    const provider = new MeterProvider({ readers: [reader] });
    provider.getMeter('m').createCounter('rows').add(3);
    await provider.forceFlush();
    const labels = (shard: string) => ({ job: 'import', shard });
    const expected = ['a', 'b', 'c'].map((shard, i) => [labels(shard), i + 1]);
    expect((await pushed(store)).sort(([, a], [, b]) => a - b)).toEqual(expected);
    await provider.shutdown();
    await deleteGroup({ ...group('a'), bearerToken: PASSWORD });
    await eventually(() => pushed(store)).toEqual([[labels('b'), 2]]);
  });

  test('grouping values arrive as they are', async () => {
    const store = await running(startPushgateway('new'));
    const gateway = await running(
      startVmauth(age, [{ username: 'me', password: PASSWORD, url_prefix: store.url }]),
    );
    await expectValuesToArrive(store, {
      url: gateway.url,
      basicAuth: { username: 'me', password: PASSWORD },
    });
  });
});

test('vmauth keeps tenants apart in Pushgateways of their own, by a header', async () => {
  const [ofA, ofB] = [await running(startPushgateway('old')), await running(startPushgateway('new'))];
  const route = (tenant: string, url_prefix: string) => ({
    src_headers: [`X-Scope-OrgID: ${tenant}`],
    url_prefix,
  });
  const gateway = await running(
    startVmauth('new', [
      { bearer_token: PASSWORD, url_map: [route('team-a', ofA.url), route('team-b', ofB.url)] },
    ]),
  );
  const target = { url: gateway.url, job: 'import', bearerToken: PASSWORD };
  await pushOnce(job(1), { ...target, headers: { 'X-Scope-OrgID': 'team-a' } });
  await pushOnce(job(2), { ...target, headers: { 'X-Scope-OrgID': 'team-b' } });
  expect([await pushed(ofA), await pushed(ofB)]).toEqual([
    [[{ job: 'import' }, 1]],
    [[{ job: 'import' }, 2]],
  ]);
});

describe('by way of nginx', () => {
  test.each([
    ['as they are', '', (url: string) => `location / { proxy_pass ${url}; }`],
    ['decoded and encoded', '/push', (url: string) => `location /push/ { proxy_pass ${url}/; }`],
  ])('grouping values arrive, with paths %s', async (_, prefix, server) => {
    const store = await running(startPushgateway('new'));
    const gateway = await running(startNginx({ server: server(store.url) }));
    await expectValuesToArrive(store, { url: gateway.url + prefix });
  });

  test.each([
    ['without saying for how long', ''],
    [
      'for a second',
      'error_page 429 @later; location @later { add_header Retry-After 1 always; return 429; }',
    ],
  ])('that asks for a pause %s, pushes are there in the end', async (_, more) => {
    const store = await running(startPushgateway('new'));
    const gateway = await running(
      startNginx({
        http: 'limit_req_zone $server_addr zone=all:64k rate=5r/s; limit_req_status 429;',
        server: `location / { limit_req zone=all; proxy_pass ${store.url}; } ${more}`,
      }),
    );
    const target = { url: gateway.url, job: 'import', retry: QUICK };
    let pushes = 0;
    for (; !gateway.statuses().includes(429); pushes++) {
      expect(pushes).toBeLessThan(100);
      await pushOnce(job(pushes), target);
    }
    expect(await pushed(store)).toEqual([[{ job: 'import' }, pushes - 1]]);
    const taken = () => gateway.statuses().filter((status) => status === 200);
    await eventually(taken).toHaveLength(pushes);
  });
});
