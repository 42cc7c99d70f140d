import { describe, expect, test } from 'vitest';
import { inSlices } from '../net/time-slice.ts';
import { EndedSeries } from './ended-series.ts';
import { counterBatch } from './fixtures/exporting.ts';

describe('EndedSeries', () => {
  test('keeps nothing of a batch that is tried again', async () => {
    const series = new EndedSeries(true, () => '');
    const batch = counterBatch(1, 3);
    for (let attempt = 0; attempt < 3; attempt++) expect(await inSlices(series.see(batch))).toBeUndefined();
    expect(series.present()?.pointCount).toBe(3);
  });
});
