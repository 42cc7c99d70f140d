import { describe, expect, test } from 'vitest';
import { MetricBatch } from '../data/metric-batch.ts';
import { inSlices } from '../data/time-slice.ts';
import { EndedSeries } from './ended-series.ts';
import { counterBatch } from './fixtures/exporting.ts';

describe('EndedSeries', () => {
  test('keeps nothing of a batch that is tried again', async () => {
    const series = new EndedSeries(true, () => '');
    const batch = counterBatch(1, 3);
    for (let attempt = 0; attempt < 3; attempt++) expect(await inSlices(series.see(batch))).toBeUndefined();
    expect(series.present()?.pointCount).toBe(3);
  });

  test.each([5n, -5n])(
    'metrics of a producer whose time is %d ms off, in a batch of their own',
    async (off) => {
      const series = new EndedSeries(true, () => '');
      const ended: unknown[] = [];
      for (const [second, length] of [3, 3, 2, 2].entries()) {
        for (const [name, millis] of [
          ['own', 0n],
          ['foreign', off],
        ] as const) {
          const { resource, scopeMetrics } = counterBatch(1, name === 'own' ? 3 : length);
          const [{ metrics }] = scopeMetrics as [(typeof scopeMetrics)[0]];
          metrics[0]!.endTimes.fill((BigInt(second) * 1000n + 10n + millis) * 1_000_000n);
          const batch = new MetricBatch(resource, [{ scope: { name }, metrics }]);
          const found = await inSlices(series.see(batch));
          for (const { scope, metrics } of found?.batch.scopeMetrics ?? [])
            for (const { attributes } of metrics)
              for (const set of attributes) ended.push([second, scope.name, set.attributes.series]);
        }
      }
      // Told with the collection after the one without it.
      expect(ended).toEqual([[3, 'foreign', 2]]);
    },
  );
});
