// Points to an OTLP receiver over gRPC. `docs/otlp.md` has every option.
import { createExporter, type PushMetricExporter } from '../data/exporter.ts';
import { encodeOtlpProtobuf } from '../encoding/otlp-protobuf.ts';
import { otlpDelivery } from './otlp-delivery.ts';
import { failoverTransport } from './otlp-failover.ts';
import { type OtlpGrpcOptions, validOtlpGrpcOptions } from './otlp-grpc-options.ts';
import { otlpGrpcTransport } from './otlp-grpc-transport.ts';

export type { OtlpGrpcEndpoint, OtlpGrpcOptions } from './otlp-grpc-options.ts';

/** The delivery ends in time itself, and knows what is owed; this bounds what should hang all the same. */
const GRACE_MILLIS = 1_000;

/**
 * Makes an exporter that sends each batch in one or more calls to an OTLP receiver, such as an OpenTelemetry Collector. Success
 * means that the receiver has taken all of them. Needs the package `@grpc/grpc-js`, which is loaded at once.
 *
 * @throws ConfigError when an option cannot work
 */
export function otlpGrpc(options: OtlpGrpcOptions = {}): PushMetricExporter {
  const valid = validOtlpGrpcOptions(options);
  const { endpoints, timeoutMillis, retry, maxRequestBytes } = valid;
  const transport = failoverTransport(
    endpoints.map((endpoint) => otlpGrpcTransport('otlpGrpc', endpoint, valid)),
    valid,
  );
  const deliver = otlpDelivery({
    transport,
    encode: encodeOtlpProtobuf,
    maxRequestBytes,
    timeoutMillis,
    retry,
  });
  return createExporter({
    name: transport.name,
    componentType: 'otlp_grpc_metric_exporter',
    timeoutMillis: timeoutMillis + GRACE_MILLIS,
    selectAggregationTemporality: valid.temporality,
    selectAggregation: valid.aggregation,
    export: (batch, { signal }) => deliver(batch, signal),
    shutdown: () => transport.shutdown(),
  });
}
