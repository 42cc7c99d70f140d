// A hello world server, instrumented as its argument says, in a process of its own. Tells its port and then, whenever
// asked, its CPU time and the measurements recorded so far.
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { meterline, openTelemetry, prometheusClient } from './subjects.js';
import { BOUNDARIES, LABEL_NAMES } from './workload.js';

const SIZE_BOUNDARIES = [100, 1_000, 10_000, 100_000, 1_000_000];

const SET_UPS = {
  off: async () => ({ handler: hello }),
  async meterline() {
    const { provider, recorded } = await meterline();
    const { instrumentHttp } = await import('../dist/instrumentation/http.js');
    instrumentHttp({ meterProvider: provider, route: () => '/' });
    return { handler: hello, recorded };
  },
  '@prometheus-io/client': () => middleware('@prometheus-io/client'),
  'prom-client': () => middleware('prom-client'),
  async '@opentelemetry/instrumentation-http'() {
    const { provider, recorded } = await openTelemetry();
    const { HttpInstrumentation } = await import('@opentelemetry/instrumentation-http');
    new HttpInstrumentation().setMeterProvider(provider);
    return { handler: hello, recorded };
  },
};

function hello(_request, response) {
  response.setHeader('content-length', '11');
  response.end('hello world');
}

/** The usual hand-written middleware, with the same five metrics as Meterline's instrumentation. */
async function middleware(name) {
  const { counter, gauge, histogram, recorded } = await prometheusClient(name);
  const labelNames = LABEL_NAMES;
  const requests = counter({ name: 'http_requests_total', labelNames });
  const duration = histogram({ name: 'http_duration_seconds', labelNames, buckets: BOUNDARIES });
  const requestSize = histogram({ name: 'http_request_size_bytes', labelNames, buckets: SIZE_BOUNDARIES });
  const responseSize = histogram({ name: 'http_response_size_bytes', labelNames, buckets: SIZE_BOUNDARIES });
  const active = gauge({ name: 'http_active_requests' });
  const handler = (request, response) => {
    active.inc();
    const stop = duration.startTimer();
    response.on('finish', () => {
      const { statusCode } = response;
      const status = statusCode >= 500 ? 'error' : 'success';
      const labels = { method: request.method, route: '/', code: statusCode, status };
      requests.inc(labels);
      stop(labels);
      requestSize.observe(labels, Number(request.headers['content-length'] ?? 0));
      responseSize.observe(labels, Number(response.getHeader('content-length') ?? 0));
      active.dec();
    });
    hello(request, response);
  };
  return { handler, recorded };
}

const { handler, recorded } = await SET_UPS[process.argv[2]]();
// After the instrumentation, which patches what `require` returns.
const { createServer } = createRequire(import.meta.url)('node:http');
const server = createServer(handler).listen(0, '127.0.0.1');
await once(server, 'listening');

process.on('disconnect', () => process.exit(0));
process.on('message', async (what) => {
  const { user, system } = process.cpuUsage();
  process.send(what === 'cpu' ? user + system : ((await recorded?.()) ?? 0));
});
process.send(server.address().port);
