import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { captureLogs } from '../../../test/support/collected.ts';
import { ExportError } from '../../data/errors.ts';
import { type ExportResult, ExportResultCode, type PushMetricExporter } from '../../data/exporter.ts';
import { AggregationTemporality, type ResourceMetrics } from '../../data/metric-data.ts';
import { MeterProvider } from '../meter-provider.ts';
import { PeriodicExportingMetricReader } from './periodic-exporting-metric-reader.ts';

const SUCCESS = { code: ExportResultCode.SUCCESS };
const failure = (error?: Error) => ({ code: ExportResultCode.FAILED, error });

/** Keeps each export open until the test answers it. */
class Recording implements PushMetricExporter {
  readonly batches: ResourceMetrics[] = [];
  readonly signals: (AbortSignal | undefined)[] = [];
  readonly forceFlush = vi.fn(async () => {});
  readonly shutdown = vi.fn(async () => {});
  selectAggregationTemporality?: () => AggregationTemporality;
  answer: ((result: ExportResult) => void) | undefined;
  onExport: (callback: (result: ExportResult) => void) => void = (callback) => callback(SUCCESS);
  open = 0;
  mostOpen = 0;

  export(
    metrics: ResourceMetrics,
    callback: (result: ExportResult) => void,
    options?: { signal?: AbortSignal },
  ): void {
    this.batches.push(metrics);
    this.signals.push(options?.signal);
    this.mostOpen = Math.max(this.mostOpen, ++this.open);
    this.answer = (result) => {
      this.open--;
      callback(result);
    };
    this.onExport(this.answer);
  }

  /** The value of the first point of each batch. */
  get values() {
    return this.batches.map(({ scopeMetrics }) => scopeMetrics[0]!.metrics[0]!.dataPoints[0]!.value);
  }
}

function setUp(
  options: { exportIntervalMillis?: number; exportTimeoutMillis?: number; delta?: boolean } = {},
) {
  const exporter = new Recording();
  const { delta, ...millis } = options;
  if (delta) exporter.selectAggregationTemporality = () => AggregationTemporality.DELTA;
  const reader = new PeriodicExportingMetricReader({ exporter, ...millis });
  const provider = new MeterProvider({ readers: [reader] });
  return { exporter, reader, provider, counter: provider.getMeter('test').createCounter('c') };
}

describe('PeriodicExportingMetricReader', () => {
  const logs = captureLogs();
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('[5.08] exports every interval, measured from start to start', async () => {
    const { exporter, counter } = setUp();
    exporter.onExport = (callback) => setTimeout(callback, 5_000, SUCCESS);
    counter.add(1);
    await vi.advanceTimersByTimeAsync(59_999);
    expect(exporter.batches).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(exporter.batches).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(59_999);
    expect(exporter.batches).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(exporter.batches).toHaveLength(2);
  });

  test('[5.08] an export has 30 s unless told otherwise', async () => {
    const { exporter, counter } = setUp();
    exporter.onExport = () => {};
    counter.add(1);
    await vi.advanceTimersByTimeAsync(60_000 + 29_999);
    expect(exporter.signals[0]!.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(exporter.signals[0]!.aborted).toBe(true);
  });

  test('[5.17] nothing recorded, nothing exported', async () => {
    const { exporter } = setUp({ exportIntervalMillis: 100 });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(exporter.batches).toHaveLength(0);
  });

  test.each([0, -1, Number.NaN, "'10s'", 2 ** 31])(
    'an interval of %s is refused with the remedy',
    (value) => {
      const exportIntervalMillis = typeof value === 'string' ? value.slice(1, -1) : value;
      expect(() => setUp({ exportIntervalMillis: exportIntervalMillis as number })).toThrow(
        `exportIntervalMillis of a PeriodicExportingMetricReader is ${value}; use a number of milliseconds from 1 to 2147483647, or Infinity for exports by forceFlush alone`,
      );
    },
  );

  test('an interval of Infinity sets no timer: exports come with forceFlush and shutdown alone', async () => {
    const { exporter, counter, provider } = setUp({ exportIntervalMillis: Number.POSITIVE_INFINITY });
    counter.add(1);
    expect(vi.getTimerCount()).toBe(0);
    await vi.advanceTimersByTimeAsync(2 ** 32);
    expect(exporter.batches).toHaveLength(0);
    await provider.forceFlush();
    expect(exporter.batches).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('[5.10][12.33] a timeout longer than the interval is fine, and 0 means no limit', async () => {
    setUp({ exportIntervalMillis: 10, exportTimeoutMillis: 1_000 });
    const { exporter, counter } = setUp({ exportIntervalMillis: 10, exportTimeoutMillis: 0 });
    exporter.onExport = () => {};
    counter.add(1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(exporter.signals[0]!.aborted).toBe(false);
    expect(logs).toEqual([]);
  });

  test('[5.11] never two exports at once: slow exports, flushes, and exports given up on', async () => {
    const { exporter, counter, provider } = setUp({ exportIntervalMillis: 100, exportTimeoutMillis: 150 });
    exporter.onExport = (callback) => setTimeout(callback, 570, SUCCESS);
    counter.add(1);
    const flush = vi.advanceTimersByTimeAsync(120).then(() => {
      provider.forceFlush().catch(() => {});
      provider.forceFlush().catch(() => {});
    });
    await flush;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(exporter.mostOpen).toBe(1);
    expect(exporter.batches.length).toBeGreaterThan(4);
  });

  test('[5.12] the timeout aborts the export, counts as failure and is said once a minute', async () => {
    const { exporter, counter } = setUp({ exportIntervalMillis: 100, exportTimeoutMillis: 50 });
    exporter.onExport = () => {};
    counter.add(1);
    await vi.advanceTimersByTimeAsync(149);
    expect(exporter.signals[0]!.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(exporter.signals[0]!.aborted).toBe(true);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(logs).toEqual(['meterline: an export failed: [TIMEOUT] the export did not end within 50 ms']);
  });

  test('[5.12][12.34] callbacks have the time, and then the export has it, so that slow callbacks fail no export', async () => {
    const { exporter, provider, reader } = setUp({ exportTimeoutMillis: 50 });
    exporter.onExport = (callback) => setTimeout(callback, 45, SUCCESS);
    const gauge = provider.getMeter('test').createObservableGauge('g');
    gauge.addCallback(async (result) => {
      await new Promise((resolve) => setTimeout(resolve, 45));
      result.observe(1);
    });
    const flushed = reader.forceFlush();
    await vi.advanceTimersByTimeAsync(90);
    await flushed;
    expect(exporter.values).toEqual([1]);
    expect(logs).toEqual([]);
  });

  test('[5.13] a failed export is followed by the next tick, which is complete', async () => {
    const { exporter, counter } = setUp({ exportIntervalMillis: 100 });
    exporter.onExport = (callback) => callback(failure(new Error('down')));
    counter.add(1);
    await vi.advanceTimersByTimeAsync(100);
    exporter.onExport = (callback) => callback(SUCCESS);
    counter.add(1);
    await vi.advanceTimersByTimeAsync(100);
    expect(exporter.values).toEqual([1, 2]);
    expect(logs).toEqual(['meterline: an export failed: [INTERNAL] down']);
  });

  test('a delta batch that failed goes out with the next one; one refused for good does not', async () => {
    const { exporter, counter } = setUp({ exportIntervalMillis: 100, delta: true });
    const answers = [
      failure(new ExportError('IO', 'disk full', { retryable: true })),
      failure(),
      failure(new ExportError('IO', 'never', { retryable: false })),
      SUCCESS,
      SUCCESS,
    ];
    exporter.onExport = (callback) => callback(answers[exporter.batches.length - 1]!);
    for (let i = 0; i < 5; i++) {
      counter.add(10 ** i);
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(exporter.values).toEqual([1, 11, 111, 1000, 10_000]);
  });

  test('a delta batch delivered after its timeout is not sent again', async () => {
    const { exporter, counter } = setUp({ exportIntervalMillis: 100, exportTimeoutMillis: 50, delta: true });
    exporter.onExport = (callback) => setTimeout(callback, 80, SUCCESS);
    counter.add(1);
    await vi.advanceTimersByTimeAsync(190);
    exporter.onExport = (callback) => callback(SUCCESS);
    counter.add(10);
    await vi.advanceTimersByTimeAsync(100);
    expect(exporter.values).toEqual([1, 10]);
  });

  test('an exporter that throws or answers twice harms nothing', async () => {
    const { exporter, counter } = setUp({ exportIntervalMillis: 100 });
    exporter.onExport = () => {
      throw new Error('boom');
    };
    counter.add(1);
    await vi.advanceTimersByTimeAsync(100);
    exporter.onExport = (callback) => {
      callback(SUCCESS);
      callback(failure(new Error('second')));
    };
    await vi.advanceTimersByTimeAsync(100);
    expect(exporter.values).toEqual([1, 1]);
    expect(logs).toEqual([
      'meterline: an export failed: [INTERNAL] boom',
      'meterline: an exporter called its result callback twice; the second is ignored',
    ]);
  });

  test('an export that is an async function by mistake fails when that rejects, and is not left unhandled', async () => {
    const { counter, reader, exporter } = setUp();
    exporter.export = async () => {
      throw new Error('boom');
    };
    counter.add(1);
    await expect(reader.forceFlush()).rejects.toThrow('boom');
  });

  test('[5.14] forceFlush collects, exports, flushes the exporter, and tells of a failure', async () => {
    const { exporter, counter, reader } = setUp();
    counter.add(1);
    await reader.forceFlush();
    exporter.onExport = (callback) => callback(failure(new Error('down')));
    await expect(reader.forceFlush()).rejects.toThrow('down');
    expect(exporter.values).toEqual([1, 1]);
    expect(exporter.forceFlush).toHaveBeenCalledTimes(2);
  });

  test('[5.15] shutdown exports what came after the last tick, once, then ends the exporter', async () => {
    const { exporter, counter, reader } = setUp();
    counter.add(1);
    await Promise.all([reader.shutdown(), reader.shutdown()]);
    await reader.shutdown();
    expect(exporter.values).toEqual([1]);
    expect(exporter.shutdown).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(exporter.batches).toHaveLength(1);
    await expect(reader.forceFlush()).rejects.toMatchObject({ code: 'SHUTDOWN' });
  });

  test('[5.15] shutdown ends the exporter and in bounded time, also when the exporter hangs', async () => {
    const { exporter, counter, reader } = setUp({ exportTimeoutMillis: 50 });
    exporter.onExport = () => {};
    counter.add(1);
    const result = expect(reader.shutdown()).rejects.toMatchObject({ code: 'TIMEOUT' });
    await vi.advanceTimersByTimeAsync(50);
    await result;
    expect(exporter.shutdown).toHaveBeenCalledTimes(1);
  });

  test('[5.03] a failing callback is said and the rest is exported', async () => {
    const { exporter, counter, provider, reader } = setUp();
    provider
      .getMeter('test')
      .createObservableGauge('g')
      .addCallback(() => {
        throw new Error('broken sensor');
      });
    counter.add(1);
    await reader.forceFlush();
    expect(exporter.values).toEqual([1]);
    expect(logs).toEqual(['meterline: 1 observable callbacks failed: broken sensor']);
  });

  test('cardinality limits are per instrument kind', () => {
    const exporter = new Recording();
    const reader = new PeriodicExportingMetricReader({
      exporter,
      cardinalityLimits: { counter: 5, default: 7 },
    });
    expect(reader.selectCardinalityLimit('COUNTER' as never)).toBe(5);
    expect(reader.selectCardinalityLimit('GAUGE' as never)).toBe(7);
  });
});
