// A service that counts its work and reports it, and the question whether all of it arrived.
import { randomUUID } from 'node:crypto';
import { type Counter, ValueType } from '@opentelemetry/api';
import { onTestFinished } from 'vitest';
import {
  type ExportError,
  type ExportResult,
  MeterProvider,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
  resourceFromAttributes,
} from '../../../src/index.ts';
import type { OtlpRequest } from './collector.ts';
import { attributesOf, metricsIn } from './otlp-values.ts';

export interface Reporting {
  /** Does work, which is counted. */
  work(amount: number, attributes?: Record<string, string>): void;
  /** All work done so far. */
  readonly done: number;
  /** Exports now. @returns the export's error, undefined for success */
  report(): Promise<ExportError | undefined>;
  /** The points of this service among what was received. */
  pointsIn(requests: OtlpRequest[]): WorkPoint[];
}

export interface WorkPoint {
  readonly series: string;
  readonly startTime: bigint;
  readonly time: bigint;
  readonly value: number;
}

/** Ends with the test. */
export function startReporting(exporter: PushMetricExporter): Reporting {
  const id = randomUUID();
  let result: ExportResult | undefined;
  const reader = new PeriodicExportingMetricReader({
    exporter: {
      ...exporter,
      export: (metrics, resultCallback, options) =>
        exporter.export(
          metrics,
          (outcome) => {
            result = outcome;
            resultCallback(outcome);
          },
          options,
        ),
    },
    selfMetrics: false,
    cardinalityLimits: { default: 100_000 },
  });
  const provider = new MeterProvider({
    readers: [reader],
    resource: resourceFromAttributes({ 'service.instance.id': id }),
  });
  onTestFinished(() => provider.shutdown().catch(() => {}));
  const counter: Counter = provider.getMeter('service').createCounter('work', { valueType: ValueType.INT });
  let done = 0;

  return {
    work: (amount, attributes) => {
      done += amount;
      counter.add(amount, attributes);
    },
    get done() {
      return done;
    },
    report: async () => {
      result = undefined;
      await provider.forceFlush().catch(() => {});
      if (result === undefined) throw new Error('nothing was exported');
      return (result as ExportResult).error as ExportError | undefined;
    },
    pointsIn: (requests) =>
      requests
        .filter(
          ({ resourceMetrics: [first] }) =>
            attributesOf(first?.resource.attributes)['service.instance.id'] === id,
        )
        .flatMap((request) => metricsIn(request).flatMap(({ points }) => points))
        .map(({ attributes, startTime, time, value }) => ({
          series: JSON.stringify(attributes),
          startTime,
          time,
          value: Number(value),
        })),
  };
}

/** What the points of delta temporality add up to. */
export function sumOf(points: WorkPoint[]): number {
  return points.reduce((sum, { value }) => sum + value, 0);
}

/**
 * What a backend has in the end that keeps one value for each series and time, as backends of cumulative points do.
 * A request that was answered, but whose answer was lost, is sent again with the same values for the same times, and changes nothing.
 */
export function lastValues(points: WorkPoint[]): number {
  const series = new Map<string, WorkPoint>();
  const values = new Map<string, number>();
  for (const point of points) {
    const key = `${point.series} ${point.time}`;
    if ((values.get(key) ?? point.value) !== point.value) throw new Error(`two values for ${key}`);
    values.set(key, point.value);
    const last = series.get(point.series);
    if (last === undefined || last.time <= point.time) series.set(point.series, point);
  }
  return sumOf([...series.values()]);
}
