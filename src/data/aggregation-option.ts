// How a reader, an exporter or a View asks for an aggregation; names and members as in `@opentelemetry/sdk-metrics`.
import { isObject, shown } from './checked-options.ts';
import type { AggregationTemporality, InstrumentType } from './metric-data.ts';

export enum AggregationType {
  DEFAULT = 0,
  DROP = 1,
  SUM = 2,
  LAST_VALUE = 3,
  EXPLICIT_BUCKET_HISTOGRAM = 4,
  EXPONENTIAL_HISTOGRAM = 5,
}

export type AggregationOption =
  | { type: AggregationType.DEFAULT }
  | { type: AggregationType.DROP }
  | { type: AggregationType.SUM }
  | { type: AggregationType.LAST_VALUE }
  | {
      type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM;
      options?: {
        /** Default true. */
        recordMinMax?: boolean;
        /** Strictly increasing, finite, inclusive upper bounds. */
        boundaries: number[];
      };
    }
  | {
      type: AggregationType.EXPONENTIAL_HISTOGRAM;
      options?: {
        /** Default true. */
        recordMinMax?: boolean;
        /** Buckets per sign, at least 2; default 160, as specified: a relative error below 5 % over five decades. */
        maxSize?: number;
        /** The finest scale, from -10 to 20; default 20, as specified. */
        maxScale?: number;
      };
    };

export type AggregationSelector = (instrumentType: InstrumentType) => AggregationOption;
export type AggregationTemporalitySelector = (instrumentType: InstrumentType) => AggregationTemporality;

/** The parameters of each aggregation that has any. */
const PARAMETERS: Partial<Record<AggregationType, readonly string[]>> = {
  [AggregationType.EXPLICIT_BUCKET_HISTOGRAM]: ['recordMinMax', 'boundaries'],
  [AggregationType.EXPONENTIAL_HISTOGRAM]: ['recordMinMax', 'maxSize', 'maxScale'],
};

/** Why a value cannot be used as an {@link AggregationOption}, beginning with the setting, or undefined. Never throws. */
export function aggregationProblem(option: unknown): string | undefined {
  try {
    if (isObject(option)) return typeProblem(option.type) ?? parameterProblem(option as AggregationOption);
  } catch {
    // Getters and proxies may throw.
  }
  return `aggregation is ${shown(option)}; use an object, such as { type: AggregationType.SUM }`;
}

function typeProblem(type: unknown): string | undefined {
  if (typeof type === 'number' && type in AggregationType) return undefined;
  return `aggregation.type is ${shown(type)}; use a member of AggregationType`;
}

function parameterProblem(option: { type: AggregationType; options?: unknown }): string | undefined {
  const { type, options = {} } = option;
  if (!isObject(options)) return `aggregation.options is ${shown(options)}; use an object`;
  const known = PARAMETERS[type] ?? [];
  const unknown = Object.keys(options).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    return `${shown(unknown)} is no option of the aggregation ${AggregationType[type]}; its options are ${known.join(', ') || 'none'}`;
  }
  const { recordMinMax = true, boundaries = [], maxSize = 2, maxScale = 0 } = options;
  if (typeof recordMinMax !== 'boolean') return `recordMinMax is ${shown(recordMinMax)}; use true or false`;
  if (!Array.isArray(boundaries) || !boundaries.every(isIncreasing)) {
    return `boundaries are ${shown(boundaries)}; use a list of numbers in strictly increasing order`;
  }
  if (!isInteger(maxSize) || maxSize < 2) return `maxSize is ${shown(maxSize)}; use an integer of at least 2`;
  if (!isInteger(maxScale) || maxScale < -10 || maxScale > 20) {
    return `maxScale is ${shown(maxScale)}; use an integer from -10 to 20`;
  }
  return undefined;
}

const isInteger = (value: unknown): value is number => Number.isInteger(value);

function isIncreasing(boundary: unknown, i: number, all: readonly unknown[]): boolean {
  if (typeof boundary !== 'number' || Number.isNaN(boundary)) return false;
  return i === 0 || boundary > (all[i - 1] as number);
}
