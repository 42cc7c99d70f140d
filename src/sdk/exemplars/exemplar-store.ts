// The exemplars of all series of a stream, until the next collection or until later ones take their place.
import type { Attributes, Context } from '@opentelemetry/api';
import type { AttributeSet } from '../../data/attribute-set.ts';
import type { ExemplarColumns } from '../../data/exemplar-columns.ts';

/** Fills the columns of a batch, a few points at a time. */
export interface ExemplarCopier {
  /**
   * Takes the exemplars of some rows; they are those of the points after the ones before.
   *
   * @param sets by row
   */
  copy(rows: Uint32Array, sets: readonly AttributeSet[]): void;
  /** Undefined when there were none. */
  finish(): ExemplarColumns | undefined;
}

/** Has one reservoir for each row of a series table. Never throws. */
export interface ExemplarStore {
  /**
   * Offers a measurement that passed the filter.
   *
   * @param set that of the series
   * @param attributes all that were given, those that a View removes included
   */
  offer(row: number, set: AttributeSet, value: number, attributes: Attributes, context: Context): void;
  /** Begins the columns of a batch, for so many points at most; undefined when there are no exemplars at all. */
  copier(capacity: number): ExemplarCopier | undefined;
  /** Empties the reservoir of a row. */
  clear(row: number): void;
  /** Gives the reservoir of a row to another one. */
  move(from: number, to: number): void;
}
