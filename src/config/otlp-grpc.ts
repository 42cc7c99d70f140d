// `meterline/otlp-grpc`: what code says, then what the environment says.
import { isObject } from '../data/checked-options.ts';
import type { PushMetricExporter } from '../data/exporter.ts';
import { otlpGrpc as exporterOf, type OtlpGrpcOptions } from '../exporters/otlp-grpc.ts';
import { otlpGrpcSettings } from './otlp-environment.ts';
import { overEnvironment } from './over-environment.ts';

export type { OtlpGrpcEndpoint, OtlpGrpcOptions } from '../exporters/otlp-grpc.ts';

/**
 * Makes an exporter that sends each batch in one or more calls to an OTLP receiver over gRPC, such as an OpenTelemetry Collector.
 * Success means that the receiver has taken all of them. Options that are not given come from the environment's
 * `OTEL_EXPORTER_OTLP_…` variables, then from defaults. Needs the package `@grpc/grpc-js`.
 *
 * @throws ConfigError when an option cannot work; a variable that cannot is told and ignored
 */
export function otlpGrpc(options: OtlpGrpcOptions = {}): PushMetricExporter {
  if (!isObject(options)) return exporterOf(options);
  const { insecure, tls, ...settings } = otlpGrpcSettings(process.env);
  if (options.credentials !== undefined) return exporterOf(overEnvironment(options, settings));
  return exporterOf({ insecure, ...overEnvironment(options, { ...settings, tls }) });
}
