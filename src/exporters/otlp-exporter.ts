// What is the same for exporters that deliver in requests: a delivery to receivers, and the exporter around it.
import { createExporter, type ExporterDefinition, type PushMetricExporter } from '../data/exporter.ts';
import { type OtlpDeliveryOptions, otlpDelivery } from './otlp-delivery.ts';
import { failoverTransport } from './otlp-failover.ts';
import type { ValidOtlpOptions } from './otlp-options.ts';
import type { OtlpTransport } from './otlp-transport.ts';

/** A delivery that is told to stop says at once what it still owes; this bounds what should hang all the same. */
export const GRACE_MILLIS = 1_000;

/** @param transports the preferred one first */
export function otlpExporter(
  transports: readonly OtlpTransport[],
  valid: ValidOtlpOptions,
  kind: Pick<OtlpDeliveryOptions, 'encode' | 'compress'> & { componentType: string },
): PushMetricExporter {
  const { timeoutMillis, retry, maxRequestBytes, temporality, aggregation, probeIntervalMillis } = valid;
  const { encode, compress, componentType } = kind;
  const transport = failoverTransport(transports, { probeIntervalMillis });
  return deliveringExporter(
    { transport, encode, compress, maxRequestBytes, timeoutMillis, retry },
    { componentType, selectAggregationTemporality: temporality, selectAggregation: aggregation },
  );
}

/** Its `shutdown` lets requests under way end, and ends the waits between attempts. */
export function deliveringExporter(
  delivery: Omit<OtlpDeliveryOptions, 'closing'>,
  definition: Pick<
    ExporterDefinition,
    'componentType' | 'selectAggregationTemporality' | 'selectAggregation'
  >,
): PushMetricExporter {
  const { transport, timeoutMillis } = delivery;
  const closing = new AbortController();
  const deliver = otlpDelivery({ ...delivery, closing: closing.signal });
  const exporter = createExporter({
    ...definition,
    name: transport.name,
    releasesBatches: true,
    timeoutMillis,
    graceMillis: GRACE_MILLIS,
    export: (batch, { signal }) => deliver(batch, signal),
    shutdown: () => transport.shutdown(),
  });
  return endingWaits(exporter, closing);
}

/** The exporter, with a shutdown that tells at once, by `closing`, those who wait between attempts. */
export function endingWaits(exporter: PushMetricExporter, closing: AbortController): PushMetricExporter {
  return {
    ...exporter,
    shutdown() {
      const ended = exporter.shutdown();
      closing.abort();
      return ended;
    },
  };
}
