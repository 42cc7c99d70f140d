// What both OTLP encoders are asked for and give: one ExportMetricsServiceRequest, made in steps.
import type { MetricBatch } from '../data/metric-batch.ts';
import { AggregationTemporality } from '../data/metric-data.ts';

/** Points of a batch, counted over all its metrics in order as `sliceBatch` does. */
export interface RequestRange {
  /** The request's first point. */
  readonly from: number;
  /** The request ends before this point, whatever would fit. */
  readonly to: number;
  /** The most bytes that the request may have, before compression. */
  readonly maxBytes: number;
  /**
   * Where to put the body, over what is there. Memory is taken where it is too small, or not given. With
   * {@link REFUSED_POINT_ROOM} bytes more than `maxBytes` it is large enough.
   */
  readonly memory?: Buffer<ArrayBuffer> | undefined;
}

/** For the point that turns out not to fit once it has been written. */
export const REFUSED_POINT_ROOM = 4 * 1024;

export interface EncodedRequest {
  /** Empty when the range is, or when its first point does not fit. */
  readonly body: Uint8Array;
  /** Where the next request starts; a point that does not fit is skipped. */
  readonly next: number;
  /** How many bytes a request with nothing but the first point would have, where that is more than `maxBytes`. */
  readonly oversizedBytes?: number;
}

/**
 * Fills one request with as many points as fit. It yields where the event loop may have its turn, each time after a
 * fraction of a millisecond; `inSlices` of `data/time-slice.ts` drives it.
 */
export type EncodeRequest = (batch: MetricBatch, range: RequestRange) => Generator<void, EncodedRequest>;

/** So many points between two turns: even a first export, which formats attributes, takes under a millisecond for them. */
export const POINTS_PER_STEP = 256;

/** OTLP counts from 1: there 0 is a temporality that was not told, which receivers refuse. */
export function otlpTemporality(temporality: AggregationTemporality): number {
  return temporality === AggregationTemporality.DELTA ? 1 : 2;
}

/**
 * Whether a value of an integer instrument can be written as one. Another SDK may give fractions and more than 64 bits
 * hold; points and exemplars can be doubles all the same, so that nothing is lost.
 */
export function isInt64(value: number): boolean {
  return Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 63;
}
