import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MetricBatch, MetricColumns } from '../data/metric-batch.ts';
import { withExportedLabels } from './exported-labels.ts';
import { everyKind } from './fixtures/every-kind.ts';
import { randomBatch } from './fixtures/random-batch.ts';
import { labelName } from './prometheus-names.ts';
import { encodePrometheusText } from './prometheus-text.ts';

function renamed(batch: MetricBatch, ...taken: string[]): MetricBatch {
  const steps = withExportedLabels(batch, new Set(taken));
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

const textOf = (batch: MetricBatch) => Buffer.concat([...encodePrometheusText(batch)]).toString();
const metricsOf = (batch: MetricBatch): MetricColumns[] =>
  batch.scopeMetrics.flatMap(({ metrics }) => metrics);

describe('withExportedLabels', () => {
  test('nothing changes where no label is taken', () => {
    const batch = everyKind();
    const same = renamed(batch, 'job');
    expect(metricsOf(same).every((metric, i) => metric === metricsOf(batch)[i])).toBe(true);
    expect(same.resource).toBe(batch.resource);
  });

  test('renames by the name of the label, in points and in the resource, and nothing else', () => {
    const before = textOf(everyKind());
    const after = textOf(renamed(everyKind(), 'http_route', 'service_name'));
    expect(after).toBe(
      before
        .replaceAll(/http_route=/g, 'exported_http_route=')
        .replaceAll('service_name=', 'exported_service_name=')
        // Labels are sorted.
        .replaceAll(/(http_method="POST"),(exported_http_route="[^"]*")/g, '$2,$1')
        .replaceAll(/(process_pid="42"),(exported_service_name="sre")/g, '$2,$1'),
    );
  });

  test('no label is taken afterwards, and none is lost', () => {
    fc.assert(
      fc.property(randomBatch, fc.nat(), (batch, n) => {
        const keys = metricsOf(batch).flatMap(({ attributes }) => attributes.flatMap(({ keys }) => keys));
        const taken = labelName(keys[n % Math.max(1, keys.length)] ?? 'job');
        const result = renamed(batch, taken, 'exported_x');
        metricsOf(result).forEach(({ attributes, length }, m) => {
          expect(length).toBe(metricsOf(batch)[m]!.length);
          attributes.forEach(({ keys, values }, i) => {
            const original = metricsOf(batch)[m]!.attributes[i]!;
            expect(keys.map(labelName)).not.toContain(taken);
            expect(new Set(keys).size).toBe(original.keys.length);
            expect([...keys].sort()).toEqual(keys);
            expect(new Set(values)).toEqual(new Set(original.values));
          });
        });
      }),
    );
  });
});
