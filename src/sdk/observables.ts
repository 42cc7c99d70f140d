// Observable instruments and their callbacks.
import type {
  Attributes,
  BatchObservableCallback,
  BatchObservableResult,
  Observable,
  ObservableCallback,
  ObservableResult,
} from '@opentelemetry/api';
import { bounded } from '../data/bounded.ts';
import { report } from '../data/diagnostics.ts';
import type { AsyncStream } from './async-stream.ts';
import type { InstrumentDescriptor } from './instrument-descriptor.ts';
import { type ValueRule, valueRule } from './measurement.ts';

/** One observable instrument; the object that the user holds. */
export class ObservableInstrument implements Observable {
  readonly descriptor: InstrumentDescriptor;
  readonly callbacks: Callbacks;
  readonly #rule: ValueRule;
  /** Keyed by the reader's place in the provider: a round of one reader must not reach the others. */
  readonly #streams: ReadonlyMap<number, readonly AsyncStream[]>;

  constructor(
    descriptor: InstrumentDescriptor,
    streams: ReadonlyMap<number, readonly AsyncStream[]>,
    callbacks: Callbacks,
  ) {
    this.descriptor = descriptor;
    this.#streams = streams;
    this.callbacks = callbacks;
    this.#rule = valueRule(descriptor, [...streams.values()].flat());
  }

  addCallback(callback: ObservableCallback): void {
    this.callbacks.add(callback, this);
  }

  removeCallback(callback: ObservableCallback): void {
    this.callbacks.remove(callback, this);
  }

  /** Whether the reader keeps any stream of this instrument. */
  isReadBy(reader: number): boolean {
    return (this.#streams.get(reader)?.length ?? 0) > 0;
  }

  /** Never throws: whatever is wrong with the arguments is reported, and the observation left out. */
  observe(reader: number, given: number, attributes: Attributes = {}): void {
    const { name } = this.descriptor;
    const value = this.#rule.convert(given);
    if (value === undefined) return;
    const isObject = typeof attributes === 'object';
    if (!isObject) {
      report(
        'warn',
        `attributes:${name}`,
        `${name}: attributes must be an object, not a ${typeof attributes}; observed without any`,
      );
    }
    try {
      for (const stream of this.#streams.get(reader) ?? []) stream.observe(value, isObject ? attributes : {});
    } catch (error) {
      report(
        'error',
        `record:${name}`,
        `${name}: an observation was lost because its attributes could not be read`,
        error,
      );
    }
  }

  fail(reader: number): void {
    for (const stream of this.#streams.get(reader) ?? []) stream.fail();
  }
}

interface Registration {
  readonly instruments: readonly ObservableInstrument[];
  run(observe: Observe): void | Promise<void>;
  readonly callback: unknown;
}

type Observe = (instrument: ObservableInstrument, value: number, attributes?: Attributes) => void;

/** All callbacks of a meter. */
export class Callbacks {
  #registrations: Registration[] = [];
  #isClosed = false;

  /** Lets go of all callbacks, and takes no more: nobody will collect again. */
  close(): void {
    this.#isClosed = true;
    this.#registrations = [];
  }

  add(callback: ObservableCallback, instrument: ObservableInstrument): void {
    if (this.#isClosed) return;
    if (typeof callback !== 'function') {
      report(
        'error',
        `callback:${instrument.descriptor.name}`,
        `${instrument.descriptor.name}: the callback is ignored because it is not a function`,
      );
      return;
    }
    if (this.#find(callback, [instrument])) return;
    this.#registrations.push({
      callback,
      instruments: [instrument],
      run: (observe) => {
        const result: ObservableResult = {
          observe: (value, attributes) => observe(instrument, value, attributes),
        };
        return callback(result);
      },
    });
  }

  remove(callback: ObservableCallback, instrument: ObservableInstrument): void {
    const found = this.#find(callback, [instrument]);
    this.#registrations = this.#registrations.filter((registration) => registration !== found);
  }

  addBatch(callback: BatchObservableCallback, observables: readonly Observable[]): void {
    if (this.#isClosed) return;
    const instruments = this.#own(observables);
    if (typeof callback !== 'function' || instruments.length === 0) {
      report(
        'error',
        'batch-callback',
        'a batch callback is ignored: it needs a function and at least one observable of the same meter',
      );
      return;
    }
    if (instruments.length < new Set(observables).size) {
      report(
        'error',
        'batch-observables',
        'a batch callback was given observables of another meter; it observes only those of its own',
      );
    }
    if (this.#find(callback, instruments)) return;
    this.#registrations.push({
      callback,
      instruments,
      run: (observe) => {
        const result: BatchObservableResult = {
          observe: (observable, value, attributes) => {
            const instrument = instruments.find((known) => known === observable);
            if (instrument) observe(instrument, value, attributes);
            else {
              report(
                'warn',
                'batch-observation',
                'an observation is ignored because its instrument was not declared for this batch callback',
              );
            }
          },
        };
        return callback(result);
      },
    });
  }

  removeBatch(callback: BatchObservableCallback, observables: readonly Observable[]): void {
    const found = this.#find(callback, this.#own(observables));
    this.#registrations = this.#registrations.filter((registration) => registration !== found);
  }

  /**
   * Runs every callback once for one reader, all at the same time, and returns what went wrong. A callback that
   * fails or takes too long costs its own instruments this round, nothing else.
   */
  async run(reader: number, timeoutMillis: number): Promise<unknown[]> {
    const errors: unknown[] = [];
    await Promise.all(
      this.#registrations.map(async (registration) => {
        if (!registration.instruments.some((instrument) => instrument.isReadBy(reader))) return;
        let isOpen = true;
        const observe: Observe = (instrument, value, attributes) => {
          if (isOpen) return instrument.observe(reader, value, attributes);
          report(
            'warn',
            `late-observation:${instrument.descriptor.name}`,
            `${instrument.descriptor.name}: an observation is ignored because its collection is over`,
          );
        };
        try {
          // Most callbacks are synchronous; those need neither a timer nor a turn of the event loop.
          const running = registration.run(observe);
          if (typeof running?.then === 'function') {
            const names = registration.instruments.map((instrument) => instrument.descriptor.name).join(', ');
            await bounded(`callback of ${names}`, timeoutMillis, () => running);
          }
        } catch (error) {
          errors.push(error);
          for (const instrument of registration.instruments) instrument.fail(reader);
        } finally {
          isOpen = false;
        }
      }),
    );
    return errors;
  }

  #own(observables: readonly Observable[]): ObservableInstrument[] {
    try {
      if (!Array.isArray(observables)) return [];
      return [...new Set<Observable>(observables)].filter(
        (observable): observable is ObservableInstrument =>
          observable instanceof ObservableInstrument && observable.callbacks === this,
      );
    } catch {
      // A revoked proxy cannot even be asked what it is.
      return [];
    }
  }

  #find(callback: unknown, instruments: readonly ObservableInstrument[]): Registration | undefined {
    return this.#registrations.find(
      (known) =>
        known.callback === callback &&
        known.instruments.length === instruments.length &&
        instruments.every((instrument) => known.instruments.includes(instrument)),
    );
  }
}
