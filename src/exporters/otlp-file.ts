// OTLP's file format: one line a batch, each a whole `MetricsData` message in JSON (OTLP file exporter specification).
import type { Writable } from 'node:stream';
import { createExporter, type ExporterDefinition, type PushMetricExporter } from '../data/exporter.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { sliced } from '../data/time-slice.ts';
import { encodeOtlpJsonLine } from '../encoding/otlp-json.ts';
import { LineFile } from './line-file.ts';
import { type OtlpFileOptions, validOtlpFileOptions } from './otlp-file-options.ts';
import { written } from './output-stream.ts';
import { inTurn } from './turns.ts';

export type { LineFileRotation } from './line-file-options.ts';
export type { OtlpFileOptions } from './otlp-file-options.ts';

/**
 * Makes an exporter that writes each batch as one line of OTLP JSON, which the OpenTelemetry Collector and other tools read
 * back; to standard output, or to a file, which then has the line once the export succeeds, and none of it when it fails.
 *
 * @throws ConfigError when an option cannot work
 */
export function otlpFile(options: OtlpFileOptions = {}): PushMetricExporter {
  const { target, temporality, aggregation, timeoutMillis } = validOtlpFileOptions(options);
  return createExporter({
    componentType: 'otlp_file_metric_exporter',
    releasesBatches: true,
    timeoutMillis,
    selectAggregationTemporality: temporality,
    selectAggregation: aggregation,
    ...('file' in target ? toFile(new LineFile(target.file)) : toStream(target.stream)),
  });
}

type Target = Pick<ExporterDefinition, 'name' | 'export' | 'shutdown'>;

function toFile(lines: LineFile): Target {
  return {
    name: `otlpFile(${lines.path})`,
    export: (batch, { signal }) => lines.append(encodeOtlpJsonLine(batch, { reuseBuffers: true }), signal),
    shutdown: () => lines.close(),
  };
}

/** Streams whose last line has no end. */
const torn = new WeakSet<Writable>();

function toStream(stream: Writable): Target {
  async function write(batch: MetricBatch, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    // What was written of a line that failed cannot be taken back; the next one must not be glued to it.
    if (torn.has(stream)) await written(stream, '\n');
    torn.delete(stream);
    for await (const piece of sliced(encodeOtlpJsonLine(batch), { signal })) {
      if (piece.length === 0) continue;
      torn.add(stream);
      await written(stream, piece);
    }
    torn.delete(stream);
  }

  return {
    name: stream === process.stdout ? 'otlpFile(stdout)' : 'otlpFile(stream)',
    export: (batch, { signal }) => inTurn(stream, signal, () => write(batch, signal)),
  };
}
