// OpenTelemetry JS's name for one of our errors.
import { ExportError } from './errors.ts';

/**
 * Every {@link ExportError} with the code `TIMEOUT` is an instance of it, whoever made it: what rejects when a caller's
 * `timeoutMillis` has passed is caught by `instanceof TimeoutError`, as with `@opentelemetry/sdk-metrics`.
 */
export class TimeoutError extends ExportError {
  constructor(message = 'the time given has passed') {
    super('TIMEOUT', message, { retryable: true });
  }

  /** By code, because there may be two copies of this package. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    const { name, code } = (value ?? {}) as Partial<ExportError>;
    return name === 'ExportError' && code === 'TIMEOUT';
  }
}
