// A provider and a reader for one test.
import { metrics } from '@opentelemetry/api';
import { shown } from '../data/checked-options.ts';
import { ConfigError } from '../data/errors.ts';
import { AggregationTemporality, InstrumentType } from '../data/metric-data.ts';
import { MeterProvider, type MeterProviderOptions } from '../sdk/meter-provider.ts';
import { ManualMetricReader } from '../sdk/readers/manual-metric-reader.ts';
import { type ReadableMetric, readableMetrics } from './readable-metrics.ts';

export interface TestMetricsOptions extends Omit<MeterProviderOptions, 'readers' | 'selfMetrics'> {
  /**
   * `delta`: each collection tells what was recorded since the one before; up-down counters stay cumulative, as
   * backends want them. Default `cumulative`.
   */
  temporality?: 'cumulative' | 'delta';
  /**
   * Whether to register the provider with `@opentelemetry/api`, for code that finds its meter there. Default false, so
   * that tests can run side by side.
   */
  global?: boolean;
}

export interface TestMetrics extends AsyncDisposable {
  /** Give it to the code under test. */
  readonly meterProvider: MeterProvider;
  readonly reader: ManualMetricReader;
  /**
   * Runs the observable callbacks and returns all metrics that have a point.
   *
   * @throws AggregateError when a callback failed
   */
  collect(): Promise<ReadableMetric[]>;
  /** Ends the provider, and unregisters it if it was registered. Not needed when it was not. */
  shutdown(): Promise<void>;
}

const TEMPORALITIES: readonly unknown[] = [undefined, 'cumulative', 'delta'];

/** @throws ConfigError when an option cannot work; Error when `global` is asked for and another provider is registered */
export function testMetrics(options: TestMetricsOptions = {}): TestMetrics {
  const { temporality, global, ...provided } = options;
  if (!TEMPORALITIES.includes(temporality)) {
    throw new ConfigError(`temporality of testMetrics is ${shown(temporality)}; use cumulative or delta`);
  }
  const reader = new ManualMetricReader({
    aggregationTemporalitySelector: (type) =>
      temporality === 'delta' && !UP_DOWN.has(type)
        ? AggregationTemporality.DELTA
        : AggregationTemporality.CUMULATIVE,
  });
  const meterProvider = new MeterProvider({ ...provided, readers: [reader] });
  if (global && !metrics.setGlobalMeterProvider(meterProvider)) {
    throw new Error('another MeterProvider is already registered; await resetMetrics() before each test');
  }
  async function shutdown(): Promise<void> {
    if (metrics.getMeterProvider() === meterProvider) metrics.disable();
    await meterProvider.shutdown();
  }
  return {
    meterProvider,
    reader,
    async collect() {
      const { resourceMetrics, errors } = await reader.collect();
      if (errors.length > 0) {
        throw new AggregateError(errors, `observable callbacks failed: ${errors.map(String).join('; ')}`);
      }
      return readableMetrics(resourceMetrics);
    },
    shutdown,
    [Symbol.asyncDispose]: shutdown,
  };
}

const UP_DOWN = new Set([InstrumentType.UP_DOWN_COUNTER, InstrumentType.OBSERVABLE_UP_DOWN_COUNTER]);
