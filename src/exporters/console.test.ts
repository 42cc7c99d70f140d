import console from 'node:console';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { AggregationTemporality, DataPointType, InstrumentType } from '../data/metric-data.ts';
import { everyKind } from '../encoding/fixtures/every-kind.ts';
import { ConsoleMetricExporter } from './console.ts';
import { exported } from './fixtures/exporting.ts';

afterEach(() => vi.restoreAllMocks());

describe('ConsoleMetricExporter', () => {
  test('prints each metric in full, points included', async () => {
    const dir = vi.spyOn(console, 'dir').mockReturnValue();
    const batch = everyKind();
    expect(await exported(new ConsoleMetricExporter(), batch)).toBeUndefined();
    const metrics = batch.scopeMetrics.flatMap(({ metrics }) => metrics);
    expect(dir.mock.calls).toEqual(
      metrics.map(({ descriptor, dataPointType, dataPoints }) => [
        { descriptor, dataPointType, dataPoints },
        { depth: null },
      ]),
    );
    expect(dir.mock.calls.map(([metric]) => metric.dataPointType)).toContain(DataPointType.SUM);
  });

  test('is cumulative unless asked otherwise', () => {
    const { CUMULATIVE, DELTA } = AggregationTemporality;
    const temporalitySelector = () => DELTA;
    expect(new ConsoleMetricExporter().selectAggregationTemporality(InstrumentType.COUNTER)).toBe(CUMULATIVE);
    expect(
      new ConsoleMetricExporter({ temporalitySelector }).selectAggregationTemporality(InstrumentType.COUNTER),
    ).toBe(DELTA);
  });

  test('prints nothing after shutdown, and says so', async () => {
    const dir = vi.spyOn(console, 'dir').mockReturnValue();
    const exporter = new ConsoleMetricExporter();
    await exporter.shutdown();
    expect(await exported(exporter, everyKind())).toMatchObject({ code: 'SHUTDOWN' });
    expect(dir).not.toHaveBeenCalled();
  });
});
