// Reservoirs keep a few of the measurements of a series as examples (OTel metrics SDK, "ExemplarReservoir").
import { type Attributes, type Context, type HrTime, isSpanContextValid } from '@opentelemetry/api';
import type { Exemplar } from '../../data/metric-data.ts';
import { canonicalAttributes } from '../attribute-value.ts';
import { spanOf } from './exemplar-filter.ts';

/**
 * One instance per series. A reservoir of your own is given to a View.
 */
export interface ExemplarReservoir {
  /**
   * Offers a measurement that passed the filter.
   *
   * @param attributes all that were given, those that a View removes included
   */
  offer(value: number, timestamp: HrTime, attributes: Attributes, context: Context): void;
  /**
   * Returns what was kept since the last call and starts anew.
   *
   * @param pointAttributes those of the series; the exemplars tell the others
   */
  collect(pointAttributes: Attributes): Exemplar[];
}

interface Kept {
  readonly value: number;
  readonly timestamp: HrTime;
  readonly attributes: Attributes;
  readonly context: Context;
}

/**
 * A uniform sample of fixed size (Vitter's algorithm R, as the specification gives it).
 *
 * @param size how many exemplars a point may have
 */
export function simpleFixedSizeReservoir(size: number): ExemplarReservoir {
  let kept: Kept[] = [];
  let seen = 0;
  return {
    offer(value, timestamp, attributes, context) {
      const slot = seen < size ? seen : Math.floor(Math.random() * (seen + 1));
      seen++;
      if (slot < size) kept[slot] = keep(value, timestamp, attributes, context);
    },
    collect(pointAttributes) {
      const exemplars = kept.map((one) => exemplar(one, pointAttributes));
      kept = [];
      seen = 0;
      return exemplars;
    },
  };
}

/**
 * At most one exemplar per bucket of an explicit-bucket histogram, uniformly chosen among the bucket's.
 *
 * @param boundaries those of the histogram
 */
export function alignedHistogramBucketReservoir(boundaries: readonly number[]): ExemplarReservoir {
  let kept: (Kept | undefined)[] = [];
  let seen = new Uint32Array(boundaries.length + 1);
  return {
    offer(value, timestamp, attributes, context) {
      let bucket = 0;
      while (bucket < boundaries.length && value > boundaries[bucket]!) bucket++;
      if (Math.random() * ++seen[bucket]! < 1) {
        kept[bucket] = keep(value, timestamp, attributes, context);
      }
    },
    collect(pointAttributes) {
      const exemplars = kept.flatMap((one) => (one === undefined ? [] : exemplar(one, pointAttributes)));
      kept = [];
      seen = new Uint32Array(boundaries.length + 1);
      return exemplars;
    },
  };
}

/** The attributes as they are now: the caller may change its object before the collection. */
function keep(value: number, timestamp: HrTime, attributes: Attributes, context: Context): Kept {
  return { value, timestamp, attributes: canonicalAttributes(attributes), context };
}

function exemplar({ value, timestamp, attributes, context }: Kept, pointAttributes: Attributes): Exemplar {
  const filtered = Object.entries(attributes).filter(([key]) => !Object.hasOwn(pointAttributes, key));
  const span = spanOf(context);
  return {
    value,
    timestamp,
    filteredAttributes: Object.fromEntries(filtered),
    ...(span && isSpanContextValid(span) && { traceId: span.traceId, spanId: span.spanId }),
  };
}
