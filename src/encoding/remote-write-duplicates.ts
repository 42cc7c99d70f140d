// What tells series of remote write apart: shapes alone do not where labels are added.
import type { AttributeSet } from '../data/attribute-set.ts';
import { quotable } from './prometheus-escaping.ts';
import type { LabelShape } from './prometheus-label-shape.ts';
import type { SeriesLabels } from './prometheus-labels.ts';
import { blockLabels, type Label } from './remote-write-labels.ts';

/**
 * The labels for comparisons. A series that has the value of an external label itself is the one that has none there.
 */
export function labelsToCompare(labels: SeriesLabels, external: readonly Label[]): SeriesLabels {
  const names = new Set(external.map(({ name }) => name));
  const added = new Set(external.map(({ name, value }) => `${name}="${quotable(value)}"`));
  const clashing = new Map<LabelShape, boolean>();
  const ambiguous = new Map<LabelShape, LabelShape>();

  function clashes(shape: LabelShape): boolean {
    let clash = clashing.get(shape);
    if (clash === undefined) {
      clash = shape.labels.some((label) => names.has(label));
      clashing.set(shape, clash);
    }
    return clash;
  }

  return {
    ...labels,
    shapeOf(set: AttributeSet): LabelShape {
      const shape = labels.shapeOf(set);
      if (!clashes(shape)) return shape;
      let other = ambiguous.get(shape);
      if (other === undefined) {
        other = { ...shape, ambiguous: true, names: namesWithout(shape, names) };
        ambiguous.set(shape, other);
      }
      return other;
    },
    blockOf(set: AttributeSet): string {
      const block = labels.blockOf(set);
      if (!clashes(labels.shapeOf(set))) return block;
      return blockLabels(block)
        .filter((label) => !added.has(label))
        .join();
    },
  };
}

function namesWithout({ names }: LabelShape, without: ReadonlySet<string>): string {
  return names
    .split(',')
    .filter((name) => !without.has(name.slice(name.indexOf(':') + 1)))
    .join();
}
