// Which measurements are offered to reservoirs (OTel metrics SDK, "ExemplarFilter").
import { type Context, context, type SpanContext, TraceFlags, trace } from '@opentelemetry/api';
import { report } from '../../data/diagnostics.ts';

/** `trace_based`: those made in a sampled span. `always_on`, `always_off`: all, none. */
export const EXEMPLAR_FILTERS = ['trace_based', 'always_on', 'always_off'] as const;

export type ExemplarFilter = (typeof EXEMPLAR_FILTERS)[number];

/** Where `@opentelemetry/api` keeps what is registered; made with the first registration, and then kept. */
const API = Symbol.for('opentelemetry.js.api.1');
let api: { context?: unknown } | undefined;

/**
 * Looks for the API's registry while there is none. Called when instruments are made, bound and collected, because
 * a look at `globalThis` takes longer than a bound increment.
 */
export function findRegistry(): void {
  api ??= (globalThis as { [API]?: { context?: unknown } })[API];
}

/**
 * The context to keep with a measurement, or undefined when the measurement cannot become an exemplar.
 *
 * @param given the context that the caller passed, if any
 */
export function sampledContext(filter: ExemplarFilter, given: Context | undefined): Context | undefined {
  if (filter === 'always_off') return undefined;
  if (filter === 'always_on') return given ?? context.active();
  // Without a context manager there is no active span.
  if (given === undefined && api?.context === undefined) return undefined;
  const current = given ?? context.active();
  const span = spanOf(current);
  return span !== undefined && (span.traceFlags & TraceFlags.SAMPLED) !== 0 ? current : undefined;
}

/** The span of a context; none for what is no context, which a caller without types may pass. */
export function spanOf(current: Context): SpanContext | undefined {
  try {
    return trace.getSpanContext(current);
  } catch {
    report('warn', 'context', 'the context given with a measurement is not one; recorded without it');
    return undefined;
  }
}
