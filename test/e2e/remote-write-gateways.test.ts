// Real gateways before real receivers: who is let in, to which store, and how fast. What is in the stores is asked by PromQL.
import { describe, expect, onTestFinished, test } from 'vitest';
import { diskQueue } from '../../src/decorators/index.ts';
import { exported } from '../../src/exporters/fixtures/exporting.ts';
import { type RemoteWriteOptions, remoteWrite } from '../../src/exporters/remote-write.ts';
import {
  type ExportError,
  ManualMetricReader,
  MeterProvider,
  type PushMetricExporter,
} from '../../src/index.ts';
import { captureLogs } from '../support/collected.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { startNginx } from './support/nginx.ts';
import { startPrometheus } from './support/prometheus.ts';
import { answersOk, type ServerProcess } from './support/server-process.ts';
import { startVictoriaMetrics } from './support/victoria-metrics.ts';
import { startVmauth } from './support/vmauth.ts';

const QUICK = { initialIntervalMillis: 20, maxIntervalMillis: 100 };
const TOKEN = 'right-token-4711';
const WRONG = 'wrong-token-4712';
const WRITE = '/api/v1/write';

interface Store extends ServerProcess {
  readonly url: string;
  flush?(): Promise<void>;
}

const STORES: Record<'Prometheus 2' | 'Prometheus 3' | 'VictoriaMetrics', () => Promise<Store>> = {
  'Prometheus 2': () => startPrometheus({ version: 2 }),
  'Prometheus 3': () => startPrometheus({ version: 3 }),
  VictoriaMetrics: () => startVictoriaMetrics('new'),
};

async function running<T extends ServerProcess>(starting: Promise<T>): Promise<T> {
  const server = await starting;
  onTestFinished(() => server.stop());
  return server;
}

interface Found {
  metric: { i?: string };
  value?: [number, string];
  values?: [number, string][];
}

async function result(store: Store, query: string): Promise<Found[]> {
  await store.flush?.();
  // VictoriaMetrics rounds the present.
  const time = String(Date.now() / 1_000 + 2);
  const parameters = new URLSearchParams({ query, time, nocache: '1' });
  const { data } = (await (await fetch(`${store.url}/api/v1/query?${parameters}`)).json()) as {
    data: { result: Found[] };
  };
  return data.result;
}

async function asked(store: Store, query: string): Promise<number[]> {
  return (await result(store, query)).map(({ value }) => Number(value?.[1]));
}

/** Each series is there, with all of its samples, each of them once and in order. */
async function expectAll(store: Store, series: number, steps: number, selector = 'steps_total') {
  const found = await result(store, `${selector}[1h]`);
  expect(new Set(found.map(({ metric }) => metric.i)).size).toBe(series);
  expect(found).toHaveLength(series);
  const all = Array.from({ length: steps }, (_, i) => String(i + 1)).join();
  const histories = found.map(({ values = [] }) =>
    values
      .map(([, value]) => value)
      // Version 2.0 tells when a counter began, and Prometheus puts a zero there.
      .filter((value) => value !== '0')
      .join(),
  );
  expect([...new Set(histories)]).toEqual([all]);
}

interface Service {
  /** Counts one in each series, and exports them; resolves to why that failed. */
  step(): Promise<ExportError | undefined>;
  /** How many requests it has made. */
  requests(): number;
}

/** Exports `series` series of a counter; by two connections where they are enough. */
function service(url: string, options: Partial<RemoteWriteOptions> = {}, series = 1): Service {
  let requests = 0;
  const exporter = remoteWrite({
    url: url + WRITE,
    staleMarkers: false,
    concurrency: 2,
    maxSamplesPerRequest: 400,
    retry: QUICK,
    sign: () => {
      requests++;
      return {};
    },
    ...options,
  });
  return { step: stepping(exporter, series), requests: () => requests };
}

function stepping(exporter: PushMetricExporter, series: number): Service['step'] {
  onTestFinished(() => exporter.shutdown().catch(() => {}));
  const reader = new ManualMetricReader();
  const counter = new MeterProvider({ readers: [reader] }).getMeter('m').createCounter('steps');
  return async () => {
    for (let i = 0; i < series; i++) counter.add(1, { i });
    return exported(exporter, (await reader.collect()).resourceMetrics);
  };
}

/** Machines may be busy with something else for seconds, and what vmauth tells of itself is a second old. */
const eventually: typeof expect.poll = (get) => expect.poll(get, { timeout: 30_000 });

const logs = captureLogs();

function expectNoSecret(error: ExportError | undefined, ...secrets: string[]): void {
  for (const secret of secrets)
    for (const form of [secret, Buffer.from(`me:${secret}`).toString('base64')])
      expect(`${error?.stack} ${logs.join()}`).not.toContain(form);
}

describe.each(['old', 'new'] as const)('vmauth that is %s', (age) => {
  test('lets in those with the right token or password; to others a failure is said once, without secrets', async () => {
    const store = await running(STORES.VictoriaMetrics());
    const gateway = await running(
      startVmauth(age, [
        { bearer_token: TOKEN, url_prefix: store.url },
        { username: 'me', password: TOKEN, url_prefix: store.url },
      ]),
    );
    const count = async () => (await asked(store, 'count(steps_total)'))[0] ?? 0;
    for (const credentials of [
      { bearerToken: WRONG },
      { headers: { Authorization: `Bearer ${WRONG}` } },
      { basicAuth: { username: 'me', password: WRONG } },
    ]) {
      const stranger = service(gateway.url, credentials, 1_000);
      const error = await stranger.step();
      expect(error).toMatchObject({ code: 'UNAUTHENTICATED', retryable: false });
      expect(error!.message).toMatch(/was answered 40[01]: \w/);
      expectNoSecret(error, WRONG);
      // Each of the three with its samples once; where status 400 leaves open why, one without.
      expect(stranger.requests()).toBe(age === 'old' ? 5 : 4);
    }
    expect(await service(gateway.url).step()).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(await count()).toBe(0);

    expect(await service(gateway.url, { bearerToken: TOKEN }, 10).step()).toBeUndefined();
    expect(await count()).toBe(10);
    const basicAuth = { username: 'me', password: TOKEN };
    expect(await service(gateway.url, { basicAuth }, 20).step()).toBeUndefined();
    const inUrl = gateway.url.replace('//', `//me:${TOKEN}@`);
    expect(await service(inUrl, {}, 30).step()).toBeUndefined();
    expect(await count()).toBe(30);
    expectNoSecret(undefined, TOKEN);
  });

  test('with a token that the process does not have yet: a queue keeps what it has', async () => {
    const store = await running(STORES.VictoriaMetrics());
    const gateway = await running(startVmauth(age, [{ bearer_token: TOKEN, url_prefix: store.url }]));
    let [token, requests] = [WRONG, 0];
    const bearerToken = () => {
      requests++;
      return token;
    };
    const toStore = remoteWrite({ url: gateway.url + WRITE, bearerToken, staleMarkers: false, retry: false });
    const queue = diskQueue(toStore, { dir: temporaryFolder(), retry: QUICK });
    const step = stepping(queue, 10);
    for (let i = 0; i < 3; i++) expect(await step()).toBeUndefined();
    await eventually(() => requests).toBeGreaterThan(3);
    expect(queue.stats()).toMatchObject({ batches: 3, droppedPoints: {} });
    token = TOKEN;
    await eventually(() => queue.stats().batches).toBe(0);
    await expectAll(store, 10, 3);
    expectNoSecret(undefined, WRONG, TOKEN);
  });

  test('with another token: functions give it to the next export, fixed ones are refused', async () => {
    const store = await running(STORES.VictoriaMetrics());
    const user = (token: string) => [{ bearer_token: token, url_prefix: store.url }];
    const gateway = await running(startVmauth(age, user(TOKEN)));
    let present = TOKEN;
    const renewing = service(gateway.url, { bearerToken: () => present });
    const byHeader = service(gateway.url, {
      headers: async () => ({ authorization: `Bearer ${present}` }),
      externalLabels: { by: 'header' },
    });
    const fixed = service(gateway.url, { bearerToken: TOKEN, externalLabels: { by: 'text' } });
    for (const { step } of [renewing, byHeader, fixed]) expect(await step()).toBeUndefined();
    const next = `${TOKEN}-renewed`;
    const headers = { authorization: `Bearer ${next}` };
    await gateway.admit(user(next), () => answersOk(`${gateway.url}/api/v1/labels`, { headers }));
    // One that ended a moment ago costs nothing.
    let isFirst = true;
    const bearerToken = () => {
      const token = isFirst ? TOKEN : next;
      isFirst = false;
      return token;
    };
    const caught = service(gateway.url, { bearerToken, externalLabels: { by: 'moment' } }, 10);
    expect(await caught.step()).toBeUndefined();
    await expectAll(store, 10, 1, 'steps_total{by="moment"}');
    for (const { step } of [renewing, byHeader, fixed]) {
      const error = await step();
      expect(error).toMatchObject({ code: 'UNAUTHENTICATED' });
      expectNoSecret(error, TOKEN);
    }
    present = next;
    for (const { step } of [renewing, byHeader]) expect(await step()).toBeUndefined();
    expect(await fixed.step()).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(await asked(store, 'steps_total{by=""}')).toEqual([3]);
    expect(await asked(store, 'steps_total{by="header"}')).toEqual([3]);
    expect(await asked(store, 'steps_total{by="text"}')).toEqual([1]);
  });
});

describe('vmauth', () => {
  test('keeps tenants apart in stores of their own, by a header; one that nobody knows is refused at once', async () => {
    const [ofA, ofB] = [await running(STORES.VictoriaMetrics()), await running(STORES['Prometheus 3']())];
    const routes = [
      { tenant: 'team-a', url_prefix: ofA.url },
      { tenant: 'team-b', url_prefix: ofB.url },
    ];
    const gateway = await running(
      startVmauth('new', [
        {
          bearer_token: TOKEN,
          url_map: routes.map(({ tenant, url_prefix }) => ({
            src_headers: [`X-Scope-OrgID: ${tenant}`],
            url_prefix,
          })),
        },
      ]),
    );
    const tenant = (name: string, series: number) =>
      service(gateway.url, { bearerToken: TOKEN, headers: { 'X-Scope-OrgID': name } }, series);
    const [a, b] = [tenant('team-a', 600), tenant('team-b', 700)];
    expect(await Promise.all([a.step(), b.step()])).toEqual([undefined, undefined]);
    expect(await a.step()).toBeUndefined();
    await expectAll(ofA, 600, 2);
    await expectAll(ofB, 700, 1);

    const nobody = tenant('team-c', 1_000);
    const error = await nobody.step();
    expect(error).toMatchObject({ code: 'UNAUTHENTICATED', retryable: false });
    expect(error!.message).toContain(`was answered 400: `);
    expect(error!.message).toContain(`missing route for "${WRITE}"`);
    expectNoSecret(error, TOKEN);
    expect(nobody.requests()).toBe(5);
    expect(await asked(ofA, 'count(steps_total)')).toEqual([600]);
    expect(await asked(ofB, 'count(steps_total)')).toEqual([700]);
  });

  test('asks for a pause when a tenant has too many requests under way: it is kept, and all samples are there once', async () => {
    const store = await running(STORES.VictoriaMetrics());
    const user = { bearer_token: TOKEN, url_prefix: store.url, max_concurrent_requests: 1 };
    const gateway = await running(startVmauth('new', [user], ['-maxQueueDuration=50ms']));
    const metric = async (name: string) => {
      const text = await (await fetch(`${gateway.url}/metrics`)).text();
      return Number(
        text
          .split('\n')
          .find((line) => line.startsWith(name))
          ?.split(' ')[1],
      );
    };
    const options = { bearerToken: TOKEN, concurrency: 1 };
    const first = service(gateway.url, { ...options, externalLabels: { by: 'first' } });
    const second = service(gateway.url, { ...options, externalLabels: { by: 'second' } });
    const hasty = service(gateway.url, { ...options, timeoutMillis: 2_000 });
    await store.pause();
    const steps = [first.step()];
    await eventually(() => metric('vmauth_user_concurrent_requests_current')).toBe(1);
    // Longer than there is time for.
    const error = await hasty.step();
    expect(error).toMatchObject({ code: 'THROTTLED', retryable: true, retryAfterMs: 10_000 });
    expectNoSecret(error, TOKEN);
    expect(hasty.requests()).toBe(1);
    steps.push(second.step());
    await eventually(() => metric('vmauth_user_concurrent_requests_limit_reached_total')).toBe(2);
    store.resume();
    expect(await Promise.all(steps)).toEqual([undefined, undefined]);
    expect(second.requests()).toBe(2);
    for (const by of ['first', 'second']) await expectAll(store, 1, 1, `steps_total{by="${by}"}`);
    expect(await asked(store, 'count(steps_total)')).toEqual([2]);
  });
});

/** Of requests in a second, as nginx counts them; the others are answered 429. */
const limited = (store: Store, rate: number, more = '') =>
  running(
    startNginx({
      http: `limit_req_zone $server_addr zone=all:64k rate=${rate}r/s;
        limit_req_status 429;`,
      server: `location / { limit_req zone=all; proxy_pass ${store.url}; }
        ${more}`,
    }),
  );

const PAUSES = {
  'without saying for how long': '',
  'for a second': `error_page 429 @later;
    location @later { add_header Retry-After 1 always; return 429 "too many writes\\n"; }`,
};

describe('nginx', () => {
  describe.each([
    ['Prometheus 3', '2.0'],
    ['VictoriaMetrics', '1.0'],
  ] as const)('before %s, version %s', (name, version) => {
    test.each(Object.entries(PAUSES))(
      'asks for a pause %s: all samples are there once',
      async (_, directives) => {
        const store = await running(STORES[name]());
        const gateway = await limited(store, 10, directives);
        const { step, requests } = service(gateway.url, { version, maxSamplesPerRequest: 600 }, 1_000);
        const answers = (status: number) => gateway.statuses().filter((each) => each === status).length;
        let steps = 0;
        for (; answers(429) === 0; steps++) {
          // Two requests, at the same time.
          expect(steps).toBeLessThan(20);
          expect(await step()).toBeUndefined();
        }
        await eventually(() => gateway.statuses()).toHaveLength(requests());
        expect(answers(204)).toBe(2 * steps);
        await expectAll(store, 1_000, steps);
      },
    );

    test('says that there is no store, until there is again: all samples are there once', async () => {
      const store = await running(STORES[name]());
      const gateway = await running(startNginx({ server: `location / { proxy_pass ${store.url}; }` }));
      const { step } = service(gateway.url, { version }, 1_000);
      expect(await step()).toBeUndefined();
      await store.stop();
      const second = step();
      await eventually(() => gateway.statuses()).toContain(502);
      await store.start();
      expect(await second).toBeUndefined();
      await expectAll(store, 1_000, 2);
    });
  });

  test('with less room than requests need: they come in halves, all samples once', async () => {
    const store = await running(STORES.VictoriaMetrics());
    const gateway = await running(
      startNginx({ server: `client_max_body_size 2k; location / { proxy_pass ${store.url}; }` }),
    );
    const { step } = service(gateway.url, {}, 2_000);
    for (let i = 0; i < 2; i++) expect(await step()).toBeUndefined();
    expect(gateway.statuses()).toContain(413);
    await expectAll(store, 2_000, 2);
    expect(logs.join()).toContain('refuses a request of');
  });

  test('lets in those with a token; to others its page is one line', async () => {
    const store = await running(STORES['Prometheus 2']());
    const gateway = await running(
      startNginx({
        http: `map $http_authorization $is_known { default 0; "Bearer ${TOKEN}" 1; }`,
        server: `location / { if ($is_known = 0) { return 401; } proxy_pass ${store.url}; }`,
      }),
    );
    const stranger = service(gateway.url, { bearerToken: WRONG }, 1_000);
    const error = await stranger.step();
    expect(error).toMatchObject({ code: 'UNAUTHENTICATED', retryable: false });
    expect(error!.message).toMatch(/ was answered 401: 401 Authorization Required$/);
    expectNoSecret(error, WRONG);
    await eventually(() => gateway.statuses()).toEqual([401, 401, 401, 401]);
    expect(await service(gateway.url, { bearerToken: TOKEN }, 1_000).step()).toBeUndefined();
    await expectAll(store, 1_000, 1);
  });

  test('asks a queue for pauses: none of its samples is missing, and they are in order', async () => {
    const store = await running(STORES['Prometheus 3']());
    const gateway = await limited(store, 10);
    const toStore = remoteWrite({
      url: gateway.url + WRITE,
      staleMarkers: false,
      maxSamplesPerRequest: 400,
      retry: false,
    });
    const queue = diskQueue(toStore, { dir: temporaryFolder(), retry: QUICK, maxExportsPerSecond: Infinity });
    const step = stepping(queue, 300);
    for (let i = 0; i < 10; i++) expect(await step()).toBeUndefined();
    await eventually(() => queue.stats().batches).toBe(0);
    expect(gateway.statuses()).toContain(429);
    await expectAll(store, 300, 10);
  });
});
