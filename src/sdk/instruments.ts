// The synchronous instruments of the OpenTelemetry API, with `bind` on top of it.
import type * as api from '@opentelemetry/api';
import type { Attributes, Context } from '@opentelemetry/api';
import { bind } from './bound-series.ts';
import type { Recorder } from './recorder.ts';

/** A counter with its attributes resolved: a few nanoseconds a call, no look-up, no allocation. */
export interface BoundCounter {
  /**
   * Adds a value that is not negative.
   *
   * @param context where to look for the span of an exemplar; default: the active context
   */
  add(value: number, context?: Context): void;
}

/** An up-down counter with its attributes resolved. */
export interface BoundUpDownCounter {
  add(value: number, context?: Context): void;
}

/** A histogram with its attributes resolved. */
export interface BoundHistogram {
  /** Records a value that is not negative. */
  record(value: number, context?: Context): void;
}

/** A gauge with its attributes resolved. */
export interface BoundGauge {
  record(value: number, context?: Context): void;
}

/** What follows the value: attributes that have a required name cannot be left out as a whole either. */
type AttributesAndContext<T extends Attributes> =
  Partial<T> extends T ? [attributes?: T, context?: Context] : [attributes: T, context?: Context];

type OnlyAttributes<T extends Attributes> = Partial<T> extends T ? [attributes?: T] : [attributes: T];

/** What synchronous instruments have beyond the API of OpenTelemetry. */
interface Extensions<T extends Attributes> {
  /**
   * Ends the series of these attributes: it is no longer exported and its memory is freed. Recorded again, it starts
   * anew.
   */
  remove(...attributes: OnlyAttributes<T>): void;
  /** Whether any reader keeps what is recorded; false lets you skip costly measuring. */
  enabled(): boolean;
}

class Adder implements api.Counter, api.UpDownCounter {
  readonly #recorder: Recorder;

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  add(value: number, attributes?: Attributes, context?: Context): void {
    this.#recorder.record(value, attributes, context);
  }

  bind(attributes?: Attributes): BoundCounter {
    return bind(this.#recorder, attributes);
  }

  remove(attributes?: Attributes): void {
    this.#recorder.remove(attributes);
  }

  enabled(): boolean {
    return this.#recorder.streams.length > 0;
  }
}

class Recording implements api.Histogram, api.Gauge {
  readonly #recorder: Recorder;

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  record(value: number, attributes?: Attributes, context?: Context): void {
    this.#recorder.record(value, attributes, context);
  }

  bind(attributes?: Attributes): BoundHistogram {
    return bind(this.#recorder, attributes);
  }

  remove(attributes?: Attributes): void {
    this.#recorder.remove(attributes);
  }

  enabled(): boolean {
    return this.#recorder.streams.length > 0;
  }
}

/**
 * A sum that only grows. Negative, NaN and infinite values are reported and left out.
 *
 * @typeParam T the attributes that may be given, such as `{ method: 'GET' | 'POST'; status?: number }`; default: any
 */
export interface Counter<T extends Attributes = Attributes> extends api.Counter<T>, Extensions<T> {
  add(value: number, ...attributesAndContext: AttributesAndContext<T>): void;
  /** Resolves the attributes once; the handle stays valid for the life of the instrument. */
  bind(...attributes: OnlyAttributes<T>): BoundCounter;
}

/** A sum that goes up and down. */
export interface UpDownCounter<T extends Attributes = Attributes>
  extends api.UpDownCounter<T>,
    Extensions<T> {
  add(value: number, ...attributesAndContext: AttributesAndContext<T>): void;
  bind(...attributes: OnlyAttributes<T>): BoundUpDownCounter;
}

/** A distribution of values that are not negative. */
export interface Histogram<T extends Attributes = Attributes> extends api.Histogram<T>, Extensions<T> {
  record(value: number, ...attributesAndContext: AttributesAndContext<T>): void;
  bind(...attributes: OnlyAttributes<T>): BoundHistogram;
}

/** The latest of the values recorded. */
export interface Gauge<T extends Attributes = Attributes> extends api.Gauge<T>, Extensions<T> {
  record(value: number, ...attributesAndContext: AttributesAndContext<T>): void;
  bind(...attributes: OnlyAttributes<T>): BoundGauge;
}

/** For counters and up-down counters, which differ in the values that the recorder accepts. */
export function adder<T extends Attributes>(recorder: Recorder): Counter<T> & UpDownCounter<T> {
  return new Adder(recorder);
}

/** For histograms and gauges, which differ in how the recorder's streams aggregate. */
export function recording<T extends Attributes>(recorder: Recorder): Histogram<T> & Gauge<T> {
  return new Recording(recorder);
}
