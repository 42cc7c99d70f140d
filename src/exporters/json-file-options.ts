// What `jsonFile` can be told, and what it refuses.
import { inspect } from 'node:util';
import type { AggregationTemporalitySelector } from '../data/aggregation-option.ts';
import { ConfigError } from '../data/errors.ts';
import { AggregationTemporality } from '../data/metric-data.ts';
import { TIMESTAMP_OFFSETS, type TimestampOffset } from '../encoding/local-time.ts';

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
  rotate?: JsonFileRotation;
  /** Default cumulative for every instrument, so that a line lost or cut away is made good by the next one. */
  temporality?: AggregationTemporalitySelector;
  /** Milliseconds that an export, with its fsync, may take. Default 30000, as for every exporter. */
  timeoutMillis?: number;
}

/** At least one of `maxBytes` and `maxAgeMillis`. Both are looked at before an export; an empty file stays. */
export interface JsonFileRotation {
  /** Begin a new file rather than let this one grow beyond so many bytes. Default: no limit. */
  maxBytes?: number;
  /** Begin a new file when this one was made so many milliseconds ago. Default: no limit. */
  maxAgeMillis?: number;
  /** Rotated files to keep, beside the one written to. Default 7: a week of daily files. */
  keep?: number;
  /** Compress rotated files. Default false: logrotate does not either until told so. */
  gzip?: boolean;
}

type Defaulted = 'timestampOffset' | 'mode' | 'temporality' | 'timeoutMillis';

export interface ValidJsonFileOptions extends Required<Pick<JsonFileOptions, 'path' | Defaulted>> {
  rotate: Required<JsonFileRotation> | undefined;
}

/** Fills in the defaults; throws a {@link ConfigError} for the first setting that cannot work. */
export function validJsonFileOptions(options: JsonFileOptions): ValidJsonFileOptions {
  demandObject('options', options);
  const {
    path,
    timestampOffset = 'colon',
    mode = 0o600,
    rotate,
    temporality = () => AggregationTemporality.CUMULATIVE,
    timeoutMillis = 30_000,
    ...unknown
  } = options;
  demandNothing('', unknown);
  demand(typeof path === 'string' && path !== '' && !path.includes('\0'), 'path', path, 'the name of a file');
  demand(
    TIMESTAMP_OFFSETS.includes(timestampOffset),
    'timestampOffset',
    timestampOffset,
    TIMESTAMP_OFFSETS.map((offset) => `'${offset}'`).join(' or '),
  );
  demand(
    Number.isInteger(mode) && mode >= 0 && mode <= 0o777,
    'mode',
    mode,
    'file permissions from 0 to 0o777, such as 0o640',
  );
  demand(typeof temporality === 'function', 'temporality', temporality, 'a function of the instrument type');
  demand(isPositive(timeoutMillis), 'timeoutMillis', timeoutMillis, 'a number of milliseconds above 0');
  return { path, timestampOffset, mode, temporality, timeoutMillis, rotate: rotate && validRotation(rotate) };
}

function validRotation(rotate: JsonFileRotation): Required<JsonFileRotation> {
  demandObject('rotate', rotate);
  const { maxBytes = Infinity, maxAgeMillis = Infinity, keep = 7, gzip = false, ...unknown } = rotate;
  demandNothing('rotate.', unknown);
  demand(isPositive(maxBytes), 'rotate.maxBytes', maxBytes, 'a number of bytes above 0');
  demand(isPositive(maxAgeMillis), 'rotate.maxAgeMillis', maxAgeMillis, 'a number of milliseconds above 0');
  demand(
    maxBytes < Infinity || maxAgeMillis < Infinity,
    'rotate',
    rotate,
    'given maxBytes, maxAgeMillis or both',
  );
  demand(
    keep >= 1 && (Number.isInteger(keep) || keep === Infinity),
    'rotate.keep',
    keep,
    'a whole number of files above 0, or Infinity',
  );
  demand(typeof gzip === 'boolean', 'rotate.gzip', gzip, 'true or false');
  return { maxBytes, maxAgeMillis, keep, gzip };
}

function isPositive(value: unknown): boolean {
  return typeof value === 'number' && value > 0;
}

function demand(holds: boolean, setting: string, value: unknown, remedy: string): void {
  if (!holds) throw new ConfigError(`jsonFile: ${setting} is ${inspect(value)}; it must be ${remedy}`);
}

function demandObject(setting: string, value: unknown): void {
  demand(typeof value === 'object' && value !== null, setting, value, 'an object');
}

function demandNothing(prefix: string, unknown: object): void {
  const [name] = Object.keys(unknown);
  if (name !== undefined) throw new ConfigError(`jsonFile: there is no setting ${prefix}${name}; remove it`);
}
