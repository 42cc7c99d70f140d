// A receiver of OTLP over HTTP that decodes with code of its own, and fails in the ways of receivers.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { dataOf, decodeRequest } from '../../support/otlp.ts';
import type { Arrival, Point } from './ledger.ts';
import type { Random } from './random.ts';

export const RECEIVER_FAULTS = [
  'refuses connections',
  'answers 503',
  'answers 429 with Retry-After',
  'resets before it reads',
  'takes it and resets',
  'takes it and does not answer',
  'reads and does not answer',
  'is slow',
] as const;
export type ReceiverFault = (typeof RECEIVER_FAULTS)[number];

export interface Receiver {
  readonly url: string;
  fail(fault: ReceiverFault): void;
  heal(): Promise<void>;
  /** Stops for good. */
  close(): void;
}

/** @param onArrival told of each request that is taken, in order */
export async function startReceiver(
  random: Random,
  onArrival: (arrival: Arrival) => void,
): Promise<Receiver> {
  let fault: ReceiverFault | undefined;
  const unanswered = new Set<ServerResponse>();
  let server = await listen(0);
  const { port } = server.address() as AddressInfo;

  async function listen(onPort: number) {
    const listening = createServer((request, response) => {
      handle(request, response).catch(() => response.destroy());
    }).listen(onPort, '127.0.0.1');
    await once(listening, 'listening');
    return listening;
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // One that changes while the request is under way does not change its fate.
    const current = fault;
    if (current === 'resets before it reads') {
      request.socket.resetAndDestroy();
      return;
    }
    const body = await bodyOf(request);
    if (current === 'is slow') await setTimeout(random.between(20, 200));
    if (current === 'reads and does not answer') return void unanswered.add(response);
    if (current === 'answers 503') return void response.writeHead(503).end();
    if (current === 'answers 429 with Retry-After')
      return void response.writeHead(429, { 'retry-after': '0' }).end();
    const sender = Number(request.headers['x-life']);
    const arrival: Arrival = { sender, points: pointsIn(body), isAnswered: false, at: performance.now() };
    onArrival(arrival);
    if (current === 'takes it and does not answer') return void unanswered.add(response);
    if (current === 'takes it and resets') return void request.socket.resetAndDestroy();
    response.once('finish', () => {
      arrival.isAnswered = !request.socket.destroyed;
    });
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
  }

  return {
    url: `http://127.0.0.1:${port}/v1/metrics`,
    fail(next) {
      fault = next;
      if (next !== 'refuses connections') return;
      server.close();
      // Others may have an answer on its way.
      server.closeIdleConnections();
    },
    async heal() {
      fault = undefined;
      // Not by the timeout of the recorder alone.
      for (const response of unanswered) response.destroy();
      unanswered.clear();
      if (!server.listening) server = await listen(port);
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  return request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
}

function pointsIn(body: Buffer): Point[] {
  return decodeRequest(body).resourceMetrics.flatMap(({ resource, scopeMetrics }) => {
    const life = Number(attributesOf(resource?.attributes)['service.instance.id']);
    return scopeMetrics.flatMap(({ metrics }) =>
      metrics.flatMap((metric) =>
        dataOf(metric).dataPoints.map(({ attributes, timeUnixNano, asInt }) => ({
          life,
          series: `${metric.name} ${attributesOf(attributes).worker ?? ''}`,
          time: String(timeUnixNano),
          value: Number(asInt),
        })),
      ),
    );
  });
}

function attributesOf(list: unknown): Record<string, string | undefined> {
  const attributes = (list ?? []) as { key: string; value: { stringValue?: string } }[];
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue]));
}
