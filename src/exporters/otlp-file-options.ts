// What `otlpFile` can be told, and what it refuses.
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { AggregationSelector, AggregationTemporalitySelector } from '../data/aggregation-option.ts';
import { textOf } from '../data/diagnostics.ts';
import { ConfigError } from '../data/errors.ts';
import { optionChecks } from '../data/option-checks.ts';
import {
  isPositive,
  type LineFileRotation,
  type ValidLineFileOptions,
  validLineFileOptions,
} from './line-file-options.ts';
import { type OtlpOptions, validOtlpOptions } from './otlp-options.ts';

export interface OtlpFileOptions extends Pick<OtlpOptions, 'temporality' | 'aggregation'> {
  /**
   * The file to append to, as a path or as a `file:` URL; by convention its name ends in `.jsonl`. Folders are created; a
   * relative path starts at the working directory of the start.
   * @default none: `stream` is written to
   */
  path?: string | URL;
  /**
   * Where to write in place of a file: standard output, or a stream of yours, such as `process.stderr`, which `shutdown()` does
   * not end. A batch of many series goes out in pieces, between which other output of the process may come: give such
   * exports a stream or a file of their own.
   * @default 'stdout', as specified
   */
  stream?: 'stdout' | Writable;
  /**
   * Permissions of files that are made.
   * @default 0o600: attributes may tell what is nobody else's business
   */
  mode?: number;
  /**
   * When to begin a new file: `maxBytes`, `maxAgeMillis` or both, and how many rotated files to `keep` (7), with or without
   * `gzip` (false). The same as for `jsonFile`.
   * @default never, for those who have logrotate
   */
  rotate?: LineFileRotation;
  /**
   * Milliseconds that an export may take, with its fsync, or with the wait for whoever reads the stream.
   * @default 30000, as for every exporter
   */
  timeoutMillis?: number;
}

export interface ValidOtlpFileOptions {
  readonly target: { readonly file: ValidLineFileOptions } | { readonly stream: Writable };
  readonly temporality: AggregationTemporalitySelector;
  readonly aggregation: AggregationSelector | undefined;
  readonly timeoutMillis: number;
}

/** @throws ConfigError for the first option that cannot work */
export function validOtlpFileOptions(options: OtlpFileOptions): ValidOtlpFileOptions {
  const { demand, demandObject, demandNothing } = optionChecks('otlpFile');
  demandObject('options', options);
  const { path, stream, mode, rotate, timeoutMillis = 30_000, ...others } = options;
  const { temporality, aggregation, ...unknown } = others;
  demandNothing(unknown);
  demand(isPositive(timeoutMillis), 'timeoutMillis', timeoutMillis, 'a number of milliseconds above 0');
  const valid = validOtlpOptions('otlpFile', { temporality, aggregation });
  const selectors = { temporality: valid.temporality, aggregation: valid.aggregation, timeoutMillis };
  if (path !== undefined) {
    demand(stream === undefined, 'stream', stream, 'left out where there is a path');
    const file = validLineFileOptions('otlpFile', { path: pathOf(path), mode, rotate });
    return { target: { file }, ...selectors };
  }
  demand(mode === undefined, 'mode', mode, 'left out where there is no path');
  demand(rotate === undefined, 'rotate', rotate, 'left out where there is no path');
  return { target: { stream: streamOf(stream) }, ...selectors };
}

/** `file:///var/log/metrics.jsonl` is what a declarative configuration says. */
function pathOf(path: string | URL): string {
  if (typeof path === 'string' && !/^file:/i.test(path)) return path;
  if (typeof path !== 'string' && !(path instanceof URL)) return path;
  try {
    return fileURLToPath(path);
  } catch (error) {
    throw new ConfigError(
      `otlpFile: path is ${path}; it must be a path, or a URL such as file:///var/log/metrics.jsonl (${textOf(error)})`,
    );
  }
}

function streamOf(stream: 'stdout' | Writable = 'stdout'): Writable {
  if (stream === 'stdout') return process.stdout;
  const isWritable = typeof stream?.write === 'function' && typeof stream.on === 'function';
  optionChecks('otlpFile').demand(isWritable, 'stream', stream, "'stdout' or a writable stream");
  return stream;
}
