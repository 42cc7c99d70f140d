// An exporter whose module is loaded beside the application's start. A program that sends no OTLP over HTTP or gRPC need not wait
// for libraries of it (60 ms for undici alone), and `startMetrics` cannot wait, since it returns at once.
import { exportTo } from '../data/export-to.ts';
import { createExporter, type ExporterDefinition, type PushMetricExporter } from '../data/exporter.ts';

export type DeferredDefinition = Pick<
  ExporterDefinition,
  'name' | 'componentType' | 'selectAggregationTemporality' | 'selectAggregation'
>;

/** @param load called at once; exports wait for it, and fail as it does */
export function deferredExporter(
  definition: DeferredDefinition,
  load: () => Promise<PushMetricExporter>,
): PushMetricExporter {
  const loading = load();
  // Each export tells.
  loading.catch(() => {});
  return createExporter({
    ...definition,
    // Time is kept by the exporter itself.
    timeoutMillis: 0,
    export: async (batch, { signal }) => exportTo(await loading, batch, signal),
    shutdown: () =>
      loading.then(
        (exporter) => exporter.shutdown(),
        () => {},
      ),
  });
}
