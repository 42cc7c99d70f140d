// Servers that people run, as receivers of what the recorder sends, and all that they hold of it.
import { startPrometheus } from '../support/prometheus.ts';
import type { ServerProcess } from '../support/server-process.ts';
import { startVictoriaMetrics } from '../support/victoria-metrics.ts';
import type { Point } from './ledger.ts';

export interface RealReceiver extends ServerProcess {
  readonly url: string;
  /** All samples as they are stored, of the times from `fromMillis` to `toMillis`. */
  pointsIn(fromMillis: number, toMillis: number): Promise<Point[]>;
}

export const REAL_RECEIVERS = [
  {
    name: 'Prometheus, by OTLP',
    protocol: 'otlp',
    path: '/api/v1/otlp/v1/metrics',
    async start(): Promise<RealReceiver> {
      const prometheus = await startPrometheus({ version: 3 });
      const { url } = prometheus;
      return { ...prometheus, pointsIn: (from, to) => prometheusPoints(url, from, to) };
    },
  },
  {
    name: 'VictoriaMetrics, by remote write',
    protocol: 'remote-write',
    path: '/api/v1/write',
    async start(): Promise<RealReceiver> {
      const server = await startVictoriaMetrics();
      return {
        ...server,
        async pointsIn(from, to) {
          await server.flush();
          return victoriaMetricsPoints(server.url, from, to);
        },
      };
    },
  },
] as const;

const METRICS = '{__name__=~"work_total|tick"}';

interface Answer {
  data: { result: { metric: Record<string, string>; values: [seconds: number, value: string][] }[] };
}

async function prometheusPoints(url: string, fromMillis: number, toMillis: number): Promise<Point[]> {
  const query = `${METRICS}[${Math.ceil((toMillis - fromMillis) / 1_000)}s]`;
  const parameters = new URLSearchParams({ query, time: String(toMillis / 1_000) });
  const { data } = JSON.parse(await textFrom(`${url}/api/v1/query?${parameters}`)) as Answer;
  return data.result.flatMap(({ metric, values }) =>
    values.map(([seconds, value]) => pointOf(metric, Math.round(seconds * 1_000), Number(value))),
  );
}

interface Exported {
  metric: Record<string, string>;
  /** null for a marker that a series has ended. */
  values: (number | null)[];
  timestamps: number[];
}

async function victoriaMetricsPoints(url: string, fromMillis: number, toMillis: number): Promise<Point[]> {
  const start = String(fromMillis / 1_000);
  const end = String(toMillis / 1_000);
  const parameters = new URLSearchParams({ 'match[]': METRICS, start, end });
  const lines = (await textFrom(`${url}/api/v1/export?${parameters}`)).split('\n').filter(Boolean);
  return (
    lines
      // The old one writes some markers as no JSON has them.
      .map((line) => JSON.parse(line.replaceAll(/\bNaN\b/g, 'null')) as Exported)
      .flatMap(({ metric, values, timestamps }) =>
        values.flatMap((value, i) => (value === null ? [] : [pointOf(metric, timestamps[i]!, value)])),
      )
  );
}

async function textFrom(url: string): Promise<string> {
  const response = await fetch(url);
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status}: ${text}`);
  return text;
}

function pointOf(
  { __name__, worker, instance }: Record<string, string>,
  millis: number,
  value: number,
): Point {
  return {
    life: Number(instance),
    series: `${__name__!.replace('_total', '')} ${worker ?? ''}`,
    time: `${millis}000000`,
    value,
  };
}
