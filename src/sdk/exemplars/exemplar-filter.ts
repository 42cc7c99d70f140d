// Which measurements are offered to reservoirs (OTel metrics SDK, "ExemplarFilter").
import {
  type Context,
  type ContextManager,
  ROOT_CONTEXT,
  type SpanContext,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import { report } from '../../data/diagnostics.ts';

/** `trace_based`: those made in a sampled span. `always_on`, `always_off`: all, none. */
export const EXEMPLAR_FILTERS = ['trace_based', 'always_on', 'always_off'] as const;

export type ExemplarFilter = (typeof EXEMPLAR_FILTERS)[number];

/** Where every copy of `@opentelemetry/api` keeps what is registered; made with the first registration, and then kept. */
const API = Symbol.for('opentelemetry.js.api.1');
let registry: { readonly context?: ContextManager } | undefined;

/**
 * Looks for the API's registry. Called when instruments are made and bound, when series begin, and when they are
 * collected, because a look at `globalThis` takes longer than a bound increment. We must not make the registry
 * ourselves: the API would then refuse what other copies of it register.
 */
export function findRegistry(): void {
  registry = (globalThis as { [API]?: typeof registry })[API];
}

/**
 * The context to keep with a measurement, or undefined when the measurement cannot become an exemplar.
 *
 * @param given the context that the caller passed, if any
 */
export function sampledContext(filter: ExemplarFilter, given: Context | undefined): Context | undefined {
  // Nearly always one of these two: exemplars are off, or there is neither a context nor who could know it.
  if (filter === 'always_off') return undefined;
  if (given === undefined && registry?.context === undefined && filter === 'trace_based') return undefined;
  const current = given ?? activeContext();
  if (filter === 'always_on') return current;
  if (current === ROOT_CONTEXT) return undefined;
  const span = spanOf(current);
  return span !== undefined && (span.traceFlags & TraceFlags.SAMPLED) !== 0 ? current : undefined;
}

/** What `context.active()` returns, without its check of versions, which takes 40 ns. */
function activeContext(): Context {
  try {
    return registry?.context?.active() ?? ROOT_CONTEXT;
  } catch (error) {
    report('warn', 'context-manager', 'the context manager failed; recorded without a context', error);
    return ROOT_CONTEXT;
  }
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
