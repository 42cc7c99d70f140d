// However many metrics or scopes there are, no step takes long. Counted in steps: time is the machine's.
import { expect, test } from 'vitest';
import type { MetricBatch } from '../data/metric-batch.ts';
import { batchOf, counter } from './fixtures/metrics.ts';
import { encodeOpenMetrics } from './prometheus-openmetrics.ts';
import { planOf } from './prometheus-options.ts';
import { encodePrometheusProtobuf } from './prometheus-protobuf.ts';
import { encodePrometheusText } from './prometheus-text.ts';
import { prepareSeries } from './remote-write-series.ts';

const COUNT = 6_400;
/** A hundred metrics a step at most. */
const STEPS = COUNT / 100;

const point = [[{}, 1]] as const;
const ofOneScope = () =>
  batchOf([[{ name: 's' }, Array.from({ length: COUNT }, (_, i) => counter(`c${i}`, point))]]);
const ofManyScopes = () =>
  batchOf(Array.from({ length: COUNT }, (_, i) => [{ name: `${i}` }, [counter('c', point)]] as const));

test.each([
  ['metrics', ofOneScope],
  ['scopes of one metric', ofManyScopes],
])('many %s are many steps, in every format', (_, batchFor) => {
  for (const encode of [encodePrometheusText, encodeOpenMetrics, encodePrometheusProtobuf]) {
    const chunks = [...encode(batchFor())];
    expect(chunks.filter(({ length }) => length === 0).length).toBeGreaterThan(STEPS);
    expect(
      Buffer.concat(chunks)
        .toString('latin1')
        .match(/otel_scope_name/g),
    ).toHaveLength(COUNT);
  }
  const batch: MetricBatch = batchFor();
  expect([...prepareSeries(batch, planOf(batch, {}), [])].length).toBeGreaterThan(STEPS);
});
