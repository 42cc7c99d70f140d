// What the decorators of one exporter share.
import { textOf } from '../data/diagnostics.ts';
import { ConfigError } from '../data/errors.ts';
import {
  createExporter,
  type ExporterDefinition,
  type PushMetricExporter,
  releasesBatches,
} from '../data/exporter.ts';
import type { ExportThrough } from './resumable.ts';
import { WrappedExporter } from './wrapped-exporter.ts';

/** What an exporter has to say what it still owes, once told to stop. Longer than those of ours take. */
export const GRACE_MILLIS = 2_000;

const METHODS = ['export', 'forceFlush', 'shutdown'] as const;

/** @throws ConfigError when it is no exporter */
export function wrapped(owner: string, exporter: PushMetricExporter): WrappedExporter {
  let problem: string;
  try {
    const missing = METHODS.find((method) => typeof exporter?.[method] !== 'function');
    if (missing === undefined) return new WrappedExporter(exporter);
    problem = `has no method ${missing}`;
  } catch (error) {
    problem = `cannot be read (${textOf(error)})`;
  }
  const remedy = 'use an exporter, such as jsonFile({ path }) or createExporter({ name, export })';
  throw new ConfigError(`${owner}: what it was given to wrap ${problem}; ${remedy}`);
}

/**
 * An exporter that does something about the exports of another one, and passes on everything else.
 *
 * @param exportThrough rejects when the batch was not delivered
 */
export function decorate(
  owner: string,
  exporter: PushMetricExporter,
  inner: WrappedExporter,
  exportThrough: ExportThrough,
  others: Partial<ExporterDefinition> = {},
): PushMetricExporter {
  return createExporter({
    name: `${owner}(${inner.name})`,
    componentType: inner.componentType,
    // Time is kept by what is inside: a limit here would cut short one that is meant to take long, such as a retry.
    timeoutMillis: 0,
    graceMillis: GRACE_MILLIS,
    selectAggregationTemporality: exporter.selectAggregationTemporality?.bind(exporter),
    selectAggregation: exporter.selectAggregation?.bind(exporter),
    releasesBatches: releasesBatches(exporter),
    export: (batch, { signal }) => exportThrough(batch, signal),
    forceFlush: () => inner.forceFlush(),
    shutdown: () => inner.shutdown(),
    ...others,
  });
}
