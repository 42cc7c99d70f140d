import { median } from '../statistics.js';
import { meterline } from '../subjects.js';

const EXPORTS = 20_000;
const SAMPLES = 5;

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** What one export costs before any work is done for it. */
export default {
  id: 'decorators',
  title: 'one export of 1 k series through decorators to an exporter that does nothing',
  unit: 'µs of CPU',
  ratio: 'times no decorator',
  contestants: [
    { name: 'no decorator', isBaseline: true, run: exporting((_, exporter) => exporter) },
    { name: '`timeout`', run: exporting(({ timeout }, exporter) => timeout(exporter, 10_000)) },
    { name: '`retry`', run: exporting(({ retry }, exporter) => retry(exporter)) },
    { name: '`logging`', run: exporting(({ logging }, exporter) => logging(exporter, { logger: silent })) },
    {
      name: '`filter` that keeps all',
      run: exporting(({ filter }, exporter) => filter(exporter, { exclude: { name: 'other' } })),
    },
    { name: '`multi` of one', run: exporting(({ multi }, exporter) => multi([exporter])) },
    { name: '`fallback`, primary', run: exporting(fallbackTo) },
    { name: 'a chain of five', run: exporting(chained), target: { valueAtMost: 50 } },
  ],
};

function fallbackTo({ fallback, createExporter }, exporter) {
  return fallback(exporter, createExporter({ name: 'secondary', export: async () => {} }));
}

function chained({ timeout, retry, logging, filter, multi }, exporter) {
  const filtered = filter(exporter, { exclude: { name: 'other' } });
  return logging(retry(timeout(multi([filtered]), 10_000)), { logger: silent });
}

function exporting(decorate) {
  return async ({ quick }) => {
    const decorators = await import('../../dist/decorators/index.js');
    let arrived = 0;
    const base = decorators.createExporter({
      name: 'nothing',
      export: async ({ pointCount }) => {
        arrived += pointCount;
      },
    });
    const exporter = decorate(decorators, base);
    const batch = await collected();
    const exported = () =>
      new Promise((resolve, reject) => {
        exporter.export(batch, ({ code, error }) => (code === 0 ? resolve() : reject(error)));
      });
    const samples = [];
    for (let sample = 0; sample <= (quick ? 1 : SAMPLES); sample++) {
      const before = process.cpuUsage();
      for (let i = 0; i < EXPORTS; i++) await exported();
      const { user, system } = process.cpuUsage(before);
      samples.push((user + system) / EXPORTS);
    }
    if (arrived !== samples.length * EXPORTS * batch.pointCount) throw new Error('points were lost');
    // The first one was compiled meanwhile.
    return { value: median(samples.slice(1)) };
  };
}

async function collected() {
  const { meter, reader } = await meterline();
  const counter = meter.createCounter('requests');
  for (let i = 0; i < 1_000; i++) counter.add(1, { series: i });
  return (await reader.collect()).resourceMetrics;
}
