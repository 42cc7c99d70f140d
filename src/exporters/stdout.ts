// Points to standard output, as JSON.
import type { Writable } from 'node:stream';
import type { AggregationTemporalitySelector } from '../data/aggregation-option.ts';
import { createExporter, type PushMetricExporter } from '../data/exporter.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { AggregationTemporality } from '../data/metric-data.ts';
import { optionChecks } from '../data/option-checks.ts';
import { sliced } from '../data/time-slice.ts';
import { encodeJsonLines } from '../encoding/json-lines.ts';
import { TIMESTAMP_OFFSETS, type TimestampOffset } from '../encoding/local-time.ts';
import { written } from './output-stream.ts';
import { inTurn } from './turns.ts';

export interface StdoutOptions {
  /** Points as indented objects, for people, instead of one line a point, for programs. Default false. */
  pretty?: boolean;
  /**
   * Offset of `timestamp`: `colon` for `+08:00`, `compact` for `+0800`. Default `colon`, which RFC 3339 demands
   * and all parsers read.
   */
  timestampOffset?: TimestampOffset;
  /** Default cumulative for every instrument, so that a line that got lost is made good by the next one. */
  temporality?: AggregationTemporalitySelector;
  /** Milliseconds that an export may take, with the wait for whoever reads the output. Default 30000, as for every exporter. */
  timeoutMillis?: number;
  /** Default `process.stdout`. Another one, such as `process.stderr`, is not ended by `shutdown()` either. */
  stream?: Writable;
}

/**
 * Makes an exporter that writes each point to standard output, in the format of `jsonFile` (docs/json-file.md). An export
 * has been delivered once the system has taken all of it; a reader who falls behind holds up exports and nothing else.
 * Output whose reader has gone fails the exports and does not end the process.
 *
 * @throws ConfigError when an option cannot work
 */
export function stdout(options: StdoutOptions = {}): PushMetricExporter {
  const { pretty, timestampOffset, temporality, timeoutMillis, stream } = validOptions(options);
  async function write(batch: MetricBatch, signal: AbortSignal): Promise<void> {
    const lines = encodeJsonLines(batch, { timestampOffset });
    const pieces: Iterable<string | Uint8Array> = pretty ? prettyPoints(lines) : lines;
    for await (const piece of sliced(pieces, { signal })) await written(stream, piece);
  }

  return createExporter({
    name: 'stdout',
    componentType: 'stdout_metric_exporter',
    releasesBatches: true,
    timeoutMillis,
    selectAggregationTemporality: temporality,
    export: (batch, { signal }) => inTurn(stream, signal, () => write(batch, signal)),
  });
}

function* prettyPoints(lines: Iterable<Uint8Array>): Generator<string> {
  for (const chunk of lines) {
    for (const line of Buffer.from(chunk).toString().split('\n')) {
      if (line !== '') yield `${JSON.stringify(JSON.parse(line), null, 2)}\n`;
    }
  }
}

function validOptions(options: StdoutOptions): Required<StdoutOptions> {
  const { demand, demandObject, demandNothing } = optionChecks('stdout');
  demandObject('options', options);
  const {
    pretty = false,
    timestampOffset = 'colon',
    temporality = () => AggregationTemporality.CUMULATIVE,
    timeoutMillis = 30_000,
    stream = process.stdout,
    ...unknown
  } = options;
  demandNothing(unknown);
  demand(typeof pretty === 'boolean', 'pretty', pretty, 'true or false');
  demand(
    TIMESTAMP_OFFSETS.includes(timestampOffset),
    'timestampOffset',
    timestampOffset,
    TIMESTAMP_OFFSETS.map((offset) => `'${offset}'`).join(' or '),
  );
  demand(typeof temporality === 'function', 'temporality', temporality, 'a function of the instrument type');
  demand(
    typeof timeoutMillis === 'number' && timeoutMillis > 0,
    'timeoutMillis',
    timeoutMillis,
    'a number of milliseconds above 0',
  );
  demand(
    typeof stream?.write === 'function' && typeof stream.on === 'function',
    'stream',
    stream,
    'a writable stream',
  );
  return { pretty, timestampOffset, temporality, timeoutMillis, stream };
}
