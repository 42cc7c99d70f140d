// Views: which instruments a View is for, and what it makes of them (OTel metrics SDK, "View").
import { type AggregationOption, aggregationProblem } from '../data/aggregation-option.ts';
import {
  A_COUNT,
  A_TEXT,
  aFunction,
  aList,
  checkedOptions,
  hasMethods,
  isObject,
  type OptionCheck,
  type OptionChecks,
  shown,
} from '../data/checked-options.ts';
import { ConfigError } from '../data/errors.ts';
import { type InstrumentationScope, InstrumentType } from '../data/metric-data.ts';
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

/** Of options that say for how long. */
export const MILLIS_ABOVE_0: OptionCheck = {
  holds: (value) => Number.isFinite(value) && (value as number) > 0,
  remedy: 'a number above 0',
};

const INSTRUMENT_TYPES: readonly unknown[] = Object.values(InstrumentType);

const CHECKS: OptionChecks<ViewOptions> = {
  instrumentName: A_TEXT,
  instrumentType: {
    holds: (value) => INSTRUMENT_TYPES.includes(value),
    remedy: 'a member of InstrumentType',
  },
  instrumentUnit: A_TEXT,
  meterName: A_TEXT,
  meterVersion: A_TEXT,
  meterSchemaUrl: A_TEXT,
  name: A_TEXT,
  description: A_TEXT,
  attributesProcessors: aList({
    holds: (value) => hasMethods(value, 'process'),
    remedy: "an attributes processor, such as createAllowListAttributesProcessor(['http.route'])",
  }),
  // And what it holds is checked by aggregationProblem.
  aggregation: { holds: isObject, remedy: 'an object, such as { type: AggregationType.SUM }' },
  aggregationCardinalityLimit: A_COUNT,
  exemplarReservoir: aFunction('a function that makes a reservoir'),
  idleTimeoutMillis: MILLIS_ABOVE_0,
};

/**
 * @param owner names the View in errors, such as `views[0]`
 * @throws ConfigError when the View cannot work
 */
export function view(given: ViewOptions, owner: string): View {
  const options = checkedOptions(owner, given, CHECKS);
  const { instrumentName, instrumentType, instrumentUnit, meterName, meterVersion, meterSchemaUrl } = options;
  const pattern = instrumentName === undefined ? undefined : wildcard(instrumentName.toLowerCase());
  if (options.name !== undefined && (instrumentName === undefined || isPattern(instrumentName))) {
    throw new ConfigError(
      `${owner} names its stream ${shown(options.name)} but selects instruments by ` +
        `${shown(instrumentName ?? '*')}; give it an instrumentName without wildcards`,
    );
  }
  const problem = options.aggregation && aggregationProblem(options.aggregation);
  if (problem !== undefined) throw new ConfigError(`${owner}: ${problem}`);
  const equal = (wanted: unknown, actual: unknown) => wanted === undefined || wanted === actual;
  return {
    name: options.name,
    description: options.description,
    aggregation: options.aggregation,
    cardinalityLimit: options.aggregationCardinalityLimit,
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
