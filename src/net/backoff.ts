// The one loop that tries failed exports again: exponential back-off with full jitter, in a budget of time.
import { MAX_TIMER_MILLIS } from '../data/bounded.ts';
import { ExportError } from '../data/errors.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { optionChecks } from '../data/option-checks.ts';

/** When and how often a failed export is tried again. Only failures that may pass are: see `ExportError.retryable`. */
export interface RetryOptions {
  /**
   * Whether to try again at all.
   * @default true
   */
  enabled?: boolean;
  /**
   * Milliseconds that the first wait may last. Each wait is a random time between 0 and the interval (full jitter), so
   * that a thousand processes do not come back to a recovering backend in step.
   * @default 5000, as in OpenTelemetry Go
   */
  initialIntervalMillis?: number;
  /**
   * Milliseconds beyond which the interval no longer grows.
   * @default 30000, as in OpenTelemetry Go
   */
  maxIntervalMillis?: number;
  /**
   * Milliseconds from the first attempt after which no further one begins; 0 or Infinity for no limit. The timeout of
   * the export, and that of the reader, end it earlier when they are shorter.
   * @default 60000, as in OpenTelemetry Go
   */
  maxElapsedTimeMillis?: number;
  /**
   * By what the interval grows with each attempt.
   * @default 1.5, as in OpenTelemetry Go
   */
  multiplier?: number;
  /**
   * How many times to try again at most.
   * @default Infinity: time is the limit
   */
  maxRetries?: number;
}

export type RetryPolicy = Required<RetryOptions>;

/**
 * Fills in the defaults of a `retry` setting; `true` and `false` stand for `{ enabled }`.
 *
 * @param owner whose setting it is, for messages
 * @param prefix of the names of the settings in messages
 * @throws ConfigError for the first setting that cannot work
 */
export function retryPolicy(
  owner: string,
  options: RetryOptions | boolean = true,
  prefix = 'retry.',
): RetryPolicy {
  const { demand, demandObject, demandNothing } = optionChecks(owner);
  if (typeof options === 'boolean') return retryPolicy(owner, { enabled: options }, prefix);
  demandObject(prefix === '' ? 'options' : prefix.slice(0, -1), options);
  const {
    enabled = true,
    initialIntervalMillis = 5_000,
    maxIntervalMillis = Math.max(30_000, initialIntervalMillis),
    maxElapsedTimeMillis = 60_000,
    multiplier = 1.5,
    maxRetries = Infinity,
    ...unknown
  } = options;
  demandNothing(unknown, prefix);
  demand(typeof enabled === 'boolean', `${prefix}enabled`, enabled, 'true or false');
  demand(
    isNumber(initialIntervalMillis, 1, MAX_TIMER_MILLIS),
    `${prefix}initialIntervalMillis`,
    initialIntervalMillis,
    `a number of milliseconds from 1 to ${MAX_TIMER_MILLIS}`,
  );
  demand(
    isNumber(maxIntervalMillis, initialIntervalMillis, MAX_TIMER_MILLIS),
    `${prefix}maxIntervalMillis`,
    maxIntervalMillis,
    `a number of milliseconds from ${prefix}initialIntervalMillis (${initialIntervalMillis}) to ${MAX_TIMER_MILLIS}`,
  );
  demand(
    isNumber(maxElapsedTimeMillis, 0, Infinity),
    `${prefix}maxElapsedTimeMillis`,
    maxElapsedTimeMillis,
    'a number of milliseconds, or 0 for no limit',
  );
  demand(isNumber(multiplier, 1, 100), `${prefix}multiplier`, multiplier, 'a number from 1 to 100');
  demand(
    maxRetries === Infinity || (Number.isInteger(maxRetries) && maxRetries >= 0),
    `${prefix}maxRetries`,
    maxRetries,
    'a whole number, or Infinity',
  );
  return {
    enabled,
    initialIntervalMillis,
    maxIntervalMillis,
    maxElapsedTimeMillis: maxElapsedTimeMillis === 0 ? Infinity : maxElapsedTimeMillis,
    multiplier,
    maxRetries,
  };
}

export interface RetryingOptions {
  /** An abort during a wait ends it with the failure that it followed; attempts are to watch it themselves. */
  signal?: AbortSignal;
  /** On the clock of `now`: no attempt begins after it. Default: only the policy limits. */
  deadline?: number;
  /** Called before each wait, with the failure and how long the wait will be. */
  onRetry?: (error: ExportError, delayMillis: number) => void;
  random?: () => number;
  now?: () => number;
}

/**
 * Runs `attempt` until it succeeds, fails for good, or the budget does not allow another wait. A wait that the server
 * asked for is kept at least; one that is longer than the time left ends it at once, since waiting would be in vain.
 *
 * @param attempt is given the points still owed, where an earlier failure named them, and how many were refused so far
 * @returns what the attempt resolved with; rejects with the last failure, which then names the points still owed and
 *   counts what was refused in all attempts
 */
export async function retrying<T>(
  attempt: (undelivered: MetricBatch | undefined, rejected: number) => Promise<T>,
  policy: RetryPolicy,
  options: RetryingOptions = {},
): Promise<T> {
  const {
    signal,
    deadline = Infinity,
    onRetry,
    random = Math.random,
    now = () => performance.now(),
  } = options;
  const end = Math.min(deadline, now() + policy.maxElapsedTimeMillis);
  let interval = policy.initialIntervalMillis;
  let undelivered: MetricBatch | undefined;
  let rejected = 0;
  for (let retries = 0; ; retries++) {
    try {
      return await attempt(undelivered, rejected);
    } catch (cause) {
      const error = ExportError.from(cause);
      rejected += error.rejectedDataPoints ?? 0;
      if (error.undelivered !== undefined || error.retryable) {
        undelivered = error.undelivered ?? undelivered;
      } else if (undelivered !== undefined) {
        // What earlier attempts had left was refused for good: a part of the batch, which this failure must not hide.
        if (error.rejectedDataPoints === undefined) rejected += undelivered.pointCount;
        undelivered = undefined;
      }
      const failure = withTotals(error, undelivered, rejected);
      if (!error.retryable || !policy.enabled || retries >= policy.maxRetries) throw failure;
      const delay = Math.max(error.retryAfterMs ?? 0, random() * interval);
      if (!(now() + delay < end)) throw failure;
      interval = Math.min(interval * policy.multiplier, policy.maxIntervalMillis);
      onRetry?.(error, delay);
      if (!(await waited(delay, signal))) throw failure;
    }
  }
}

/** Of an attempt that got only what earlier ones had left, the failure must not be taken for that of the whole. */
function withTotals(error: ExportError, undelivered: MetricBatch | undefined, rejected: number): ExportError {
  if (error.undelivered === undelivered && (error.rejectedDataPoints ?? 0) === rejected) return error;
  return new ExportError(error.code, error.message.replace(`[${error.code}] `, ''), {
    retryable: error.retryable,
    retryAfterMs: error.retryAfterMs,
    rejectedDataPoints: rejected > 0 ? rejected : undefined,
    undelivered,
    cause: error.cause,
  });
}

/** Whether the whole time has passed; false after an abort. The timer does not keep the process alive. */
export function waited(millis: number, signal: AbortSignal | undefined): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve(false);
    const onAbort = () => {
      clearTimeout(timer);
      resolve(false);
    };
    const timer = setTimeout(
      () => {
        signal?.removeEventListener('abort', onAbort);
        resolve(true);
      },
      Math.min(millis, MAX_TIMER_MILLIS),
    );
    timer.unref();
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

const isNumber = (value: unknown, min: number, max: number): boolean =>
  typeof value === 'number' && value >= min && value <= max;
