// The two errors that this library gives to its users.
import { textOf } from './diagnostics.ts';
import type { MetricBatch } from './metric-batch.ts';

/** Every code that an {@link ExportError} can have. `docs/errors.md` says what each means and what to do. */
export const EXPORT_ERROR_CODES = [
  'ABORTED',
  'INTERNAL',
  'IO',
  'PROTOCOL',
  'REJECTED',
  'SHUTDOWN',
  'THROTTLED',
  'TIMEOUT',
  'TLS',
  'TOO_LARGE',
  'UNAUTHENTICATED',
  'UNAVAILABLE',
] as const;

export type ExportErrorCode = (typeof EXPORT_ERROR_CODES)[number];

/**
 * Why an export failed. Tell errors apart by `code`, not by `instanceof`: an application may hold two copies
 * of this package.
 */
export class ExportError extends Error {
  override readonly name = 'ExportError';
  readonly code: ExportErrorCode;
  /** True when sending the same batch again later may succeed. */
  readonly retryable: boolean;
  /** How long the receiver asked us to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** How many points the receiver refused for good. */
  readonly rejectedDataPoints: number | undefined;
  /**
   * The points that are still owed, where the others were delivered or refused for good; absent when all are. Whoever
   * tries again sends these, so that nothing is counted twice.
   */
  readonly undelivered: MetricBatch | undefined;

  constructor(
    code: ExportErrorCode,
    message: string,
    options: {
      retryable?: boolean;
      retryAfterMs?: number;
      rejectedDataPoints?: number;
      undelivered?: MetricBatch;
      cause?: unknown;
    } = {},
  ) {
    super(`[${code}] ${message}`, { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.retryAfterMs = options.retryAfterMs;
    this.rejectedDataPoints = options.rejectedDataPoints;
    this.undelivered = options.undelivered;
  }

  /**
   * Makes an ExportError of whatever an exporter threw; one that is an ExportError already stays as it is. Others do
   * not say whether they may pass, so they count as retryable: sending twice is better than losing.
   */
  static from(error: unknown): ExportError {
    try {
      if (error instanceof Error && error.name === 'ExportError') return error as ExportError;
    } catch {
      // A getter of the error's threw.
    }
    return new ExportError('INTERNAL', textOf(error), { retryable: true, cause: error });
  }
}

/** A setting that cannot work. The message names the setting, the value it has, and what would be accepted. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}
