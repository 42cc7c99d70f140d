// Our own messages: through OpenTelemetry's `diag`, never more often than once a minute for the same cause.
import { diag } from '@opentelemetry/api';

const INTERVAL_MS = 60_000;
/** Bounds the memory when causes are many, such as one per instrument name. */
const MAX_CAUSES = 1_000;

type Level = 'debug' | 'info' | 'warn' | 'error';

const causes = new Map<string, { silentUntil: number; suppressed: number }>();

/** Any value as text for a message, also one whose own conversion throws or that has none. */
export function textOf(value: unknown): string {
  try {
    return value instanceof Error ? value.message : String(value);
  } catch {
    return `a ${typeof value} without a text form`;
  }
}

/**
 * Logs a message unless one with the same `cause` was logged within the last minute; those left out are
 * counted and the count is told with the next one.
 *
 * @param cause names what went wrong and where, such as `json-file:/var/log/metrics.jsonl`
 */
export function report(level: Level, cause: string, message: string, ...details: unknown[]): void {
  const now = performance.now();
  const known = causes.get(cause);
  if (known !== undefined && now < known.silentUntil) {
    known.suppressed++;
    return;
  }
  const repeats = known?.suppressed ? ` (${known.suppressed} more like this since the last message)` : '';
  causes.delete(cause);
  if (causes.size >= MAX_CAUSES) causes.delete(causes.keys().next().value!);
  causes.set(cause, { silentUntil: now + INTERVAL_MS, suppressed: 0 });
  try {
    diag[level](`meterline: ${message}${repeats}`, ...details);
  } catch {
    // A logger that throws is the application's, and a measurement is no place to learn of it.
  }
}

/** Lets the next message of each cause through at once. For tests. */
export function resetReports(): void {
  causes.clear();
}
