// `meterline/otlp-file`: what code says, then what the environment says.
import { isObject } from '../data/checked-options.ts';
import type { PushMetricExporter } from '../data/exporter.ts';
import { otlpFile as exporterOf, type OtlpFileOptions } from '../exporters/otlp-file.ts';
import { otlpSelectors } from './otlp-environment.ts';
import { givenOf } from './over-environment.ts';

export type { LineFileRotation, OtlpFileOptions } from '../exporters/otlp-file.ts';

/**
 * Makes an exporter that writes each batch as one line of OTLP JSON, to standard output or to a file. Temporality and histogram
 * aggregation come from the environment's `OTEL_EXPORTER_OTLP_METRICS_…` variables where they are not given.
 *
 * @throws ConfigError when an option cannot work; a variable that cannot is told and ignored
 */
export function otlpFile(options: OtlpFileOptions = {}): PushMetricExporter {
  return exporterOf(isObject(options) ? { ...otlpSelectors(process.env), ...givenOf(options) } : options);
}
