import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { answer, costOf, exportOf, longest, memoryPeak, repeated } from '../export-cost.js';
import { WRITTEN } from '../remote-write-answer.js';
import { median } from '../statistics.js';
import { attributesOf, BOUNDARIES, MASK, SECONDS } from '../workload.js';

const meterline = () => import('../../dist/index.js');

const MANY = 100_000;
const FEW = 1_000;
/** A bucket for each bound and one beyond, a sum and a count; and a counter. */
const SAMPLES_PER_SERIES = BOUNDARIES.length + 4;
/** Per request: what Prometheus and our exporter send at most. */
const MAX_SAMPLES = 2_000;

const EXPORTS = 3;
const QUICK_EXPORTS = 1;

/** Small exports are over before V8 has compiled what they run. */
const WARM_UP_EXPORTS_OF_FEW = 20;

const pause = { valueAtMost: 10 };

export default {
  id: 'remote-write',
  title: 'remote write, 100 k histogram (11 bounds) and 100 k counter series, collection included',
  rounds: 3,
  unit: 'longest event-loop pause, ms',
  ratio: 'times Meterline with 1.0',
  extras: {
    busy: 'the same in CPU time, ms',
    few: 'with 1 k + 1 k series, ms of CPU',
    first: 'in the first export, ms of CPU',
    rate: 'million samples per second',
    bytes: 'bytes per sample on the wire',
    cpu: 'CPU, ms',
    requests: 'requests',
    memory: 'memory peak, MB',
  },
  contestants: [
    { name: 'meterline, 1.0', package: 'meterline', isBaseline: true, run: ours('1.0'), target: pause },
    { name: 'meterline, 2.0', package: 'meterline', run: ours('2.0'), target: pause },
    { name: 'prometheus-remote-write', package: 'prometheus-remote-write', run: rival },
    { name: 'snappy alone, over the same bytes as 1.0', run: compression('1.0') },
    { name: 'snappy alone, over the same bytes as 2.0', run: compression('2.0') },
  ],
};

function ours(version) {
  return async (options) => {
    const { remoteWrite } = await import('../../dist/exporters/remote-write.js');
    return costs(options, (url) => (series) => exportOf(meterline, remoteWrite({ url, version }), series));
  };
}

/** It has no instruments: each export makes the objects that it wants, as an application that holds numbers would. */
async function rival(options) {
  const { pushTimeseries } = await import('prometheus-remote-write');
  return costs(options, (url) => async (series) => {
    const all = await instruments(series);
    return async () => {
      const timestamp = Date.now();
      let timeseries = [];
      const send = async () => {
        const { status } = await pushTimeseries(timeseries, { url, fetch });
        if (status !== 204) throw new Error(`status ${status}`);
        timeseries = [];
      };
      for (const { attributes, buckets, sum, count, total } of all) {
        const add = async (__name__, value, le) => {
          timeseries.push({
            labels: { __name__, ...attributes, ...(le && { le }) },
            samples: [{ value, timestamp }],
          });
          if (timeseries.length === MAX_SAMPLES) await send();
        };
        for (let i = 0; i < buckets.length; i++)
          await add('duration_bucket', buckets[i], String(BOUNDARIES[i] ?? '+Inf'));
        await add('duration_sum', sum);
        await add('duration_count', count);
        await add('requests_total', total);
      }
      if (timeseries.length > 0) await send();
    };
  });
}

/** The numbers that {@link exportOf} records, without a library that collects them. */
async function instruments(series) {
  return attributesOf(series).map((attributes, i) => {
    const values = Array.from({ length: 10 }, (_, k) => SECONDS[(i + k) & MASK]);
    return {
      attributes: { ...attributes, code: String(attributes.code), otel_scope_name: 'bench' },
      buckets: [...BOUNDARIES, Infinity].map((bound) => values.filter((value) => value <= bound).length),
      sum: values.reduce((sum, value) => sum + value),
      count: values.length,
      total: i,
    };
  });
}

/** The limit: the requests are there, and four at a time are compressed in Node's thread pool; nothing is sent. */
function compression(version) {
  return async ({ quick }) => {
    const { default: snappy } = await import('snappy');
    const requests = await requestsOf(version);
    const samples = MANY * SAMPLES_PER_SERIES;
    let compressed = 0;
    const all = async () => {
      const waiting = requests.values();
      compressed = 0;
      const worker = async () => {
        for (const request of waiting) {
          const { length } = await snappy.compress(request);
          compressed += length;
        }
      };
      await Promise.all(Array.from({ length: 4 }, worker));
    };
    await all();
    const found = await repeated(quick ? QUICK_EXPORTS : EXPORTS, () => costOf(all));
    return {
      value: longest(found, 'pause'),
      busy: longest(found, 'busy'),
      rate: samples / median(found.map(({ wall }) => wall)) / 1e3,
      bytes: compressed / samples,
      cpu: median(found.map(({ cpu }) => cpu)),
      requests: requests.length,
    };
  };
}

/** What our exporter sends, before compression. */
async function requestsOf(version) {
  const { default: snappy } = await import('snappy');
  const { remoteWrite } = await import('../../dist/exporters/remote-write.js');
  const requests = [];
  const server = createServer(async (request, response) => {
    requests.push(snappy.uncompress(await buffer(request)));
    response.writeHead(204, WRITTEN).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const exporter = remoteWrite({ url: `http://127.0.0.1:${server.address().port}/`, version });
  await (await exportOf(meterline, exporter, MANY))();
  server.closeAllConnections();
  server.close();
  return Promise.all(requests);
}

async function costs({ quick }, exporterTo) {
  const receiver = fork(fileURLToPath(new URL('../remote-write-receiver.js', import.meta.url)));
  const { port } = await answer(receiver);
  const received = () => {
    receiver.send('count');
    return answer(receiver);
  };
  const repeats = quick ? QUICK_EXPORTS : EXPORTS;
  const exporterOf = exporterTo(`http://127.0.0.1:${port}/api/v1/write`);

  const many = await exporterOf(MANY);
  const first = await costOf(many);
  await many();
  const before = await received();
  const found = await repeated(repeats, () => costOf(many));
  const after = await received();
  const memory = await memoryPeak(many);
  const few = await exporterOf(FEW);
  await repeated(WARM_UP_EXPORTS_OF_FEW, few);
  const small = await repeated(repeats, () => costOf(few));
  receiver.disconnect();
  const samples = MANY * SAMPLES_PER_SERIES;
  return {
    value: longest(found, 'pause'),
    busy: longest(found, 'busy'),
    few: longest(small, 'busy'),
    first: first.busy,
    rate: samples / median(found.map(({ wall }) => wall)) / 1e3,
    bytes: (after.bytes - before.bytes) / repeats / samples,
    cpu: median(found.map(({ cpu }) => cpu)),
    requests: (after.requests - before.requests) / repeats,
    memory: memory / 1e6,
  };
}
