// The way of a measurement into the streams of its instrument: the hot path of the library.
import type { Attributes, Context } from '@opentelemetry/api';
import { report } from '../data/diagnostics.ts';
import type { AttributeInterner } from './attribute-interner.ts';
import { type ExemplarFilter, findRegistry, sampledContext } from './exemplars/exemplar-filter.ts';
import type { InstrumentDescriptor } from './instrument-descriptor.ts';
import { type ValueRule, valueRule } from './measurement.ts';
import type { SyncStream } from './stream.ts';

export const NO_ATTRIBUTES: Attributes = Object.freeze({});

export class Recorder {
  readonly descriptor: InstrumentDescriptor;
  readonly interner: AttributeInterner;
  readonly exemplarFilter: ExemplarFilter;
  readonly rule: ValueRule;
  /** Finite values from here on need no further look; none of an integer instrument. */
  readonly min: number;
  /** The streams that keep all attributes, which one look-up serves, and those that do not. */
  #plain: readonly SyncStream[];
  #filtered: readonly SyncStream[];
  #isClosed = false;

  /** @param streams those of every reader that keeps the instrument */
  constructor(
    descriptor: InstrumentDescriptor,
    streams: readonly SyncStream[],
    interner: AttributeInterner,
    exemplarFilter: ExemplarFilter,
  ) {
    this.descriptor = descriptor;
    this.interner = interner;
    this.exemplarFilter = exemplarFilter;
    this.rule = valueRule(descriptor, streams);
    this.min = this.rule.isInteger ? Number.POSITIVE_INFINITY : this.rule.min;
    this.#plain = streams.filter((stream) => stream.filter === undefined);
    this.#filtered = streams.filter((stream) => stream.filter !== undefined);
    findRegistry();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get streams(): readonly SyncStream[] {
    return [...this.#plain, ...this.#filtered];
  }

  /** Never throws: whatever is wrong with the arguments is reported, and the measurement left out. */
  record(given: number, attributes: Attributes = NO_ATTRIBUTES, context?: Context): void {
    let value: number | undefined = given;
    if (!(typeof given === 'number' && given >= this.min && given <= Number.MAX_VALUE)) {
      value = this.accept(given);
      if (value === undefined) return;
    }
    try {
      const own = typeof attributes === 'object' ? attributes : this.notAttributes(attributes);
      const sampled = sampledContext(this.exemplarFilter, context);
      const plain = this.#plain;
      if (plain.length > 0) {
        const set = this.interner.find(own);
        for (let i = 0; i < plain.length; i++) plain[i]!.record(value, own, set, sampled);
      }
      const filtered = this.#filtered;
      if (filtered.length > 1) this.#recordFiltered(value, own, context, sampled);
      else if (filtered.length > 0) filtered[0]!.recordFiltered(value, own, context, sampled);
    } catch (error) {
      this.failed(error);
    }
  }

  /** Reads the attributes once for all streams whose filters go by keys. */
  #recordFiltered(
    value: number,
    attributes: Attributes,
    context: Context | undefined,
    sampled: Context | undefined,
  ): void {
    const { interner } = this;
    const filtered = this.#filtered;
    const values = interner.takeScratch();
    const shape = interner.read(attributes, values);
    if (shape === undefined) interner.learn(attributes);
    for (let i = 0; i < filtered.length; i++) {
      const stream = filtered[i]!;
      if (shape === undefined || stream.filter?.keeps === undefined) {
        stream.recordFiltered(value, attributes, context, sampled);
      } else stream.recordRead(value, attributes, shape, values, sampled);
    }
    interner.giveBack(values);
  }

  /** Ends the series of these attributes in every stream. */
  remove(attributes: Attributes = NO_ATTRIBUTES): void {
    try {
      const own = typeof attributes === 'object' ? attributes : this.notAttributes(attributes);
      for (const stream of this.streams) stream.remove(own);
    } catch (error) {
      this.failed(error);
    }
  }

  /** Makes the instrument record nothing from here on. */
  close(): void {
    this.#isClosed = true;
    for (const { table } of this.streams) table.close();
    this.#plain = [];
    this.#filtered = [];
  }

  /** What is recorded of a value that is not finite and at least `min`. */
  accept(value: number): number | undefined {
    if (this.rule.isInteger && Number.isInteger(value) && value >= this.rule.min) return value;
    return this.#isClosed ? undefined : this.rule.convert(value);
  }

  notAttributes(attributes: unknown): Attributes {
    report(
      'warn',
      `attributes:${this.descriptor.name}`,
      `${this.descriptor.name}: attributes must be an object, not a ${typeof attributes}; recorded without any`,
    );
    return NO_ATTRIBUTES;
  }

  failed(error: unknown): void {
    report(
      'error',
      `record:${this.descriptor.name}`,
      `${this.descriptor.name}: a measurement was lost because its attributes could not be read`,
      error,
    );
  }
}
