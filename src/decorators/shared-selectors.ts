// What several exporters behind one reader ask of it: a reader collects once, so they must ask for the same.
import { isDeepStrictEqual } from 'node:util';
import { type AggregationOption, AggregationType } from '../data/aggregation-option.ts';
import { textOf } from '../data/diagnostics.ts';
import { ConfigError } from '../data/errors.ts';
import type { ExporterDefinition, PushMetricExporter } from '../data/exporter.ts';
import { AggregationTemporality, InstrumentType } from '../data/metric-data.ts';

const INSTRUMENT_TYPES = Object.values(InstrumentType);

type Selectors = Pick<ExporterDefinition, 'selectAggregationTemporality' | 'selectAggregation'>;

/**
 * @param exporters with the name of each, for messages
 * @throws ConfigError when they differ
 */
export function sharedSelectors(
  owner: string,
  exporters: readonly { name: string; exporter: PushMetricExporter }[],
): Selectors {
  const temporality = shared(
    owner,
    'temporality',
    exporters,
    temporalityOf,
    (it) => AggregationTemporality[it],
  );
  const aggregation = shared(
    owner,
    'aggregation',
    exporters,
    aggregationOf,
    (it) => AggregationType[it.type],
  );
  return {
    selectAggregationTemporality: (type) => temporality.get(type) ?? AggregationTemporality.CUMULATIVE,
    // Only where one of them asks: a reader's own selector counts otherwise.
    ...(exporters.some(({ exporter }) => exporter.selectAggregation) && {
      selectAggregation: (type) => aggregation.get(type) ?? { type: AggregationType.DEFAULT },
    }),
  };
}

/** Without a selector it gets what readers give by default. */
function temporalityOf(exporter: PushMetricExporter, type: InstrumentType): AggregationTemporality {
  return exporter.selectAggregationTemporality?.(type) ?? AggregationTemporality.CUMULATIVE;
}

function aggregationOf(exporter: PushMetricExporter, type: InstrumentType): AggregationOption {
  return exporter.selectAggregation?.(type) ?? { type: AggregationType.DEFAULT };
}

function shared<T>(
  owner: string,
  what: string,
  exporters: readonly { name: string; exporter: PushMetricExporter }[],
  wish: (exporter: PushMetricExporter, type: InstrumentType) => T,
  textFor: (wish: T) => string,
): Map<InstrumentType, T> {
  const wishes = new Map<InstrumentType, T>();
  for (const type of INSTRUMENT_TYPES) {
    const [first, ...others] = exporters.map(({ name, exporter }) => {
      try {
        return { name, wanted: wish(exporter, type) };
      } catch (error) {
        throw new ConfigError(`${owner}: the ${what} selector of ${name} threw: ${textOf(error)}; mend it`, {
          cause: error,
        });
      }
    });
    const other = others.find(({ wanted }) => !isDeepStrictEqual(wanted, first!.wanted));
    if (other !== undefined) {
      throw new ConfigError(
        `${owner}: for ${type}, ${first!.name} wants the ${what} ${textFor(first!.wanted)} and ${other.name} ` +
          `${textFor(other.wanted)}, but one reader collects only one; give each exporter a reader of its own, or ` +
          `the same ${what}`,
      );
    }
    wishes.set(type, first!.wanted);
  }
  return wishes;
}
