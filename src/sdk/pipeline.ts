// A reader's side of a provider: its own streams of every instrument, and their collection.
import { type AggregationOption, AggregationType, aggregationProblem } from '../data/aggregation-option.ts';
import { callTimeout } from '../data/call-timeout.ts';
import { A_COUNT, shown } from '../data/checked-options.ts';
import { type ColumnMemory, NEW_MEMORY } from '../data/column-memory.ts';
import { report, textOf } from '../data/diagnostics.ts';
import { MetricBatch, type ScopeColumns } from '../data/metric-batch.ts';
import {
  AggregationTemporality,
  type InstrumentationScope,
  InstrumentType,
  type MetricDescriptor,
} from '../data/metric-data.ts';
import {
  type CollectionResult,
  DEFAULT_CARDINALITY_LIMIT,
  type IMetricReader,
  type MetricCollectOptions,
  type MetricProducer,
  type SelfMetrics,
} from '../data/reader.ts';
import { awaitAttributes, type Resource } from '../data/resource.ts';
import { inSlices } from '../data/time-slice.ts';
import { chooseAggregator, defaultAggregation, isCompatible } from './aggregation/choose-aggregator.ts';
import { AsyncStream } from './async-stream.ts';
import { advisedFilter } from './attribute-filter.ts';
import type { AttributeInterner } from './attribute-interner.ts';
import { reportCardinality } from './cardinality-report.ts';
import { now, steadyTime } from './clock.ts';
import { findRegistry } from './exemplars/exemplar-filter.ts';
import type { InstrumentDescriptor } from './instrument-descriptor.ts';
import type { Callbacks } from './observables.ts';
import { SeriesTable } from './series-table.ts';
import { type Stream, type StreamOptions, SyncStream } from './stream.ts';
import { StreamNames } from './stream-names.ts';
import type { View } from './view.ts';

/** The reader's export timeout in OpenTelemetry; a collection on demand gets the same. */
const CALLBACK_TIMEOUT_MILLIS = 30_000;
const RESOURCE_TIMEOUT_MILLIS = 5_000;

/** One instrumentation scope of a provider: its identity and its callbacks, shared by all pipelines. */
export interface Scope {
  readonly scope: InstrumentationScope;
  readonly callbacks: Callbacks;
  /** True for the provider's metrics about itself. */
  readonly isSelf?: boolean;
}

/** What all pipelines of a provider have in common. */
export interface ProviderState {
  readonly resource: Resource;
  readonly interner: AttributeInterner;
  readonly views: readonly View[];
  readonly gaugeIdleTimeoutMillis: number | undefined;
  readonly selfMetrics: SelfMetrics | undefined;
}

type Selector = 'selectAggregation' | 'selectAggregationTemporality' | 'selectCardinalityLimit';

const OBSERVABLE = new Set<InstrumentType>([
  InstrumentType.OBSERVABLE_COUNTER,
  InstrumentType.OBSERVABLE_GAUGE,
  InstrumentType.OBSERVABLE_UP_DOWN_COUNTER,
]);

export class Pipeline implements MetricProducer {
  readonly #index: number;
  readonly #reader: IMetricReader;
  readonly #state: ProviderState;
  readonly #streams = new Map<Scope, Stream[]>();
  readonly #names = new StreamNames();
  #resource: Promise<void> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(index: number, reader: IMetricReader, state: ProviderState) {
    this.#index = index;
    this.#reader = reader;
    this.#state = state;
  }

  get selfMetrics(): SelfMetrics | undefined {
    return this.#state.selfMetrics;
  }

  /** The streams of a synchronous instrument; none when this reader drops it. */
  sync(scope: Scope, instrument: InstrumentDescriptor): SyncStream[] {
    return this.#open(scope, instrument, (options) => new SyncStream(options));
  }

  /** The streams of an observable instrument; none when this reader drops it. */
  async(scope: Scope, instrument: InstrumentDescriptor): AsyncStream[] {
    return this.#open(scope, instrument, (options) => new AsyncStream(options));
  }

  #open<S extends Stream>(
    scope: Scope,
    instrument: InstrumentDescriptor,
    create: (options: StreamOptions) => S,
  ): S[] {
    if (scope.isSelf && !this.#reader.receivesSelfMetrics) return [];
    const matching = this.#state.views.filter(
      (view) => view.matches(instrument, scope.scope) && this.#isUsable(view.aggregation, instrument),
    );
    const views = matching.length > 0 ? matching : [undefined];
    return views.flatMap((view) => {
      const options = this.#streamOptions(instrument, view);
      if (options === undefined) return [];
      this.#names.add(scope, options.descriptor, instrument);
      const stream = create(options);
      const siblings = this.#streams.get(scope);
      if (siblings) siblings.push(stream);
      else this.#streams.set(scope, [stream]);
      return stream;
    });
  }

  /** Undefined when the stream is dropped. */
  #streamOptions(instrument: InstrumentDescriptor, view: View | undefined): StreamOptions | undefined {
    const { type, advice } = instrument;
    const { interner, gaugeIdleTimeoutMillis } = this.#state;
    const { CUMULATIVE } = AggregationTemporality;
    const temporality = this.#select('selectAggregationTemporality', type, CUMULATIVE, temporalityProblem);
    const aggregation = this.#aggregation(instrument, view);
    const aggregator = chooseAggregator(instrument, aggregation, temporality);
    if (aggregator === undefined) return undefined;
    const descriptor: MetricDescriptor = {
      name: view?.name ?? instrument.name,
      description: view?.description ?? instrument.description,
      unit: instrument.unit,
      valueType: instrument.valueType,
    };
    const limit =
      view?.cardinalityLimit ??
      this.#select('selectCardinalityLimit', type, DEFAULT_CARDINALITY_LIMIT, limitProblem);
    const createReservoir = view?.exemplarReservoir;
    let isReported = false;
    const table = new SeriesTable(aggregator, interner, {
      limit,
      evictUntouched: !OBSERVABLE.has(type) && temporality === AggregationTemporality.DELTA,
      exemplarReservoir: createReservoir && (() => createReservoir(aggregation)),
      keepsExemplars: this.#reader.keepsExemplars === true,
      onOverflow: () => {
        if (isReported) return;
        isReported = true;
        reportCardinality(descriptor.name, limit, table.sets);
      },
    });
    return {
      descriptor,
      isDescribedByView: view?.description !== undefined,
      temporality,
      table,
      interner,
      filter: view?.filter ?? advisedFilter(advice.attributes),
      idleTimeoutMillis:
        view?.idleTimeoutMillis ?? (type === InstrumentType.GAUGE ? gaugeIdleTimeoutMillis : undefined),
    };
  }

  /** The View's, else the reader's, else that of the instrument kind. Never `DEFAULT`. */
  #aggregation(instrument: InstrumentDescriptor, view: View | undefined): AggregationOption {
    const byKind = defaultAggregation(instrument);
    let option = view?.aggregation;
    if (option === undefined) {
      const readers = this.#select('selectAggregation', instrument.type, byKind, aggregationProblem);
      option = this.#isUsable(readers, instrument) ? readers : byKind;
    }
    return option.type === AggregationType.DEFAULT ? byKind : option;
  }

  /** Readers of the 1.x SDK lack some selectors, and a selector of the user's may throw or give anything. */
  #select<K extends Selector>(
    selector: K,
    type: InstrumentType,
    fallback: ReturnType<IMetricReader[K]>,
    problemOf: (value: unknown) => string | undefined,
  ): ReturnType<IMetricReader[K]> {
    let problem: string | undefined;
    let cause: unknown;
    try {
      const selected: unknown = this.#reader[selector]?.(type) ?? fallback;
      problem = problemOf(selected);
      if (problem === undefined) return selected as ReturnType<IMetricReader[K]>;
      // A selector that is an async function by mistake.
      if (selected instanceof Promise) selected.catch(() => {});
    } catch (error) {
      problem = textOf(error);
      cause = error;
    }
    report(
      'error',
      `reader-${selector}:${this.#index}`,
      `${selector} of readers[${this.#index}] failed for ${type}: ${problem}. The default is used`,
      ...(cause === undefined ? [] : [cause]),
    );
    return fallback;
  }

  /** A setting that would be wrong for the instrument is reported and ignored (OTel metrics SDK, "Measurement processing"). */
  #isUsable(option: AggregationOption | undefined, instrument: InstrumentDescriptor): boolean {
    if (option === undefined || isCompatible(instrument, option)) return true;
    report(
      'warn',
      `aggregation:${instrument.name}`,
      `instrument ${instrument.name}: a ${instrument.type} cannot be aggregated as ${AggregationType[option.type]}; ` +
        'the setting is ignored for this instrument',
    );
    return false;
  }

  /** One at a time: a round of callbacks must be over before the next begins. */
  collect(options: MetricCollectOptions = {}): Promise<CollectionResult> {
    const timeoutMillis = callTimeout('collect', options, CALLBACK_TIMEOUT_MILLIS);
    // A call from JavaScript may have null in place of options.
    const memory = options?.memory ?? NEW_MEMORY;
    const result = this.#last.then(() => this.#collect(timeoutMillis, memory));
    // Without the result, which would stay in memory until the next collection.
    this.#last = result.then(
      () => {},
      () => {},
    );
    return result;
  }

  async #collect(timeoutMillis: number, memory: ColumnMemory): Promise<CollectionResult> {
    findRegistry();
    // Once: an attribute that is never found must not delay every collection.
    this.#resource ??= awaitAttributes(this.#state.resource, RESOURCE_TIMEOUT_MILLIS);
    await this.#resource;
    const errors: unknown[] = [];
    await Promise.all(
      [...this.#streams.keys()].map(async ({ callbacks }) => {
        errors.push(...(await callbacks.run(this.#index, timeoutMillis)));
      }),
    );
    return { resourceMetrics: await inSlices(this.#copy(memory)), errors };
  }

  /** In small steps, so that the time that it takes is not one pause. */
  *#copy(memory: ColumnMemory): Generator<void, MetricBatch> {
    const end = now();
    const collection = { end, steadyEnd: steadyTime(end), memory };
    const scopes: ScopeColumns[] = [];
    function* add({ scope }: Scope, streams: readonly Stream[]): Generator<void, void> {
      const metrics = [];
      for (const stream of streams) {
        yield;
        const columns = yield* stream.collect(collection);
        if (columns !== undefined) metrics.push(columns);
      }
      if (metrics.length > 0) scopes.push({ scope, metrics });
    }
    // Streams that are made meanwhile begin after this collection.
    const all = Array.from(this.#streams, ([scope, streams]) => [scope, [...streams]] as const);
    for (const [scope, streams] of all) if (!scope.isSelf) yield* add(scope, streams);
    // What tells of exports must not be a reason to export; it waits for the user's next point.
    if (scopes.length > 0) for (const [scope, streams] of all) if (scope.isSelf) yield* add(scope, streams);
    return new MetricBatch(this.#state.resource, scopes);
  }
}

function temporalityProblem(value: unknown): string | undefined {
  if (value === AggregationTemporality.DELTA || value === AggregationTemporality.CUMULATIVE) return undefined;
  return `it gave ${shown(value)}; use a member of AggregationTemporality`;
}

function limitProblem(value: unknown): string | undefined {
  return A_COUNT.holds(value) ? undefined : `it gave ${shown(value)}; use ${A_COUNT.remedy}`;
}
