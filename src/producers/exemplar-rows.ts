// Exemplars of the client as columns, gathered point by point.
import { type Attributes, isValidSpanId, isValidTraceId } from '@opentelemetry/api';
import { isObject } from '../data/checked-options.ts';
import { type ExemplarColumns, NO_FILTERED_ATTRIBUTES } from '../data/exemplar-columns.ts';
import { labelText } from './series.ts';

export class ExemplarRows {
  readonly #starts = [0];
  readonly #values: number[] = [];
  readonly #times: bigint[] = [];
  readonly #labels: Attributes[] = [];
  readonly #traceIds: (string | undefined)[] = [];
  readonly #spanIds: (string | undefined)[] = [];

  /** Adds one to the point that is not ended yet. Anything but an exemplar is none. */
  add(exemplar: unknown): void {
    if (!isObject(exemplar) || !isObject(exemplar.labelSet) || typeof exemplar.value !== 'number') return;
    // As the OpenMetrics labels of these names are read elsewhere too. Others, such as the `traceId` of the client's
    // examples, stay the labels that they are.
    const { trace_id: traceId, span_id: spanId, ...others } = exemplar.labelSet;
    const isTraced =
      typeof traceId === 'string' &&
      typeof spanId === 'string' &&
      isValidTraceId(traceId) &&
      isValidSpanId(spanId);
    this.#values.push(exemplar.value);
    this.#times.push(nanoseconds(exemplar.timestamp));
    this.#labels.push(texts(isTraced ? others : exemplar.labelSet));
    this.#traceIds.push(isTraced ? traceId.toLowerCase() : undefined);
    this.#spanIds.push(isTraced ? spanId.toLowerCase() : undefined);
  }

  endPoint(): void {
    this.#starts.push(this.#values.length);
  }

  columns(): ExemplarColumns | undefined {
    if (this.#values.length === 0) return undefined;
    return {
      starts: new Uint32Array(this.#starts),
      values: new Float64Array(this.#values),
      times: new BigUint64Array(this.#times),
      filteredAttributes: this.#labels,
      traceIds: this.#traceIds,
      spanIds: this.#spanIds,
    };
  }
}

/** The client counts in seconds, to the millisecond. */
function nanoseconds(seconds: unknown): bigint {
  const millis = Math.round(Number(seconds) * 1_000);
  return millis > 0 && Number.isSafeInteger(millis) ? BigInt(millis) * 1_000_000n : 0n;
}

function texts(labels: Record<string, unknown>): Attributes {
  const entries = Object.entries(labels).map(([name, value]) => [name, labelText(value)]);
  return entries.length === 0 ? NO_FILTERED_ATTRIBUTES : Object.freeze(Object.fromEntries(entries));
}
