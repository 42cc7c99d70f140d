// Bytes of a record back to the batch. Damaged and hostile bytes end in a RecordError, never in more memory than a small
// multiple of what they are.
import type { Attributes, AttributeValue } from '@opentelemetry/api';
import { AttributeSet } from '../data/attribute-set.ts';
import { type ExemplarColumns, NO_FILTERED_ATTRIBUTES } from '../data/exemplar-columns.ts';
import {
  type ExponentialBuckets,
  exponentialHistogramColumns,
  gaugeColumns,
  histogramColumns,
  MetricBatch,
  type MetricColumns,
  type PointColumns,
  type ScopeColumns,
  sumColumns,
} from '../data/metric-batch.ts';
import { DataPointType, type InstrumentationScope } from '../data/metric-data.ts';
import { resourceFromAttributes } from '../data/resource.ts';
import { COLUMN, type Column, MAX_DEPTH, RECORD_VERSION, SCOPE, TAG } from './batch-record.ts';

/** Why bytes are no record: `damaged`, or written in a `version` of the format that this one does not know. */
export class RecordError extends Error {
  override readonly name = 'RecordError';
  readonly reason: 'damaged' | 'version';

  constructor(reason: RecordError['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Points or bytes between two chances to give the event loop back. */
const POINTS_A_STEP = 64;
const BYTES_A_STEP = 256 * 1024;

/** Half of what V8 takes. */
const MAX_TEXT_BYTES = 2 ** 28;

/** One for all: a buffer for each number would be what the garbage collector is busy with. */
const NUMBER = new Float64Array(1);
const NUMBER_BYTES = new Uint8Array(NUMBER.buffer);

const TRACE_ID = /^[0-9a-f]{32}$/;
const SPAN_ID = /^[0-9a-f]{16}$/;

/**
 * Yields whenever the event loop may have its turn, and returns the batch. Nothing of it refers to `bytes`.
 *
 * @throws RecordError
 */
export function* decodeBatchRecord(bytes: Uint8Array): Generator<void, MetricBatch, undefined> {
  const input = new RecordReader(bytes);
  const version = input.byte();
  if (version !== RECORD_VERSION) {
    throw new RecordError(
      'version',
      `the record has version ${version}, and this one reads ${RECORD_VERSION}`,
    );
  }
  const attributes = input.attributes();
  const resource = resourceFromAttributes(attributes, { schemaUrl: input.optionalText() });
  const scopes: ScopeColumns[] = [];
  for (let left = input.count(); left > 0; left--) {
    const scope = readScope(input);
    const metrics: MetricColumns[] = [];
    for (let more = input.count(); more > 0; more--) metrics.push(yield* readMetric(input));
    scopes.push({ scope, metrics });
    yield;
  }
  input.demandEnd();
  return new MetricBatch(resource, scopes);
}

function readScope(input: RecordReader): InstrumentationScope {
  const name = input.text();
  const present = input.oneOf(0, 7);
  return {
    name,
    ...(present & SCOPE.version && { version: input.text() }),
    ...(present & SCOPE.schemaUrl && { schemaUrl: input.text() }),
    ...(present & SCOPE.attributes && { attributes: input.attributes() }),
  };
}

function* readMetric(input: RecordReader): Generator<void, MetricColumns> {
  const dataPointType = input.oneOf(0, 3);
  const aggregationTemporality = input.oneOf(0, 1);
  const valueType = input.oneOf(0, 1);
  const [name, description, unit] = [input.text(), input.text(), input.text()];
  // Each point takes a byte at least.
  const length = input.count();
  const attributes: AttributeSet[] = [];
  for (let i = 0; i < length; i++) {
    attributes.push(input.set());
    if (i % POINTS_A_STEP === 0) yield;
  }
  const common = {
    descriptor: { name, description, unit, valueType },
    aggregationTemporality,
    length,
    attributes,
    startTimes: yield* input.column(new BigUint64Array(length)),
    endTimes: yield* input.column(new BigUint64Array(length)),
  };
  switch (dataPointType) {
    case DataPointType.SUM: {
      const isMonotonic = input.oneOf(0, 1) === 1;
      const values = yield* input.column(new Float64Array(length));
      return sumColumns({ ...common, values, ...(yield* readExemplars(input, common)) }, isMonotonic);
    }
    case DataPointType.GAUGE: {
      const values = yield* input.column(new Float64Array(length));
      return gaugeColumns({ ...common, values, ...(yield* readExemplars(input, common)) });
    }
    case DataPointType.HISTOGRAM: {
      const distribution = yield* readDistribution(input, length);
      const boundaries = [...(yield* input.elements(Float64Array, input.count(8)))];
      const bucketCounts = yield* input.elements(Float64Array, length * (boundaries.length + 1));
      return histogramColumns({
        ...common,
        ...distribution,
        boundaries,
        bucketCounts,
        ...(yield* readExemplars(input, common)),
      });
    }
    default: {
      const distribution = yield* readDistribution(input, length);
      const scales = yield* input.column(new Int32Array(length));
      const zeroCounts = yield* input.column(new Float64Array(length));
      const positive = yield* readBuckets(input, length);
      const negative = yield* readBuckets(input, length);
      return exponentialHistogramColumns({
        ...common,
        ...distribution,
        scales,
        zeroCounts,
        positive,
        negative,
        ...(yield* readExemplars(input, common)),
      });
    }
  }
}

function* readDistribution(input: RecordReader, length: number) {
  return {
    counts: yield* input.column(new Float64Array(length)),
    sums: yield* input.column(new Float64Array(length)),
    mins: yield* input.column(new Float64Array(length)),
    maxs: yield* input.column(new Float64Array(length)),
  };
}

function* readBuckets(input: RecordReader, length: number): Generator<void, ExponentialBuckets> {
  const offsets = yield* input.column(new Int32Array(length));
  const starts = yield* input.elements(Uint32Array, length + 1);
  const counts = yield* input.elements(Float64Array, input.count(8));
  input.demandRanges(starts, counts.length);
  return { offsets, starts, counts };
}

function* readExemplars(
  input: RecordReader,
  { length }: Pick<PointColumns, 'length'>,
): Generator<void, { exemplars?: ExemplarColumns }> {
  if (input.oneOf(0, 1) === 0) return {};
  const starts = yield* input.elements(Uint32Array, length + 1);
  const total = input.count(8);
  input.demandRanges(starts, total);
  const values = yield* input.elements(Float64Array, total);
  const times = yield* input.elements(BigUint64Array, total);
  const filteredAttributes: Attributes[] = [];
  const traceIds: (string | undefined)[] = [];
  const spanIds: (string | undefined)[] = [];
  for (let i = 0; i < total; i++) {
    const filtered = input.attributes();
    filteredAttributes.push(
      Object.keys(filtered).length === 0 ? NO_FILTERED_ATTRIBUTES : Object.freeze(filtered),
    );
    traceIds.push(input.id(TRACE_ID));
    spanIds.push(input.id(SPAN_ID));
    if (i % POINTS_A_STEP === 0) yield;
  }
  return { exemplars: { starts, values, times, filteredAttributes, traceIds, spanIds } };
}

type ColumnClass<C extends Column> = { new (length: number): C; readonly BYTES_PER_ELEMENT: number };

class RecordReader {
  readonly #bytes: Buffer;
  #at = 0;
  readonly #texts: string[] = [];
  readonly #sets: AttributeSet[] = [];
  readonly #keys: (readonly string[])[] = [];

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  demand(holds: boolean, what: string): void {
    if (!holds) this.#fail(what);
  }

  demandEnd(): void {
    this.demand(this.#at === this.#bytes.length, 'bytes follow the last scope');
  }

  /** Point `i` owns the elements `starts[i]` to `starts[i + 1] - 1` of so many. */
  demandRanges(starts: Uint32Array, elements: number): void {
    this.demand(
      starts.every((start, i) => start <= (starts[i + 1] ?? elements)),
      'ranges of points overlap or end beyond the last element',
    );
  }

  byte(): number {
    this.#demandLeft(1);
    return this.#bytes[this.#at++]!;
  }

  oneOf(min: number, max: number): number {
    const value = this.byte();
    if (value < min || value > max) this.#fail(`${value} is not one of ${min} to ${max}`);
    return value;
  }

  /** A number of things that take so many bytes each, at least: never more than there is room for. */
  count(bytesEach = 1): number {
    const value = this.#whole();
    this.#demandLeft(value * bytesEach);
    return value;
  }

  text(): string {
    const kind = this.#whole();
    if (kind > 1) {
      return this.#texts[kind - 2] ?? this.#fail(`there is no text ${kind - 2}`);
    }
    const length = this.count();
    this.demand(length < MAX_TEXT_BYTES, 'a text is too long');
    const text = this.#bytes.toString(kind === 0 ? 'utf8' : 'utf16le', this.#at, this.#at + length);
    this.#at += length;
    this.#texts.push(text);
    return text;
  }

  optionalText(): string | undefined {
    return this.oneOf(0, 1) === 1 ? this.text() : undefined;
  }

  id(form: RegExp): string | undefined {
    const id = this.optionalText();
    this.demand(id === undefined || form.test(id), 'an id is not hexadecimal');
    return id;
  }

  set(): AttributeSet {
    const number = this.#whole();
    if (number === this.#sets.length) this.#sets.push(this.#newSet());
    return this.#sets[number] ?? this.#fail(`there is no attribute set ${number}`);
  }

  attributes(): Attributes {
    const [keys, values] = this.#members(0);
    return objectOf(keys, values) as Attributes;
  }

  *column<C extends Column>(column: C): Generator<void, C> {
    if (this.oneOf(0, 1) === COLUMN.elements) return yield* this.#fill(column);
    const size = column.BYTES_PER_ELEMENT;
    this.#demandLeft(size);
    this.demand(column.length > 0, 'a column without elements has one');
    const target = new Uint8Array(column.buffer);
    target.set(this.#take(size));
    // Doubling copies bits, which `fill` does not promise for NaN.
    for (let filled = size; filled < target.length; filled *= 2) target.copyWithin(filled, 0, filled);
    yield;
    return column;
  }

  /** Checks that the elements are there before it takes memory for them. */
  *elements<C extends Column>(Class: ColumnClass<C>, length: number): Generator<void, C> {
    this.#demandLeft(length * Class.BYTES_PER_ELEMENT);
    return yield* this.#fill(new Class(length));
  }

  *#fill<C extends Column>(column: C): Generator<void, C> {
    const target = new Uint8Array(column.buffer);
    this.#demandLeft(target.length);
    for (let at = 0; at < target.length; at += BYTES_A_STEP) {
      target.set(this.#take(Math.min(BYTES_A_STEP, target.length - at)), at);
      yield;
    }
    return column;
  }

  #newSet(): AttributeSet {
    const [keys, values] = this.#members(0);
    return new AttributeSet(keys, values as AttributeValue[]);
  }

  #members(depth: number): [keys: readonly string[], values: unknown[]] {
    const number = this.#whole();
    if (number === this.#keys.length) {
      const list: string[] = [];
      for (let left = this.count(); left > 0; left--) list.push(this.text());
      this.#keys.push(list);
    }
    const keys = this.#keys[number] ?? this.#fail(`there is no list of keys ${number}`);
    const values: unknown[] = [];
    for (let left = keys.length; left > 0; left--) values.push(this.#value(depth));
    return [keys, values];
  }

  #value(depth: number): unknown {
    const tag = this.oneOf(0, TAG.object);
    switch (tag) {
      case TAG.null:
        return null;
      case TAG.false:
      case TAG.true:
        return tag === TAG.true;
      case TAG.text:
        return this.text();
      case TAG.number: {
        this.#demandLeft(8);
        this.#bytes.copy(NUMBER_BYTES, 0, this.#at, this.#at + 8);
        this.#at += 8;
        return NUMBER[0];
      }
      case TAG.bigint: {
        const digits = this.text();
        this.demand(/^-?\d{1,400}$/.test(digits), 'a bigint is not a number');
        return BigInt(digits);
      }
      case TAG.bytes:
        return Uint8Array.from(this.#take(this.count()));
      case TAG.list:
      case TAG.object:
        this.demand(depth < MAX_DEPTH, 'values are nested too deeply');
        return tag === TAG.list ? this.#list(depth + 1) : objectOf(...this.#members(depth + 1));
      default:
        return undefined;
    }
  }

  #list(depth: number): unknown[] {
    const list: unknown[] = [];
    for (let left = this.count(); left > 0; left--) list.push(this.#value(depth));
    return list;
  }

  #whole(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      this.demand(factor < 2 ** 49, 'a number is too long');
      const byte = this.byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  }

  #take(length: number): Uint8Array {
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** Texts are put together here only: most of what is demanded holds. */
  #fail(what: string): never {
    throw new RecordError('damaged', `${what}, at byte ${this.#at} of ${this.#bytes.length}`);
  }

  #demandLeft(bytes: number): void {
    this.demand(bytes <= this.#bytes.length - this.#at, 'the record ends too early');
  }
}

function objectOf(keys: readonly string[], values: readonly unknown[]): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  keys.forEach((key, i) => {
    // Assigning would call the setter of `__proto__` and lose the member.
    Object.defineProperty(object, key, {
      value: values[i],
      enumerable: true,
      writable: true,
      configurable: true,
    });
  });
  return object;
}
