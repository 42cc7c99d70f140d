import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { batchWith } from '../../test/support/scrapes.ts';
import type { MetricProducer } from '../data/reader.ts';
import { PrometheusMetricReader } from './prometheus.ts';

const REQUESTS = 20;
/** Enough for all requests to be begun that are not held back. */
const TURNS = 10 * REQUESTS;

/** A scraper that has sent all of its requests at once, for answers of some 10 MB, and reads nothing yet. */
async function pipelining(listener: (reader: PrometheusMetricReader) => RequestListener) {
  const collect = vi.fn<MetricProducer['collect']>(async () => ({
    resourceMetrics: batchWith(100, 100_000),
    errors: [],
  }));
  const reader = new PrometheusMetricReader();
  /** Told of each answer that begins to be encoded. */
  const operation = vi.fn(() => () => {});
  const component = () => ({ operation, collection: () => () => {} });
  reader.setMetricProducer({ collect, selfMetrics: { component } } as unknown as MetricProducer);
  const asked = vi.fn(listener(reader));
  const server = createServer(asked);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').pause();
  onTestFinished(() => {
    socket.destroy();
    server.close();
  });
  socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(REQUESTS));
  await vi.waitFor(() => expect(asked).toHaveBeenCalledTimes(REQUESTS));
  for (let turn = 0; turn < TURNS; turn++) await setImmediate();
  return { socket, collect, operation };
}

const LISTENERS: Record<string, (reader: PrometheusMetricReader) => RequestListener> = {
  'node:http': ({ handler }) => handler,
  Hono: ({ handler }) => getRequestListener(new Hono().all('/metrics', handler).fetch),
};

describe.each(Object.entries(LISTENERS))('in %s', (_, listener) => {
  test('an answer that has to wait for others is not begun, and never when the connection ends', async () => {
    const { socket, operation } = await pipelining(listener);
    expect(operation).toHaveBeenCalledTimes(1);
    const closed = once(socket, 'close');
    socket.destroy();
    await closed;
    for (let turn = 0; turn < TURNS; turn++) await setImmediate();
    expect(operation).toHaveBeenCalledTimes(1);
  });

  test('each is begun in its turn', async () => {
    const { socket, collect } = await pipelining(listener);
    let text = '';
    for await (const chunk of socket) {
      // Of the long values nothing is needed.
      text += String(chunk).replaceAll(/x{9,}/g, '');
      if (text.split('\r\n0\r\n').length > REQUESTS) break;
    }
    expect(text.split('HTTP/1.1 200 OK')).toHaveLength(REQUESTS + 1);
    for (const part of ['requests_total{', 'id="99"'])
      expect(text.split(part).length).toBeGreaterThan(REQUESTS);
    expect(collect).toHaveBeenCalledTimes(REQUESTS);
  });
});
