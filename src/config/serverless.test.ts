import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { dataOf, decodeRequest } from '../../test/support/otlp.ts';

const FUNCTION = fileURLToPath(new URL('fixtures/function.js', import.meta.url));
/** More than the function gives an export. */
const FROZEN_MILLIS = 800;
const INVOCATIONS = 3;

/** A receiver that answers after a while, and the counts that it got. */
async function startReceiver(answerMillis: number): Promise<{ server: Server; counts: number[] }> {
  const counts: number[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const metric = decodeRequest(Buffer.concat(chunks)).resourceMetrics[0]!.scopeMetrics[0]!.metrics[0]!;
    const { asInt, asDouble } = dataOf(metric).dataPoints[0]!;
    counts.push(Number(asInt ?? asDouble));
    server.emit('taken');
    await setTimeout(answerMillis);
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { server, counts };
}

function startFunction(server: Server, waits: boolean): ChildProcess {
  const { port } = server.address() as AddressInfo;
  const args = [FUNCTION, `http://127.0.0.1:${port}/v1/metrics`, String(waits)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

async function frozen(child: ChildProcess): Promise<void> {
  child.kill('SIGSTOP');
  await setTimeout(FROZEN_MILLIS);
  child.kill('SIGCONT');
}

describe('a function that is frozen between invocations', () => {
  test('exports with the flush at the end of each, and nothing by itself', async () => {
    const { server, counts } = await startReceiver(0);
    const child = startFunction(server, true);
    for (let i = 1; i <= INVOCATIONS; i++) {
      child.send('work');
      await once(child, 'message');
      expect(counts).toEqual(Array(i).fill(1));
      await frozen(child);
    }
    await setTimeout(100);
    expect(counts).toEqual([1, 1, 1]);
  });

  test('counts nothing twice when it is frozen before the answer, and the answer comes meanwhile', async () => {
    const { server, counts } = await startReceiver(200);
    const child = startFunction(server, false);
    for (let i = 1; i <= INVOCATIONS; i++) {
      const taken = once(server, 'taken');
      child.send('work');
      await taken;
      await frozen(child);
    }
    expect(counts).toEqual([1, 1, 1]);
  });
});
