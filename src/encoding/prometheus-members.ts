// The metrics of a family with the labels of their series.
import type { MetricColumns } from '../data/metric-batch.ts';
import { type Family, METRICS_PER_STEP, NOTHING, type Steps } from './prometheus-families.ts';
import type { LabelStyle, SeriesLabels } from './prometheus-labels.ts';
import type { Plan } from './prometheus-options.ts';

export interface Member<M extends MetricColumns> {
  readonly metric: M;
  readonly labels: SeriesLabels;
}

/** As many as there are scopes. */
export function* membersOf<M extends MetricColumns>(
  { members, type }: Family<M>,
  plan: Plan,
  style: LabelStyle,
): Steps<Member<M>[]> {
  const labelled: Member<M>[] = [];
  for (const { metric, scope } of members) {
    labelled.push({ metric, labels: style.seriesLabels(plan.addedLabels(scope), type) });
    if (labelled.length % METRICS_PER_STEP === 0) yield NOTHING;
  }
  return labelled;
}
