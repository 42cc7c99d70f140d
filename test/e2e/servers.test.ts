// The servers that the other tests stand on: what was given to them, they have, and faults do to them what faults do.
import { setTimeout } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { startPrometheus } from './support/prometheus.ts';
import { startPushgateway } from './support/pushgateway.ts';
import type { ServerProcess } from './support/server-process.ts';
import { startVictoriaMetrics } from './support/victoria-metrics.ts';

async function running<T extends ServerProcess>(starting: Promise<T>): Promise<T> {
  const server = await starting;
  onTestFinished(() => server.stop());
  return server;
}

async function values(url: string, promql: string): Promise<number[]> {
  const query = new URLSearchParams({ query: promql, nocache: '1' });
  const response = await fetch(`${url}/api/v1/query?${query}`);
  const { data } = (await response.json()) as { data: { result: { value: [number, string] }[] } };
  return data.result.map(({ value }) => Number(value[1]));
}

const AGES = ['old', 'new'] as const;

test.each(AGES)('a Pushgateway that is %s exposes what was put into it, until it is killed', async (age) => {
  const gateway = await running(startPushgateway(age));
  const put = await fetch(`${gateway.url}/metrics/job/batch`, { method: 'PUT', body: 'rows 42\n' });
  expect(put.status).toBe(200);
  const exposed = async () => (await fetch(`${gateway.url}/metrics`)).text();

  expect(await exposed()).toContain('rows{instance="",job="batch"} 42');
  await gateway.kill();
  await gateway.start();
  expect(await exposed()).not.toContain('rows{');
});

test.each(AGES)(
  'VictoriaMetrics that is %s has what was imported, and has it after a restart',
  async (age) => {
    const victoria = await running(startVictoriaMetrics(age));
    await fetch(`${victoria.url}/api/v1/import/prometheus`, { method: 'POST', body: 'rows 42\n' });
    await expect
      .poll(
        async () => {
          await victoria.flush();
          return values(victoria.url, 'rows');
        },
        { timeout: 10_000 },
      )
      .toEqual([42]);
    await victoria.stop();
    await victoria.start();
    expect(await values(victoria.url, 'rows')).toEqual([42]);
  },
);

test.each([2, 3] as const)(
  'Prometheus %i takes remote writes, and nothing while it is paused',
  async (version) => {
    const prometheus = await running(startPrometheus({ version }));
    const write = () => fetch(prometheus.writeUrl, { method: 'POST', body: 'not snappy' });
    expect((await write()).status).toBe(400);

    await prometheus.pause();
    const answered = write();
    expect(await Promise.race([answered, setTimeout(100, 'nothing')])).toBe('nothing');
    prometheus.resume();
    expect((await answered).status).toBe(400);
  },
);
