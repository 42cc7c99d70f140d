// `meterline/testing`: what the tests of an application that records metrics need. `docs/testing.md` shows it at work.
export { assertMetric, assertNoMetric, type ExpectedMetric } from './assert-metric.ts';
export { type FakeClock, fakeClock } from './fake-clock.ts';
export {
  METRIC_KINDS,
  type MetricKind,
  type ReadableDistribution,
  type ReadableMetric,
  type ReadablePoint,
  readableMetrics,
} from './readable-metrics.ts';
export { resetMetrics } from './reset-metrics.ts';
export { type TestMetrics, type TestMetricsOptions, testMetrics } from './test-metrics.ts';
