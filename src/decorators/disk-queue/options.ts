// What can be set about a queue on disk.
import { optionChecks } from '../../data/option-checks.ts';
import { type RetryOptions, type RetryPolicy, retryPolicy } from '../../net/backoff.ts';

export interface DiskQueueOptions {
  /**
   * The folder for queues. Each destination gets a folder in it. Must be on a local disk of this machine, and outlive the
   * process: in a container, on a volume.
   */
  dir: string;
  /**
   * Names the destination, in up to 100 letters, digits, dots, dashes and underscores: the name of its folder in `dir`.
   * Default: made of the name of the exporter, which mostly has the address. Give one where two exporters to one address share
   * `dir`, or where the address may change while batches wait.
   */
  name?: string;
  /**
   * Bytes on disk. When they are exceeded the oldest batches are dropped, and counted. Default 268435456 (256 MiB): with
   * ten thousand counters a minute, some 12 hours.
   */
  maxBytes?: number;
  /**
   * Milliseconds after which a batch that could not be delivered is dropped, and counted; Infinity for no limit. Default
   * 86400000 (a day): most backends refuse what is older.
   */
  maxAgeMillis?: number;
  /**
   * Points that may be kept in memory while the disk is full or cannot be written. Beyond it exports fail, and the caller
   * keeps what it owes. Default 100000: some 10 MB.
   */
  maxMemoryPoints?: number;
  /**
   * Exports a second at most: a backend that comes back after an hour is not to get an hour at once. One is under way at a time
   * in any case. Default 20: an hour of batches of every 10 s in 18 s.
   */
  maxExportsPerSecond?: number;
  /**
   * Whether `maxBytes` first drops cumulative points that the newest batch has as well, with newer values, before whole
   * batches go. Totals stay right, and delta points and series that have ended stay; the resolution of the oldest time is
   * lost. Default false, since it costs reading and writing what is on disk.
   */
  compact?: boolean;
  /**
   * The waits between two attempts. Attempts never end by themselves, so `enabled`, `maxRetries` and `maxElapsedTimeMillis` are
   * not among them. Default as of `retry`: 5 s growing to 30 s, each a random part of it.
   */
  retry?: Pick<RetryOptions, 'initialIntervalMillis' | 'maxIntervalMillis' | 'multiplier'>;
}

export type ValidDiskQueueOptions = Required<Omit<DiskQueueOptions, 'name' | 'retry'>> & {
  name: string | undefined;
  retry: RetryPolicy;
};

/** Room for a few segments. */
const MIN_BYTES = 64 * 1024;
const NAME = /^(?!\.)[\w.-]{1,100}$/;

/** @throws ConfigError for the first option that cannot work */
export function validDiskQueueOptions(options: DiskQueueOptions): ValidDiskQueueOptions {
  const { demand, demandObject, demandNothing } = optionChecks('diskQueue');
  demandObject('options', options);
  const {
    dir,
    name,
    maxBytes = 256 * 1024 * 1024,
    maxAgeMillis = 86_400_000,
    maxMemoryPoints = 100_000,
    maxExportsPerSecond = 20,
    compact = false,
    retry = {},
    ...unknown
  } = options;
  demandNothing(unknown);
  const isPath = typeof dir === 'string' && dir !== '' && !dir.includes('\0');
  demand(isPath, 'dir', dir, 'the path of a folder');
  demand(
    name === undefined || (typeof name === 'string' && NAME.test(name)),
    'name',
    name,
    'up to 100 letters, digits, dots, dashes and underscores, not beginning with a dot',
  );
  demand(
    Number.isSafeInteger(maxBytes) && maxBytes >= MIN_BYTES,
    'maxBytes',
    maxBytes,
    `a whole number of bytes from ${MIN_BYTES}`,
  );
  demand(isAbove0(maxAgeMillis), 'maxAgeMillis', maxAgeMillis, 'a number of milliseconds above 0');
  demand(
    maxMemoryPoints === Infinity || (Number.isInteger(maxMemoryPoints) && maxMemoryPoints >= 0),
    'maxMemoryPoints',
    maxMemoryPoints,
    'a whole number of points, or 0 to fail exports at once',
  );
  demand(
    isAbove0(maxExportsPerSecond),
    'maxExportsPerSecond',
    maxExportsPerSecond,
    'a number above 0, or Infinity',
  );
  demand(typeof compact === 'boolean', 'compact', compact, 'true or false');
  demandObject('retry', retry);
  const { initialIntervalMillis, maxIntervalMillis, multiplier, ...others } = retry;
  demandNothing(others, 'retry.');
  const policy = retryPolicy('diskQueue', {
    initialIntervalMillis,
    maxIntervalMillis,
    multiplier,
    maxElapsedTimeMillis: Infinity,
  });
  return {
    dir,
    name,
    maxBytes,
    maxAgeMillis,
    maxMemoryPoints,
    maxExportsPerSecond,
    compact,
    retry: policy,
  };
}

const isAbove0 = (value: unknown) => typeof value === 'number' && value > 0;
