import { describe, expect, test } from 'vitest';
import { type ExportResult, ExportResultCode } from '../data/exporter.ts';
import { AggregationTemporality, type ResourceMetrics } from '../data/metric-data.ts';
import { resourceFromAttributes } from '../data/resource.ts';
import { InMemoryMetricExporter } from './in-memory.ts';

const empty = (): ResourceMetrics => ({ resource: resourceFromAttributes({}), scopeMetrics: [] });
const exported = (exporter: InMemoryMetricExporter, metrics: ResourceMetrics) =>
  new Promise<ExportResult>((resolve) => exporter.export(metrics, resolve));

describe('InMemoryMetricExporter', () => {
  test('keeps each batch as it was given, at once and in order', async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.DELTA);
    const [first, second] = [empty(), empty()];
    const results = [exported(exporter, first), exported(exporter, second)];
    expect(exporter.getMetrics()[0]).toBe(first);
    expect(exporter.getMetrics()[1]).toBe(second);
    expect(await Promise.all(results)).toEqual(Array(2).fill({ code: ExportResultCode.SUCCESS }));
  });

  test('asks for the temporality it was made with', () => {
    const { DELTA } = AggregationTemporality;
    expect(new InMemoryMetricExporter(DELTA).selectAggregationTemporality()).toBe(DELTA);
  });

  test('reset forgets and leaves lists handed out before alone', async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.DELTA);
    await exported(exporter, empty());
    const before = exporter.getMetrics();
    exporter.reset();
    expect(exporter.getMetrics()).toEqual([]);
    expect(before).toHaveLength(1);
  });

  test('after shutdown refuses what comes and shows what it has', async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.DELTA);
    await exported(exporter, empty());
    await exporter.shutdown();
    expect(await exported(exporter, empty())).toMatchObject({
      code: ExportResultCode.FAILED,
      error: { code: 'SHUTDOWN' },
    });
    expect(exporter.getMetrics()).toHaveLength(1);
  });
});
