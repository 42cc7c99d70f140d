// A line in the application's log for each export.
import { report, textOf } from '../data/diagnostics.ts';
import { ConfigError, ExportError } from '../data/errors.ts';
import type { PushMetricExporter } from '../data/exporter.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { optionChecks } from '../data/option-checks.ts';
import { decorate, wrapped } from './decorate.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/** What `console`, pino, winston, bunyan and OpenTelemetry's `diag` have in common. */
export type ExportLogger = { [L in LogLevel]: (...details: never[]) => unknown };

export interface LoggingOptions {
  /**
   * Where the lines go; default `console`. pino and bunyan, known by their `bindings` or `fields`, get the fields before
   * the message, all others after it.
   */
  logger?: ExportLogger;
  /** Level of exports that were delivered. Default `info`. */
  successLevel?: LogLevel;
  /** Level of exports, flushes and shutdowns that failed. Default `error`. */
  failureLevel?: LogLevel;
}

/** The fields of a line. Never attributes, values or texts of errors, which may quote them or hold a secret. */
export interface ExportLogFields {
  exporter: string;
  outcome: 'success' | 'failure';
  durationMillis: number;
  scopes?: number;
  metrics?: number;
  points?: number;
  /** The code of the `ExportError`. Its text goes to `diag`, through the reader. */
  errorCode?: string;
  retryable?: boolean;
  /** Points that were refused for good. */
  rejectedPoints?: number;
  /** Points still owed, when it is not the whole batch. */
  owedPoints?: number;
}

/**
 * Logs each export of `exporter` once it has ended: how many scopes, metrics and points, how long it took, how it ended.
 * Flushes and shutdowns only when they fail. A logger that fails does not harm the export.
 *
 * Inside `retry` it logs each attempt; around it, the outcome.
 *
 * @throws ConfigError when `exporter` is no exporter or an option cannot work
 */
export function logging(exporter: PushMetricExporter, options: LoggingOptions = {}): PushMetricExporter {
  const inner = wrapped('logging', exporter);
  const { logger, successLevel, failureLevel } = validOptions(options);
  const isFieldsFirst =
    typeof (logger as { bindings?: unknown }).bindings === 'function' ||
    typeof (logger as { fields?: unknown }).fields === 'object';

  function log(level: LogLevel, message: string, fields: ExportLogFields): void {
    const failed = (error: unknown) =>
      report('warn', 'logging-logger', `the logger given to logging() failed: ${textOf(error)}`);
    try {
      const method = logger[level] as (...details: unknown[]) => unknown;
      const result = isFieldsFirst
        ? method.call(logger, fields, message)
        : method.call(logger, message, fields);
      if (result instanceof Promise) result.catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  async function logged<T>(
    what: string,
    work: Promise<T>,
    counts: Partial<ExportLogFields> = {},
  ): Promise<T> {
    const start = performance.now();
    const fields = (outcome: ExportLogFields['outcome']): ExportLogFields => ({
      exporter: inner.name,
      outcome,
      durationMillis: Math.round((performance.now() - start) * 1_000) / 1_000,
      ...counts,
    });
    try {
      const result = await work;
      if (what === EXPORT) {
        const refused = (result as ExportError | undefined)?.rejectedDataPoints;
        log(successLevel, `${what} delivered`, {
          ...fields('success'),
          ...(refused && { rejectedPoints: refused }),
        });
      }
      return result;
    } catch (cause) {
      const { code, retryable, rejectedDataPoints, undelivered } = ExportError.from(cause);
      log(failureLevel, `${what} failed`, {
        ...fields('failure'),
        errorCode: code,
        retryable,
        ...(rejectedDataPoints !== undefined && { rejectedPoints: rejectedDataPoints }),
        ...(undelivered !== undefined && { owedPoints: undelivered.pointCount }),
      });
      throw cause;
    }
  }

  return decorate(
    'logging',
    exporter,
    inner,
    (batch, signal) => logged(EXPORT, inner.export(batch, signal), countsOf(batch)),
    {
      forceFlush: () => logged('flush of metrics', inner.forceFlush()),
      shutdown: () => logged('shutdown of metrics', inner.shutdown()),
    },
  );
}

const EXPORT = 'export of metrics';

function countsOf({ scopeMetrics, pointCount }: MetricBatch) {
  const metrics = scopeMetrics.reduce((sum, scope) => sum + scope.metrics.length, 0);
  return { scopes: scopeMetrics.length, metrics, points: pointCount };
}

function validOptions(options: LoggingOptions): Required<LoggingOptions> {
  const { demand, demandObject, demandNothing } = optionChecks('logging');
  demandObject('options', options);
  const { logger = console, successLevel = 'info', failureLevel = 'error', ...unknown } = options;
  demandNothing(unknown);
  // Not shown in the message: a logger may hold the credentials of where it logs to.
  const missing = LOG_LEVELS.find((level) => typeof logger?.[level] !== 'function');
  if (missing !== undefined) {
    throw new ConfigError(
      `logging: logger has no method ${missing}; use a logger with ${LOG_LEVELS.join(', ')}, such as console`,
    );
  }
  const remedy = `one of ${LOG_LEVELS.join(', ')}`;
  demand(LOG_LEVELS.includes(successLevel), 'successLevel', successLevel, remedy);
  demand(LOG_LEVELS.includes(failureLevel), 'failureLevel', failureLevel, remedy);
  return { logger, successLevel, failureLevel };
}
