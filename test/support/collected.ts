// What tests look at: one collection, flattened.
import { type DiagLogFunction, type DiagLogger, DiagLogLevel, diag } from '@opentelemetry/api';
import { afterEach, beforeEach } from 'vitest';
import { resetReports } from '../../src/data/diagnostics.ts';
import type { MetricData } from '../../src/data/metric-data.ts';
import type { IMetricReader } from '../../src/data/reader.ts';

/** The metrics of one collection, in order. */
export async function metricsOf(reader: IMetricReader): Promise<MetricData[]> {
  const { resourceMetrics } = await reader.collect();
  return resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics);
}

/** The points of the first metric of one collection as [attributes, value] pairs. */
export async function pointsOf(reader: IMetricReader): Promise<[unknown, unknown][]> {
  const [metric] = await metricsOf(reader);
  return metric?.dataPoints.map(({ attributes, value }) => [{ ...attributes }, value]) ?? [];
}

/** Captures what the library says at any level, from a fresh start for each test. */
export function captureLogs(): string[] {
  const messages: string[] = [];
  // The API logs each registration through the same channel.
  const log: DiagLogFunction = (message) => void (message.startsWith('meterline:') && messages.push(message));
  const logger: DiagLogger = { error: log, warn: log, info: log, debug: log, verbose: log };
  beforeEach(() => {
    messages.length = 0;
    resetReports();
    diag.setLogger(logger, { logLevel: DiagLogLevel.ALL, suppressOverrideMessage: true });
  });
  afterEach(() => diag.disable());
  return messages;
}
