// The synchronous instruments of the OpenTelemetry API, with `bind` on top of it.
import type * as api from '@opentelemetry/api';
import type { Attributes } from '@opentelemetry/api';
import type { BoundSeries, Recorder } from './recorder.ts';

/** A counter with its attributes resolved: a few nanoseconds a call, no look-up, no allocation. */
export interface BoundCounter {
  /** Adds a value that is not negative. */
  add(value: number): void;
}

/** An up-down counter with its attributes resolved. */
export interface BoundUpDownCounter {
  add(value: number): void;
}

/** A histogram with its attributes resolved. */
export interface BoundHistogram {
  /** Records a value that is not negative. */
  record(value: number): void;
}

/** A gauge with its attributes resolved. */
export interface BoundGauge {
  record(value: number): void;
}

class Adder implements api.Counter, api.UpDownCounter {
  readonly #recorder: Recorder;

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  add(value: number, attributes?: Attributes): void {
    this.#recorder.record(value, attributes);
  }

  bind(attributes?: Attributes): BoundCounter {
    return new BoundAdder(this.#recorder.bind(attributes));
  }
}

class Recording implements api.Histogram, api.Gauge {
  readonly #recorder: Recorder;

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  record(value: number, attributes?: Attributes): void {
    this.#recorder.record(value, attributes);
  }

  bind(attributes?: Attributes): BoundHistogram {
    return this.#recorder.bind(attributes);
  }
}

class BoundAdder implements BoundCounter {
  readonly #series: BoundSeries;

  constructor(series: BoundSeries) {
    this.#series = series;
  }

  add(value: number): void {
    this.#series.record(value);
  }
}

/**
 * A sum that only grows. Negative, NaN and infinite values are reported and left out.
 */
export interface Counter<T extends Attributes = Attributes> extends api.Counter<T> {
  /** Resolves the attributes once; the handle stays valid for the life of the instrument. */
  bind(attributes?: T): BoundCounter;
}

/** A sum that goes up and down. */
export interface UpDownCounter<T extends Attributes = Attributes> extends api.UpDownCounter<T> {
  bind(attributes?: T): BoundUpDownCounter;
}

/** A distribution of values that are not negative. */
export interface Histogram<T extends Attributes = Attributes> extends api.Histogram<T> {
  bind(attributes?: T): BoundHistogram;
}

/** The latest of the values recorded. */
export interface Gauge<T extends Attributes = Attributes> extends api.Gauge<T> {
  bind(attributes?: T): BoundGauge;
}

/** For counters and up-down counters, which differ in the values that the recorder accepts. */
export function adder<T extends Attributes>(recorder: Recorder): Counter<T> & UpDownCounter<T> {
  return new Adder(recorder);
}

/** For histograms and gauges, which differ in how the recorder's streams aggregate. */
export function recording<T extends Attributes>(recorder: Recorder): Histogram<T> & Gauge<T> {
  return new Recording(recorder);
}
