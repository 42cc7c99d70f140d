import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { httpLoad } from '../http-load.js';
import { median } from '../statistics.js';

/** Short, so that the two servers of a pair meet the same neighbours on the machine. */
const WINDOW_MS = 60;
const PAIRS = 12;
const QUICK_PAIRS = 3;

/** Half a second for each server, in turn like the rest: the load generator warms up with them. */
const WARM_UP_PAIRS = 8;
const QUICK_WARM_UP_PAIRS = 3;

export default {
  id: 'P7',
  title: '`node:http` hello world, 5 metrics on / off (OpenTelemetry: its one duration histogram)',
  unit: 'capacity kept, %',
  extras: {
    clock: 'throughput kept by the clock, %',
    off: 'off, µs of CPU a request',
    on: 'on, µs of CPU a request',
  },
  contestants: [
    { name: 'off', run: (options) => kept('off', options) },
    {
      name: 'meterline',
      package: 'meterline',
      run: (options) => kept('meterline', options),
      target: { valueAtLeast: 95 },
    },
    {
      name: '@prometheus-io/client',
      package: '@prometheus-io/client',
      run: (options) => kept('@prometheus-io/client', options),
    },
    { name: 'prom-client', package: 'prom-client', run: (options) => kept('prom-client', options) },
    {
      name: '@opentelemetry/instrumentation-http',
      package: '@opentelemetry/instrumentation-http',
      run: (options) => kept('@opentelemetry/instrumentation-http', options),
    },
  ],
};

/**
 * Loads a plain and an instrumented server in turn. A server is one thread: at full load it answers as many requests
 * as its CPU time allows, so CPU time per request gives its capacity, and no neighbour can take it away.
 */
async function kept(name, { quick }) {
  const off = await startServer('off');
  const on = await startServer(name);
  const plain = [];
  const instrumented = [];
  const warmUp = quick ? QUICK_WARM_UP_PAIRS : WARM_UP_PAIRS;
  for (let i = 0; i < warmUp + (quick ? QUICK_PAIRS : PAIRS); i++) {
    const order = i % 2 === 0 ? [off, on] : [on, off];
    for (const server of order) (server === off ? plain : instrumented).push(await server.window(WINDOW_MS));
  }
  plain.splice(0, warmUp);
  instrumented.splice(0, warmUp);
  await on.check();
  const share = (field) => 100 * median(plain.map((one, i) => one[field] / instrumented[i][field]));
  return {
    value: share('cpuMicros'),
    clock: share('micros'),
    off: median(plain.map(({ cpuMicros }) => cpuMicros)),
    on: median(instrumented.map(({ cpuMicros }) => cpuMicros)),
  };
}

async function startServer(name) {
  const server = fork(fileURLToPath(new URL('../http-server.js', import.meta.url)), [name]);
  server.once('exit', (code) => {
    throw new Error(`the server with ${name} ended with code ${code}`);
  });
  const [port] = await once(server, 'message');
  const load = await httpLoad(port);
  let requests = 0;
  const ask = async (what) => {
    server.send(what);
    return (await once(server, 'message'))[0];
  };
  return {
    /** Time per request, by the clock and of CPU. */
    async window(millis) {
      const cpuBefore = await ask('cpu');
      const start = performance.now();
      const count = await load(millis);
      const micros = 1_000 * (performance.now() - start);
      requests += count;
      return { micros: micros / count, cpuMicros: ((await ask('cpu')) - cpuBefore) / count };
    },
    async check() {
      const recorded = await ask('recorded');
      if (name !== 'off' && recorded < requests) throw new Error(`${recorded} of ${requests} were recorded`);
    },
  };
}
