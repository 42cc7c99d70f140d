// The libraries, each set up in its plainest form. Imported on use: a contestant's process holds no other library.

/**
 * Gives a `meter` and `recorded()`, the number of measurements that the library has seen.
 *
 * @param {object} options of the provider
 */
export async function meterline(options) {
  const { ManualMetricReader, MeterProvider } = await import('../dist/index.js');
  const reader = new ManualMetricReader({ cardinalitySelector: () => 200_000 });
  const provider = new MeterProvider({ readers: [reader], ...options });
  return { provider, reader, meter: provider.getMeter('bench'), recorded: () => collected(reader) };
}

/** @param {object} options of the provider */
export async function openTelemetry(options) {
  const { MeterProvider, MetricReader } = await import('@opentelemetry/sdk-metrics');
  class ManualReader extends MetricReader {
    async onForceFlush() {}
    async onShutdown() {}
  }
  const reader = new ManualReader({ cardinalitySelector: () => 200_000 });
  const provider = new MeterProvider({ readers: [reader], ...options });
  return { provider, reader, meter: provider.getMeter('bench'), recorded: () => collected(reader) };
}

/** @param {'@prometheus-io/client' | 'prom-client'} name the two have the same API */
export async function prometheusClient(name) {
  const { default: client } = await import(name);
  const registry = new client.Registry();
  const make = (Metric) => (options) => new Metric({ help: 'bench', registers: [registry], ...options });
  return {
    registry,
    counter: make(client.Counter),
    gauge: make(client.Gauge),
    histogram: make(client.Histogram),
    async recorded() {
      const metrics = await registry.getMetricsAsJSON();
      return total(
        metrics.flatMap(({ type, values }) =>
          values
            .filter(({ metricName }) => type !== 'histogram' || metricName.endsWith('_count'))
            .map(({ value }) => value),
        ),
      );
    },
  };
}

async function collected(reader) {
  const { resourceMetrics } = await reader.collect();
  const metrics = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
  return total(metrics.flatMap((metric) => metric.dataPoints.map(({ value }) => value.count ?? value)));
}

function total(values) {
  return values.reduce((sum, value) => sum + value, 0);
}
