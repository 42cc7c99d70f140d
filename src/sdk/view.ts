// Views: which instruments a View is for, and what it makes of them (OTel metrics SDK, "View").
import type { AggregationOption } from '../data/aggregation-option.ts';
import { ConfigError } from '../data/errors.ts';
import type { InstrumentationScope, InstrumentType } from '../data/metric-data.ts';
import { type AttributeFilter, attributeFilter, type IAttributesProcessor } from './attribute-filter.ts';
import type { ExemplarReservoir } from './exemplars/exemplar-reservoir.ts';
import type { InstrumentDescriptor } from './instrument-descriptor.ts';
import { isPattern, wildcard } from './wildcard.ts';

/**
 * A View. The `instrument…` and `meter…` settings select; all that are given must match, and a View without any
 * is for every instrument. The others shape the stream; those not given stay as the instrument and the reader have them.
 */
export interface ViewOptions {
  /** `*` stands for any run of characters, `?` for one. Letter case does not matter, as in instrument names. */
  instrumentName?: string;
  instrumentType?: InstrumentType;
  instrumentUnit?: string;
  meterName?: string;
  meterVersion?: string;
  meterSchemaUrl?: string;

  /** Name of the stream. Needs an `instrumentName` without wildcards: several streams of one name help nobody. */
  name?: string;
  description?: string;
  /** Applied in order; see `createAllowListAttributesProcessor` and `createDenyListAttributesProcessor`. */
  attributesProcessors?: IAttributesProcessor[];
  aggregation?: AggregationOption;
  /** Series beside the overflow series. Default: the reader's limit. */
  aggregationCardinalityLimit?: number;
  /**
   * Makes the exemplar reservoir of a series, when it gets its first exemplar.
   * Default: the one that the specification gives the aggregation.
   *
   * @param aggregation that of the stream, never `DEFAULT`
   */
  exemplarReservoir?: (aggregation: AggregationOption) => ExemplarReservoir;
  /**
   * Milliseconds after which a series that is not recorded to is no longer exported, and forgotten. Default: never.
   * A counter that comes back starts at zero again; for gauges see `gaugeIdleTimeoutMillis` of the provider.
   */
  idleTimeoutMillis?: number;
}

/** A View, checked and ready to be matched. */
export interface View {
  readonly name: string | undefined;
  readonly description: string | undefined;
  readonly aggregation: AggregationOption | undefined;
  readonly cardinalityLimit: number | undefined;
  readonly filter: AttributeFilter | undefined;
  readonly exemplarReservoir: ViewOptions['exemplarReservoir'];
  readonly idleTimeoutMillis: number | undefined;
  matches(instrument: InstrumentDescriptor, scope: InstrumentationScope): boolean;
}

/** @throws ConfigError when the View cannot work */
export function view(options: ViewOptions): View {
  const { instrumentName, instrumentType, instrumentUnit, meterName, meterVersion, meterSchemaUrl } = options;
  const pattern = instrumentName === undefined ? undefined : wildcard(instrumentName.toLowerCase());
  if (options.name !== undefined && (instrumentName === undefined || isPattern(instrumentName))) {
    throw new ConfigError(
      `A View names its stream ${JSON.stringify(options.name)} but selects instruments by ` +
        `${JSON.stringify(instrumentName ?? '*')}; give it an instrumentName without wildcards`,
    );
  }
  const { aggregationCardinalityLimit: limit } = options;
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) {
    throw new ConfigError(
      `aggregationCardinalityLimit of a View is ${String(limit)}; use an integer above 0`,
    );
  }
  checkPositive('idleTimeoutMillis of a View', options.idleTimeoutMillis);
  const equal = (wanted: unknown, actual: unknown) => wanted === undefined || wanted === actual;
  return {
    name: options.name,
    description: options.description,
    aggregation: options.aggregation,
    cardinalityLimit: limit,
    filter: attributeFilter(options.attributesProcessors ?? []),
    exemplarReservoir: options.exemplarReservoir,
    idleTimeoutMillis: options.idleTimeoutMillis,
    matches: (instrument, scope) =>
      (pattern === undefined || pattern(instrument.name.toLowerCase())) &&
      equal(instrumentType, instrument.type) &&
      equal(instrumentUnit, instrument.unit) &&
      equal(meterName, scope.name) &&
      equal(meterVersion, scope.version) &&
      equal(meterSchemaUrl, scope.schemaUrl),
  };
}

/** @throws ConfigError when the value is given and not a finite number above 0 */
export function checkPositive(option: string, value: number | undefined): void {
  if (value === undefined || (Number.isFinite(value) && value > 0)) return;
  throw new ConfigError(`${option} is ${String(value)}; use a number above 0`);
}
