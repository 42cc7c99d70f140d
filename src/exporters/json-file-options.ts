// What `jsonFile` can be told, and what it refuses.
import type { AggregationTemporalitySelector } from '../data/aggregation-option.ts';
import { AggregationTemporality } from '../data/metric-data.ts';
import { optionChecks } from '../data/option-checks.ts';
import { TIMESTAMP_OFFSETS, type TimestampOffset } from '../encoding/local-time.ts';
import {
  isPositive,
  type LineFileRotation,
  type ValidLineFileOptions,
  validLineFileOptions,
} from './line-file-options.ts';

export type { LineFileRotation as JsonFileRotation } from './line-file-options.ts';

export interface JsonFileOptions {
  /** The file to append to. Folders are created; a relative path starts at the working directory of the start. */
  path: string;
  /**
   * Offset of `timestamp`: `colon` for `+08:00`, `compact` for `+0800`. Default `colon`, which RFC 3339 demands
   * and all parsers read.
   */
  timestampOffset?: TimestampOffset;
  /** Permissions of files that are made. Default 0o600: attributes may tell what is nobody else's business. */
  mode?: number;
  /** When to begin a new file. Default: never, for those who have logrotate. */
  rotate?: LineFileRotation;
  /** Default cumulative for every instrument, so that a line lost or cut away is made good by the next one. */
  temporality?: AggregationTemporalitySelector;
  /** Milliseconds that an export, with its fsync, may take. Default 30000, as for every exporter. */
  timeoutMillis?: number;
}

export interface ValidJsonFileOptions
  extends Required<Pick<JsonFileOptions, 'timestampOffset' | 'temporality' | 'timeoutMillis'>> {
  file: ValidLineFileOptions;
}

/** Fills in the defaults; throws a {@link ConfigError} for the first setting that cannot work. */
export function validJsonFileOptions(options: JsonFileOptions): ValidJsonFileOptions {
  const { demand, demandObject, demandNothing } = optionChecks('jsonFile');
  demandObject('options', options);
  const {
    path,
    timestampOffset = 'colon',
    mode,
    rotate,
    temporality = () => AggregationTemporality.CUMULATIVE,
    timeoutMillis = 30_000,
    ...unknown
  } = options;
  demandNothing(unknown);
  demand(
    TIMESTAMP_OFFSETS.includes(timestampOffset),
    'timestampOffset',
    timestampOffset,
    TIMESTAMP_OFFSETS.map((offset) => `'${offset}'`).join(' or '),
  );
  demand(typeof temporality === 'function', 'temporality', temporality, 'a function of the instrument type');
  demand(isPositive(timeoutMillis), 'timeoutMillis', timeoutMillis, 'a number of milliseconds above 0');
  const file = validLineFileOptions('jsonFile', { path, mode, rotate });
  return { timestampOffset, temporality, timeoutMillis, file };
}
