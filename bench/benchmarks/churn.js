import { memoryInUse } from '../memory.js';

/** An hour of one collection every 10 s. */
const WINDOWS = 360;
const QUICK_WINDOWS = 90;
const SERIES_PER_WINDOW = 1_000;

/** From here on, all that grows once has grown. */
const WARM_UP_WINDOWS = 30;

export default {
  id: 'churn',
  title: 'memory kept of series that are over: an hour of deltas, 1,000 new series in each window of 10 s',
  unit: 'bytes kept of a series that is over',
  extras: { megabytes: 'MB in use at the end' },
  contestants: [
    { name: 'meterline', package: 'meterline', run: meterline, target: { valueAtMost: 1 } },
    { name: '@opentelemetry/sdk-metrics', package: '@opentelemetry/sdk-metrics', run: openTelemetry },
  ],
};

async function meterline(options) {
  const { AggregationTemporality, ManualMetricReader, MeterProvider } = await import('../../dist/index.js');
  const reader = new ManualMetricReader({
    aggregationTemporalitySelector: () => AggregationTemporality.DELTA,
  });
  return churn(new MeterProvider({ readers: [reader] }), reader, options);
}

async function openTelemetry(options) {
  const { AggregationTemporality, MeterProvider, MetricReader } = await import('@opentelemetry/sdk-metrics');
  class ManualReader extends MetricReader {
    async onForceFlush() {}
    async onShutdown() {}
  }
  const reader = new ManualReader({ aggregationTemporalitySelector: () => AggregationTemporality.DELTA });
  return churn(new MeterProvider({ readers: [reader] }), reader, options);
}

async function churn(provider, reader, { quick }) {
  const meter = provider.getMeter('bench');
  const counter = meter.createCounter('requests');
  const histogram = meter.createHistogram('duration');
  let next = 0;
  const window = async () => {
    for (let i = 0; i < SERIES_PER_WINDOW; i++, next++) {
      const attributes = { route: '/orders', user: `user-${next}` };
      counter.add(1, attributes);
      histogram.record(1, attributes);
    }
    const { resourceMetrics } = await reader.collect();
    const { dataPoints } = resourceMetrics.scopeMetrics[0].metrics[0];
    if (dataPoints.length !== SERIES_PER_WINDOW) throw new Error(`${dataPoints.length} points in a window`);
  };
  const baseline = await memoryInUse();
  for (let i = 0; i < WARM_UP_WINDOWS; i++) await window();
  const before = await memoryInUse();
  const windows = quick ? QUICK_WINDOWS : WINDOWS;
  for (let i = 0; i < windows; i++) await window();
  const after = await memoryInUse();
  const bytes = (memory) => memory.heap + memory.external;
  return {
    value: Math.max(0, bytes(after) - bytes(before)) / (2 * windows * SERIES_PER_WINDOW),
    megabytes: (bytes(after) - bytes(baseline)) / 1e6,
  };
}
