// `meterline/otlp-http`: what code says, then what the environment says.
import { isObject } from '../data/checked-options.ts';
import type { PushMetricExporter } from '../data/exporter.ts';
import { otlpHttp as exporterOf, type OtlpHttpOptions } from '../exporters/otlp-http.ts';
import { otlpHttpSettings, otlpProtocol } from './otlp-environment.ts';
import { overEnvironment } from './over-environment.ts';

export type { OtlpHttpEndpoint, OtlpHttpOptions } from '../exporters/otlp-http.ts';

/**
 * Makes an exporter that sends each batch in one or more requests to an OTLP receiver over HTTP, such as an OpenTelemetry Collector.
 * Success means that the receiver has taken all of them. Options that are not given come from the environment's
 * `OTEL_EXPORTER_OTLP_…` variables, then from defaults.
 *
 * @throws ConfigError when an option cannot work; a variable that cannot is told and ignored
 */
export function otlpHttp(options: OtlpHttpOptions = {}): PushMetricExporter {
  if (!isObject(options)) return exporterOf(options);
  const { tls, proxy, ...settings } = otlpHttpSettings(process.env);
  // A dispatcher has its own way with both.
  const connection = options.dispatcher === undefined ? { tls, proxy } : {};
  const encoding = otlpProtocol(process.env) === 'http/json' ? 'json' : 'protobuf';
  return exporterOf({ encoding, ...overEnvironment(options, { ...settings, ...connection }) });
}
