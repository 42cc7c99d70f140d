// `npm run demo` as its users run it. Needs the build.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { METRICS_FILE, startDemo, totalsIn } from './support/demo-process.ts';
import { freePort } from './support/free-port.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

/** A port of its own, because demos of several tests run at the same time. */
const start = async (folder: string, args: string[]) =>
  startDemo(folder, [...args, `--port=${await freePort()}`]);

/** Each of them is in one round of the load, so even a short run has them. */
const COVERED = [
  'GET /orders/:id 200 success',
  'GET /orders/:id 404 success',
  'GET /orders/:id/shipment 499 success',
  'GET unmatched 404 success',
  'POST /orders 400 success',
  'orders.v1.Orders/Create INVALID_ARGUMENT error',
  'orders.v1.Orders/Get NOT_FOUND error',
  'orders.v1.Orders/List CANCELLED error',
];

function expectEqualTotals(stdout: string): void {
  const rows = totalsIn(stdout);
  expect(rows).toEqual(rows.map(({ name, sent }) => ({ name, sent, file: sent, scraped: sent })));
  expect(rows.filter(({ sent }) => sent > 0).map(({ name }) => name)).toEqual(
    expect.arrayContaining(COVERED),
  );
}

describe.concurrent('the demo', () => {
  test('ends with 0 and equal totals, whatever an earlier run has left in its file', async () => {
    const folder = temporaryFolder();
    const file = join(folder, METRICS_FILE);
    const earlier =
      '{"metric_name":"http_server_requests_total","value":7,"attributes":{"http.method":"GET","http.route":"/old",' +
      '"http.status_code":200,"status":"success"},"scope":{"name":"meterline/http"},"time_unix_nano":"1"}\n' +
      '{"metric_name":"torn';
    mkdirSync(join(folder, 'logs'));
    writeFileSync(file, earlier);
    const { code, stdout, stderr } = await (await start(folder, ['--duration=2s', '--rps=150'])).ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expectEqualTotals(stdout);
    expect(stdout).not.toContain('/old');
    expect(readFileSync(file, 'utf8').startsWith(`${earlier}\n{"timestamp"`)).toBe(true);
  });

  test('flushes on Ctrl-C: ends with 0 and equal totals, and every line of the file parses', async () => {
    const folder = temporaryFolder();
    const { child, printed, ended } = await start(folder, ['--duration=60s', '--rps=150']);
    await printed(/[1-9]\d+ requests, [1-9]/);
    child.kill('SIGINT');
    // npm passes on what the terminal has sent to all; sent at once, the two would arrive as one.
    await setTimeout(10);
    child.kill('SIGINT');
    const { code, stdout, stderr } = await ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expectEqualTotals(stdout);
    const lines = readFileSync(join(folder, METRICS_FILE), 'utf8').trimEnd().split('\n');
    for (const line of lines) expect(JSON.parse(line)).toHaveProperty('metric_name');
  });

  test('ends with 1 and names the number that differs when someone else sends a request', async () => {
    const { printed, ended } = await start(temporaryFolder(), ['--duration=2s', '--rps=50']);
    await fetch(await printed(/http:\S+\/orders\b/), { method: 'DELETE' });
    const { code, stderr } = await ended;
    expect(code).toBe(1);
    expect(stderr).toContain('DELETE unmatched 404 success: sent 0, file 1, scraped 1');
  });

  test('ends with 1 and says so when the service dies', async () => {
    const { printed, ended } = await start(temporaryFolder(), ['--duration=60s', '--rps=50']);
    const scraped = await fetch(await printed(/http:\S+\/metrics\b/));
    process.kill(Number(/process_pid="(\d+)"/.exec(await scraped.text())?.[1]), 'SIGKILL');
    const { code, stderr } = await ended;
    expect(code).toBe(1);
    expect(stderr).toContain('server.js ended on its own (SIGKILL)');
  });
});

test.each([
  ['--duration=soon', '--duration is "soon"; use a time such as 500ms, 15s or 2m'],
  ['--rps=-1', '--rps is "-1"; use a whole number from 1 to 10000'],
  ['--port=http', '--port is "http"; use a whole number from 1 to 65535'],
  ['--speed=9', "Unknown option '--speed'"],
])('the demo refuses %s, says what would be right, and ends with 2', async (argument, message) => {
  const { code, stdout, stderr } = await startDemo(temporaryFolder(), [argument]).ended;
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(message);
});
