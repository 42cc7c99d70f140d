// All samples of the recorder that Prometheus holds, as it stores them.
import type { Prometheus } from '../support/prometheus.ts';
import type { Point } from './ledger.ts';

interface Answer {
  data: { result: { metric: Record<string, string>; values: [seconds: number, value: string][] }[] };
}

/** @param fromMillis, toMillis of the samples' times */
export async function pointsIn({ url }: Prometheus, fromMillis: number, toMillis: number): Promise<Point[]> {
  const range = Math.ceil((toMillis - fromMillis) / 1_000);
  const query = encodeURIComponent(`{__name__=~"work_total|tick"}[${range}s]`);
  const response = await fetch(`${url}/api/v1/query?query=${query}&time=${toMillis / 1_000}`);
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  const { data } = (await response.json()) as Answer;
  return data.result.flatMap(({ metric, values }) => {
    const series = `${metric.__name__!.replace('_total', '')} ${metric.worker ?? ''}`;
    return values.map(([seconds, value]) => ({
      life: Number(metric.instance),
      series,
      time: `${Math.round(seconds * 1_000)}000000`,
      value: Number(value),
    }));
  });
}
