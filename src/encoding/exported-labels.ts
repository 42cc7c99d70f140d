// Attributes whose labels somebody else gives to all series, such as `job`. Prometheus keeps its own label then and renames
// the other to `exported_job`; so do we, because where it is overwritten, series become one.
import type { AttributeValue } from '@opentelemetry/api';
import { AttributeSet } from '../data/attribute-set.ts';
import { MetricBatch, type MetricColumns, type ScopeColumns } from '../data/metric-batch.ts';
import { resourceFromAttributes } from '../data/resource.ts';
import { attributeShape, type LabelShape, nameOf } from './prometheus-label-shape.ts';

const SETS_PER_STEP = 4_096;

/**
 * The batch with `exported_` in front of every attribute that would become one of the labels. For encoders that read columns;
 * it yields where the event loop may have its turn.
 */
export function* withExportedLabels(
  batch: MetricBatch,
  taken: ReadonlySet<string>,
): Generator<void, MetricBatch> {
  const clashes = new Map<LabelShape, boolean>();
  const renamed = new Map<AttributeSet, AttributeSet>();

  function clashesAt(set: AttributeSet): boolean {
    const shape = attributeShape(set);
    let clash = clashes.get(shape);
    if (clash === undefined) {
      clash = shape.keys.some((key) => taken.has(nameOf(key)));
      clashes.set(shape, clash);
    }
    return clash;
  }

  function withNewNames(set: AttributeSet): AttributeSet {
    let other = renamed.get(set);
    if (other === undefined) {
      other = renamedSet(set, taken);
      renamed.set(set, other);
    }
    return other;
  }

  const scopes: ScopeColumns[] = [];
  for (const { scope, metrics } of batch.scopeMetrics) {
    const own: MetricColumns[] = [];
    for (const metric of metrics) {
      const { attributes } = metric;
      let sets: AttributeSet[] | undefined;
      for (let i = 0; i < metric.length; i++) {
        if (i % SETS_PER_STEP === SETS_PER_STEP - 1) yield;
        if (!clashesAt(attributes[i]!)) continue;
        sets ??= [...attributes];
        sets[i] = withNewNames(attributes[i]!);
      }
      // A view of the metric: a copy would make its points.
      own.push(sets === undefined ? metric : Object.create(metric, { attributes: { value: sets } }));
    }
    scopes.push({ scope, metrics: own });
  }
  const resource = AttributeSet.from(batch.resource.attributes);
  return new MetricBatch(
    clashesAt(resource) ? resourceFromAttributes(renamedSet(resource, taken).attributes) : batch.resource,
    scopes,
  );
}

function renamedSet({ keys, values }: AttributeSet, taken: ReadonlySet<string>): AttributeSet {
  const known = new Set(keys);
  const pairs = keys.map((key, i): [string, AttributeValue] => {
    let free = key;
    // Once is not enough where the new name is taken too.
    while (taken.has(nameOf(free)) || (free !== key && known.has(free))) free = `exported_${free}`;
    return [free, values[i]!];
  });
  pairs.sort(([a], [b]) => (a < b ? -1 : 1));
  return new AttributeSet(
    pairs.map(([key]) => key),
    pairs.map(([, value]) => value),
  );
}
