// A reader's side of a provider: its own streams of every instrument, and their collection.

import { report } from '../data/diagnostics.ts';
import { bounded } from '../data/exporter.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { MetricBatch as Batch } from '../data/metric-batch.ts';
import type { InstrumentationScope } from '../data/metric-data.ts';
import { AggregationTemporality } from '../data/metric-data.ts';
import type {
  CollectionResult,
  IMetricReader,
  MetricCollectOptions,
  MetricProducer,
} from '../data/reader.ts';
import type { Resource } from '../data/resource.ts';
import { chooseAggregator } from './aggregation/choose-aggregator.ts';
import type { AttributeInterner } from './attribute-interner.ts';
import { reportCardinality } from './cardinality-report.ts';
import { now } from './clock.ts';
import type { InstrumentDescriptor } from './instrument-descriptor.ts';
import type { Callbacks } from './observables.ts';
import { SeriesTable } from './series-table.ts';
import { AsyncStream, type Stream, SyncStream } from './stream.ts';

/** OTel metrics SDK, "Cardinality limits". */
export const DEFAULT_CARDINALITY_LIMIT = 2000;

/** The reader's export timeout in OpenTelemetry; a collection on demand gets the same. */
const CALLBACK_TIMEOUT_MILLIS = 30_000;
const RESOURCE_TIMEOUT_MILLIS = 5_000;

/** One instrumentation scope of a provider: its identity and its callbacks, shared by all pipelines. */
export interface Scope {
  readonly scope: InstrumentationScope;
  readonly callbacks: Callbacks;
}

export class Pipeline implements MetricProducer {
  readonly #index: number;
  readonly #reader: IMetricReader;
  readonly #resource: Resource;
  readonly #interner: AttributeInterner;
  readonly #streams = new Map<Scope, Stream[]>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(index: number, reader: IMetricReader, resource: Resource, interner: AttributeInterner) {
    this.#index = index;
    this.#reader = reader;
    this.#resource = resource;
    this.#interner = interner;
  }

  /** The stream of a synchronous instrument, or undefined when this reader drops it. */
  sync(scope: Scope, instrument: InstrumentDescriptor): SyncStream | undefined {
    return this.#open(scope, instrument, SyncStream);
  }

  /** The stream of an observable instrument, or undefined when this reader drops it. */
  async(scope: Scope, instrument: InstrumentDescriptor): AsyncStream | undefined {
    return this.#open(scope, instrument, AsyncStream);
  }

  #open<S extends Stream>(
    scope: Scope,
    instrument: InstrumentDescriptor,
    StreamKind: new (
      descriptor: InstrumentDescriptor,
      temporality: AggregationTemporality,
      table: SeriesTable,
    ) => S,
  ): S | undefined {
    const { type, name } = instrument;
    const temporality = this.#reader.selectAggregationTemporality(type);
    const aggregator = chooseAggregator(instrument, this.#reader.selectAggregation(type), temporality);
    if (aggregator === undefined) return undefined;
    const limit = this.#reader.selectCardinalityLimit?.(type) ?? DEFAULT_CARDINALITY_LIMIT;
    let isReported = false;
    const table = new SeriesTable(aggregator, this.#interner, {
      limit,
      evictUntouched: StreamKind === (SyncStream as unknown) && temporality === AggregationTemporality.DELTA,
      onOverflow: () => {
        if (isReported) return;
        isReported = true;
        reportCardinality(name, limit, table.sets);
      },
    });
    const stream = new StreamKind(instrument, temporality, table);
    const siblings = this.#streams.get(scope);
    if (siblings) siblings.push(stream);
    else this.#streams.set(scope, [stream]);
    return stream;
  }

  /** One at a time: a round of callbacks must be over before the next begins. */
  collect(options: MetricCollectOptions = {}): Promise<CollectionResult> {
    const result = this.#last.then(() => this.#collect(options.timeoutMillis ?? CALLBACK_TIMEOUT_MILLIS));
    this.#last = result.catch(() => {});
    return result;
  }

  async #collect(timeoutMillis: number): Promise<CollectionResult> {
    await this.#awaitResource();
    const errors: unknown[] = [];
    await Promise.all(
      [...this.#streams.keys()].map(async ({ callbacks }) => {
        errors.push(...(await callbacks.run(this.#index, timeoutMillis)));
      }),
    );
    return { resourceMetrics: this.#copy(), errors };
  }

  #copy(): MetricBatch {
    const end = now();
    const scopes = [];
    for (const [{ scope }, streams] of this.#streams) {
      const metrics = [];
      for (const stream of streams) {
        const columns = stream.collect(end);
        if (columns !== undefined) metrics.push(columns);
      }
      if (metrics.length > 0) scopes.push({ scope, metrics });
    }
    return new Batch(this.#resource, scopes);
  }

  async #awaitResource(): Promise<void> {
    const resource = this.#resource;
    if (!resource.asyncAttributesPending || !resource.waitForAsyncAttributes) return;
    try {
      await bounded('resource detection', RESOURCE_TIMEOUT_MILLIS, () => resource.waitForAsyncAttributes!());
    } catch (error) {
      report(
        'warn',
        'resource',
        'exporting without the resource attributes that are still being detected',
        error,
      );
    }
  }
}
