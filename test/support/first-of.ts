import { trace } from '@opentelemetry/api';
import type { Exemplar } from '../../src/data/metric-data.ts';
import type { ExemplarReservoir } from '../../src/sdk/exemplars/exemplar-reservoir.ts';

/** A reservoir as a user may write one: it keeps the first so many measurements. */
export function firstOf(size: number): ExemplarReservoir {
  const kept: Exemplar[] = [];
  return {
    offer(value, timestamp, _attributes, context) {
      if (kept.length === size) return;
      kept.push({ value, timestamp, filteredAttributes: {}, ...trace.getSpanContext(context) });
    },
    collect: () => kept.splice(0),
  };
}
