// What is the same for OTLP over HTTP and over gRPC: receivers, a delivery to them, and the exporter around it.
import { createExporter, type PushMetricExporter } from '../data/exporter.ts';
import { type OtlpDeliveryOptions, otlpDelivery } from './otlp-delivery.ts';
import { failoverTransport } from './otlp-failover.ts';
import type { ValidOtlpOptions } from './otlp-options.ts';
import type { OtlpTransport } from './otlp-transport.ts';

/** The delivery ends in time itself, and knows what is owed; this bounds what should hang all the same. */
const GRACE_MILLIS = 1_000;

/** @param transports the preferred one first */
export function otlpExporter(
  transports: readonly OtlpTransport[],
  valid: ValidOtlpOptions,
  kind: Pick<OtlpDeliveryOptions, 'encode' | 'compress'> & { componentType: string },
): PushMetricExporter {
  const { timeoutMillis, retry, maxRequestBytes, temporality, aggregation, probeIntervalMillis } = valid;
  const { encode, compress, componentType } = kind;
  const transport = failoverTransport(transports, { probeIntervalMillis });
  const deliver = otlpDelivery({ transport, encode, compress, maxRequestBytes, timeoutMillis, retry });
  return createExporter({
    name: transport.name,
    componentType,
    timeoutMillis: timeoutMillis + GRACE_MILLIS,
    selectAggregationTemporality: temporality,
    selectAggregation: aggregation,
    export: (batch, { signal }) => deliver(batch, signal),
    shutdown: () => transport.shutdown(),
  });
}
