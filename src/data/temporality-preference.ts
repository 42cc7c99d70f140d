// The three temporality preferences that OpenTelemetry names, as what an exporter or a reader takes.
import type { AggregationTemporalitySelector } from './aggregation-option.ts';
import { shown } from './checked-options.ts';
import { ConfigError } from './errors.ts';
import { AggregationTemporality, InstrumentType } from './metric-data.ts';

/**
 * - `cumulative`: every point tells the total since the start. For Prometheus and most OTLP backends.
 * - `delta`: every point tells what was added since the last collection, except for up-down counters, whose
 *   present value is what one asks for.
 * - `lowmemory`: as `delta`, but observable instruments and gauges stay cumulative, because a delta of an observable
 *   counter needs the last value kept. The least memory in this process.
 */
export const TEMPORALITY_PREFERENCES = ['cumulative', 'delta', 'lowmemory'] as const;

export type TemporalityPreference = (typeof TEMPORALITY_PREFERENCES)[number];

/** The kinds that each preference makes delta (OTel specification, OTLP metrics exporter). */
const DELTA: Record<TemporalityPreference, ReadonlySet<InstrumentType>> = {
  cumulative: new Set(),
  delta: new Set([
    InstrumentType.COUNTER,
    InstrumentType.OBSERVABLE_COUNTER,
    InstrumentType.HISTOGRAM,
    InstrumentType.GAUGE,
    InstrumentType.OBSERVABLE_GAUGE,
  ]),
  lowmemory: new Set([InstrumentType.COUNTER, InstrumentType.HISTOGRAM]),
};

/**
 * Give the result to an exporter's or a reader's temporality selector.
 *
 * @throws ConfigError when there is no such preference
 */
export function temporalityPreference(preference: TemporalityPreference): AggregationTemporalitySelector {
  const kinds = TEMPORALITY_PREFERENCES.includes(preference) ? DELTA[preference] : undefined;
  if (kinds === undefined) {
    throw new ConfigError(
      `the temporality preference is ${shown(preference)}; use one of ${TEMPORALITY_PREFERENCES.join(', ')}`,
    );
  }
  return (instrumentType) =>
    kinds.has(instrumentType) ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE;
}
