// The way of a measurement into the streams of its instrument: the hot path of the library.
import type { Attributes } from '@opentelemetry/api';
import type { AttributeSet } from '../data/attribute-set.ts';
import { report } from '../data/diagnostics.ts';
import type { AttributeInterner } from './attribute-interner.ts';
import type { InstrumentDescriptor } from './instrument-descriptor.ts';
import { type ValueRule, valueRule } from './measurement.ts';
import type { Cell, SeriesTable } from './series-table.ts';
import type { SyncStream } from './stream.ts';

const NO_ATTRIBUTES: Attributes = Object.freeze({});

export class Recorder {
  readonly descriptor: InstrumentDescriptor;
  #streams: readonly SyncStream[];
  readonly #interner: AttributeInterner;
  readonly #rule: ValueRule;

  /** @param streams one per reader that keeps the instrument */
  constructor(descriptor: InstrumentDescriptor, streams: readonly SyncStream[], interner: AttributeInterner) {
    this.descriptor = descriptor;
    this.#streams = streams;
    this.#interner = interner;
    this.#rule = valueRule(descriptor);
  }

  /** Never throws: whatever is wrong with the arguments is reported, and the measurement left out. */
  record(given: number, attributes: Attributes = NO_ATTRIBUTES): void {
    const value = this.accept(given);
    if (value === undefined) return;
    try {
      const own = typeof attributes === 'object' ? attributes : this.#notAttributes(attributes);
      const set = this.#interner.find(own);
      const streams = this.#streams;
      for (let i = 0; i < streams.length; i++) streams[i]!.record(value, own, set);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Resolves everything that depends on the attributes now, so that a later measurement is an addition. */
  bind(attributes: Attributes = NO_ATTRIBUTES): BoundSeries {
    let own = NO_ATTRIBUTES;
    try {
      // A copy: the caller may change its object, and a released series is opened again with these.
      own = typeof attributes === 'object' ? { ...attributes } : this.#notAttributes(attributes);
    } catch (error) {
      this.#failed(error);
    }
    return new BoundSeries(
      this,
      this.#streams.map(({ table }) => new BoundTable(table, own, this.#interner)),
    );
  }

  /** Makes the instrument record nothing from here on. */
  close(): void {
    this.#streams = [];
  }

  accept(value: number): number | undefined {
    const { min, max, isInteger } = this.#rule;
    if (
      typeof value === 'number' &&
      value >= min &&
      value <= max &&
      (!isInteger || Number.isInteger(value))
    ) {
      return value;
    }
    return this.#rule.convert(value);
  }

  #notAttributes(attributes: unknown): Attributes {
    report(
      'warn',
      `attributes:${this.descriptor.name}`,
      `${this.descriptor.name}: attributes must be an object, not a ${typeof attributes}; recorded without any`,
    );
    return NO_ATTRIBUTES;
  }

  #failed(error: unknown): void {
    report(
      'error',
      `record:${this.descriptor.name}`,
      `${this.descriptor.name}: a measurement was lost because its attributes could not be read`,
      error,
    );
  }
}

/** A series in each stream of an instrument. */
export class BoundSeries {
  readonly #recorder: Recorder;
  readonly #tables: readonly BoundTable[];

  constructor(recorder: Recorder, tables: readonly BoundTable[]) {
    this.#recorder = recorder;
    this.#tables = tables;
  }

  record(given: number): void {
    const value = this.#recorder.accept(given);
    if (value === undefined) return;
    const tables = this.#tables;
    for (let i = 0; i < tables.length; i++) tables[i]!.record(value);
  }
}

class BoundTable {
  readonly #table: SeriesTable;
  readonly #attributes: Attributes;
  readonly #interner: AttributeInterner;
  #cell: Cell;

  constructor(table: SeriesTable, attributes: Attributes, interner: AttributeInterner) {
    this.#table = table;
    this.#attributes = attributes;
    this.#interner = interner;
    this.#cell = this.#open();
  }

  record(value: number): void {
    const table = this.#table;
    let { row } = this.#cell;
    if (row < 0) {
      this.#cell = this.#open();
      row = this.#cell.row;
    }
    table.touched[row] = 1;
    table.aggregator.record(row, value);
  }

  #open(): Cell {
    const set: AttributeSet | undefined = this.#interner.find(this.#attributes);
    const row = set === undefined ? -1 : this.#table.rowOf(set);
    return this.#table.cell(row < 0 ? this.#table.open(this.#attributes) : row);
  }
}
