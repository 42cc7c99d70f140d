// The reservoirs that a View makes, one object for each series.
import type { Attributes, Context } from '@opentelemetry/api';
import type { AttributeSet } from '../../data/attribute-set.ts';
import { report } from '../../data/diagnostics.ts';
import { toExemplarColumns } from '../../data/exemplar-columns.ts';
import { fromHrTime, toHrTime } from '../../data/hr-time.ts';
import type { Exemplar } from '../../data/metric-data.ts';
import { canonicalAttributes } from '../attribute-value.ts';
import { now } from '../clock.ts';
import type { ExemplarReservoir } from './exemplar-reservoir.ts';
import type { ExemplarCopier, ExemplarStore } from './exemplar-store.ts';

export class CustomReservoirs implements ExemplarStore {
  readonly #create: () => ExemplarReservoir;
  /** By row; a series without an exemplar offered has none. */
  readonly #reservoirs: (ExemplarReservoir | undefined)[] = [];
  readonly #keeps: boolean;
  /** By row, where they are kept: what was collected last. */
  readonly #kept: (Exemplar[] | undefined)[] = [];

  constructor(create: () => ExemplarReservoir, keeps = false) {
    this.#create = create;
    this.#keeps = keeps;
  }

  offer(row: number, _set: AttributeSet, value: number, attributes: Attributes, context: Context): void {
    try {
      const reservoir = (this.#reservoirs[row] ??= this.#create());
      reservoir.offer(value, toHrTime(now()), attributes, context);
    } catch (error) {
      failed(error);
    }
  }

  copier(): ExemplarCopier {
    const byPoint: (Exemplar[] | undefined)[] = [];
    return {
      copy: (rows, sets) => {
        // All before any reservoir is asked, because it may end series.
        const own = Array.from(rows, (row) => sets[row]!);
        for (let i = 0; i < rows.length; i++) byPoint.push(this.#collect(rows[i]!, own[i]!));
      },
      finish: () => toExemplarColumns(byPoint),
    };
  }

  #collect(row: number, { attributes }: AttributeSet): Exemplar[] | undefined {
    try {
      const exemplars = this.#reservoirs[row]?.collect(attributes).map(checked);
      if (!this.#keeps) return exemplars;
      if (exemplars !== undefined && exemplars.length > 0) this.#kept[row] = exemplars;
      return this.#kept[row];
    } catch (error) {
      return failed(error);
    }
  }

  clear(row: number): void {
    this.#reservoirs[row] = undefined;
    this.#kept[row] = undefined;
  }

  move(from: number, to: number): void {
    this.#reservoirs[to] = this.#reservoirs[from];
    this.#reservoirs[from] = undefined;
    this.#kept[to] = this.#kept[from];
    this.#kept[from] = undefined;
  }
}

/** An exemplar that any encoder can take; throws for what is none. */
function checked({ value, timestamp, filteredAttributes, traceId, spanId }: Exemplar): Exemplar {
  if (typeof value !== 'number') throw new TypeError(`the value of an exemplar is a ${typeof value}`);
  return {
    value,
    timestamp: toHrTime(BigInt.asUintN(64, fromHrTime(timestamp))),
    filteredAttributes: canonicalAttributes(filteredAttributes),
    ...(traceId !== undefined && { traceId: String(traceId) }),
    ...(spanId !== undefined && { spanId: String(spanId) }),
  };
}

function failed(error: unknown): undefined {
  report(
    'error',
    'exemplar-reservoir',
    'an exemplar reservoir failed; its exemplars are lost, nothing else',
    error,
  );
}
