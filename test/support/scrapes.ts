import { once } from 'node:events';
import { type Agent, get, type IncomingMessage } from 'node:http';
import type { MetricBatch } from '../../src/data/metric-batch.ts';
import { batchOf, counter } from '../../src/encoding/fixtures/metrics.ts';

/** A counter `requests` of so many series, each of which has about so many bytes. */
export function batchWith(series: number, bytes: number): MetricBatch {
  const text = 'x'.repeat(bytes);
  const points = Array.from({ length: series }, (_, i) => [{ id: `${i}`, text }, i] as const);
  return batchOf([[{ name: 'test' }, [counter('requests', points)]]]);
}

/** Scrapes as Prometheus does, with nothing added and nothing undone. */
export async function scrape(
  url: string,
  headers: Record<string, string | string[]> = {},
  agent: Agent | false = false,
) {
  const [response] = (await once(get(url, { headers, agent }), 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) };
}
