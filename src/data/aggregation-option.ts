// How a reader, an exporter or a View asks for an aggregation; names and members as in `@opentelemetry/sdk-metrics`.
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
