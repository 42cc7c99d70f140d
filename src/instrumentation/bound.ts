// Records to one series. Meterline's own instruments resolve the attributes once, through `bind`; those of any
// other SDK look them up on each call, which is slower and otherwise the same.
import type { Attributes, Counter, Histogram, UpDownCounter } from '@opentelemetry/api';

export interface BoundCounter {
  add(value: number): void;
}

export interface BoundHistogram {
  record(value: number): void;
}

export function bindCounter(counter: Counter | UpDownCounter, attributes: Attributes): BoundCounter {
  return canBind<BoundCounter>(counter)
    ? counter.bind(attributes)
    : { add: (value) => counter.add(value, attributes) };
}

export function bindHistogram(histogram: Histogram, attributes: Attributes): BoundHistogram {
  return canBind<BoundHistogram>(histogram)
    ? histogram.bind(attributes)
    : { record: (value) => histogram.record(value, attributes) };
}

function canBind<T>(instrument: object): instrument is { bind(attributes: Attributes): T } {
  return typeof (instrument as { bind?: unknown }).bind === 'function';
}
