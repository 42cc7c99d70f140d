// Creates instruments and keeps those of one name apart or together (OTel metrics SDK, "Duplicate instrument
// registration").
import type * as api from '@opentelemetry/api';
import { type Attributes, ValueType } from '@opentelemetry/api';
import { report } from '../data/diagnostics.ts';
import { InstrumentType } from '../data/metric-data.ts';
import type { AttributeInterner } from './attribute-interner.ts';
import { shown } from './attribute-value.ts';
import type { ExemplarFilter } from './exemplars/exemplar-filter.ts';
import {
  describeInstrument,
  type InstrumentAdvice,
  type InstrumentDescriptor,
  type InstrumentOptions,
  isIdentical,
} from './instrument-descriptor.ts';
import {
  adder,
  type Counter,
  type Gauge,
  type Histogram,
  recording,
  type UpDownCounter,
} from './instruments.ts';
import { ObservableInstrument } from './observables.ts';
import type { Pipeline, Scope } from './pipeline.ts';
import { Recorder } from './recorder.ts';
import type { Stream } from './stream.ts';

interface Registered {
  descriptor: InstrumentDescriptor;
  readonly streams: readonly Stream[];
  readonly instrument: unknown;
}

export class Meter implements api.Meter {
  readonly #scope: Scope;
  /** None once closed. */
  #pipelines: readonly Pipeline[];
  readonly #interner: AttributeInterner;
  readonly #exemplarFilter: ExemplarFilter;
  /** By lower-case name: names that differ in case only are the same name. */
  readonly #registered = new Map<string, Registered[]>();
  readonly #recorders: Recorder[] = [];
  #isClosed = false;

  constructor(
    scope: Scope,
    pipelines: readonly Pipeline[],
    interner: AttributeInterner,
    exemplarFilter: ExemplarFilter,
  ) {
    this.#scope = scope;
    this.#pipelines = pipelines;
    this.#interner = interner;
    this.#exemplarFilter = exemplarFilter;
  }

  createCounter<T extends Attributes = Attributes>(name: string, options?: InstrumentOptions): Counter<T> {
    return this.#sync(InstrumentType.COUNTER, name, options, adder);
  }

  createUpDownCounter<T extends Attributes = Attributes>(
    name: string,
    options?: InstrumentOptions,
  ): UpDownCounter<T> {
    return this.#sync(InstrumentType.UP_DOWN_COUNTER, name, options, adder);
  }

  createHistogram<T extends Attributes = Attributes>(
    name: string,
    options?: InstrumentOptions,
  ): Histogram<T> {
    return this.#sync(InstrumentType.HISTOGRAM, name, options, recording);
  }

  createGauge<T extends Attributes = Attributes>(name: string, options?: InstrumentOptions): Gauge<T> {
    return this.#sync(InstrumentType.GAUGE, name, options, recording);
  }

  createObservableCounter<T extends Attributes = Attributes>(
    name: string,
    options?: InstrumentOptions,
  ): api.ObservableCounter<T> {
    return this.#async(InstrumentType.OBSERVABLE_COUNTER, name, options);
  }

  createObservableUpDownCounter<T extends Attributes = Attributes>(
    name: string,
    options?: InstrumentOptions,
  ): api.ObservableUpDownCounter<T> {
    return this.#async(InstrumentType.OBSERVABLE_UP_DOWN_COUNTER, name, options);
  }

  createObservableGauge<T extends Attributes = Attributes>(
    name: string,
    options?: InstrumentOptions,
  ): api.ObservableGauge<T> {
    return this.#async(InstrumentType.OBSERVABLE_GAUGE, name, options);
  }

  addBatchObservableCallback(callback: api.BatchObservableCallback, observables: api.Observable[]): void {
    this.#scope.callbacks.addBatch(callback, observables);
  }

  removeBatchObservableCallback(callback: api.BatchObservableCallback, observables: api.Observable[]): void {
    this.#scope.callbacks.removeBatch(callback, observables);
  }

  /** Makes the meter a no-op: nothing is recorded, checked or kept from here on. */
  close(): void {
    for (const recorder of this.#recorders) recorder.close();
    this.#scope.callbacks.close();
    this.#recorders.length = 0;
    this.#registered.clear();
    this.#pipelines = [];
    this.#isClosed = true;
  }

  #sync<I>(
    type: InstrumentType,
    name: string,
    options: InstrumentOptions | undefined,
    wrap: (recorder: Recorder) => I,
  ): I {
    return this.#register(type, name, options, (descriptor, pipelines) => {
      const streams = pipelines.flatMap((pipeline) => pipeline.sync(this.#scope, descriptor));
      const recorder = new Recorder(descriptor, streams, this.#interner, this.#exemplarFilter);
      if (this.#isClosed) recorder.close();
      else this.#recorders.push(recorder);
      return { streams, instrument: wrap(recorder) };
    });
  }

  #async(type: InstrumentType, name: string, options: InstrumentOptions | undefined): ObservableInstrument {
    return this.#register(type, name, options, (descriptor, pipelines) => {
      const streams = new Map(
        pipelines.map((pipeline, reader) => [reader, pipeline.async(this.#scope, descriptor)]),
      );
      const instrument = new ObservableInstrument(descriptor, streams, this.#scope.callbacks);
      return { streams: [...streams.values()].flat(), instrument };
    });
  }

  #register<I>(
    type: InstrumentType,
    name: string,
    options: InstrumentOptions | undefined,
    create: (
      descriptor: InstrumentDescriptor,
      pipelines: readonly Pipeline[],
    ) => { streams: Stream[]; instrument: I },
  ): I {
    if (this.#isClosed) return create(unchecked(type), []).instrument;
    const descriptor = describeInstrument(type, name, options);
    const key = descriptor.name.toLowerCase();
    const sameName = this.#registered.get(key) ?? [];
    const first = sameName[0]?.descriptor;
    if (first && first.name !== descriptor.name) {
      report(
        'warn',
        `instrument-case:${key}`,
        `instrument ${shown(descriptor.name)} is recorded as ${shown(first.name)}, the name it was first created ` +
          'with: instrument names do not depend on case',
      );
    }
    const known = sameName.find((other) => isIdentical(other.descriptor, descriptor));
    if (known) {
      reuse(known, descriptor);
      return known.instrument as I;
    }
    const own = first ? { ...descriptor, name: first.name } : descriptor;
    const created = create(own, this.#pipelines);
    this.#registered.set(key, [...sameName, { descriptor: own, ...created }]);
    return created.instrument;
  }
}

/** The longer description stands, the first advice stands; both as the specification has it. */
function reuse(known: Registered, descriptor: InstrumentDescriptor): void {
  const { name, description, advice } = known.descriptor;
  const streams = known.streams.filter((stream) => !stream.isDescribedByView);
  if (descriptor.description !== description && streams.length > 0) {
    report(
      'warn',
      `instrument-description:${name}`,
      `instrument ${name} was created with two descriptions; the longer one is used`,
    );
    if (descriptor.description.length > description.length) {
      known.descriptor = { ...known.descriptor, description: descriptor.description };
      for (const stream of streams) {
        stream.descriptor = { ...stream.descriptor, description: descriptor.description };
      }
    }
  }
  if (differs(descriptor.advice, advice)) {
    report(
      'error',
      `instrument-advice:${name}`,
      `instrument ${name} was created with different advice; that given first is used`,
    );
  }
}

/** Whether the later advice says something, and something else. */
function differs(later: InstrumentAdvice, first: InstrumentAdvice): boolean {
  return (['explicitBucketBoundaries', 'attributes'] as const).some(
    (aspect) => later[aspect] && String(later[aspect]) !== String(first[aspect]),
  );
}

/** For an instrument of a closed meter, which nobody will see. */
function unchecked(type: InstrumentType): InstrumentDescriptor {
  return { name: '', type, description: '', unit: '', valueType: ValueType.DOUBLE, advice: {} };
}
