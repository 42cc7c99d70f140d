// Recording one of each instrument, and what should come out of it whatever way it went.
import { deepEqual } from 'node:assert/strict';
import type { Meter } from '@opentelemetry/api';
import type { ResourceMetrics } from '@opentelemetry/sdk-metrics';

export function record(meter: Meter): void {
  const counter = meter.createCounter('requests', { unit: '{request}', description: 'Requests' });
  counter.add(2, { method: 'GET' });
  counter.add(3, { method: 'POST', ok: true });
  meter.createUpDownCounter('open').add(-1);
  meter
    .createHistogram('size', { unit: 'By', advice: { explicitBucketBoundaries: [1, 10] } })
    .record(5, { a: 1 });
  meter.createGauge('level').record(0.5);
  meter.createHistogram('exponential').record(8);
  meter.createObservableCounter('observed').addCallback((result) => result.observe(7, { list: ['x', 'y'] }));
}

const EXPECTED = {
  requests: {
    unit: '{request}',
    points: [
      [{ method: 'GET' }, 2],
      [{ method: 'POST', ok: true }, 3],
    ],
  },
  open: { unit: '', points: [[{}, -1]] },
  size: { unit: 'By', points: [[{ a: 1 }, 'count 1, sum 5, buckets 0,1,0 of 1,10']] },
  level: { unit: '', points: [[{}, 0.5]] },
  exponential: { unit: '', points: [[{}, 'count 1, sum 8, exponential 1']] },
  observed: { unit: '', points: [[{ list: ['x', 'y'] }, 7]] },
};

/** @throws AssertionError unless this is what {@link record} recorded, with `exponential` as its View has it */
export function assertRecorded({ resource, scopeMetrics }: ResourceMetrics): void {
  deepEqual(resource.attributes['service.name'], 'compat');
  deepEqual(
    scopeMetrics.map(({ scope }) => [scope.name, scope.version]),
    [['shop', '1.2.3']],
  );
  const metrics = scopeMetrics.flatMap((scope) => scope.metrics);
  const actual = metrics.map(({ descriptor, dataPoints }) => [
    descriptor.name,
    {
      unit: descriptor.unit,
      points: dataPoints.map(({ attributes, value }) => [{ ...attributes }, shown(value)]),
    },
  ]);
  deepEqual(Object.fromEntries(actual), EXPECTED);
}

type Value = ResourceMetrics['scopeMetrics'][number]['metrics'][number]['dataPoints'][number]['value'];

function shown(value: Value): number | string {
  if (typeof value === 'number') return value;
  const common = `count ${value.count}, sum ${value.sum}`;
  return 'buckets' in value
    ? `${common}, buckets ${value.buckets.counts} of ${value.buckets.boundaries}`
    : `${common}, exponential ${value.positive.bucketCounts}`;
}
