import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { meterline, openTelemetry, prometheusClient } from '../subjects.js';
import { BOUNDARIES } from '../workload.js';

export default {
  id: 'P7',
  title: '`node:http` hello world, 5 metrics on / off (OpenTelemetry: its one duration histogram)',
  unit: 'requests per second of server CPU',
  ratio: 'kept of off',
  percent: true,
  rounds: 11,
  extras: { perSecond: 'requests/s', busy: 'server busy, cores' },
  contestants: [
    { name: 'off', isBaseline: true, run: (options) => throughput(http(), hello, undefined, options) },
    { name: 'meterline', package: 'meterline', run: instrumented, target: { ratioAtLeast: 95 } },
    {
      name: '@prometheus-io/client',
      package: '@prometheus-io/client',
      run: middleware('@prometheus-io/client'),
    },
    { name: 'prom-client', package: 'prom-client', run: middleware('prom-client') },
    {
      name: '@opentelemetry/instrumentation-http',
      package: '@opentelemetry/instrumentation-http',
      run: patched,
    },
  ],
};

function hello(_request, response) {
  response.setHeader('content-length', '11');
  response.end('hello world');
}

async function instrumented(options) {
  const { provider, recorded } = await meterline();
  const { instrumentHttp } = await import('../../dist/instrumentation/http.js');
  instrumentHttp({ meterProvider: provider, route: () => '/' });
  return throughput(http(), hello, recorded, options);
}

async function patched(options) {
  const { provider, recorded } = await openTelemetry();
  const { HttpInstrumentation } = await import('@opentelemetry/instrumentation-http');
  new HttpInstrumentation().setMeterProvider(provider);
  return throughput(http(), hello, recorded, options);
}

/** The usual hand-written middleware, with the same five metrics as Meterline's instrumentation. */
function middleware(name) {
  return async (options) => {
    const { counter, gauge, histogram, recorded } = await prometheusClient(name);
    const labelNames = ['method', 'route', 'code', 'status'];
    const requests = counter({ name: 'http_requests_total', labelNames });
    const duration = histogram({ name: 'http_duration_seconds', labelNames, buckets: BOUNDARIES });
    const buckets = [100, 1_000, 10_000, 100_000, 1_000_000];
    const requestSize = histogram({ name: 'http_request_size_bytes', labelNames, buckets });
    const responseSize = histogram({ name: 'http_response_size_bytes', labelNames, buckets });
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
    return throughput(http(), handler, recorded, options);
  };
}

/** Loaded after the instrumentation, which patches what `require` returns. */
function http() {
  return createRequire(import.meta.url)('node:http');
}

/**
 * A server that is one thread at full load answers as many requests as its CPU time allows. The CPU time is what
 * a neighbour on the machine cannot take, so it gives the figure that counts; beside it stand the requests per
 * second of the clock, which say the same when the server was busy all the time.
 */
async function throughput({ createServer }, handler, recorded, { quick }) {
  const server = createServer(handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const load = fork(fileURLToPath(new URL('../http-load.js', import.meta.url)));
  load.once('exit', (code) => {
    if (code !== 0) throw new Error(`the load ended with code ${code}`);
  });
  load.send({ port: server.address().port, warmUpMs: 600, measureMs: quick ? 500 : 1_000 });
  await once(load, 'message');
  const cpuBefore = process.cpuUsage();
  const [{ requests, seconds }] = await once(load, 'message');
  const { user, system } = process.cpuUsage(cpuBefore);
  if (recorded && (await recorded()) < requests) throw new Error('fewer measurements than requests');
  const cpuSeconds = (user + system) / 1e6;
  return { value: requests / cpuSeconds, perSecond: requests / seconds, busy: cpuSeconds / seconds };
}
