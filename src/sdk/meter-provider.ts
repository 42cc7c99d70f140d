// The root of the SDK: resource, readers and meters.

import type * as api from '@opentelemetry/api';
import type { Attributes, MeterOptions } from '@opentelemetry/api';
import { bounded } from '../data/bounded.ts';
import { callTimeout } from '../data/call-timeout.ts';
import {
  A_BOOLEAN,
  aList,
  checkedOptions,
  hasMethods,
  isObject,
  type OptionChecks,
} from '../data/checked-options.ts';
import { report, textOf } from '../data/diagnostics.ts';
import { ConfigError } from '../data/errors.ts';
import type { InstrumentationScope } from '../data/metric-data.ts';
import type { IMetricReader, ReaderCallOptions } from '../data/reader.ts';
import type { Resource } from '../data/resource.ts';
import { AttributeInterner } from './attribute-interner.ts';
import { defaultResource } from './default-resource.ts';
import { EXEMPLAR_FILTERS, type ExemplarFilter } from './exemplars/exemplar-filter.ts';
import { Meter } from './meter.ts';
import { Callbacks } from './observables.ts';
import { Pipeline } from './pipeline.ts';
import { selfMetrics as createSelfMetrics, SELF_SCOPE } from './self-metrics.ts';
import { MILLIS_ABOVE_0, type ViewOptions, view } from './view.ts';

export interface MeterProviderOptions {
  /**
   * What the metrics are about. Used as it is. Default: `service.name` = `unknown_service:node` and the
   * `telemetry.sdk.*` attributes.
   */
  resource?: Resource;
  /**
   * How instruments become streams, for all readers. An instrument that several Views match becomes several streams; one
   * that none matches is exported as it is.
   */
  views?: ViewOptions[];
  /**
   * Which measurements may become exemplars. Default `trace_based`: those made in a sampled span, as
   * specified. An exemplar also carries the attributes that Views remove.
   */
  exemplarFilter?: ExemplarFilter;
  /**
   * Milliseconds after which a gauge series that is not recorded to is no longer exported, and forgotten. Default: never.
   * Counters and histograms never end by this, because they would start at zero again; see `idleTimeoutMillis` of Views.
   */
  gaugeIdleTimeoutMillis?: number;
  /**
   * Whether the provider measures its own readers and exporters, in the scope `meterline`. Default true; readers for
   * tests do not see it. `docs/self-metrics.md` lists the metrics.
   */
  selfMetrics?: boolean;
  /** The official SDK's name for `selfMetrics`, which wins. There the default is false. */
  sdkMetricsEnabled?: boolean;
  /** Each gets its own view of every instrument, with its own temporality and limits. Default: none. */
  readers?: IMetricReader[];
}

const CHECKS: OptionChecks<MeterProviderOptions> = {
  resource: {
    holds: (value) => isObject(value) && isObject(value.attributes),
    remedy: "a resource, such as resourceFromAttributes({ 'service.name': 'orders' })",
  },
  // What each holds is checked by `view`.
  views: aList({ holds: isObject, remedy: "a View, such as { instrumentName: 'http.*', … }" }),
  exemplarFilter: {
    holds: (value) => EXEMPLAR_FILTERS.includes(value as ExemplarFilter),
    remedy: `one of ${EXEMPLAR_FILTERS.join(', ')}`,
  },
  gaugeIdleTimeoutMillis: MILLIS_ABOVE_0,
  selfMetrics: A_BOOLEAN,
  sdkMetricsEnabled: A_BOOLEAN,
  readers: aList({
    holds: (value) => hasMethods(value, 'setMetricProducer', 'collect', 'forceFlush', 'shutdown'),
    remedy: 'a reader, such as new PeriodicExportingMetricReader({ exporter })',
  }),
};

/** How long `forceFlush` and `shutdown` may take when the caller does not say. */
const DEFAULT_TIMEOUT_MILLIS = 30_000;

export class MeterProvider implements api.MeterProvider {
  readonly #interner = new AttributeInterner();
  readonly #pipelines: readonly Pipeline[];
  readonly #readers: readonly IMetricReader[];
  readonly #meters = new Map<string, Meter>();
  readonly #exemplarFilter: ExemplarFilter;
  #shutdown: Promise<void> | undefined;

  /** @throws ConfigError when an option cannot work, such as a reader that belongs to another provider */
  constructor(given: MeterProviderOptions = {}) {
    const options = checkedOptions('a MeterProvider', given, CHECKS);
    this.#exemplarFilter = options.exemplarFilter ?? 'trace_based';
    const shared = {
      resource: options.resource ?? defaultResource(),
      interner: this.#interner,
      views: (options.views ?? []).map((one, i) => view(one, `views[${i}]`)),
      gaugeIdleTimeoutMillis: options.gaugeIdleTimeoutMillis,
    };
    this.#readers = [...(options.readers ?? [])];
    const isOn = options.selfMetrics ?? options.sdkMetricsEnabled ?? true;
    const isSelfMeasured = isOn && this.#readers.some(wantsSelfMetrics);
    const selfMetrics = isSelfMeasured ? createSelfMetrics(() => this.#selfMeter()) : undefined;
    this.#pipelines = this.#readers.map((reader, i) => new Pipeline(i, reader, { ...shared, selfMetrics }));
    this.#readers.forEach((reader, i) => {
      try {
        reader.setMetricProducer(this.#pipelines[i]!);
      } catch (error) {
        throw new ConfigError(`readers[${i}] of a MeterProvider cannot be used: ${textOf(error)}`, {
          cause: error,
        });
      }
    });
  }

  /**
   * The meter of a scope: the same one for the same name, version, schema URL and attributes. After
   * {@link shutdown} a meter that records nothing.
   */
  getMeter(name: string, version?: string, options?: MeterOptions & { attributes?: Attributes }): Meter {
    if (this.#shutdown) {
      report('warn', 'meter-after-shutdown', 'a meter was asked for after shutdown; it records nothing');
      const meter = new Meter(
        { scope: { name: '' }, callbacks: new Callbacks() },
        [],
        this.#interner,
        'always_off',
      );
      meter.close();
      return meter;
    }
    if (typeof name !== 'string' || name === '') {
      report(
        'warn',
        'meter-name',
        'a meter was asked for without a name; pass the name of the library or module',
      );
    }
    const { schemaUrl, attributes } = this.#readOptions(options);
    const scope: InstrumentationScope = {
      name: typeof name === 'string' ? name : '',
      version: textOrNone(version),
      schemaUrl: textOrNone(schemaUrl),
      ...(attributes.keys.length > 0 && { attributes: attributes.attributes }),
    };
    const key = JSON.stringify([scope.name, scope.version, scope.schemaUrl, attributes.id]);
    let meter = this.#meters.get(key);
    if (meter === undefined) {
      // For good, like the meter: the set's number must not be given to another.
      this.#interner.retain(attributes);
      meter = new Meter(
        { scope, callbacks: new Callbacks() },
        this.#pipelines,
        this.#interner,
        this.#exemplarFilter,
      );
      this.#meters.set(key, meter);
    }
    return meter;
  }

  /** The interner tells attributes apart that no text would, such as NaN and null; and the getters of options may throw. */
  #readOptions(options: (MeterOptions & { attributes?: Attributes }) | undefined) {
    const intern = (attributes: Attributes) => this.#interner.intern(this.#interner.canonical(attributes));
    try {
      const { schemaUrl, attributes } = options ?? {};
      const isObject = typeof attributes === 'object' && attributes !== null;
      return { schemaUrl, attributes: intern(isObject ? attributes : {}) };
    } catch (error) {
      report('error', 'meter-options', 'the options of a meter could not be read and are ignored', error);
      return { schemaUrl: undefined, attributes: intern({}) };
    }
  }

  /**
   * Has every reader export what was recorded so far.
   *
   * @throws the error of the reader that failed, or an AggregateError with those of several, once all have ended
   */
  async forceFlush(options: ReaderCallOptions = {}): Promise<void> {
    if (this.#shutdown) {
      report('warn', 'flush-after-shutdown', 'forceFlush after shutdown does nothing');
      return;
    }
    await this.#each('forceFlush', options);
  }

  /**
   * Has every reader export for the last time and free its resources. Only the first call does anything; later ones
   * return its result.
   *
   * @throws the error of the reader that failed, or an AggregateError with those of several, once all have ended
   */
  shutdown(options: ReaderCallOptions = {}): Promise<void> {
    this.#shutdown ??= this.#each('shutdown', options).finally(() => {
      for (const meter of this.#meters.values()) meter.close();
    });
    return this.#shutdown;
  }

  #selfMeter(): Meter {
    const scope = { scope: SELF_SCOPE, callbacks: new Callbacks(), isSelf: true };
    const meter = new Meter(scope, this.#pipelines, this.#interner, this.#exemplarFilter);
    // No other key is empty.
    this.#meters.set('', meter);
    return meter;
  }

  async #each(call: 'forceFlush' | 'shutdown', options: ReaderCallOptions): Promise<void> {
    const timeoutMillis = callTimeout(call, options, DEFAULT_TIMEOUT_MILLIS);
    const results = await Promise.allSettled(
      this.#readers.map((reader) =>
        // Without a referenced timer, Node ends a process that only waits for this.
        bounded(`${call} of a reader`, timeoutMillis, () => reader[call](options), undefined, {
          keepsAlive: true,
        }),
      ),
    );
    const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) {
      throw new AggregateError(errors, `${call} failed: ${errors.map(textOf).join('; ')}`);
    }
  }
}

const wantsSelfMetrics = (reader: IMetricReader) => reader.receivesSelfMetrics === true;

/** Protocols do not tell an empty version from none. */
function textOrNone(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
