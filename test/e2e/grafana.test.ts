// The dashboard and the rules in examples/grafana ask for what the orders service has: every query has an answer in a real
// Prometheus that scrapes it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { createExporter } from '../../src/data/exporter.ts';
import { PrometheusMetricReader } from '../../src/exporters/prometheus.ts';
import { MeterProvider, PeriodicExportingMetricReader } from '../../src/index.ts';
import { startDemo } from '../support/demo-process.ts';
import { freePort } from '../support/free-port.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { type Prometheus, startPrometheus } from './support/prometheus.ts';
import { runCommand } from './support/run-command.ts';

interface Target {
  refId: string;
  expr: string;
  legendFormat: string;
  datasource: { uid: string };
}
interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  datasource?: { type: string; uid: string };
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: Target[];
}
interface Dashboard {
  uid: string;
  schemaVersion: number;
  panels: Panel[];
  templating: {
    list: { name: string; type: string; query: string | { query: string }; datasource?: { uid: string } }[];
  };
}
interface Rule {
  alert?: string;
  record?: string;
  expr: string;
}
/** What `/api/v1/parse_query` makes of a query, as far as it is looked at. */
interface Node {
  type?: string;
  name?: string;
  matchers?: { name: string; value: string }[];
  grouping?: string[];
  [field: string]: unknown;
}

const FOLDER = fileURLToPath(new URL('../../examples/grafana', import.meta.url));
const file = (name: string) => join(FOLDER, name);
const text = (name: string) => readFileSync(file(name), 'utf8');
const RULE_FILES = ['recording-rules.yaml', 'alerts.yaml'];
const JOB = 'orders-service';
/** Only Prometheus 3 makes native histograms of classic ones. */
const NATIVE_ROW = 'Native histograms';

const dashboard = JSON.parse(text('orders-service.json')) as Dashboard;
const rules = RULE_FILES.flatMap((name) =>
  (parse(text(name)) as { groups: { rules: Rule[] }[] }).groups.flatMap(({ rules }) => rules),
);
let row = '';
const queries = dashboard.panels.flatMap((panel) => {
  if (panel.type === 'row') row = panel.title;
  return (panel.targets ?? []).map((target) => ({
    name: `${row}: ${panel.title}, ${target.refId}`,
    isNative: row === NATIVE_ROW,
    legend: target.legendFormat,
    expr: target.expr
      .replaceAll('$__rate_interval', '10s')
      .replaceAll('$job', JOB)
      .replaceAll('$instance', '.+'),
  }));
});

/** A service in which everything goes wrong that the alerts about metrics are for. */
function troubledService() {
  const prometheus = new PrometheusMetricReader({ cardinalitySelector: () => 3 });
  const exporter = createExporter({ name: 'broken', export: () => Promise.reject(new Error('broken')) });
  const periodic = new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: 500,
    exportTimeoutMillis: 500,
  });
  const provider = new MeterProvider({ readers: [prometheus, periodic] });
  const meter = provider.getMeter('troubled');
  const [logins, jobs] = [meter.createCounter('logins'), meter.createUpDownCounter('jobs')];
  for (let user = 0; user < 9; user++) {
    logins.add(1, { user });
    jobs.add(-1, { user });
  }
  meter.createObservableGauge('failing').addCallback(() => {
    throw new Error('a callback that fails');
  });
  return { provider, prometheus };
}

const troubled = troubledService();
let demo: ReturnType<typeof startDemo>;
const servers = {} as Record<2 | 3, Prometheus>;

beforeAll(async () => {
  const port = await freePort();
  const { port: troubledPort } = await troubled.prometheus.listen({ host: '127.0.0.1', port: 0 });
  demo = startDemo(temporaryFolder(), ['--duration=5m', '--rps=100', `--port=${port}`]);
  const { scrape_configs } = parse(text('prometheus.yml')) as { scrape_configs: Record<string, unknown>[] };
  const { static_configs, ...newest } = scrape_configs[0]!;
  expect(static_configs).toEqual([{ targets: ['localhost:9464'] }]);
  const { convert_classic_histograms_to_nhcb, always_scrape_classic_histograms, ...oldest } = newest;
  const shared = { targets: [`localhost:${port}`, `127.0.0.1:${troubledPort}`], rules: RULE_FILES.map(file) };
  servers[2] = await startPrometheus({ version: 2, scrape: oldest, ...shared });
  servers[3] = await startPrometheus({ version: 3, scrape: newest, ...shared });
});

afterAll(async () => {
  demo.child.kill('SIGINT');
  // Its last export fails as all others have.
  await troubled.provider.shutdown().catch(() => {});
  await Promise.all([demo.ended, servers[2].stop(), servers[3].stop()]);
});

async function api<T>(version: 2 | 3, path: string, parameters: [string, string][] = []): Promise<T> {
  const response = await fetch(`${servers[version].url}/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const body = (await response.json()) as { data: T; error?: string };
  if (body.error !== undefined) throw new Error(body.error);
  return body.data;
}

interface Sample {
  metric: Record<string, string>;
  value?: [number, string];
}

async function query(version: 2 | 3, expr: string): Promise<Sample[]> {
  return (await api<{ result: Sample[] }>(version, 'query', [['query', expr]])).result;
}

/** All nodes, each before what it is made of. */
function* nodesOf(value: unknown): Generator<Node> {
  if (typeof value !== 'object' || value === null) return;
  if ('type' in value) yield value as Node;
  for (const part of Object.values(value)) yield* nodesOf(part);
}

const selectorsOf = (node: Node) => [...nodesOf(node)].filter(({ type }) => type?.endsWith('Selector'));

const POLL = { timeout: 30_000, interval: 300 };

describe.each([2, 3] as const)('in Prometheus %i', (version) => {
  test.each(queries)('$name has an answer', async ({ expr, isNative, legend }) => {
    if (isNative && version === 2) {
      expect(await query(version, expr)).toEqual([]);
      return;
    }
    const labels = [...legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label!);
    const answer = async () => {
      const samples = await query(version, expr);
      return {
        hasNumber: samples.some(({ value }) => Number.isFinite(Number(value?.[1]))),
        unknownLabels: labels.filter((label) => !samples.some(({ metric }) => label in metric)),
      };
    };
    await expect.poll(answer, POLL).toEqual({ hasNumber: true, unknownLabels: [] });
  });

  test('every rule is evaluated without an error', async () => {
    const health = async () => {
      const { groups } = await api<{
        groups: { rules: { name: string; health: string; lastError?: string }[] }[];
      }>(version, 'rules');
      return groups.flatMap(({ rules }) => rules.filter(({ health }) => health !== 'ok'));
    };
    await expect.poll(health, POLL).toEqual([]);
  });

  test.each(rules.filter(({ record }) => record))('$record is recorded', async ({ record }) => {
    await expect.poll(() => query(version, record!), POLL).not.toEqual([]);
  });

  test('alerts tell of undelivered points, failing callbacks and overflow, with what they need to be understood', async () => {
    const alerts = async () => {
      const { alerts } = await api<{
        alerts: { labels: Record<string, string>; annotations: { summary: string } }[];
      }>(version, 'alerts');
      return alerts.map(({ annotations }) => annotations.summary.replace(/127.0.0.1:\d+/, 'IT'));
    };
    await expect
      .poll(alerts, POLL)
      .toEqual(
        expect.arrayContaining([
          'custom_metric_exporter/0 of IT cannot deliver points: INTERNAL',
          'Collections of IT lack metrics: _OTHER; its log says which',
          'logins_total of IT has more attribute sets than its limit',
          'jobs of IT has more attribute sets than its limit',
        ]),
      );
  });

  test('the choices of the dashboard are there', async () => {
    expect(
      dashboard.templating.list.map(({ query }) => (typeof query === 'string' ? query : query.query)),
    ).toEqual([
      'prometheus',
      'label_values(target_info{service_name="orders-service"}, job)',
      'label_values(target_info{job=~"$job"}, instance)',
    ]);
    const values = (label: string, match: string) =>
      api<string[]>(version, `label/${label}/values`, [['match[]', match]]);
    expect(await values('job', 'target_info{service_name="orders-service"}')).toEqual([JOB]);
    expect(await values('instance', `target_info{job=~"${JOB}"}`)).toHaveLength(2);
  });

  test('promtool finds the rules valid, and they pass their tests', async () => {
    const { promtool } = servers[version];
    const run = async (...args: string[]) => {
      const { exitCode, output } = await runCommand(promtool, args, new Uint8Array());
      expect(exitCode, output).toBe(0);
    };
    await run('check', 'rules', ...RULE_FILES.map(file));
    await run('test', 'rules', file('alerts.test.yaml'));
    if (version === 3) await run('check', 'config', file('prometheus.yml'));
  });
});

describe('every selector', () => {
  const parsed = (expr: string) => api<Node>(3, 'parse_query', [['query', expr]]);
  const labelsOf = async ({ name, matchers = [] }: Node) => {
    const match = name || matchers.some((matcher) => matcher.name === '__name__') ? name : undefined;
    const selector = match ? `{__name__="${match}"}` : `{job="${JOB}",otel_metric_overflow="true"}`;
    return api<string[]>(3, 'labels', [['match[]', selector]]);
  };

  test.each([...queries.map(({ expr }) => expr), ...rules.map(({ expr }) => expr)])(
    'of %s names what there is',
    async (expr) => {
      const tree = await parsed(expr);
      for (const selector of selectorsOf(tree)) {
        const labels = () => labelsOf(selector);
        const asked = (selector.matchers ?? []).map(({ name }) => name);
        await expect.poll(labels, POLL).toEqual(expect.arrayContaining([...asked, '__name__']));
      }
      for (const node of nodesOf(tree)) {
        if (!node.grouping || node.without) continue;
        const below = new Set((await Promise.all(selectorsOf(node).map(labelsOf))).flat());
        // The one label that a rule makes itself.
        expect(node.grouping.filter((label) => label !== 'metric' && !below.has(label))).toEqual([]);
      }
    },
  );

  test.each(queries)('of $name keeps to the chosen job and instances', async ({ expr }) => {
    for (const { matchers = [] } of selectorsOf(await parsed(expr))) {
      expect(matchers).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ name: 'job', type: '=~', value: JOB }),
          expect.objectContaining({ name: 'instance', type: '=~', value: '.+' }),
        ]),
      );
    }
  });
});

describe('the dashboard is one that Grafana loads', () => {
  const { panels } = dashboard;

  test('ids are unique, and so are the letters of the queries of a panel', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    for (const { targets = [] } of panels)
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
  });

  test('panels lie on the grid of 24 columns, none on another', () => {
    const cells = new Set<string>();
    for (const {
      title,
      gridPos: { x, y, w, h },
    } of panels) {
      expect(x + w, title).toBeLessThanOrEqual(24);
      for (let i = x; i < x + w; i++) {
        for (let j = y; j < y + h; j++) {
          expect(cells.has(`${i} ${j}`), title).toBe(false);
          cells.add(`${i} ${j}`);
        }
      }
    }
  });

  test('each panel says what it shows and asks the chosen data source', () => {
    expect(dashboard.templating.list.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'datasource datasource',
      'job query',
      'instance query',
    ]);
    const chosen = { type: 'prometheus', uid: expect.stringMatching(/^\$\{datasource\}$/) };
    for (const { title, type, description, datasource, targets } of panels) {
      expect(title).not.toBe('');
      if (type === 'row') continue;
      expect(description, title).toMatch(/\.$/);
      expect(datasource, title).toEqual(chosen);
      expect(targets?.length, title).toBeGreaterThan(0);
      for (const target of targets!) expect(target.datasource, title).toEqual(chosen);
    }
    for (const { datasource } of dashboard.templating.list.slice(1)) expect(datasource).toEqual(chosen);
    expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(39);
  });
});
