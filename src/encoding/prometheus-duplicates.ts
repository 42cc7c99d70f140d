// Different attribute sets can become the same labels: `{code: 200}` and `{code: '200'}`, or `{'a.b': 'x'}` and
// `{'a/b': 'x'}`. A scrape must not have a line twice, yet remembering every line would cost memory and a long
// pause whenever the memory grows. The shapes of the sets tell, for next to nothing, that it cannot happen;
// label blocks are compared only where it can.
import type { AttributeSet } from '../data/attribute-set.ts';
import { attributeShape, type LabelShape } from './prometheus-label-shape.ts';
import type { SeriesLabels } from './prometheus-labels.ts';

/** Asked about each point of a metric in order: whether no point before it has its label block. */
export type FirstOfItsKind = (i: number, block: string) => boolean;

/** The checks for the metrics of one family. */
export function duplicateChecks(
  members: readonly { metric: { readonly attributes: readonly AttributeSet[] }; labels: SeriesLabels }[],
): FirstOfItsKind[] {
  const metricsIn = new Map<string, number>();
  for (const { labels } of members) metricsIn.set(labels.scope, (metricsIn.get(labels.scope) ?? 0) + 1);
  const everything = new Set<string>();
  return members.map(({ metric, labels }) =>
    metricsIn.get(labels.scope) === 1
      ? amongLookalikes(metric.attributes, labels)
      : (_, block) => added(everything, block),
  );
}

/** For a metric that shares its scope with no other of the family. */
function amongLookalikes(sets: readonly AttributeSet[], labels: SeriesLabels): FirstOfItsKind {
  /** By label names: the one shape that has them, or the blocks once there is a second or an ambiguous one. */
  const seen = new Map<string, LabelShape | Set<string>>();
  let safe: LabelShape | undefined;

  return (i, block) => {
    const shape = attributeShape(sets[i]!);
    if (shape === safe) return true;
    const known = seen.get(shape.names);
    if (known instanceof Set) return added(known, block);
    if (!shape.ambiguous && (known === undefined || known === shape)) {
      seen.set(shape.names, shape);
      safe = shape;
      return true;
    }
    safe = undefined;
    const blocks = new Set<string>();
    seen.set(shape.names, blocks);
    for (const set of sets.slice(0, i)) {
      if (attributeShape(set).names === shape.names) blocks.add(labels.blockOf(set));
    }
    return added(blocks, block);
  };
}

function added(blocks: Set<string>, block: string): boolean {
  // One look-up instead of two.
  const before = blocks.size;
  return blocks.add(block).size > before;
}
