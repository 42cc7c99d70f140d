// What every exporter to a file can be told about the file.
import { optionChecks } from '../data/option-checks.ts';

/** At least one of `maxBytes` and `maxAgeMillis`. Both are looked at before an export; an empty file stays. */
export interface LineFileRotation {
  /** Begin a new file rather than let this one grow beyond so many bytes. Default: no limit. */
  maxBytes?: number;
  /** Begin a new file when this one was made so many milliseconds ago. Default: no limit. */
  maxAgeMillis?: number;
  /** Rotated files to keep, beside the one written to. Default 7: a week of daily files. */
  keep?: number;
  /** Compress rotated files. Default false: logrotate does not either until told so. */
  gzip?: boolean;
}

export interface LineFileOptions {
  path: string;
  mode?: number;
  rotate?: LineFileRotation;
}

export interface ValidLineFileOptions extends Required<Omit<LineFileOptions, 'rotate'>> {
  rotate: Required<LineFileRotation> | undefined;
}

/**
 * Fills in the defaults.
 *
 * @throws ConfigError for the first setting that cannot work
 */
export function validLineFileOptions(
  owner: string,
  { path, mode = 0o600, rotate }: LineFileOptions,
): ValidLineFileOptions {
  const { demand } = optionChecks(owner);
  demand(typeof path === 'string' && path !== '' && !path.includes('\0'), 'path', path, 'the name of a file');
  demand(
    Number.isInteger(mode) && mode >= 0 && mode <= 0o777,
    'mode',
    mode,
    'file permissions from 0 to 0o777, such as 0o640',
  );
  return { path, mode, rotate: rotate && validRotation(owner, rotate) };
}

function validRotation(owner: string, rotate: LineFileRotation): Required<LineFileRotation> {
  const { demand, demandObject, demandNothing } = optionChecks(owner);
  demandObject('rotate', rotate);
  const { maxBytes = Infinity, maxAgeMillis = Infinity, keep = 7, gzip = false, ...unknown } = rotate;
  demandNothing(unknown, 'rotate.');
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

export function isPositive(value: unknown): boolean {
  return typeof value === 'number' && value > 0;
}
