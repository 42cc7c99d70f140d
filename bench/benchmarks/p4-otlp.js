import { exportOf } from '../export-cost.js';
import { median } from '../statistics.js';

const SERIES_PER_METRIC = 100_000;
/** What our OTLP exporters send at most in one request. */
const MAX_BYTES = 3.5 * 1024 * 1024;

export default {
  id: 'P4',
  title: 'collect and OTLP protobuf, 100 k histogram (11 bounds) and 100 k counter series',
  unit: 'ms of loop time',
  ratio: 'times Meterline',
  extras: { first: 'the first, ms', megabytes: 'MB encoded' },
  contestants: [
    { name: 'meterline', package: 'meterline', isBaseline: true, run: ours },
    {
      name: '@opentelemetry/otlp-transformer',
      package: '@opentelemetry/otlp-transformer',
      run: official,
      target: { ratioAtLeast: 8 },
    },
  ],
};

async function ours(options) {
  // Taken once, as by our OTLP exporters, which write each request over the one that has been answered.
  const memory = Buffer.allocUnsafeSlow(MAX_BYTES + 4 * 1024);
  const { encodeOtlpProtobuf } = await import('../../dist/encoding/otlp-protobuf.js');
  return encodingCost(
    () => import('../../dist/index.js'),
    ourExporter,
    options,
    (batch) => {
      let bytes = 0;
      for (let from = 0; from < batch.pointCount; ) {
        const { body, next } = finished(
          encodeOtlpProtobuf(batch, { from, to: batch.pointCount, maxBytes: MAX_BYTES, memory }),
        );
        bytes += body.length;
        from = next;
      }
      return bytes;
    },
  );
}

/** Without the pauses between steps, which are not work. */
function finished(work) {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/** All in one request: it cannot split one. */
async function official(options) {
  const { ProtobufMetricsSerializer } = await import('@opentelemetry/otlp-transformer');
  return encodingCost(
    () => import('@opentelemetry/sdk-metrics'),
    theirExporter,
    options,
    (metrics) => ProtobufMetricsSerializer.serializeRequest(metrics).length,
  );
}

/** It lets go of batches, as our exporters that send do. */
async function ourExporter(encode) {
  const { createExporter } = await import('../../dist/decorators/index.js');
  return createExporter({ name: 'bench', releasesBatches: true, export: async (batch) => encode(batch) });
}

async function theirExporter(encode) {
  return {
    export(metrics, done) {
      encode(metrics);
      done({ code: 0 });
    },
    async forceFlush() {},
    async shutdown() {},
  };
}

/** By a periodic reader, with an exporter that sends nothing. */
async function encodingCost(library, exporterOf, { quick }, encode) {
  const times = [];
  let bytes = 0;
  const exporter = await exporterOf((metrics) => {
    bytes = encode(metrics);
  });
  const collectAndExport = await exportOf(library, exporter, SERIES_PER_METRIC);
  for (let i = 0; i < (quick ? 4 : 10); i++) {
    const start = performance.now();
    await collectAndExport();
    times.push(performance.now() - start);
  }
  const [first, ...rest] = times;
  return { value: median(rest.slice(2)), first, megabytes: bytes / 1e6 };
}
