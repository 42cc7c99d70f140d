// Points to an OTLP receiver over gRPC. `docs/otlp.md` has every option.
import type { PushMetricExporter } from '../data/exporter.ts';
import { encodeOtlpProtobuf } from '../encoding/otlp-protobuf.ts';
import { otlpExporter } from './otlp-exporter.ts';
import { type OtlpGrpcOptions, validOtlpGrpcOptions } from './otlp-grpc-options.ts';
import { otlpGrpcTransport } from './otlp-grpc-transport.ts';

export type { OtlpGrpcEndpoint, OtlpGrpcOptions } from './otlp-grpc-options.ts';

/**
 * Makes an exporter that sends each batch in one or more calls to an OTLP receiver, such as an OpenTelemetry Collector. Success
 * means that the receiver has taken all of them. Needs the package `@grpc/grpc-js`, which is loaded at once.
 *
 * @throws ConfigError when an option cannot work
 */
export function otlpGrpc(options: OtlpGrpcOptions = {}): PushMetricExporter {
  const valid = validOtlpGrpcOptions(options);
  const transports = valid.endpoints.map((endpoint) => otlpGrpcTransport('otlpGrpc', endpoint, valid));
  // The channel compresses.
  return otlpExporter(transports, valid, {
    componentType: 'otlp_grpc_metric_exporter',
    encode: encodeOtlpProtobuf,
  });
}
