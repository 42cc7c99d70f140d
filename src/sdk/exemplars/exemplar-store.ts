// The exemplars of all series of a stream, until the next collection or until later ones take their place.
import type { Attributes, Context } from '@opentelemetry/api';
import type { AttributeSet } from '../../data/attribute-set.ts';
import type { ExemplarColumns } from '../../data/exemplar-columns.ts';

/** Has one reservoir for each row of a series table. Never throws. */
export interface ExemplarStore {
  /**
   * Offers a measurement that passed the filter.
   *
   * @param set that of the series
   * @param attributes all that were given, those that a View removes included
   */
  offer(row: number, set: AttributeSet, value: number, attributes: Attributes, context: Context): void;
  /**
   * The exemplars of the given rows, or of the first `sets.length` ones, which are all that have any.
   *
   * @param sets by row
   */
  collect(sets: readonly AttributeSet[], rows: Uint32Array | undefined): ExemplarColumns | undefined;
  /** Empties the reservoir of a row. */
  clear(row: number): void;
  /** Gives the reservoir of a row to another one. */
  move(from: number, to: number): void;
}
