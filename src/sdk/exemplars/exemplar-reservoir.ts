// Reservoirs keep a few of the measurements of a series as examples (OTel metrics SDK, "ExemplarReservoir").
import type { Attributes, Context, HrTime } from '@opentelemetry/api';
import type { Exemplar } from '../../data/metric-data.ts';

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
