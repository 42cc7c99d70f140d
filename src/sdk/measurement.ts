// Which measured values an instrument accepts. Decided per instrument, so that the check per call is two comparisons.
import { ValueType } from '@opentelemetry/api';
import { report, textOf } from '../data/diagnostics.ts';
import { InstrumentType } from '../data/metric-data.ts';
import { LastValueAggregator } from './aggregation/last-value.ts';
import { shown } from './attribute-value.ts';
import type { InstrumentDescriptor } from './instrument-descriptor.ts';
import type { Stream } from './stream.ts';

export interface ValueRule {
  /** Values from `min` to `max` need no further look, except for integers of an INT instrument. */
  readonly min: number;
  readonly max: number;
  readonly isInteger: boolean;
  /** Converts what can be converted; undefined (with a report) for what cannot. */
  convert(value: unknown): number | undefined;
}

const NEVER_NEGATIVE = new Set<InstrumentType>([
  InstrumentType.COUNTER,
  InstrumentType.HISTOGRAM,
  InstrumentType.OBSERVABLE_COUNTER,
]);
const ANY_NUMBER = new Set<InstrumentType>([InstrumentType.GAUGE, InstrumentType.OBSERVABLE_GAUGE]);

/** @param streams those of the instrument, in all readers */
export function valueRule(
  { name, type, valueType }: InstrumentDescriptor,
  streams: readonly Pick<Stream, 'table'>[],
): ValueRule {
  // NaN and infinities would spoil a sum for good, and no bucket fits NaN; a gauge shows them until its next value.
  const isShown =
    ANY_NUMBER.has(type) && streams.every(({ table }) => table.aggregator instanceof LastValueAggregator);
  const limit = isShown ? Number.POSITIVE_INFINITY : Number.MAX_VALUE;
  const min = NEVER_NEGATIVE.has(type) ? 0 : -limit;
  const isInteger = valueType === ValueType.INT;

  function refuse(value: unknown, remedy: string): undefined {
    const text = typeof value === 'string' ? shown(value) : `${typeof value} ${textOf(value)}`;
    report('warn', `value:${name}`, `${name}: the measurement ${text} is ignored; ${remedy}`);
  }

  return {
    min,
    max: limit,
    isInteger,
    convert(value) {
      if (typeof value === 'bigint') {
        const number = Number(value);
        if (!Number.isSafeInteger(number)) return refuse(value, 'integers beyond 2^53 cannot be recorded');
        return number >= min ? number : refuse(value, 'it must not be negative');
      }
      if (typeof value !== 'number') return refuse(value, 'it must be a number');
      if (Number.isNaN(value) && limit === Number.MAX_VALUE) return refuse(value, 'it must be finite');
      if (value < min) return refuse(value, min === 0 ? 'it must not be negative' : 'it must be finite');
      if (value > limit) return refuse(value, 'it must be finite');
      if (!isInteger || !Number.isFinite(value) || Number.isInteger(value)) return value;
      report(
        'warn',
        `value:${name}`,
        `${name}: the measurement ${value} is cut to ${Math.trunc(value)}; the instrument was created for integers`,
      );
      return Math.trunc(value);
    },
  };
}
