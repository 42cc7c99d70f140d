// Different attribute sets can become the same labels: `{code: 200}` and `{code: '200'}`, or `{'a.b': 'x'}` and
// `{'a/b': 'x'}`. A scrape must not have a line twice, yet remembering every line would cost memory and a long
// pause whenever the memory grows. The shapes of the sets tell, for next to nothing, that it cannot happen;
// label blocks are compared only where it can.
import type { AttributeSet } from '../data/attribute-set.ts';
import type { LabelShape } from './prometheus-label-shape.ts';
import type { SeriesLabels } from './prometheus-labels.ts';

/**
 * Asked about each point of a metric in order: whether no point before it has its label block. `undefined` means that
 * it takes longer to know: ask again, after a pause if need be.
 */
export type FirstOfItsKind = (i: number) => boolean | undefined;

/** Sets looked at before the event loop may have its turn: well below a millisecond. */
const SETS_PER_STEP = 1_000;

type Members = readonly {
  readonly metric: { readonly attributes: readonly AttributeSet[] };
  readonly labels: SeriesLabels;
}[];

/** The checks for the metrics of one family. */
export function duplicateChecks(members: Members): FirstOfItsKind[] {
  const metricsIn = new Map<string, number>();
  for (const { labels } of members) metricsIn.set(labels.shared, (metricsIn.get(labels.shared) ?? 0) + 1);
  const everything = new BlockSet();
  const checks = members.map(
    ({ metric, labels }): FirstOfItsKind =>
      metricsIn.get(labels.shared) === 1
        ? amongLookalikes(metric.attributes, labels)
        : (i) => everything.add(labels.blockOf(metric.attributes[i]!)),
  );
  return metricsIn.size <= 1 ? checks : acrossScopes(members, checks);
}

/**
 * The labels of scopes tell their series apart until a point has an attribute that becomes one of them. From then on the
 * blocks of the whole family are compared.
 */
function acrossScopes(members: Members, checks: readonly FirstOfItsKind[]): FirstOfItsKind[] {
  let blocks: BlockSet | undefined;
  /** The points before this one have been gathered. */
  let [member, next] = [0, 0];

  return members.map(({ metric, labels }, m) => (i) => {
    if (blocks === undefined) {
      if (!labels.shapeOf(metric.attributes[i]!).reserved) return checks[m]!(i);
      blocks = new BlockSet();
    }
    for (let steps = 0; member < m || next < i; steps++) {
      if (steps === SETS_PER_STEP) return undefined;
      const earlier = members[member]!;
      if (next < earlier.metric.attributes.length) {
        blocks.add(earlier.labels.blockOf(earlier.metric.attributes[next]!));
        next++;
      } else [member, next] = [member + 1, 0];
    }
    next = i + 1;
    return blocks.add(labels.blockOf(metric.attributes[i]!));
  });
}

/** For a metric that shares its scope with no other of the family. */
function amongLookalikes(sets: readonly AttributeSet[], labels: SeriesLabels): FirstOfItsKind {
  /** By label names: the one shape that has them, or the blocks once there is a second or an ambiguous one. */
  const seen = new Map<string, LabelShape | BlockSet>();
  let safe: LabelShape | undefined;
  /** Blocks of earlier points that are still being gathered, up to the set `next`. */
  let gathering: { readonly names: string; readonly blocks: BlockSet; next: number } | undefined;

  return (i) => {
    const set = sets[i]!;
    const shape = labels.shapeOf(set);
    // A provider of ours has a set once. Others may give it twice.
    const isForeign = set.id < 0;
    if (shape === safe && !isForeign) return true;
    if (gathering === undefined) {
      const known = seen.get(shape.names);
      if (known instanceof BlockSet) return known.add(labels.blockOf(set));
      if (!isForeign && !shape.ambiguous && (known === undefined || known === shape)) {
        seen.set(shape.names, shape);
        safe = shape;
        return true;
      }
      safe = undefined;
      gathering = { names: shape.names, blocks: new BlockSet(), next: 0 };
      seen.set(shape.names, gathering.blocks);
    }
    const { names, blocks, next } = gathering;
    const end = Math.min(i, next + SETS_PER_STEP);
    for (let k = next; k < end; k++) {
      if (labels.shapeOf(sets[k]!).names === names) blocks.add(labels.blockOf(sets[k]!));
    }
    if (end < i) {
      gathering.next = end;
      return undefined;
    }
    gathering = undefined;
    return blocks.add(labels.blockOf(set));
  };
}

/** One large `Set` of strings would stop everything for milliseconds each time that it grows. */
export class BlockSet {
  readonly #parts: (Set<string> | undefined)[] = [];

  /** Whether it was not there yet. */
  add(block: string): boolean {
    const part = (this.#parts[partOf(block)] ??= new Set());
    // One look-up instead of two.
    const before = part.size;
    return part.add(block).size > before;
  }

  has(block: string): boolean {
    return this.#parts[partOf(block)]?.has(block) ?? false;
  }

  delete(block: string): void {
    this.#parts[partOf(block)]?.delete(block);
  }
}

const PARTS = 256;

/** Series differ most at the ends of their values; the last two characters are those of the syntax. */
function partOf(block: string): number {
  let hash = block.length;
  for (let at = Math.max(0, block.length - 12); at < block.length; at++) {
    hash = (Math.imul(hash, 31) + block.charCodeAt(at)) | 0;
  }
  return (hash ^ (hash >>> 11)) & (PARTS - 1);
}
