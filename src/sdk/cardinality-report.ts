// The one warning of a stream that reached its limit: it names the attribute that exploded.
import type { AttributeSet } from '../data/attribute-set.ts';
import { report } from '../data/diagnostics.ts';
import { shown } from './attribute-value.ts';

/** Looked at, evenly spread: the warning comes in the middle of somebody's measurement. The default limit is within. */
const SAMPLE = 2000;
const EXAMPLES = 3;

export function reportCardinality(instrument: string, limit: number, sets: readonly AttributeSet[]): void {
  const values = new Map<string, Set<unknown>>();
  const step = Math.max(1, sets.length / SAMPLE);
  for (let at = 0; at < sets.length; at += step) {
    const set = sets[Math.floor(at)]!;
    set.keys.forEach((key, i) => {
      const known = values.get(key);
      if (known) known.add(set.values[i]);
      else values.set(key, new Set([set.values[i]]));
    });
  }
  const [worst] = [...values].sort(([, a], [, b]) => b.size - a.size);
  const where = step > 1 ? ` in a sample of ${SAMPLE} series` : '';
  const culprit =
    worst === undefined
      ? ''
      : `; attribute ${shown(worst[0])} alone has ${worst[1].size} distinct values${where}, such as ` +
        [...worst[1]]
          .slice(0, EXAMPLES)
          .map((value) => shown(String(value)))
          .join(', ');
  report(
    'warn',
    `cardinality:${instrument}`,
    `${instrument} has reached its limit of ${limit} series${culprit}. Further attribute sets are counted ` +
      'together under otel.metric.overflow=true; drop the attribute or raise the cardinality limit',
  );
}
