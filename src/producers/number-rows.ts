// Samples of one name as the columns of a sum or a gauge.
import type { AttributeSet } from '../data/attribute-set.ts';
import { gaugeColumns, type MetricColumns, sumColumns } from '../data/metric-batch.ts';
import { AggregationTemporality, type MetricDescriptor } from '../data/metric-data.ts';
import { ExemplarRows } from './exemplar-rows.ts';
import type { ReadingTime, SeriesMemory } from './series.ts';

/** What the samples are: `total` is a counter's whose name keeps it from being told as monotonic, `sum` may fall. */
export type NumberKind = 'counter' | 'total' | 'sum' | 'gauge';

export class NumberRows {
  readonly #kind: NumberKind;
  readonly #memory: SeriesMemory;
  readonly #read: ReadingTime;
  readonly #attributes: AttributeSet[] = [];
  readonly #values: number[] = [];
  readonly #startTimes: bigint[] = [];
  readonly #exemplars = new ExemplarRows();
  /** How many samples were of a series that had one already. */
  repeated = 0;

  constructor(kind: NumberKind, memory: SeriesMemory, read: ReadingTime) {
    this.#kind = kind;
    this.#memory = memory;
    this.#read = read;
  }

  add(labels: Readonly<Record<string, unknown>>, value: number, exemplar: unknown): void {
    const series = this.#memory.at(labels);
    if (series.read === this.#read) {
      this.repeated++;
      return;
    }
    this.#memory.note(series, value, this.#read, this.#kind === 'gauge' || this.#kind === 'sum');
    this.#attributes.push(series.attributes);
    this.#values.push(value);
    this.#startTimes.push(startOf(series.start, this.#read));
    this.#exemplars.add(exemplar);
    this.#exemplars.endPoint();
  }

  columns(descriptor: MetricDescriptor): MetricColumns {
    const exemplars = this.#exemplars.columns();
    const columns = {
      descriptor,
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
      length: this.#values.length,
      attributes: this.#attributes,
      startTimes: new BigUint64Array(this.#startTimes),
      endTimes: new BigUint64Array(this.#values.length).fill(this.#read.time),
      values: new Float64Array(this.#values),
      ...(exemplars && { exemplars }),
    };
    return this.#kind === 'gauge' ? gaugeColumns(columns) : sumColumns(columns, this.#kind === 'counter');
  }
}

/** The clock may have been set back meanwhile. */
export function startOf(start: bigint, { time }: ReadingTime): bigint {
  return start < time ? start : time;
}
