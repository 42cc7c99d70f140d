// A service with exporters of every kind, on a clock that passes fast. It serves requests, each of which records, and tells after
// each ten minutes how long they took, and what memory it holds.
// usage: host.js <settings as JSON>
import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { speedUp } from './fast-clock.js';

/** @type {{ factor: number, ports: { http: number, grpc: number, hole: number }, dir: string }} */
const { factor, ports, dir } = JSON.parse(process.argv[2] ?? '');
const WINDOW_SECONDS = 600;
const REQUEST_MILLIS = 2;
const ROUTES = 200;

const realTimeout = setTimeout;
const realNow = performance.now.bind(performance);
speedUp(factor);
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc');
process.on('disconnect', () => process.exit());

const { createServer, request, Agent } = await import('node:http');
const { metrics } = await import('@opentelemetry/api');
const { startMetrics } = await import('meterline');
const { diskQueue, fallback, filter, logging, multi, retry, timeout } = await import('meterline/decorators');
const { otlpGrpc } = await import('meterline/otlp-grpc');
const { otlpHttp } = await import('meterline/otlp-http');
const { httpJson } = await import('meterline/http-json');
const { pushgateway } = await import('meterline/pushgateway');
const { remoteWrite } = await import('meterline/remote-write');

const url = `http://127.0.0.1:${ports.http}/v1/metrics`;
const silent = { debug() {}, info() {}, warn() {}, error() {} };
startMetrics({
  exporters: [
    otlpHttp({ url }),
    otlpHttp({ url, temporality: 'delta' }),
    otlpGrpc({ url: `http://127.0.0.1:${ports.grpc}` }),
    otlpHttp({ url: `http://127.0.0.1:${ports.hole}/v1/metrics` }),
    pushgateway({ url: `http://127.0.0.1:${ports.http}`, job: 'host' }),
    remoteWrite({ url: `http://127.0.0.1:${ports.hole}/api/v1/write` }),
    diskQueue(otlpHttp({ url, temporality: 'delta' }), { dir, name: 'deltas' }),
    diskQueue(remoteWrite({ url }), { dir, name: 'samples' }),
    filter(logging(timeout(otlpHttp({ url }), 5_000), { logger: silent }), { exclude: { name: 'x' } }),
    // What may wait in memory is full within minutes.
    multi([retry(httpJson({ url })), fallback(otlpHttp({ url }), otlpHttp({ url }))], {
      maxBacklogPoints: 2_000,
    }),
  ],
});
const meter = metrics.getMeter('host');
const served = meter.createCounter('served');
const durations = meter.createHistogram('duration');

const server = createServer((incoming, response) => {
  served.add(1, { route: incoming.url });
  durations.record(Math.random(), { route: incoming.url });
  response.end('ok');
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
const agent = new Agent({ keepAlive: true });

/** @param {number} i */
async function timed(i) {
  const began = realNow();
  const outgoing = request({ port, path: `/${i % ROUTES}`, agent, host: '127.0.0.1' }).end();
  const [incoming] = await once(outgoing, 'response');
  await once(incoming.resume(), 'end');
  return realNow() - began;
}

for (;;) {
  const end = performance.now() + WINDOW_SECONDS * 1_000;
  const millis = [];
  while (performance.now() < end) {
    millis.push(await timed(millis.length));
    await new Promise((resolve) => realTimeout(resolve, REQUEST_MILLIS));
  }
  millis.sort((a, b) => a - b);
  collectGarbage();
  process.send?.({
    medianMillis: millis[millis.length >> 1],
    heapBytes: process.memoryUsage().heapUsed,
    resources: process.getActiveResourcesInfo().length,
  });
}
